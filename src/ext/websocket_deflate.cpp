#include <microdot/ext/websocket_deflate.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include <zlib.h>

#include <microdot/base/text.hpp>
#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

constexpr std::string_view kField = "Sec-WebSocket-Extensions";
constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerNoTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoTakeover = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";
constexpr std::uint8_t kMostBits = 15;
// zlib can't compress with less.
constexpr std::uint8_t kLeastServerBits = 9;
// What ends each message and is left out (RFC 7692 7.2.1).
constexpr std::string_view kTail{"\0\0\xff\xff", 4};

// The next piece of `text` up to `separator`, which is dropped.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view piece = trim_ows(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return piece;
}

// A value of 8 to 15 without leading zeros, in quotes or not; 0 if it is something else.
std::uint8_t window_bits(std::string_view value) noexcept {
  std::array<char, 2> digits{};
  std::size_t count = 0;
  value = trim_ows(value);
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  if (quoted) value = value.substr(1, value.size() - 2);
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (quoted && value[i] == '\\' && i + 1 < value.size()) ++i;
    if (count == digits.size() || value[i] < '0' || value[i] > '9') return 0;
    digits[count++] = value[i];
  }
  if (count == 1)
    return digits[0] == '8' || digits[0] == '9' ? static_cast<std::uint8_t>(digits[0] - '0') : 0;
  if (count != 2 || digits[0] != '1' || digits[1] > '5') return 0;
  return static_cast<std::uint8_t>(10 + digits[1] - '0');
}

struct Offer {
  bool server_no_takeover = false;
  bool client_no_takeover = false;
  bool client_bits_known = false;  // it may be told
  std::uint8_t server_bits = 0;    // 0: not said
  std::uint8_t client_bits = 0;
};

// Reads one element of the field. None if it is no valid offer of this extension.
std::optional<Offer> read_offer(std::string_view element) noexcept {
  if (element.ends_with(';') || take_until(element, ';') != kName) return {};
  Offer offer;
  while (!element.empty()) {
    std::string_view value = take_until(element, ';');
    const bool has_value = value.find('=') != std::string_view::npos;
    const std::string_view name = take_until(value, '=');
    if (name == kServerNoTakeover && !has_value && !offer.server_no_takeover) {
      offer.server_no_takeover = true;
    } else if (name == kClientNoTakeover && !has_value && !offer.client_no_takeover) {
      offer.client_no_takeover = true;
    } else if (name == kServerBits && has_value && offer.server_bits == 0) {
      offer.server_bits = window_bits(value);
      if (offer.server_bits == 0) return {};
    } else if (name == kClientBits && !offer.client_bits_known) {
      offer.client_bits_known = true;
      offer.client_bits = has_value ? window_bits(value) : kMostBits;
      if (offer.client_bits == 0) return {};
    } else {
      return {};
    }
  }
  return offer;
}

std::optional<DeflateAgreement> accept(const Offer& offer, const DeflateWishes& wishes) noexcept {
  DeflateAgreement agreement;
  agreement.server_no_context_takeover = offer.server_no_takeover || wishes.server_no_context_takeover;
  agreement.client_no_context_takeover = offer.client_no_takeover || wishes.client_no_context_takeover;
  if (offer.server_bits != 0) {
    if (offer.server_bits < kLeastServerBits) return {};
    agreement.server_max_window_bits = std::min(offer.server_bits, wishes.window_bits);
  }
  if (offer.client_bits_known) {
    const std::uint8_t bits = std::min(offer.client_bits, wishes.window_bits);
    if (bits != kMostBits) agreement.client_max_window_bits = bits;
  } else if (wishes.window_bits < kMostBits) {
    return {};
  }
  return agreement;
}

// zlib's memory: what it takes when a stream begins, and never gives back.
class Memory {
 public:
  explicit Memory(std::span<std::byte> bytes) noexcept : rest_(bytes) {}
  void* take(std::size_t size) noexcept {
    size = detail::align_up(size);
    if (size > rest_.size()) return nullptr;
    void* const taken = rest_.data();
    rest_ = rest_.subspan(size);
    return taken;
  }
  void serve(z_stream& stream) noexcept {
    stream.opaque = this;
    stream.zalloc = [](void* memory, unsigned count, unsigned size) {
      return static_cast<Memory*>(memory)->take(std::size_t{count} * size);
    };
    stream.zfree = [](void*, void*) {};
  }

 private:
  std::span<std::byte> rest_;
};

