#pragma once
#include <microdot/port/file.hpp>

#include "ports/common/files.hpp"

namespace microdot::inline MICRODOT_ABI {

/// Files by openat(2) where there are processes (files_host.cpp), by plain names where there are neither that
/// nor symbolic links (files_esp_idf.cpp).
class PosixFiles final : public Files {
 public:
  constexpr PosixFiles() noexcept = default;

  Result<File> open(std::string_view root, std::string_view path) noexcept override;
  Result<void> check_root(std::string_view root) noexcept override;
  Result<std::size_t> read(Handle handle, std::uint64_t offset, std::span<char> buffer) noexcept override;
  void close(Handle handle) noexcept override;
};

}  // namespace microdot::inline MICRODOT_ABI
