#include "send_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <optional>
#include <span>

#include <microdot/async/loop.hpp>
#include <microdot/base/text.hpp>
#include <microdot/http/accept.hpp>
#include <microdot/http/chars.hpp>
#include <microdot/http/conditional.hpp>
#include <microdot/http/date.hpp>
#include <microdot/http/etag.hpp>
#include <microdot/http/mime.hpp>
#include <microdot/http/range.hpp>
#include <microdot/http/url.hpp>

#include "field_lines.hpp"

namespace microdot::inline MICRODOT_ABI::detail {
namespace {

// What `immutable` without `max_age` means: RFC 8246 needs a freshness lifetime, and a year is as good as
// ever.
constexpr std::int64_t kYear = 365 * 24 * 3600;

// More ranges in one request are answered with the whole file.
constexpr std::size_t kMaxRanges = 16;

// Text of a known greatest size in the request's arena, given back at the end of the scope.
class ArenaText {
 public:
  ArenaText(Arena& arena, std::size_t capacity) noexcept
      : data_(static_cast<char*>(arena.allocate(capacity))), capacity_(capacity) {}
  ArenaText(const ArenaText&) = delete;
  ArenaText& operator=(const ArenaText&) = delete;
  ~ArenaText() { Arena::free(data_); }

  /// False: there was no room.
  explicit operator bool() const noexcept { return data_ != nullptr; }
  ArenaText& append(std::string_view text) noexcept {
    size_ += text.copy(data_ + size_, capacity_ - size_);
    return *this;
  }
  ArenaText& append(const char* text) noexcept { return append(std::string_view(text)); }
  void resize(std::size_t size) noexcept { size_ = size; }
  std::span<char> room() noexcept { return {data_, capacity_}; }
  std::string_view view() const noexcept { return {data_, size_}; }

 private:
  char* data_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

Result<File> open(const FileRoot& root, std::string_view path) noexcept {
  if (root.folder() != nullptr) return root.folder()->open(path);
  return Loop::current().port().files().open(root.path(), path);
}

int status_of(Error error) noexcept {
  switch (error) {
    case Error::not_found:
    case Error::is_directory:
    case Error::outside_root:
    case Error::unsupported: return 404;  // not even whether it exists is told
    case Error::permission: return 403;
    case Error::no_descriptors:
    case Error::no_memory: return 503;
    default: return 500;
  }
}

void give_up(Response& response, int status) noexcept { response = abort(status); }

void refuse(Response& response, const FileRequest& asked, Error error) noexcept {
  const int status = status_of(error);
  if (status != 404) {
    FixedText<256> line;
    const std::string_view root = asked.options.root.path();
    line.append("cannot open ").append(root).append(root.empty() ? "" : "/");
    line.append(asked.path).append(": ").append(to_string(error));
    Loop::current().port().log().write(LogLevel::warning, line.view());
  }
  give_up(response, status);
}

/// The fields that describe the file. Those that the handler has set take their place.
class FileFields {
 public:
  explicit FileFields(Response& response) noexcept
      : response_(response), any_set_(!response.headers().empty()) {}

  Response& response() const noexcept { return response_; }
  bool any_set() const noexcept { return any_set_; }
  /// Whether the handler has set it. Asked only for fields that have not been added here yet.
  MICRODOT_CALLED bool has(const char* name) const noexcept {
    return any_set_ && response_.headers().contains(name);
  }
  std::string_view operator[](const char* name) const noexcept { return response_.headers()[name]; }

  /// "" adds nothing.
  MICRODOT_CALLED void add(const char* name, std::string_view value) noexcept {
    if (!value.empty() && !has(name)) response_.add_header(name, value);
  }
  /// The same for a value that was made here.
  MICRODOT_CALLED void add_valid(const char* name, std::string_view value, std::uint32_t kind = 0) noexcept {
    if (!value.empty() && !has(name)) FieldLines::add(response_.headers(), name, value, kind);
  }

