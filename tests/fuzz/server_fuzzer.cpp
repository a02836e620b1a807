// The whole server: bytes from a client to the reference application of the corpus, on the simulator. The
// first two bytes decide the limits, how the rest is cut, how the client reads and how it leaves. However
// that is, the outcome must be that of one write; every answer must be a correct message; the server's books
// must be right after every turn; and nothing of the connection may be left. For many clients see
// admission_fuzzer.cpp.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../corpus/replies.hpp"
#include "../corpus/simulated.hpp"

namespace {

/// How the client behaves.
struct Manner {
  std::size_t segment = 0;        ///< 0: one write.
  std::size_t window = SIZE_MAX;  ///< How much it takes at a time.
  bool refers = false;            ///< The transport refers to bytes until they arrive.
  bool fin = false;               ///< It ends its side behind the last byte.
  bool leaves = false;            ///< It resets the connection without reading.
  bool least = false;             ///< The limits are the least that there can be.
};

Manner manner_of(std::uint8_t how, std::uint8_t window) {
  constexpr std::size_t kSegments[] = {0, 1, 2, 3, 5, 16, 61, 256};
  Manner manner;
  manner.segment = kSegments[how & 7];
  manner.refers = (how & 8) != 0;
  manner.fin = (how & 16) != 0;
  manner.leaves = (how & 96) == 96;
  manner.least = (how & 128) != 0;
  if (window != 0) manner.window = window;
  return manner;
}

[[noreturn]] void fail(std::string_view why, std::string_view received = {}) {
  std::fprintf(stderr, "server_fuzzer: %.*s\n  received %s\n", static_cast<int>(why.size()), why.data(),
               corpus::show(received, 2000).c_str());
  std::abort();
}

/// What a client gets to know.
struct Outcome {
  std::vector<std::pair<int, std::string>> replies;  ///< Status and body, without interim replies.
  bool closed = false;
  bool body_not_kept = false;  ///< Of the last request: it was larger than what is read before its handler.
  std::size_t calls = 0;

  std::string shown() const {
    std::string text;
    for (const auto& [status, body] : replies) text += std::to_string(status) + " [" + body + "] ";
    return text + (closed ? "closed, " : "open, ") + std::to_string(calls) + " calls";
  }
  /// Where a handler leaves the rest of a body that came later, the connection ends with its answer.
  bool ends_with_a_body_of(const Outcome& whole) const {
    return closed && body_not_kept && replies.size() <= whole.replies.size() &&
           std::equal(replies.begin(), replies.end(), whole.replies.begin());
  }
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

microdot::Limits small_limits(bool least) {
  microdot::Limits limits = corpus::limits();
  limits.connections = 2;
  limits.exchanges = 1;
  limits.head_bytes = 512;
  limits.header_count = 16;
  limits.max_readline = 256;
  limits.response_bytes = 256;
  limits.max_body_length = 300;
  limits.max_content_length = 1000;
  if (least) {
    limits.connections = 1;
    limits.queue_length = 0;
    limits.head_bytes = 256;
    limits.header_count = 4;
    limits.max_readline = 64;
    limits.max_body_length = 0;
    limits.max_content_length = 40;
  }
  return limits;
}

// Answers to HEAD say so, without that nobody could tell where they end; and those to bodies that were not
// kept, for what becomes of the connection depends on whether they are there already.
void mark_answers(microdot::App& app) {
  const auto mark = [](microdot::Request& req, microdot::Response& res) {
    if (req.method == "HEAD") res.header("X-Head", "1");
    if (!req.body_kept()) res.header("X-Not-Kept", "1");
  };
  app.after_request(mark);
  app.after_error_request(mark);
}

void judge(std::string_view received, bool closed, bool fin, Outcome& outcome) {
  bool says_close = false;
  for (std::string_view rest = received; !rest.empty();) {
    corpus::Parsed parsed = corpus::parse_response(rest, true, closed);
    if (parsed.message && corpus::detail::values_of(*parsed.message, "X-Head").empty()) {
      parsed = corpus::parse_response(rest, false, closed);
    }
    if (!parsed.error.empty()) fail(parsed.error, received);
    if (!parsed.message) fail("an answer is not complete", received);
    if (says_close) fail("an answer behind Connection: close", received);
    if (parsed.message->status == 500) fail("500: nothing here fails", received);
    rest.remove_prefix(parsed.message->used);
    says_close = corpus::says_close(*parsed.message);
    outcome.body_not_kept = !corpus::detail::values_of(*parsed.message, "X-Not-Kept").empty();
    if (parsed.message->status >= 200) {
      outcome.replies.emplace_back(parsed.message->status, std::move(parsed.message->body));
    }
  }
  outcome.closed = closed;
  if (closed && !fin && !says_close) fail("closed without Connection: close", received);
  if (!closed && says_close) fail("Connection: close, but still open", received);
}

Outcome play(std::string_view bytes, const Manner& manner) {
  corpus::Simulated server(small_limits(manner.least), {.sim = {.refers_to_written_bytes = manner.refers}},
                           mark_answers);
  Outcome outcome;
  {
    microdot::SimClient client = server.connect();
    client.set_receive_window(manner.window);
    if (manner.segment != 0) client.set_segment_size(manner.segment);
    client.send(bytes);
    if (manner.fin) client.shutdown_write();
    if (manner.leaves) {
      client.reset();
    } else {
      std::string received = server.read(client);
      if (client.was_reset()) fail("reset", received);
      judge(received, client.closed(), manner.fin, outcome);
      outcome.calls = server.calls();
      // Whoever says nothing more is not waited for.
      server.pass(std::chrono::minutes(2));
      received += server.read(client);
      if (!client.closed()) fail("still open after all timeouts", received);
    }
  }
  if (const std::string left = server.leftovers(); !left.empty()) fail(left);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Manner manner = manner_of(data[0], data[1]);
  const Outcome outcome = play(bytes, manner);
  if (manner.leaves) return 0;
  Manner whole;
  whole.fin = manner.fin;
  whole.least = manner.least;
  if (const Outcome expected = play(bytes, whole);
      expected != outcome && !outcome.ends_with_a_body_of(expected)) {
    fail("another outcome than in one write", outcome.shown() + "\n  in one write " + expected.shown());
  }
  return 0;
}
