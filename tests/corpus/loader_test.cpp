// The corpus' own tools: the loader of the cases and the judge of response streams.

#include <gtest/gtest.h>

#include <string>

#include "corpus.hpp"
#include "replies.hpp"

namespace {

using corpus::After;
using corpus::Case;
using corpus::Reply;
using corpus::Verdict;

std::string load_error(std::string_view text) {
  std::vector<Case> cases;
  std::string error;
  corpus::Loader("x.txt").parse(text, cases, error);
  return error;
}

Reply reply(std::string status, bool optional = false, bool head = false) {
  return {std::move(status), optional, head, {}, {}};
}

TEST(Unescape, KnowsEveryEscape) {
  EXPECT_EQ(corpus::unescape(R"(a\r\n\t\0\s\\\{\}\x7f\xC3b)"), std::string("a\r\n\t\0 \\{}\x7f\xc3"
                                                                           "b",
                                                                           12));
}

TEST(Unescape, Repeats) { EXPECT_EQ(corpus::unescape(R"(x{3*a\r}y{0*b}z{1*\}})"), "xa\ra\ra\ryz}"); }

TEST(Unescape, RefusesWhatIsNotExactlyRight) {
  for (const char* text : {"\\", "\\q", "\\x4", "\\xg1", "\\x+1", "{", "}", "{a}", "{*a}", "{3*a",
                           "{2*{2*a}}", "\x01", "\xc3"}) {
    EXPECT_EQ(corpus::unescape(text), std::nullopt) << text;
  }
}

TEST(Loader, ReadsEveryField) {
  std::vector<Case> cases;
  std::string error;
  ASSERT_TRUE(
      corpus::Loader("x.txt").parse("# comment\n"
                                    "case: one-2\n"
                                    "rfc: 9112 3\n"
                                    "why: Because.\n"
                                    "send: a\\r\n"
                                    "send: b\n"
                                    "wait: 1\n"
                                    "send: c\n"
                                    "fin:\n"
                                    "reply: 100?\n"
                                    "reply: 200 head x2\n"
                                    "header: Content-Length: 5\n"
                                    "list: Allow: GET, HEAD\n"
                                    "has: Date\n"
                                    "absent: Server\n"
                                    "reply: 4xx\n"
                                    "body: no\\x21\n"
                                    "then: closed\n"
                                    "node: 200 open -- reason\n",
                                    cases, error))
      << error;
  ASSERT_EQ(cases.size(), 1u);
  const Case& c = cases[0];
  EXPECT_EQ(c.name, "one-2");
  ASSERT_EQ(c.steps.size(), 4u);
  EXPECT_EQ(c.steps[0].bytes, "a\rb");
  EXPECT_EQ(c.steps[1].replies, 1u);
  EXPECT_EQ(c.steps[2].bytes, "c");
  EXPECT_TRUE(c.fin());
  EXPECT_EQ(c.byte_count(), 4u);
  ASSERT_EQ(c.replies.size(), 4u);
  EXPECT_TRUE(c.replies[0].optional);
  for (const std::size_t i : {1u, 2u}) {
    EXPECT_TRUE(c.replies[i].head);
    EXPECT_EQ(c.replies[i].checks.size(), 4u);
  }
  EXPECT_EQ(c.replies[3].status, "4xx");
  EXPECT_EQ(c.replies[3].body, "no!");
  EXPECT_EQ(c.after, After::closed);
  EXPECT_EQ(c.calls, 2u);
}

TEST(Loader, NamesFileAndLineOfAnError) {
  EXPECT_EQ(load_error("case: a\nbogus: 1\n"), "x.txt:2: an unknown field");
  EXPECT_EQ(load_error("\n# c\nsend: a\n"), "x.txt:3: a field before the first case");
}

TEST(Loader, RefusesIncompleteAndBadCases) {
  const std::string head = "case: a\nrfc: 1\nwhy: w\nsend: x\n";
  EXPECT_EQ(load_error(head + "reply: 200\nthen: open\n"), "");
  for (const char* rest :
       {"", "then: ajar\n", "reply: 20\nthen: open\n", "reply: 200 x0\nthen: open\n",
        "reply: 700\nthen: open\n", "body: x\nthen: open\n", "then: open \n", "then:open\n",
        "reply: 200\nheader: Date\nthen: open\n", "calls: some\nthen: open\n", "send: \\q\nthen: open\n",
        "reply: 200 heads\nthen: open\n"}) {
    EXPECT_NE(load_error(head + rest), "") << rest;
  }
  EXPECT_NE(load_error("case: A b\n"), "");
}

// What the project promises of its corpus: size, and for each case a section, a reason and an outcome.
TEST(Cases, AreManyAndComplete) {
  const corpus::Corpus all = corpus::load(std::string(MICRODOT_TEST_DIR) + "/corpus/cases");
  ASSERT_EQ(all.error, "");
  EXPECT_GE(all.cases.size(), 150u);
  std::size_t valid = 0;
  for (const Case& c : all.cases) {
    valid += c.after == After::open;
    const bool rejected = !c.replies.empty() && c.replies[0].status == "400";
    if (rejected) {
      EXPECT_EQ(*c.calls, 0u) << c.name << ": a malformed request must not reach a handler";
      EXPECT_EQ(c.after, After::closed) << c.name << ": nothing may follow a malformed request";
      EXPECT_EQ(c.replies.size(), 1u) << c.name;
    }
  }
  EXPECT_GE(valid, 100u);
  EXPECT_GE(all.cases.size() - valid, 100u);
}

TEST(Cases, MissingDirectoryIsAnError) { EXPECT_NE(corpus::load("/nonexistent").error, ""); }

constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

TEST(Match, AcceptsRepliesInOrder) {
  const Verdict v =
      corpus::match({reply("100", true), reply("2xx"), reply("404")},
                    std::string(kHello) + "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false);
  EXPECT_EQ(v.state, Verdict::State::done) << v.error;
  EXPECT_EQ(v.count, 2u);
  EXPECT_EQ(v.last->status, 404);
}

TEST(Match, WaitsAtEveryPrefix) {
  const std::string stream =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (std::size_t n = 0; n < stream.size(); ++n) {
    const Verdict v = corpus::match({reply("100"), reply("200")}, stream.substr(0, n), false);
    EXPECT_EQ(v.state, Verdict::State::more) << n << v.error;
  }
  EXPECT_EQ(corpus::match({reply("100"), reply("200")}, stream, false).state, Verdict::State::done);
}

TEST(Match, HeadRepliesAndEmptyAnswersHaveNoBody) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(corpus::match({reply("200", false, true), reply("200")}, head + std::string(kHello), false).state,
            Verdict::State::done);
  EXPECT_EQ(corpus::match({reply("204"), reply("200")},
                          "HTTP/1.1 204 No Content\r\n\r\n" + std::string(kHello), false)
                .state,
            Verdict::State::done);
}

TEST(Match, TheCloseEndsABodyWithoutLength) {
  const std::string stream = "HTTP/1.1 200 OK\r\n\r\nhello";
  EXPECT_EQ(corpus::match({reply("200")}, stream, false).state, Verdict::State::more);
  const Verdict v = corpus::match({reply("200")}, stream, true);
  EXPECT_EQ(v.state, Verdict::State::done);
  EXPECT_EQ(v.last->body, "hello");
}

TEST(Match, RefusesWrongStreams) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  for (const std::string& stream :
       {std::string("HTTP/1.1 404 No\r\n\r\n"), "HTTP/2.0 200 OK\r\n\r\n" + std::string(kHello),
        ok + "a b: c\r\n\r\n", ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        ok + "Content-Length: +5\r\n\r\nhello",
        ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: gzip\r\n\r\n",
        ok + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n", ok + "X: a\x01\r\n\r\n",
        std::string(kHello) + "more"}) {
    EXPECT_EQ(corpus::match({reply("200")}, stream, false).state, Verdict::State::failed)
        << corpus::show(stream);
  }
  EXPECT_EQ(corpus::match({reply("204")}, "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", false).state,
            Verdict::State::failed);
  EXPECT_EQ(corpus::match({reply("200")}, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", true).state,
            Verdict::State::failed);
  EXPECT_EQ(corpus::match({reply("200")}, "", true).state, Verdict::State::failed);
}

TEST(Match, ChecksBodyAndFields) {
  const std::string stream = "HTTP/1.1 200 OK\r\nallow: HEAD,GET\r\nContent-Length: 2\r\n\r\nhi";
  const auto outcome = [&](std::optional<std::string> body, std::vector<corpus::Check> checks) {
    return corpus::match({Reply{"200", false, false, std::move(body), std::move(checks)}}, stream, false)
        .state;
  };
  using Kind = corpus::Check::Kind;
  EXPECT_EQ(outcome("hi", {{Kind::list, "Allow", "GET, HEAD"}}), Verdict::State::done);
  EXPECT_EQ(outcome("ho", {}), Verdict::State::failed);
  EXPECT_EQ(outcome({}, {{Kind::list, "Allow", "GET"}}), Verdict::State::failed);
  EXPECT_EQ(outcome({}, {{Kind::header, "Content-Length", "2"}}), Verdict::State::done);
  EXPECT_EQ(outcome({}, {{Kind::header, "Content-Length", "3"}}), Verdict::State::failed);
  EXPECT_EQ(outcome({}, {{Kind::has, "Date", ""}}), Verdict::State::failed);
  EXPECT_EQ(outcome({}, {{Kind::absent, "ALLOW", ""}}), Verdict::State::failed);
}

TEST(SaysClose, LooksAtTheOptions) {
  const auto says = [](std::string value) {
    return corpus::says_close({200, {{"connection", value}}, "", 0});
  };
  EXPECT_TRUE(says("Close"));
  EXPECT_TRUE(says("x, close"));
  EXPECT_FALSE(says("closed"));
  EXPECT_FALSE(says("keep-alive"));
}

}  // namespace