 private:
  Response& response_;
  bool any_set_;
};

// An answer without the file, and without what described it, as far as that was set by the handler; other
// fields stay.
void without_file(FileFields& fields, int status, const char* body) noexcept {
  Response& response = fields.response();
  response.set_body(body);
  response.status_code = status;
  if (!fields.any_set()) return;
  for (const char* name : {"Content-Type", "Content-Encoding", "Content-Length"})
    response.headers().remove(name);
}

// ---- What the file is ----

void add_cache_control(FileFields& fields, const SendFileOptions& options) noexcept {
  if (options.max_age < 0 && !options.immutable) return;
  constexpr std::string_view kMaxAge = "max-age=";
  constexpr std::string_view kImmutable = ", immutable";
  char text[kMaxAge.size() + kMaxDecimal + kImmutable.size()];
  std::size_t size = kMaxAge.copy(text, kMaxAge.size());
  size +=
      write_decimal(text + size, static_cast<std::uint64_t>(options.max_age >= 0 ? options.max_age : kYear));
  if (options.immutable) size += kImmutable.copy(text + size, kImmutable.size());
  fields.add_valid("Cache-Control", {text, size});
}

/// How the file's content is called, and whether precompressed siblings of it are looked for.
struct Representation {
  std::string_view type;
  bool by_extension;
  bool has_variants;
  std::string_view coding = {};  ///< Known when it has been opened.

  Representation(const FileRequest& asked, const FileFields& fields) noexcept {
    const SendFileOptions& options = asked.options;
    std::string_view name = asked.path;
    if (!options.compressed.name.empty() && (name.ends_with(".gz") || name.ends_with(".br")))
      name.remove_suffix(3);
    by_extension = options.content_type.empty();
    const MediaType by_name = media_type(name);
    type = by_extension ? by_name.name : options.content_type;
    // Images and their like never have them, so nothing is looked for. An ETag of the handler's is one
    // version's.
    has_variants = options.precompressed && options.compressed.name.empty() &&
                   !fields.has("Content-Encoding") && !fields.has("ETag") &&
                   (by_extension ? by_name.compressible : is_compressible(type));
  }

  void add_type_and_coding(FileFields& fields) const noexcept {
    if (by_extension) {
      FixedText<64> text;
      const bool is_text = type.starts_with("text/");
      fields.add_valid("Content-Type", is_text ? text.append(type).append("; charset=UTF-8").view() : type,
                       FieldLines::kContentType);
    } else {
      fields.add("Content-Type", type);
    }
    fields.add("Content-Encoding", coding);
  }
};

/// The validators of a version of a file, as text and as values.
class FileVersion {
 public:
  /// `now`: the wall clock, 0 if unknown. Fields that the handler set take the place of the file's own.
  FileVersion(const File& file, Encoding encoding, const FileFields& fields, std::int64_t now) noexcept {
    const FileInfo& info = file.info();
    std::optional<std::int64_t> modified;
    if (fields.has("Last-Modified")) {
      modified = parse_http_date(fields["Last-Modified"]);
    } else if (info.modified != 0) {
      // Never a date that has not come yet (RFC 9110 8.8.2.1).
      modified = now != 0 ? std::min(info.modified, now) : info.modified;
      date_ = write_http_date(*modified, date_buffer_);
    }
    if (fields.has("ETag")) {
      validators_.etag = is_valid_etag(fields["ETag"]) ? fields["ETag"] : std::string_view{};
    } else if (!file.etag().empty()) {
      validators_.etag = etag_ = file.etag();
    } else if (info.modified != 0) {
      // Without a time of change the size alone would call different versions the same.
      validators_.etag = etag_ = write_tag(info, encoding);
    }
    validators_.last_modified = modified;
  }
  FileVersion(const FileVersion&) = delete;
  FileVersion& operator=(const FileVersion&) = delete;

  Validators& validators() noexcept { return validators_; }
  /// What is to be sent; "" if the handler has set it, or if it is not known.
  std::string_view etag() const noexcept { return etag_; }
  /// Whether `etag` was made here; else it is what the program's folder says.
  bool made_etag() const noexcept { return etag_.data() == etag_buffer_.data(); }
  std::string_view date() const noexcept { return date_; }

 private:
  // A variant's tag says so: tools give it the size or the time of another one.
  std::string_view write_tag(const FileInfo& info, Encoding encoding) noexcept {
    const std::uint64_t nanos =
        static_cast<std::uint64_t>(info.modified) * 1'000'000'000U + info.modified_nanos;
    const std::string_view plain = write_etag(static_cast<std::int64_t>(nanos), info.size,
                                              std::span<char, kMaxEtag>(etag_buffer_.data(), kMaxEtag));
    const std::string_view coding = to_string(encoding);
    if (coding.empty()) return plain;
    std::size_t size = plain.size() - 1;
    etag_buffer_[size++] = '-';
    size += coding.copy(etag_buffer_.data() + size, coding.size());
    etag_buffer_[size++] = '"';
    return {etag_buffer_.data(), size};
  }

