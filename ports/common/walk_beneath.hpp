#pragma once
// Where files are opened by openat(2): all systems with processes.

#include <fcntl.h>
#include <string_view>

#include <microdot/base/result.hpp>

namespace microdot::inline MICRODOT_ABI {

#ifndef O_LARGEFILE
#define O_LARGEFILE 0
#endif
/// For a file to be read. O_NONBLOCK: opening a FIFO must not wait for a writer.
inline constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE;

/// For a directory to look in, which need not be readable where there is a way to say so.
#if defined(O_PATH)
inline constexpr int kDirectoryFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
#elif defined(O_SEARCH)
inline constexpr int kDirectoryFlags = O_SEARCH | O_DIRECTORY | O_CLOEXEC;
#else
inline constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
#endif

/// openat(2), again if a signal came.
int open_plain(int directory, const char* path, int flags) noexcept;

/// Opens `path` beneath the directory `root` component by component, none of them through a symbolic link
/// that it has not read itself: what openat2(2) does in one call where there is one. -1 with errno (EXDEV
/// outside).
int walk_beneath(int root, const char* path, int flags) noexcept;

/// See `Files::check_root`.
Result<void> check_directory(std::string_view root) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
