#include "tap.hpp"

#include <lwip/etharp.h>
#include <lwip/pbuf.h>
#include <netif/ethernet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace microdot_test {
namespace {

constexpr std::size_t kLongestFrame = 1514;
constexpr int kFramesPerPoll = 64;

}  // namespace

TapBoard::TapBoard() {
  event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  tap_ = open_tap(kKernelAddress);
}

TapBoard::~TapBoard() {
  if (tap_ >= 0) close(tap_);
  close(event_);
}

void TapBoard::start() {
  ip4_addr_t address, mask, gateway;
  ip4addr_aton(kLwipAddress, &address);
  ip4addr_aton("255.255.255.0", &mask);
  ip4addr_aton(kKernelAddress, &gateway);
  const auto set_up = [](struct netif* netif) -> err_t {
    netif->name[0] = 't';
    netif->name[1] = 'p';
    netif->hwaddr_len = 6;
    const unsigned char hardware[] = {2, 0, 0, 0, 0, 1};
    std::copy(std::begin(hardware), std::end(hardware), netif->hwaddr);
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    netif->output = etharp_output;
    netif->linkoutput = [](struct netif* from, pbuf* frame) -> err_t {
      std::string bytes(frame->tot_len, '\0');
      pbuf_copy_partial(frame, bytes.data(), frame->tot_len, 0);
      static_cast<TapBoard*>(from->state)->pass(std::move(bytes), true);
      return ERR_OK;
    };
    return ERR_OK;
  };
  netif_add(&netif_, &address, &mask, &gateway, this, set_up, ethernet_input);
  netif_set_default(&netif_);
  netif_set_up(&netif_);
}

void TapBoard::set_faults(const TapFaults& faults, std::uint32_t seed) {
  faults_ = faults;
  random_.seed(seed);
}

void TapBoard::pass(std::string bytes, bool to_kernel) {
  const auto happens = [&](unsigned of_a_thousand) { return random_() % 1000 < of_a_thousand; };
  if (happens(faults_.lost)) {
    ++lost_;
    return;
  }
  for (int copies = happens(faults_.repeated) ? 2 : 1; copies != 0; --copies) {
    Frame frame{now(), to_kernel, bytes};
    if (!happens(faults_.delayed)) {
      deliver(frame);
      continue;
    }
    frame.due += Duration(random_() % static_cast<std::uint32_t>(faults_.delay.count()));
    under_way_.push_back(std::move(frame));
  }
}

void TapBoard::deliver(const Frame& frame) {
  const auto size = static_cast<std::uint16_t>(frame.bytes.size());
  if (frame.to_kernel) {
    // A device that is full loses frames.
    [[maybe_unused]] const auto written = write(tap_, frame.bytes.data(), size);
    return;
  }
  pbuf* const bytes = pbuf_alloc(PBUF_RAW, size, PBUF_POOL);
  if (bytes == nullptr) return;
  pbuf_take(bytes, frame.bytes.data(), size);
  if (netif_.input(bytes, &netif_) != ERR_OK) pbuf_free(bytes);
}

bool TapBoard::poll_input() noexcept {
  bool any = false;
  const TimePoint time = now();
  for (std::size_t i = 0; i < under_way_.size();) {
    if (under_way_[i].due > time) {
      ++i;
      continue;
    }
    const Frame frame = std::move(under_way_[i]);
    under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(i));
    deliver(frame);
    any = true;
  }
  char bytes[kLongestFrame];
  for (int i = 0; i < kFramesPerPoll; ++i) {
    const ssize_t size = read(tap_, bytes, sizeof bytes);
    if (size <= 0) break;
    pass(std::string(bytes, static_cast<std::size_t>(size)), false);
    any = true;
  }
  return any;
}

bool TapBoard::idle(TimePoint until) noexcept {
  for (const Frame& frame : under_way_) until = std::min(until, frame.due);
  const Duration left = std::max(until - now(), Duration::zero());
  const timespec time{static_cast<time_t>(left.count() / 1'000'000),
                      static_cast<long>(left.count() % 1'000'000 * 1000)};
  pollfd fds[] = {{tap_, POLLIN, 0}, {event_, POLLIN, 0}};
  ppoll(fds, 2, until == TimePoint::max() ? nullptr : &time, nullptr);
  std::uint64_t count;
  return read(event_, &count, sizeof count) > 0;
}

void TapBoard::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(event_, &one, sizeof one);
}

TimePoint TapBoard::now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return TimePoint(Duration(std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000) + ahead_);
}

std::int64_t TapBoard::unix_seconds() noexcept { return std::time(nullptr); }

void TapBoard::fill_random(std::span<unsigned char> bytes) noexcept {
  [[maybe_unused]] const auto filled = getrandom(bytes.data(), bytes.size(), 0);
}

void TapBoard::write_log(LogLevel, std::string_view line) noexcept {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

}  // namespace microdot_test
