// The corpus of raw requests on the simulator: every case in one write, byte by byte, in small pieces and
// split at every position, with the same outcome every time. The format of the cases and their application:
// README.md.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "corpus.hpp"
#include "replies.hpp"
#include "simulated.hpp"

namespace {

using corpus::After;
using corpus::Case;
using corpus::Simulated;
using corpus::Step;
using corpus::Verdict;

const std::vector<Case>& cases() {
  static const corpus::Corpus all = corpus::load(std::string(MICRODOT_TEST_DIR) + "/corpus/cases");
  EXPECT_EQ(all.error, "");
  return all.cases;
}

/// How the bytes of a case are cut.
struct Cut {
  std::size_t every = 0;  ///< Pieces of so many bytes, one after the other; 0: all that there is.
  std::size_t at = 0;     ///< A pause after so many bytes of the case; 0: none.
};

/// One play of one case.
class Play {
 public:
  Play(const Case& c, Cut cut, Simulated& server)
      : case_(c), cut_(cut), server_(server), client_(server.connect()), replies_(c.replies) {
    if (cut.every != 0) client_.set_segment_size(cut.every);
  }

  /// Why the outcome is not as expected; empty if it is.
  std::string run() {
    for (const Step& step : case_.steps) {
      if (step.kind == Step::Kind::bytes) send(step.bytes);
      if (step.kind == Step::Kind::fin) client_.shutdown_write();
      if (step.kind == Step::Kind::wait) server_.until([&] { return judge().count >= step.replies; });
    }
    if (case_.after == After::closed) server_.until([&] { return client_.closed(); });
    server_.settle();
    std::string failure = outcome();
    if (!failure.empty() || case_.after != After::open) return failure;
    client_.send(corpus::kProbe);
    replies_.push_back(corpus::probe_reply());
    server_.settle();
    failure = outcome();
    return failure.empty() ? failure : "behind it: " + failure;
  }

  std::string_view received() const { return client_.received(); }

 private:
  Verdict judge() const { return corpus::match(replies_, client_.received(), client_.closed()); }

  void send(std::string_view bytes) {
    if (cut_.at > sent_ && cut_.at - sent_ < bytes.size()) {
      const std::size_t size = cut_.at - sent_;
      client_.send(bytes.substr(0, size));
      server_.settle();
      sent_ += size;
      bytes.remove_prefix(size);
    }
    sent_ += bytes.size();
    // The simulator keeps each piece in order: not too many of them at once.
    while (cut_.every != 0 && bytes.size() > kPiecesAtOnce * cut_.every) {
      client_.send(bytes.substr(0, kPiecesAtOnce * cut_.every));
      bytes.remove_prefix(kPiecesAtOnce * cut_.every);
      server_.settle();
    }
    client_.send(bytes);
  }

  std::string outcome() const {
    const Verdict verdict = judge();
    if (verdict.state == Verdict::State::failed) return verdict.error;
    if (verdict.state == Verdict::State::more) return "a reply is missing or incomplete";
    if (client_.was_reset()) return "the connection was reset";
    const bool closed = client_.closed();
    if (closed != (case_.after == After::closed)) return closed ? "the connection was closed" : "still open";
    if (closed && !case_.fin() && verdict.last && !corpus::says_close(*verdict.last)) {
      return "closed without Connection: close in the last reply";
    }
    return {};
  }

  static constexpr std::size_t kPiecesAtOnce = 256;

  const Case& case_;
  Cut cut_;
  Simulated& server_;
  microdot::SimClient client_;
  std::vector<corpus::Reply> replies_;
  std::size_t sent_ = 0;
};

class CorpusTest : public testing::TestWithParam<bool> {
 protected:
  /// Plays every case with every cut that `cuts(case)` names, on one server.
  template <typename Cuts>
  void play_all(Cuts cuts) {
    Simulated server(corpus::limits(), {.sim = {.refers_to_written_bytes = GetParam()}});
    for (const Case& c : cases()) play(c, {}, server);
    const std::uint32_t arena = server.app().stats().arena_high_water;
    for (const Case& c : cases()) {
      for (const Cut& cut : cuts(c)) {
        if (!play(c, cut, server)) break;  // one failure of a case tells enough
      }
    }
    EXPECT_EQ(server.app().stats().arena_high_water, arena)
        << "a request needs memory that depends on its cuts";
    if (HasFailure()) std::printf("%s", server.log().c_str());
  }

 private:
  static bool play(const Case& c, Cut cut, Simulated& server) {
    const std::size_t before = server.calls();
    std::string failure;
    std::string received;
    {
      Play play(c, cut, server);
      failure = play.run();
      received = play.received();
    }
    const std::size_t made = server.calls() - before;
    if (failure.empty() && made != *c.calls) failure = std::to_string(made) + " handler calls";
    if (failure.empty()) failure = server.leftovers();
    if (failure.empty()) return true;
    ADD_FAILURE() << c.file << " " << c.name << " (pieces of " << cut.every << ", cut at " << cut.at
                  << "): " << failure << "\n  got " << corpus::show(received, 400);
    return false;
  }
};

TEST_P(CorpusTest, InOneWrite) {
  play_all([](const Case&) { return std::vector<Cut>{{}}; });
}

TEST_P(CorpusTest, ByteByByte) {
  play_all([](const Case&) { return std::vector<Cut>{{.every = 1}}; });
}

TEST_P(CorpusTest, InSmallPieces) {
  play_all([](const Case&) {
    return std::vector<Cut>{{.every = 2}, {.every = 3}, {.every = 7}, {.every = 64}};
  });
}

// Of the few cases that are larger, the long runs of one byte are cut in places only.
bool is_worth_a_cut(std::size_t at, std::size_t size) {
  return size <= 1500 || at < 300 || size - at < 300 || (at + 4) % 1024 < 8 || at % 97 == 0;
}

TEST_P(CorpusTest, SlowSplitAtEveryPosition) {
  play_all([](const Case& c) {
    std::vector<Cut> cuts;
    for (std::size_t at = 1; at < c.byte_count(); ++at) {
      if (is_worth_a_cut(at, c.byte_count())) cuts.push_back({.at = at});
    }
    return cuts;
  });
}

// As sockets do (a write is a copy), and as lwIP does (a write refers to its bytes until they are
// acknowledged).
INSTANTIATE_TEST_SUITE_P(Transports, CorpusTest, testing::Bool(),
                         [](const auto& its) { return its.param ? "ThatRefer" : "ThatCopy"; });

}  // namespace
