#pragma once
#include <sys/uio.h>
#include <unistd.h>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Lines to standard error.
class StderrLog final : public Log {
 public:
  void write(LogLevel, std::string_view line) noexcept override {
    // One call, so that lines of several threads do not mix.
    char end = '\n';
    const iovec pieces[] = {{const_cast<char*>(line.data()), line.size()}, {&end, 1}};
    [[maybe_unused]] const auto size = writev(STDERR_FILENO, pieces, 2);
  }
};

}  // namespace microdot::inline MICRODOT_ABI
