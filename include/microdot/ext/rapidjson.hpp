#pragma once
/// JSON without a heap, with RapidJSON: link `microdot::rapidjson`. All memory is the request's own.
///
///     app.get("/reading", [](Request& req) {
///       JsonWriter json(req);
///       json.StartObject();
///       json.Key("celsius");
///       json.Double(21.5);
///       json.EndObject();
///       return json.response();
///     });
///     app.post("/led", [](Request& req) -> Response {
///       const JsonValue* body = read_json(req);
///       if (body == nullptr) return {};  // the error replaces it
///       …
///     });

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include <rapidjson/document.h>
#include <rapidjson/reader.h>
#include <rapidjson/writer.h>

#include <microdot/ext/json_text.hpp>
#include <microdot/handler.hpp>
#include <microdot/request.hpp>

namespace microdot::inline MICRODOT_ABI {

namespace detail {

/// One block, given out from its front and never taken back. RapidJSON does not look whether it gets memory,
/// so whoever makes one gives it all that can be asked for.
class JsonMemory {
 public:
  static const bool kNeedFree = false;

  JsonMemory() noexcept = default;
  JsonMemory(void* block, std::size_t size) noexcept : next_(static_cast<char*>(block)), rest_(size) {}
  void* Malloc(std::size_t size) noexcept {
    size = (size + sizeof(std::uint64_t) - 1) & ~(sizeof(std::uint64_t) - 1);
    if (size == 0 || size > rest_) return nullptr;
    rest_ -= size;
    return std::exchange(next_, next_ + size);
  }
  void* Realloc(void* old, std::size_t old_size, std::size_t size) noexcept {
    if (size <= old_size) return old;
    void* const memory = Malloc(size);
    if (memory != nullptr && old_size != 0) std::memcpy(memory, old, old_size);
    return memory;
  }
  static void Free(void*) noexcept {}
  // RapidJSON would make one of its own where it is given none: never, but that must not link the heap
  // either.
  static void* operator new(std::size_t) noexcept { return nullptr; }
  static void* operator new(std::size_t, void* at) noexcept { return at; }
  static void operator delete(void*) noexcept {}

 private:
  char* next_ = nullptr;
  std::size_t rest_ = 0;
};

/// At least as many values and names as a text has.
inline std::size_t json_values_at_most(std::string_view text) noexcept {
  std::size_t count = 1;
  for (const char c : text) count += c == ',' || c == ':' || c == '[' || c == '{' ? 1 : 0;
  return count;
}

/// Whether the second half of a surrogate pair stands alone in an escape, which RapidJSON lets pass: it is no
/// character (RFC 8259 8.2). Of texts that are not JSON the answer means nothing.
inline bool json_has_lone_surrogate(std::string_view text) noexcept {
  std::size_t first_half_ends = 0;
  for (std::size_t i = 0; i + 5 < text.size(); ++i) {
    if (text[i] != '\\') continue;
    if (text[i + 1] != 'u') {
      ++i;
      continue;
    }
    const char second = to_lower(text[i + 3]);
    if (to_lower(text[i + 2]) == 'd' && second >= 'c' && second <= 'f' && (i == 0 || first_half_ends != i))
      return true;
    if (to_lower(text[i + 2]) == 'd' && (second == '8' || second == '9' || second == 'a' || second == 'b')) {
      first_half_ends = i + 6;
    }
    i += 5;
  }
  return false;
}

/// What RapidJSON reads, on its way to a document; ends at numbers that have become infinite, 3.1e309.
template <typename Document>
class FiniteNumbers {
 public:
  explicit FiniteNumbers(Document& document) noexcept : document_(document) {}
  bool Null() { return document_.Null(); }
  bool Bool(bool value) { return document_.Bool(value); }
  bool Int(int value) { return document_.Int(value); }
  bool Uint(unsigned value) { return document_.Uint(value); }
  bool Int64(std::int64_t value) { return document_.Int64(value); }
  bool Uint64(std::uint64_t value) { return document_.Uint64(value); }
  bool Double(double value) { return std::isfinite(value) && document_.Double(value); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool copy) {
    return document_.String(text, size, copy);
  }
  bool Key(const char* text, rapidjson::SizeType size, bool copy) { return document_.Key(text, size, copy); }
  bool StartObject() { return document_.StartObject(); }
  bool EndObject(rapidjson::SizeType members) { return document_.EndObject(members); }
  bool StartArray() { return document_.StartArray(); }
  bool EndArray(rapidjson::SizeType elements) { return document_.EndArray(elements); }

