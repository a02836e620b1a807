#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <microdot/http/chunked.hpp>

namespace microdot {
namespace {

struct Decoded {
  std::string content;
  ParseStatus status = ParseStatus::need_more;
  std::size_t consumed = 0;
  int error = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

// Decodes `input` in the pieces that begin at `starts`, each in memory of exactly its size.
Decoded decode_pieces(const std::string& input, const std::vector<std::size_t>& starts,
                      ChunkedLimits limits) {
  ChunkedDecoder decoder(limits);
  Decoded out;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t end = i + 1 < starts.size() ? starts[i + 1] : input.size();
    const std::size_t size = end - starts[i];
    auto piece = std::make_unique<char[]>(size);
    std::copy_n(input.data() + starts[i], size, piece.get());
    const ChunkedResult r = decoder.decode({piece.get(), size});
    out.content.append(piece.get(), r.produced);
    out.consumed += r.consumed;
    out.status = r.status;
    if (r.status != ParseStatus::need_more) {
      EXPECT_EQ(std::string(piece.get() + r.consumed, size - r.consumed),
                input.substr(starts[i] + r.consumed, size - r.consumed))
          << "what follows is untouched";
      break;
    }
    EXPECT_EQ(r.consumed, size);
  }
  EXPECT_EQ(decoder.total(), out.content.size());
  EXPECT_EQ(decoder.error_reason().empty(), out.status != ParseStatus::error);
  out.error = decoder.error_status();
  return out;
}

// In one piece, after proving that bytes and any two pieces give the same.
Decoded decode(const std::string& input, ChunkedLimits limits = {}) {
  const Decoded whole = decode_pieces(input, {0}, limits);
  std::vector<std::size_t> every;
  for (std::size_t i = 0; i < input.size(); ++i) every.push_back(i);
  if (!input.empty()) {
    EXPECT_EQ(decode_pieces(input, every, limits), whole) << input;
  }
  for (std::size_t i = 0; i < input.size(); ++i) {
    EXPECT_EQ(decode_pieces(input, {0, i}, limits), whole) << "split at " << i << ": " << input;
  }
  return whole;
}

TEST(ChunkedDecoder, DecodesChunksAndKeepsTheNextRequest) {
  const std::string body = "4\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\n\r\n";
  const Decoded r = decode(body + "GET / HTTP/1.1\r\n");
  EXPECT_EQ(r.status, ParseStatus::complete);
  EXPECT_EQ(r.content, "Wikipedia in\r\n\r\nchunks.");
  EXPECT_EQ(r.consumed, body.size());
}

TEST(ChunkedDecoder, Sizes) {
  EXPECT_EQ(decode("a\r\n0123456789\r\n0\r\n\r\n").content, "0123456789");
  EXPECT_EQ(decode("A\r\n0123456789\r\n000\r\n\r\n").content, "0123456789");
  EXPECT_EQ(decode("0001\r\nx\r\n0\r\n\r\n").status, ParseStatus::complete);
  EXPECT_EQ(decode("0\r\n\r\n").content, "");
  EXPECT_EQ(decode("ffffffffffffffff\r\nx").status, ParseStatus::need_more);
  EXPECT_EQ(decode("10000000000000000\r\nx").error, 413);
  EXPECT_EQ(decode("00000000000000000\r\n\r\n").error, 400);
  EXPECT_EQ(decode("fffffffffffffffff\r\nx").error, 413);
}

TEST(ChunkedDecoder, RefusesWhatIsNotExact) {  // RFC 9112 7.1
  for (const char* input :
       {"\r\n0\r\n\r\n",   " 1\r\nx\r\n", "1 \r\nx\r\n", "+1\r\nx\r\n", "-1\r\n",      "0x1\r\nx\r\n",
        "g\r\n",           "1\nx\r\n",    "1\rx\r\n",    "1\r\nx\n",    "1\r\nxy\r\n", "1\r\nx\rY",
        "1\r\nx0\r\n\r\n", "0\r\n\n",     "0\r\n\rX",    "0\n\r\n",     "1_0\r\n",     "1.0\r\n",
        "\"1\"\r\n",       ";a\r\n",      "1\t\r\n",     "0\r\n \r\n"}) {
    const Decoded r = decode(input);
    EXPECT_EQ(r.status, ParseStatus::error) << input;
    EXPECT_EQ(r.error, 400) << input;
  }
}

TEST(ChunkedDecoder, Extensions) {  // RFC 9112 7.1.1
  for (const char* extension : {";a", ";a=b", " ; a = b", ";a;b=c;d", ";a=\"b;\\\"c\r\"", ";a=\"\"", "\t;\ta",
                                ";a=\"x\" ;b", ";a ;b", ";a=b ;c"}) {
    const bool has_cr = std::string(extension).find('\r') != std::string::npos;
    const Decoded r = decode(std::string("1") + extension + "\r\nx\r\n0" + extension + "\r\n\r\n");
    EXPECT_EQ(r.status, has_cr ? ParseStatus::error : ParseStatus::complete) << extension;
    EXPECT_EQ(r.content, has_cr ? "" : "x") << extension;
  }
  for (const char* extension :
       {";", ";;", ";a=", "; =b", ";a b", ";a=b c", ";a=\"b\"c", ";a=b=c", ";a\n", ";a\x01", " a", ";a ",
        ";a=b ", ";a=\"b\" ", ";a=\"b\n\"", ";a=\"\\\n\"", ";a=\"b", ";(a)"}) {
    EXPECT_EQ(decode(std::string("1") + extension + "\r\nx\r\n0\r\n\r\n").error, 400) << extension;
  }
}

TEST(ChunkedDecoder, ExtensionsAreBounded) {
  const ChunkedLimits limits{.extension_bytes = 10};
  EXPECT_EQ(decode("1;" + std::string(9, 'a') + "\r\nx\r\n0\r\n\r\n", limits).status, ParseStatus::complete);
  EXPECT_EQ(decode("1;" + std::string(20, 'a') + "\r\nx\r\n0\r\n\r\n", limits).error, 400);
  std::string many;  // each is small, but together they cost far more than the content
  for (int i = 0; i < 100; ++i) many += "1;" + std::string(100, 'a') + "\r\nx\r\n";
  EXPECT_EQ(decode_pieces(many, {0}, {}).error, 400);
}

TEST(ChunkedDecoder, ContentIsBoundedWhenItIsAnnounced) {  // RFC 9110 15.5.14
  const ChunkedLimits limits{.content_bytes = 10};
  EXPECT_EQ(decode("4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n", limits).content, "abcdefghij");
  EXPECT_EQ(decode("b", limits).error, 413);
  EXPECT_EQ(decode("000b", limits).error, 413);
  const Decoded second = decode("4\r\nabcd\r\n7", limits);
  EXPECT_EQ(second.error, 413);
  EXPECT_EQ(second.content, "abcd");
}

TEST(ChunkedDecoder, Trailers) {  // RFC 9112 7.1.2, RFC 9110 6.5.1
  EXPECT_EQ(decode("0\r\nX-Sum: 1\r\nY:\r\n\r\n").status, ParseStatus::complete);
  EXPECT_EQ(decode("1\r\nx\r\n0\r\nA-Very-Long-Trailer-Name-Indeed: z\r\n\r\nNEXT").content, "x");
  for (const char* trailer :
       {"Content-Length: 5", "content-length:5", "Transfer-Encoding: chunked", "HOST: x", "X : y", " X: y",
        ": y", "X", "X: \x01", "X: a\nY: b", "X: a\r\n b", "X: a\rb"}) {
    EXPECT_EQ(decode(std::string("0\r\n") + trailer + "\r\n\r\n").error, 400) << trailer;
  }
  EXPECT_EQ(decode("0\r\nHosts: x\r\nTransfer-Encodings: y\r\n\r\n").status, ParseStatus::complete);
  EXPECT_EQ(decode("0\r\nX: " + std::string(40, 'a') + "\r\n\r\n", {.trailer_bytes = 30}).error, 431);
  EXPECT_EQ(decode("0\r\nX: aaa\r\nX: aaa\r\nX: aaa\r\nX: aaa\r\n\r\n", {.trailer_bytes = 30}).error, 431);
  EXPECT_EQ(decode("0\r\nX: a\r\n\r\n", {.trailer_bytes = 0}).error, 431);
  EXPECT_EQ(decode("0\r\n\r\n", {.trailer_bytes = 0}).status, ParseStatus::complete) << "there is none";
  const std::string long_trailer = "0\r\nX: " + std::string(70'000, 'a') + "\r\n\r\n";
  EXPECT_EQ(decode_pieces(long_trailer, {0}, {.trailer_bytes = 65535}).error, 431)
      << "the largest limit is one";
}

TEST(ChunkedDecoder, ResetStartsOver) {
  ChunkedDecoder decoder;
  std::string bad = "x";
  EXPECT_EQ(decoder.decode(bad).status, ParseStatus::error);
  EXPECT_EQ(decoder.decode(bad).status, ParseStatus::error);
  decoder.reset();
  std::string good = "1\r\nx\r\n0\r\n\r\n";
  EXPECT_EQ(decoder.decode(good).status, ParseStatus::complete);
  EXPECT_TRUE(decoder.done());
  EXPECT_EQ(decoder.total(), 1U);
  EXPECT_EQ(decoder.decode(good).consumed, 0U);
}

TEST(ChunkHead, StandsRightBeforeTheContent) {
  for (auto [size, text] : {std::pair<std::uint64_t, std::string>{1, "1\r\n"},
                            {10, "a\r\n"},
                            {4096, "1000\r\n"},
                            {UINT64_MAX, "ffffffffffffffff\r\n"}}) {
    std::array<char, kMaxChunkHead> out{};
    const std::size_t written = write_chunk_head(size, out);
    EXPECT_EQ(std::string(out.data() + out.size() - written, written), text);
  }
}

}  // namespace
}  // namespace microdot