  Validators validators_;
  std::string_view etag_;
  std::string_view date_;
  std::array<char, kMaxEtag + 8> etag_buffer_;
  std::array<char, kHttpDateSize> date_buffer_;
};

// ---- Several ranges ----

/// The body of a multipart/byteranges answer (RFC 9110 14.6). One block in the request's arena: this, the
/// ranges, and the head of a part, in which only Content-Range changes.
class MultipartRanges final : public BodySource {
 public:
  static constexpr std::size_t kBoundarySize = 2 * 12;

  /// Null when there is no room.
  static MultipartRanges* make(Arena& arena, std::span<const ByteRange> ranges, std::uint64_t file_size,
                               std::string_view content_type) noexcept {
    const std::size_t fixed = kFirst.size() + kBoundarySize + (content_type.empty() ? 0 : kType.size()) +
                              content_type.size() + kRange.size();
    const std::size_t size =
        sizeof(MultipartRanges) + ranges.size_bytes() + fixed + kMaxContentRange + kEnd.size();
    void* memory = arena.allocate(size);
    return memory != nullptr ? ::new (memory) MultipartRanges(ranges, file_size, content_type) : nullptr;
  }

  std::string_view boundary() const noexcept { return {head_ + kFirst.size(), kBoundarySize}; }
  /// Bytes of the whole body.
  std::uint64_t size() noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count_; ++i) sum += write_head(i).size() + ranges()[i].size();
    return sum + kFirst.size() + kBoundarySize + kLast.size();
  }

  bool next(BodyPiece& piece) noexcept override {
    if (at_ > count_) return false;
    if (at_ == count_) {
      std::memcpy(head_ + kFirst.size() + kBoundarySize, kLast.data(), kLast.size());
      piece = {.bytes = {head_, kFirst.size() + kBoundarySize + kLast.size()}};
    } else {
      const ByteRange range = ranges()[at_];
      piece = {.bytes = write_head(at_), .file_offset = range.first, .file_size = range.size()};
    }
    ++at_;
    return true;
  }

 private:
  static constexpr std::string_view kFirst = "\r\n--";
  static constexpr std::string_view kType = "\r\nContent-Type: ";
  static constexpr std::string_view kRange = "\r\nContent-Range: ";
  static constexpr std::string_view kEnd = "\r\n\r\n";
  static constexpr std::string_view kLast = "--\r\n";

  MultipartRanges(std::span<const ByteRange> ranges, std::uint64_t file_size,
                  std::string_view content_type) noexcept
      : file_size_(file_size), count_(ranges.size()) {
    auto* copies = reinterpret_cast<ByteRange*>(this + 1);
    for (const ByteRange& range : ranges) ::new (static_cast<void*>(copies++)) ByteRange(range);
    head_ = reinterpret_cast<char*>(copies);
    append(kFirst);
    // Random, so that nobody can put it into a file.
    std::array<unsigned char, kBoundarySize / 2> random;
    Loop::current().port().entropy().fill(random);
    for (const unsigned byte : random) {
      head_[fixed_++] = "0123456789abcdef"[byte >> 4];
      head_[fixed_++] = "0123456789abcdef"[byte & 15];
    }
    if (!content_type.empty()) {
      append(kType);
      append(content_type);
    }
    append(kRange);
  }

  const ByteRange* ranges() const noexcept { return reinterpret_cast<const ByteRange*>(this + 1); }
  void append(std::string_view text) noexcept { fixed_ += text.copy(head_ + fixed_, text.size()); }
  // What stands before the bytes of part `i`. The line end that closes a part before it is not for the first.
  std::string_view write_head(std::size_t i) noexcept {
    char* end = head_ + fixed_;
    end +=
        write_content_range(ranges()[i], file_size_, std::span<char, kMaxContentRange>(end, kMaxContentRange))
            .size();
    end += kEnd.copy(end, kEnd.size());
    char* begin = head_ + (i == 0 ? 2 : 0);
    return {begin, static_cast<std::size_t>(end - begin)};
  }

