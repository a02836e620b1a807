// A body in one piece and in pieces gives the same parts and the same error as a plain reading of RFC 2046
// that has all bytes at hand; every view lies where it is said to; what was written as a form is read again.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <microdot/http/multipart.hpp>
#include <microdot/http/url.hpp>

#include "fuzz.hpp"

using namespace microdot;
using fuzz::require;

namespace {

struct Part {
  std::string name, filename, type, content;
  bool is_file = false;
  bool ended = false;
  friend bool operator==(const Part&, const Part&) = default;
};

struct Outcome {
  std::vector<Part> parts;
  int error = 0;
  bool ended = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct Options {
  std::string boundary;
  MultipartLimits limits;
  std::size_t head = 0;
};

// In pieces of the sizes that `step()` gives, each in memory of exactly its size.
template <typename Step>
Outcome parse(std::string_view input, const Options& options, Step step) {
  const auto window = std::make_unique<char[]>(options.head);
  MultipartParser parser(options.boundary, {window.get(), options.head}, options.limits);
  const std::string_view object(reinterpret_cast<const char*>(&parser), sizeof parser);
  Outcome out;
  while (!input.empty() && out.error == 0) {
    const std::size_t size = std::min<std::size_t>(step(), input.size());
    const auto piece = std::make_unique<char[]>(size);
    input.copy(piece.get(), size);
    input.remove_prefix(size);
    std::string_view rest(piece.get(), size);
    for (bool more = true; more;) {
      const MultipartResult r = parser.parse(rest);
      require(r.consumed <= rest.size());
      switch (r.event) {
        case MultipartEvent::need_more:
          require(r.consumed == rest.size());
          more = false;
          break;
        case MultipartEvent::part: {
          require(!out.ended && (out.parts.empty() || out.parts.back().ended));
          const MultipartPart& part = parser.part();
          for (const std::string_view text : {part.name, part.filename, part.content_type})
            require(text.empty() || fuzz::inside(text, {window.get(), options.head}));
          out.parts.push_back({std::string(part.name), std::string(part.filename),
                               std::string(part.content_type), "", part.is_file});
          require(out.parts.size() <= options.limits.parts);
          break;
        }
        case MultipartEvent::data:
          require(!r.data.empty() && !out.parts.back().ended);
          require(fuzz::inside(r.data, rest.substr(0, r.consumed)) || fuzz::inside(r.data, object));
          out.parts.back().content += r.data;
          break;
        case MultipartEvent::end_of_part:
          require(!out.parts.back().ended);
          out.parts.back().ended = true;
          break;
        case MultipartEvent::end:
          require(!out.ended && (out.parts.empty() || out.parts.back().ended));
          out.ended = true;
          break;
        case MultipartEvent::error:
          out.error = parser.error_status();
          require(!out.ended && !parser.error_reason().empty());
          require(parser.parse(rest).event == MultipartEvent::error);
          more = false;
      }
      rest.remove_prefix(r.consumed);
    }
  }
  require(parser.done() == out.ended);
  require(parser.finish() == out.ended);
  if (!out.ended) out.error = parser.error_status();
  return out;
}

// What is in a head, from its lines alone.
Outcome read_head(std::string_view lines, const Options& options) {
  const std::string body = "--b\r\n" + std::string(lines);
  return parse(body, {"b", {}, options.head}, [&] { return body.size(); });
}

// What RFC 2046 5.1.1 says of `input`, with all of it at hand.
Outcome read_plainly(const std::string& input, const Options& options) {
  Outcome out;
  const auto fail = [&out](int status) {
    out.error = status;
    return out;
  };
  const std::string text = "\r\n" + input;
  const std::string delimiter = "\r\n--" + options.boundary;
  std::size_t at = text.find(delimiter);
  if (at == std::string::npos || (at > 2 && at - 2 > options.limits.preamble_bytes)) return fail(400);
  for (;;) {
    at += delimiter.size();
    if (text.compare(at, 2, "--") == 0) {
      if (!out.parts.empty()) out.parts.back().ended = true;
      out.ended = true;
      return out;
    }
    const std::size_t line_end = text.find_first_not_of(" \t", at);
    if (line_end == std::string::npos || line_end - at > 64 || text.compare(line_end, 2, "\r\n") != 0)
      return fail(400);  // wrong, or cut off
    if (out.parts.size() == options.limits.parts) {
      return fail(413);
    }
    if (!out.parts.empty()) out.parts.back().ended = true;
    at = line_end + 2;
    std::size_t head_end = at;
    for (;;) {
      const std::size_t lf = text.find('\n', head_end);
      if (lf == std::string::npos) return fail(text.size() - at > options.head ? 413 : 400);
      if (lf + 1 - at > options.head) return fail(413);
      if (lf == at || text[lf - 1] != '\r') return fail(400);
      const bool empty = lf - 1 == head_end;
      head_end = lf + 1;
      if (empty) break;
    }
    const Outcome head = read_head(std::string_view(text).substr(at, head_end - at), options);
    if (head.parts.empty()) return fail(head.error);
    out.parts.push_back(head.parts[0]);
    at = text.find(delimiter, head_end - 2);
    const std::size_t content_end = std::max(std::min(at, text.size()), head_end);
    if (at == std::string::npos) {
      // What may be the beginning of a delimiter is not given.
      std::size_t end = text.size();
      for (std::size_t held = 1; held < delimiter.size(); ++held) {
        if (text.size() - held >= head_end - 2 &&
            delimiter.starts_with(std::string_view(text).substr(text.size() - held)))
          end = text.size() - held;
      }
      out.parts.back().content = text.substr(head_end, std::max(end, head_end) - head_end);
      return fail(400);
    }
    out.parts.back().content = text.substr(head_end, content_end - head_end);
  }
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  static constexpr const char* kBoundaries[] = {"b", "--", "-b-", "aaa", "----WebKitFormBoundaryx", "a b"};
  Options options;
  options.boundary = input.pick(kBoundaries);
  const std::uint8_t kind = input.byte();
  options.limits.parts = kind & 7;
  options.limits.preamble_bytes = kind >> 3;
  options.head = input.byte();
  std::uint32_t random = input.byte() + 1U;
  const auto step = [&random] {
    random = random * 1664525 + 1013904223;
    return static_cast<std::size_t>(random >> 16 & ((random & 0x100) != 0 ? 3 : 31)) + 1;
  };
  const std::string bytes(input.rest());

  const Outcome expected = read_plainly(bytes, options);
  require(parse(bytes, options, [&] { return bytes.size(); }) == expected);
  require(parse(bytes, options, [] { return std::size_t{1}; }) == expected);
  require(parse(bytes, options, step) == expected);

  // A Content-Type has a boundary that can be used, or none; a name is one of a file in a directory.
  if (const Result<std::string_view> boundary = multipart_boundary(bytes)) {
    require(fuzz::inside(*boundary, bytes));
    require(parse("--" + std::string(*boundary) + "--", {std::string(*boundary), {}, 0}, step).ended);
  }
  char room[24];
  const std::string_view safe = safe_filename(bytes, room);
  require(fuzz::inside(safe, {room, sizeof room}) && is_local_path(safe));
  require(safe.find('/') == std::string_view::npos && safe.front() != '.');
  char again[24];
  require(safe_filename(safe, again) == safe);

  // The same bytes as a file, with a name of theirs.
  const std::string delimiter = "\r\n--" + options.boundary;
  if (("\r\n" + bytes).find(delimiter) != std::string::npos) return 0;
  std::string name = bytes.substr(0, 20);
  std::erase_if(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '%'; });
  options.head = 400;
  options.limits = {};
  const std::string written =
      delimiter.substr(2) + "\r\nContent-Disposition: form-data; name=" + quoted(name) +
      "; filename=" + quoted(name) + "\r\nContent-Type: a/b\r\n\r\n" + bytes + delimiter + "--\r\n";
  const Outcome read = parse(written, options, step);
  require(read.error == 0 && read.ended && read.parts.size() == 1);
  require(read.parts[0] == Part{name, name, "a/b", bytes, true, true});
  return 0;
}