 private:
  Document& document_;
};

/// The free end of an arena as RapidJSON's output. What finds no room is counted only.
class JsonOutput {
 public:
  using Ch = char;

  explicit JsonOutput(std::span<char> room) noexcept : room_(room) {}
  void Put(char c) noexcept {
    if (size_ < room_.size()) room_[size_] = c;
    ++size_;
  }
  void Flush() noexcept {}
  std::size_t size() const noexcept { return size_; }

 private:
  std::span<char> room_;
  std::size_t size_ = 0;
};

}  // namespace detail

/// A value of a request's body; see RapidJSON. Texts in it are views of the request's memory.
using JsonValue = rapidjson::GenericValue<rapidjson::UTF8<>, detail::JsonMemory>;

/// The parsed body of a request, valid as long as it. Null if there is none: then the request is answered
/// with an error, whatever the handler returns: 415 if its type is not JSON, 413 if the body was too large to
/// be kept, 400 if it is not JSON in UTF-8 or nested deeper than `kMaxJsonDepth`, 503 if there is no room. It
/// takes the body's size from the request's arena, and two values (32 bytes on most systems) for each value
/// and name in it.
inline const JsonValue* read_json(Request& request) noexcept {
  using Document = rapidjson::GenericDocument<rapidjson::UTF8<>, detail::JsonMemory, detail::JsonMemory>;
  const auto refuse = [&request](int status) -> const JsonValue* {
    request.fail(status);
    return nullptr;
  };
  if (!detail::is_json_type(request.content_type)) return refuse(415);
  const std::string_view body = request.body();
  if (!request.body_kept()) return refuse(413);
  // A zero would end the text for RapidJSON.
  if (!detail::json_depth_is_bounded(body) || body.find('\0') != body.npos ||
      detail::json_has_lone_surrogate(body)) {
    return refuse(400);
  }

  // RapidJSON takes all bytes of a character before it looks at them, so one that is cut short reads on.
  constexpr std::size_t kZeros = 4;
  // What can be needed at most: the values while they are read, and once more where they stay. Texts stay in
  // the copy of the body.
  const std::size_t values = detail::json_values_at_most(body) * sizeof(JsonValue);
  struct Block {
    detail::JsonMemory stack;
    detail::JsonMemory kept;
    alignas(Document) std::byte document[sizeof(Document)];
  };
  if (body.size() > std::numeric_limits<std::size_t>::max() / (4 * sizeof(JsonValue))) return refuse(503);
  auto* const memory =
      static_cast<std::byte*>(request.arena().allocate(sizeof(Block) + 2 * values + body.size() + kZeros));
  if (memory == nullptr) return refuse(503);
  std::byte* const room = memory + sizeof(Block);
  auto* const block = ::new (static_cast<void*>(memory))
      Block{detail::JsonMemory(room, values), detail::JsonMemory(room + values, values), {}};
  char* const text = reinterpret_cast<char*>(room + 2 * values);
  if (!body.empty()) std::memcpy(text, body.data(), body.size());
  std::memset(text + body.size(), 0, kZeros);
  auto* const document =
      ::new (static_cast<void*>(block->document)) Document(&block->kept, values, &block->stack);
  bool parsed = false;
  auto parse = [&](Document& to) {
    rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, detail::JsonMemory> reader(&block->stack,
                                                                                              0);
    rapidjson::InsituStringStream stream(text);
    detail::FiniteNumbers<Document> values_of(to);
    parsed =
        !reader.Parse<rapidjson::kParseInsituFlag | rapidjson::kParseValidateEncodingFlag>(stream, values_of)
             .IsError();
    return parsed;
  };
  document->Populate(parse);
  return parsed ? document : refuse(400);
}

/// Writes JSON into the request's memory: RapidJSON's Writer (StartObject, Key, String, Int, …), and
/// `response()`. While it writes, nothing else may be taken from the arena: no `req.format`, no `read_json`,
/// no other writer, no `co_await`.
class JsonWriter {
 public:
  explicit JsonWriter(Request& request) noexcept
      : request_(&request),
        output_(request.arena().rest()),
        memory_(levels_, sizeof levels_),
        writer_(output_, &memory_, kMaxJsonDepth) {}
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  // Each is refused, and the answer is a 500, where JSON can't have it: RapidJSON would only assert.
  bool Null() noexcept { return note(value() && writer_.Null()); }
  bool Bool(bool b) noexcept { return note(value() && writer_.Bool(b)); }
  bool Int(int n) noexcept { return note(value() && writer_.Int(n)); }
  bool Uint(unsigned n) noexcept { return note(value() && writer_.Uint(n)); }
  bool Int64(std::int64_t n) noexcept { return note(value() && writer_.Int64(n)); }
  bool Uint64(std::uint64_t n) noexcept { return note(value() && writer_.Uint64(n)); }
  /// JSON has neither infinity nor NaN: these make the answer a 500.
  bool Double(double n) noexcept { return note(std::isfinite(n) && value() && writer_.Double(n)); }
  /// Bytes that are not UTF-8 make the answer a 500.
  bool String(std::string_view text) noexcept { return note(value() && write(text)); }
  bool Key(std::string_view text) noexcept { return note(name() && write(text)); }
  bool StartObject() noexcept { return note(enter(true) && writer_.StartObject()); }
  bool EndObject(rapidjson::SizeType members = 0) noexcept {
    return note(leave(true) && writer_.EndObject(members));
  }
  bool StartArray() noexcept { return note(enter(false) && writer_.StartArray()); }
  bool EndArray(rapidjson::SizeType elements = 0) noexcept {
    return note(leave(false) && writer_.EndArray(elements));
  }
  // So that a JsonValue can be written: `value.Accept(json)`.
  bool String(const char* text, rapidjson::SizeType size, bool) noexcept { return String({text, size}); }
  bool Key(const char* text, rapidjson::SizeType size, bool) noexcept { return Key({text, size}); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) noexcept { return note(false); }

