#pragma once
#include <cstdint>
#include <string_view>

struct netif;

/// What an image has beside its program: a board that is started before `main`, its network, and time to sleep.
namespace firmware {

/// Starts the board: UART, clock, Ethernet, lwIP. Called before `main`.
void start() noexcept;
/// Says why on the UART and restarts the board.
[[noreturn]] void stop(std::string_view reason) noexcept;

/// One line on the UART.
void log_line(std::string_view line) noexcept;

/// Hands the frames that have come to lwIP, and looks after the board: to be called in each turn of the main loop. A
/// loop that does not for some seconds is restarted by the watchdog.
void poll() noexcept;
/// Sleeps until an interrupt comes: at the latest the clock's, in a millisecond. Not at all if a frame has come or
/// `wake` was called since the last time.
void idle() noexcept;
/// Ends the current or the next `idle`. For interrupt handlers too.
void wake() noexcept;

/// Cycles of the processor that `idle` slept.
std::uint64_t idle_cycles() noexcept;

/// A number that differs from start to start, as far as the board can: see docs/design/firmware.md.
std::uint32_t entropy_seed() noexcept;

netif& ethernet() noexcept;

/// What `main` is given, see microdot_add_image in firmware/CMakeLists.txt.
extern int argument_count;
extern char* arguments[];

}  // namespace firmware
