#include "network.hpp"

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <netif/ethernet.h>
#include <algorithm>
#include <cstdint>

#include "clock.hpp"
#include "core.hpp"
#include "firmware.hpp"

#include "board_config.hpp"

namespace firmware {
namespace {

constexpr std::uint32_t kDhcpMilliseconds = 5000;  // without an address: after that the fixed one
constexpr std::uint32_t kLinkMilliseconds = 100;   // between looks at the cable
constexpr int kFramesPerPoll = 4;                  // then others have a turn, whatever comes in
constexpr MacAddress kMacAddress{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

struct netif interface;
board::Ethernet controller(board::kEthernetBase);
volatile bool frame_came;
volatile std::uint32_t noise;
ip4_addr_t address_told;

err_t send(struct netif*, pbuf* frame) noexcept {
  // lwIP takes it for a lost frame and sends again what matters.
  return controller.send(*frame) ? ERR_OK : ERR_MEM;
}

err_t set_up(struct netif* netif) noexcept {
  netif->name[0] = 'e';
  netif->name[1] = 'n';
  netif->hwaddr_len = kMacAddress.size();
  std::copy(kMacAddress.begin(), kMacAddress.end(), netif->hwaddr);
  netif->mtu = 1500;
  netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
  netif->output = etharp_output;
  netif->linkoutput = send;
  return ERR_OK;
}

void use_fixed_address() noexcept {
  ip4_addr_t address, mask, gateway;
  ip4addr_aton(MICRODOT_ADDRESS, &address);
  ip4addr_aton(MICRODOT_NETMASK, &mask);
  ip4addr_aton(MICRODOT_GATEWAY, &gateway);
  netif_set_addr(&interface, &address, &mask, &gateway);
}

void watch_address() noexcept {
  static std::uint32_t time_without;
  const ip4_addr_t* const address = netif_ip4_addr(&interface);
  const std::uint32_t now = SystemClock::ticks();
  if (!ip4_addr_isany_val(*address)) {
    time_without = now;
  } else if (now - time_without > kDhcpMilliseconds) {
    use_fixed_address();
  }
  if (ip4_addr_cmp(address, &address_told)) return;
  address_told = *address;
  char line[32] = "address: ";
  ip4addr_ntoa_r(address, line + 9, sizeof line - 9);
  log_line(line);
  // Whoever asks first has to be answered, and clients come through the gateway: learn where it is.
  if (!ip4_addr_isany_val(*netif_ip4_gw(&interface))) etharp_request(&interface, netif_ip4_gw(&interface));
}

// Without a link there is no network; with a new one it may be another, so lwIP asks for its address again.
void watch_link() noexcept {
  static std::uint32_t last_time;
  const std::uint32_t now = SystemClock::ticks();
  if (now - last_time < kLinkMilliseconds) return;
  last_time = now;
  // Both do nothing where that is known.
  if (controller.link_up()) {
    netif_set_link_up(&interface);
  } else {
    netif_set_link_down(&interface);
  }
}

}  // namespace

void start_network() noexcept {
  if (netif_add_noaddr(&interface, nullptr, set_up, netif_input) == nullptr) stop("no network interface");
  netif_set_hostname(&interface, "microdot");
  netif_set_default(&interface);
  netif_set_up(&interface);
  if (!controller.start(kMacAddress)) stop("no Ethernet controller");
  clear_pending_irq(board::kEthernetIrq);
  enable_irq(board::kEthernetIrq);
  if (dhcp_start(&interface) != ERR_OK) use_fixed_address();
}

bool poll_network() noexcept {
  watch_link();
  watch_address();
  if (!frame_came) return false;
  // First, so that a frame that comes meanwhile interrupts as soon as that is enabled again.
  controller.acknowledge();
  clear_pending_irq(board::kEthernetIrq);
  for (int left = kFramesPerPoll; left != 0; --left) {
    pbuf* const frame = controller.receive();
    if (frame == nullptr) {
      frame_came = false;
      enable_irq(board::kEthernetIrq);
      break;
    }
    if (interface.input(frame, &interface) != ERR_OK) pbuf_free(frame);
  }
  return true;
}

unsigned open_connections() noexcept {
  unsigned count = 0;
  for (const tcp_pcb* at = tcp_active_pcbs; at != nullptr; at = at->next) ++count;
  return count;
}

bool frames_waiting() noexcept { return frame_came; }

std::uint32_t frames_dropped() noexcept { return controller.dropped(); }

std::uint32_t network_noise() noexcept { return noise; }

// The controller keeps its interrupt up until the frames are read: silence it until `poll_network` has.
extern "C" void ethernet_handler() noexcept {
  disable_irq(board::kEthernetIrq);
  frame_came = true;
  noise = noise * 33 + static_cast<std::uint32_t>(SystemClock::cycles());
}

}  // namespace firmware