Bytef* bytes_of(std::string_view text) noexcept {  // zlib only reads them
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

class Codec final : public WebSocketCodec {
 public:
  Codec(std::span<std::byte> memory, const DeflateAgreement& agreement,
        const WebSocketDeflateOptions& options) noexcept
      : memory_(memory), agreement_(agreement), threshold_(std::max(options.threshold, 1U)) {}

  // False without memory.
  bool start(int level, std::uint8_t most_bits) noexcept {
    memory_.serve(deflate_);
    memory_.serve(inflate_);
    const int out = std::min(agreement_.server_max_window_bits.value_or(kMostBits), most_bits);
    // Tables as large as the window, which is zlib's own choice for 15 bits.
    return deflateInit2(&deflate_, level, Z_DEFLATED, -out, out - 7, Z_DEFAULT_STRATEGY) == Z_OK &&
           inflateInit2(&inflate_, -agreement_.client_max_window_bits.value_or(kMostBits)) == Z_OK;
  }

  Decoded decode(std::string_view in, bool end, std::span<char> room) noexcept override {
    inflate_.next_out = reinterpret_cast<Bytef*>(room.data());
    inflate_.avail_out = static_cast<uInt>(room.size());
    std::size_t left = in.size();
    Status status = inflate_some(in, left);
    if (status == Status::done && end) {
      status = inflate_some(kTail.substr(kTail.size() - tail_left_), tail_left_);
      // The last block has to end with the message.
      if (status != Status::bad && tail_left_ == 0 && between_blocks_) {
        status = Status::done;
        tail_left_ = kTail.size();
        if (agreement_.client_no_context_takeover) inflateReset(&inflate_);
      } else if (status == Status::done) {
        status = Status::bad;
      }
    }
    return {in.size() - left, room.size() - inflate_.avail_out, status};
  }

  std::size_t encode(std::string_view message, std::span<char> room) noexcept override {
    if (message.size() < threshold_ || message.size() > room.size()) return 0;
    deflate_.next_in = bytes_of(message);
    deflate_.avail_in = static_cast<uInt>(message.size());
    deflate_.next_out = reinterpret_cast<Bytef*>(room.data());
    deflate_.avail_out = static_cast<uInt>(message.size());
    const int result = deflate(&deflate_, Z_SYNC_FLUSH);
    const bool smaller = result == Z_OK && deflate_.avail_out != 0;
    if (!smaller || agreement_.server_no_context_takeover) discard();
    return smaller ? message.size() - deflate_.avail_out - kTail.size() : 0;
  }

  void discard() noexcept override { deflateReset(&deflate_); }

 private:
  // Inflates `in` as far as there is room; `left` of it remain.
  Status inflate_some(std::string_view in, std::size_t& left) noexcept {
    inflate_.next_in = bytes_of(in);
    inflate_.avail_in = static_cast<uInt>(in.size());
    for (;;) {
      const uInt before = inflate_.avail_in;
      const int result = inflate(&inflate_, Z_SYNC_FLUSH);
      left = inflate_.avail_in;
      if (result == Z_STREAM_END) {  // a last block, behind which another may follow (RFC 7692 7.2.3.4)
        between_blocks_ = false;
        inflateReset(&inflate_);
        if (left == 0) return Status::done;
        continue;
      }
      if (result != Z_OK && result != Z_BUF_ERROR) return Status::bad;
      // 128: at the end of a block; the bits below: of the last byte, not used.
      if (before != left) between_blocks_ = (inflate_.data_type & 0xbf) == 0x80;
      return inflate_.avail_out == 0 ? Status::more : Status::done;
    }
  }

  z_stream deflate_{};
  z_stream inflate_{};
  Memory memory_;
  DeflateAgreement agreement_;
  std::uint32_t threshold_;
  std::size_t tail_left_ = kTail.size();
  bool between_blocks_ = false;
};

}  // namespace

std::optional<DeflateAgreement> agree_on_deflate(const HeaderTable& request,
                                                 const DeflateWishes& wishes) noexcept {
  std::optional<DeflateAgreement> agreement;
  for (std::size_t i = request.find(kField); !agreement && i != HeaderTable::npos;
       i = request.find(kField, i + 1)) {
    for_each_element(request.value(i), [&](std::string_view element) {
      const std::optional<Offer> offer = read_offer(element);
      if (offer) agreement = accept(*offer, wishes);
      return !agreement;
    });
  }
  return agreement;
}

std::string_view write_deflate_agreement(const DeflateAgreement& agreement,
                                         std::span<char, kDeflateAgreementBytes> out) noexcept {
  FixedText<kDeflateAgreementBytes> text;
  text.append(kName);
  if (agreement.server_no_context_takeover) text.append("; ").append(kServerNoTakeover);
  if (agreement.client_no_context_takeover) text.append("; ").append(kClientNoTakeover);
  if (agreement.server_max_window_bits)
    text.append("; ").append(kServerBits).append("=").append(unsigned{*agreement.server_max_window_bits});
  if (agreement.client_max_window_bits)
    text.append("; ").append(kClientBits).append("=").append(unsigned{*agreement.client_max_window_bits});
  return {out.data(), text.view().copy(out.data(), out.size())};
}

WebSocketCodec* WebSocketDeflate::agree(const HeaderTable& request, const Limits& limits, bool drops,
                                        std::span<std::byte> memory, Response& answer) const noexcept {
  const std::uint8_t bits = limits.ws_window_bits;
  const std::optional<DeflateAgreement> agreement =
      agree_on_deflate(request, {.window_bits = bits,
                                 .server_no_context_takeover = options_.server_no_context_takeover || drops,
                                 .client_no_context_takeover = options_.client_no_context_takeover});
  if (!agreement) return nullptr;
  constexpr std::size_t kBytes = detail::align_up(sizeof(Codec));
  auto* const codec =
      ::new (static_cast<void*>(memory.data())) Codec(memory.subspan(kBytes), *agreement, options_);
  if (!codec->start(std::clamp(options_.level, 1, 9), bits)) return nullptr;
  std::array<char, kDeflateAgreementBytes> value;
  answer.headers().add(kField, write_deflate_agreement(*agreement, value));
  return codec;
}

}  // namespace microdot::inline MICRODOT_ABI
