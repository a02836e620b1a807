#include <microdot/ext/cluster.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

namespace {

// 'm', '1': the format; then the version (2 bytes), the number (4), the run (4) and the node (8),
// little-endian.
constexpr std::string_view kFormat = "m1";
/// Repeats follow soon: a number that is further behind than that was never the node's, or that before was
/// not.
constexpr std::uint32_t kRepeats = 1024;

void put(char* out, std::uint64_t value, std::size_t size) noexcept {
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(value >> 8 * i);
}
std::uint64_t get(const char* in, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(in[i]);
  return value;
}

}  // namespace

void ShareHead::write(std::span<char, kBytes> out) const noexcept {
  kFormat.copy(out.data(), kFormat.size());
  put(out.data() + 2, version, 2);
  put(out.data() + 4, number, 4);
  put(out.data() + 8, id.run, 4);
  put(out.data() + 12, id.node, 8);
}

Result<ShareHead> ShareHead::read(std::string_view payload) noexcept {
  if (payload.size() < kBytes || !payload.starts_with(kFormat)) return Error::invalid;
  const ShareHead head{
      .id = {.node = get(payload.data() + 12, 8),
             .run = static_cast<std::uint32_t>(get(payload.data() + 8, 4))},
      .number = static_cast<std::uint32_t>(get(payload.data() + 4, 4)),
      .version = static_cast<std::uint16_t>(get(payload.data() + 2, 2)),
  };
  if (head.id.node == 0) return Error::invalid;
  return head;
}

ShareId make_share_id(std::string_view client_id) noexcept {
  unsigned char random[12];
  Loop::current().port().entropy().fill(random);
  ShareId id;
  std::memcpy(&id.run, random, sizeof id.run);
  if (client_id.empty()) {
    std::memcpy(&id.node, random + sizeof id.run, sizeof id.node);
  } else {
    id.node = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : client_id) id.node = (id.node ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  if (id.node == 0) id.node = 1;
  return id;
}

bool note_share_number(std::span<ShareNode> nodes, const ShareHead& head, ShareStats& stats) noexcept {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const ShareNode& node) {
    return node.id == head.id || node.id.node == 0;
  });
  const bool is_known = found != nodes.end() && found->id == head.id;
  const auto place = found != nodes.end() ? found : nodes.end() - 1;
  std::rotate(nodes.begin(), place, place + 1);
  ShareNode& node = nodes.front();
  if (is_known) {
    const std::uint32_t ahead = head.number - node.number;  // numbers wrap
    if (0 - ahead < kRepeats) {
      ++stats.repeated;
      return false;
    }
    if (ahead <= INT32_MAX) stats.missed += ahead - 1;
  }
  node = {.id = head.id, .number = head.number};
  return true;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
