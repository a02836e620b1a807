#pragma once
#include <string_view>

/// What an image has beside its program: a board, its network, and microdot's port for them, all started
/// before `main`. The program itself needs none of this: it is the same as on a host.
namespace firmware {

/// Starts the board: UART, clock, lwIP, Ethernet, watchdog.
void start() noexcept;
/// Says why on the UART and restarts the board.
[[noreturn]] void stop(std::string_view reason) noexcept;

/// One line on the UART.
void log_line(std::string_view line) noexcept;

/// What `main` is given: see microdot_add_image in firmware/CMakeLists.txt.
extern int argument_count;
extern char* arguments[];

}  // namespace firmware
