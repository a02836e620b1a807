#pragma once
#include <cstdint>

namespace firmware {

/// Adds the board's Ethernet controller to lwIP, which is ready. The address comes from DHCP; where none has
/// come after some seconds it is MICRODOT_ADDRESS until one comes.
void start_network() noexcept;
/// Hands the frames that have come to lwIP, a few at a time. Whether there was one.
bool poll_network() noexcept;
/// Whether frames wait for `poll_network`; with interrupts disabled, too.
bool frames_waiting() noexcept;
/// TCP connections, but for those in TIME_WAIT.
unsigned open_connections() noexcept;
/// Frames that found no buffer.
std::uint32_t frames_dropped() noexcept;
/// Bits of the moments at which frames came: the noise that a board without any other has.
std::uint32_t network_noise() noexcept;

}  // namespace firmware