  std::uint64_t file_size_;
  std::size_t count_;
  std::size_t at_ = 0;
  std::size_t fixed_ = 0;
  char* head_;
};
static_assert(alignof(MultipartRanges) >= alignof(ByteRange));

// ---- The answer ----

// The functions below make the answer of `response`, which asks for the file. That ends with its body:
// nothing of the FileRequest is there afterwards.

void partial(Response& response, File&& file, std::span<const ByteRange> ranges, Request& request) noexcept {
  const std::uint64_t size = file.info().size;
  response.status_code = 206;
  if (ranges.size() == 1) {
    char text[kMaxContentRange];
    response.header("Content-Range", write_content_range(ranges[0], size, text));
    return response.set_file(std::move(file), ranges[0].first, ranges[0].size());
  }
  auto* source = MultipartRanges::make(request.arena(), ranges, size, response.headers()["Content-Type"]);
  if (source == nullptr) return give_up(response, 503);
  FixedText<64> type;
  response.header("Content-Type",
                  type.append("multipart/byteranges; boundary=").append(source->boundary()).view());
  response.set_file(std::move(file), 0, source->size(), source);
}

void unsatisfiable(FileFields& fields, std::uint64_t size) noexcept {
  char text[kMaxContentRange];
  without_file(fields, 416, "Range not satisfiable");
  ResponseHeaders& headers = fields.response().headers();
  for (const char* name : {"Cache-Control", "ETag", "Last-Modified"}) headers.remove(name);
  fields.add_valid("Accept-Ranges", "bytes");
  headers.set("Content-Range", write_unsatisfied_range(size, text));
}

// The answer to GET and HEAD that may be conditional, or ask for parts.
void current_version(FileFields& fields, const Representation& representation, const FileRequest& asked,
                     File&& file, Encoding encoding, Method method, Request& request) noexcept {
  Response& response = fields.response();
  const std::uint64_t size = file.info().size;
  const std::int64_t now = Loop::current().port().clock().unix_seconds();
  FileVersion version(file, encoding, fields, now);
  Validators& validators = version.validators();

  const Precondition outcome = evaluate_preconditions(method, request.headers, validators, now);
  if (outcome == Precondition::failed) {
    without_file(fields, 412, "Precondition failed");
    return response.headers().remove("Cache-Control");
  }
  const bool modified = outcome != Precondition::not_modified;
  std::array<ByteRange, kMaxRanges> ranges;
  RangeResult asked_for{RangeOutcome::whole, 0};
  if (modified && request.headers.contains("Range") &&
      (!fields.has("Accept-Ranges") || fields["Accept-Ranges"] == "bytes")) {
    // A file that was changed in this second may change again in it: then the date is a weak validator.
    if (validators.last_modified && *validators.last_modified >= now) validators.last_modified.reset();
    asked_for = parse_range(applicable_range(method, request.headers, validators, now), size, ranges);
  }

  if (asked_for.outcome == RangeOutcome::unsatisfiable) return unsatisfiable(fields, size);

  // From here on fields are added: views of what the handler set are no longer valid.
  const bool has_etag = !validators.etag.empty();
  if (modified) representation.add_type_and_coding(fields);
  if (version.made_etag()) {
    fields.add_valid("ETag", version.etag());
  } else {
    fields.add("ETag", version.etag());
  }
  // A 304 has the date only where it is the one validator (RFC 9110 15.4.5).
  if (modified || !has_etag) fields.add_valid("Last-Modified", version.date());
  if (modified) fields.add_valid("Accept-Ranges", "bytes");
  add_cache_control(fields, asked.options);
  if (!modified) return without_file(fields, 304, "");
  if (asked_for.outcome == RangeOutcome::partial) {
    return partial(response, std::move(file), {ranges.data(), asked_for.count}, request);
  }
  response.set_file(std::move(file), 0, size);
}

// Opens the file in the coding that the client likes best. A sibling that can't be had is as good as none.
Result<File> open_variant(const FileRequest& asked, bool has_variants, Request& request,
                          Encoding& encoding) noexcept {
  const FileRoot& root = asked.options.root;
  // Several fields would be one list; the file as it is will always do.
  if (has_variants && request.headers.count("Accept-Encoding") == 1) {
    const std::string_view accepted = request.headers["Accept-Encoding"];
    bool gzip = true;
    bool br = true;
    while ((encoding = choose_encoding(accepted, gzip, br)) != Encoding::identity) {
      ArenaText name(request.arena(), asked.path.size() + 3);
      if (!name) return Error::no_memory;
      name.append(asked.path).append(encoding == Encoding::br ? ".br" : ".gz");
      if (Result<File> file = open(root, name.view())) return file;
      (encoding == Encoding::br ? br : gzip) = false;
    }
  }
  encoding = Encoding::identity;
  return open(root, asked.path);
}

// The error is for the caller to look at where it can do better than the refusal that the response is then.
Error answer(Response& response, const FileRequest& asked, Request& request) noexcept {
  FileFields fields(response);
  Representation representation(asked, fields);
  Encoding encoding = Encoding::identity;
  Result<File> file = open_variant(asked, representation.has_variants, request, encoding);
  if (!file) {
    refuse(response, asked, file.error());
    return file.error();
  }
  representation.coding = file->encoding();
  if (representation.coding.empty())
    representation.coding =
        encoding == Encoding::identity ? asked.options.compressed.name : to_string(encoding);

  const Method method = parse_method(request.method);
  if (response.status_code == 200 && (method == Method::get || method == Method::head)) {
    current_version(fields, representation, asked, std::move(*file), encoding, method, request);
  } else {
    // An error page, or the answer to a POST: no version of the URL's own resource.
    representation.add_type_and_coding(fields);
    add_cache_control(fields, asked.options);
    const std::uint64_t size = file->info().size;
    response.set_file(std::move(*file), 0, size);
  }
  // Beside what the handler says.
  if (representation.has_variants && !response.aborted())
    FieldLines::add(response.headers(), "Vary", "Accept-Encoding");
  if (response.error() == Error::no_memory) give_up(response, 503);
  return Error::none;
}

// ---- Directories ----

// Whether a slash hides behind encoding: it would make other segments than those that hooks and proxies saw.
bool hides_slash(std::string_view encoded) noexcept {
  for (std::size_t at = encoded.find('%'); at != encoded.npos; at = encoded.find('%', at + 1)) {
    if (equals_ignore_case(encoded.substr(at + 1, 2), "2f")) return true;
  }
  return false;
}

// Whether a segment of the decoded path is hidden: ".git", ".env" and with them "." and "..", but not
// ".well-known" (RFC 8615). Empty segments neither: they give one file many names.
bool is_hidden(std::string_view path) noexcept {
  while (!path.empty()) {
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty() || (segment.front() == '.' && segment != ".well-known")) return true;
    path.remove_prefix(std::min(segment.size() + 1, path.size()));
  }
  return false;
}

