// A chunked body in one piece and in pieces gives the same content, the same end and the same error; content
// that was written in chunks is read again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <microdot/http/chunked.hpp>

using namespace microdot;

namespace {

struct Outcome {
  std::string content;
  std::size_t consumed = 0;
  ParseStatus status = ParseStatus::need_more;
  int error = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome decode(const std::string& text, std::size_t step, ChunkedLimits limits) {
  ChunkedDecoder decoder(limits);
  Outcome out;
  for (std::size_t at = 0; at < text.size() && out.status == ParseStatus::need_more; at += step) {
    std::string piece = text.substr(at, step);
    const std::string before = piece;
    const ChunkedResult r = decoder.decode(piece);
    if (r.consumed > piece.size() || r.produced > r.consumed) std::abort();
    if (r.status == ParseStatus::need_more && r.consumed != piece.size()) std::abort();
    if (piece.substr(r.consumed) != before.substr(r.consumed)) std::abort();
    out.content += piece.substr(0, r.produced);
    out.consumed += r.consumed;
    out.status = r.status;
  }
  out.error = decoder.error_status();
  if (decoder.total() != out.content.size()) std::abort();
  return out;
}

/// In chunks of this size, each with an extension as long as may be, and the last one.
std::string encode(const std::string& content, std::size_t size, ChunkedLimits limits) {
  std::string out;
  for (std::size_t at = 0; at < content.size(); at += size) {
    const std::string part = content.substr(at, size);
    std::array<char, kMaxChunkHead> head;
    const std::size_t used = write_chunk_head(part.size(), head);
    out.append(head.data() + head.size() - used, used);
    // In all no more than the content.
    const std::size_t extension = std::min<std::size_t>(part.size(), limits.extension_bytes);
    if (extension >= 2) out.insert(out.size() - 2, ";" + std::string(extension - 1, 'x'));
    out.append(part).append(kChunkEnd);
  }
  return out.append(kLastChunk);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ChunkedLimits limits{.extension_bytes = data[0], .trailer_bytes = data[0]};
  const std::string text(reinterpret_cast<const char*>(data + 2), size - 2);
  if (!(decode(text, std::max<std::size_t>(text.size(), 1), limits) ==
        decode(text, data[1] % 16 + 1, limits))) {
    std::abort();
  }
  const std::string written = encode(text, data[0] % 64 + 1, limits);
  const Outcome read = decode(written, data[1] % 16 + 1, limits);
  if (read.status != ParseStatus::complete || read.content != text || read.consumed != written.size())
    std::abort();
  return 0;
}
