#pragma once
#include <lwip/ip_addr.h>

#include <microdot/port/network.hpp>

namespace microdot::inline MICRODOT_ABI {

Endpoint to_endpoint(const ip_addr_t& address, std::uint16_t port) noexcept;
/// What `ListenOptions::host` stands for; false if it is no address that this lwIP can listen on.
bool parse_host(std::string_view host, ip_addr_t& address) noexcept;
/// Every address of a family, or of both.
bool is_every_address(const Endpoint& endpoint) noexcept;

}  // namespace microdot::inline MICRODOT_ABI