  /// What was written, as application/json; once, at the end. 503 if there was no room for it; 500 if it is
  /// not one whole value, nests deeper than `kMaxJsonDepth`, or has what JSON can't say.
  Response response(int status = 200) noexcept {
    if (failed_ || !writer_.IsComplete()) return abort(500);
    const std::string_view text = request_->arena().keep(output_.size());
    if (text.data() == nullptr) return abort(503);
    return Response(text, status, {{"Content-Type", "application/json; charset=UTF-8"}});
  }

 private:
  using Writer = rapidjson::Writer<detail::JsonOutput, rapidjson::UTF8<>, rapidjson::UTF8<>,
                                   detail::JsonMemory, rapidjson::kWriteValidateEncodingFlag>;

  bool note(bool written) noexcept {
    failed_ = failed_ || !written;
    return written;
  }

  // What may come next: a bit for each level.
  static_assert(kMaxJsonDepth <= 64);
  std::uint64_t level() const noexcept { return depth_ != 0 ? std::uint64_t{1} << (depth_ - 1) : 0; }
  bool in_object() const noexcept { return (objects_ & level()) != 0; }
  bool named() const noexcept { return (named_ & level()) != 0; }
  bool name() noexcept {
    if (failed_ || !in_object() || named()) return false;
    named_ |= level();
    return true;
  }
  bool value() noexcept {
    if (failed_ || (depth_ == 0 && begun_) || (in_object() && !named())) return false;
    begun_ = true;
    named_ &= ~level();
    return true;
  }
  bool enter(bool object) noexcept {
    if (depth_ == kMaxJsonDepth || !value()) return false;
    ++depth_;
    objects_ = object ? objects_ | level() : objects_ & ~level();
    return true;
  }
  bool leave(bool object) noexcept {
    if (failed_ || depth_ == 0 || in_object() != object || named()) return false;
    --depth_;
    return true;
  }

  // RapidJSON takes all bytes of a character before it looks at them: those must be there.
  bool write(std::string_view text) noexcept {
    for (std::size_t left = 1; left <= 3 && left <= text.size(); ++left) {
      const auto byte = static_cast<unsigned char>(text[text.size() - left]);
      if (byte >= (left == 1 ? 0xc0 : left == 2 ? 0xe0 : 0xf0)) return false;
    }
    return writer_.String(text.data() != nullptr ? text.data() : "", static_cast<unsigned>(text.size()));
  }

  Request* request_;
  detail::JsonOutput output_;
  alignas(
      std::max_align_t) std::byte levels_[kMaxJsonDepth * 2 * sizeof(std::size_t)];  // RapidJSON's, one each
  detail::JsonMemory memory_;
  Writer writer_;
  std::size_t depth_ = 0;
  std::uint64_t objects_ = 0;  // levels that are objects
  std::uint64_t named_ = 0;    // and have a name whose value is due
  bool begun_ = false;
  bool failed_ = false;
};

}  // namespace microdot::inline MICRODOT_ABI
