#pragma once
// What systems with sockets and poll(2) differ in altogether: system_host.cpp, system_esp_idf.cpp.

#include <span>

#include <microdot/port/port.hpp>

namespace microdot::inline MICRODOT_ABI {

class PosixPoller;

/// See `Entropy::fill`.
void fill_system_random(std::span<unsigned char> bytes) noexcept;
/// See `Log::write`.
void write_system_log(LogLevel level, std::string_view line) noexcept;
/// See `Port::discard`.
void discard_system_memory(std::span<std::byte> bytes) noexcept;
/// Calls `poller.network_changed()` from now on when an interface or address may have changed, or no more.
/// May do nothing.
void watch_system_network(PosixPoller& poller, bool on) noexcept;
/// See `Network::check_address`.
Error check_system_address(const Endpoint& local) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