// The URL of a directory without its slash: relative links on its page would go wrong, so the client is sent
// on.
Response add_slash(Request& request) noexcept {
  const std::string_view query = request.query_string;
  ArenaText url(request.arena(), request.path.size() + 2 + query.size());
  if (!url) return abort(503);
  url.append(request.path).append("/");
  if (!query.empty()) url.append("?").append(query);
  return redirect(url.view(), 301);
}

}  // namespace

void open_file(Response& response, Request& request) noexcept {
  if (response.error() != Error::none) return response.set_body({});
  const FileRequest& asked = *response.file_request();
  if (!asked.options.root.empty() && !is_local_path(asked.path)) {
    give_up(response, 404);
  } else {
    answer(response, asked, request);
  }
}

Response serve_directory(const StaticDirectory& directory, std::string_view rest, Request& request) noexcept {
  const std::string_view index = directory.options.index;
  if (rest.empty()) {
    const bool has_index = !index.empty() && open(directory.root, index);
    return has_index ? add_slash(request) : abort(404);
  }
  rest.remove_prefix(1);  // the slash after the prefix; another one would make an absolute path
  if (hides_slash(rest)) return abort(404);
  ArenaText name(request.arena(), rest.size() + 1 + index.size());
  if (!name) return abort(503);
  const Result<std::string_view> decoded = percent_decode(rest, name.room());
  if (!decoded) return abort(400);
  name.resize(decoded->size());
  if (!decoded->empty() && (!is_local_path(*decoded) || is_hidden(*decoded))) return abort(404);

  const bool names_directory = decoded->empty() || decoded->ends_with('/');
  if (names_directory) {
    if (index.empty()) return abort(404);
    name.append(index);
  }
  FileRequest asked{.path = name.view(),
                    .options = {.root = directory.root,
                                .max_age = directory.options.max_age,
                                .immutable = directory.options.immutable,
                                .precompressed = directory.options.precompressed},
                    .open = open_file};
  Response response;
  const Error failure = answer(response, asked, request);
  if (failure == Error::is_directory && !names_directory && !index.empty()) {
    name.append("/").append(index);
    if (open(directory.root, name.view())) return add_slash(request);
  }
  return response;
}

}  // namespace microdot::inline MICRODOT_ABI::detail
