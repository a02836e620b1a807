#pragma once

namespace firmware {

/// Starts lwIP and the board's Ethernet controller. The address comes from DHCP; when none has come after some
/// seconds it is MICRODOT_ADDRESS, until one comes.
void start_network() noexcept;
/// Hands frames that have come to lwIP.
void poll_network() noexcept;
/// Whether a frame has come since `poll_network`. With interrupts disabled too.
bool frames_waiting() noexcept;

}  // namespace firmware
