#include <microdot/ext/multipart.hpp>

#include <algorithm>
#include <cstring>
#include <new>

#include <microdot/app.hpp>

namespace microdot::inline MICRODOT_ABI {
namespace {

char* take_window(Request& req, const FormDataOptions& options) noexcept {
  return static_cast<char*>(req.arena().allocate(options.head_bytes));
}

// "" where it makes no difference, since there is none, or where it is wrong: then the parser says so.
std::string_view boundary_of(Request& req) noexcept {
  return multipart_boundary(req.content_type).value_or({});
}

bool is_form_data(Request& req) noexcept {
  return multipart_boundary(req.content_type).error() != Error::unsupported;
}

}  // namespace

// FormDataIter

FormDataIter::FormDataIter(Request& req, const FormDataOptions& options) noexcept
    : req_(&req),
      window_(take_window(req, options)),
      parser_(boundary_of(req), {window_, window_ != nullptr ? options.head_bytes : std::size_t{0}},
              {.parts = options.parts}) {
  part_.form_ = this;
  ended_ = !is_form_data(req);
  if (window_ == nullptr && !ended_) error_ = Error::no_memory;
}

MultipartResult FormDataIter::parse() noexcept {
  const MultipartResult result = parser_.parse(rest_);
  rest_.remove_prefix(result.consumed);
  return result;
}

Error FormDataIter::fail(Error error) noexcept { return error_ = error; }

Error FormDataIter::fail_as_parser() noexcept {
  return fail(parser_.error_status() == 413 ? Error::too_large : Error::invalid);
}

// Bytes from the stream, or its end. False after an error, or at a right end.
bool FormDataIter::take(const Result<std::string_view>& bytes) noexcept {
  if (!bytes) {
    fail(bytes.error());
  } else if (!bytes->empty()) {
    rest_ = *bytes;
    return true;
  } else if (parser_.finish()) {
    ended_ = true;
  } else {
    fail(Error::invalid);
  }
  return false;
}

int FormDataIter::error_status() const noexcept {
  switch (error_) {
    case Error::none: return 0;
    case Error::timeout: return 408;
    case Error::too_large: return 413;
    case Error::no_memory: return 503;
    default: return 400;
  }
}

std::string_view FormDataIter::error_reason() const noexcept {
  if (parser_.error_status() != 0) return parser_.error_reason();
  switch (error_) {
    case Error::none:
    case Error::no_memory: return "";
    case Error::closed: return "the body ends early";
    case Error::too_large: return "body or field too large";
    default: return to_string(error_);
  }
}

Abort FormDataIter::refusal() const noexcept {
  const int status = error_status();
  return status != 0 ? Abort(status, error_reason()) : Abort(500);
}

Task<Result<FormPart*>> FormDataIter::try_next() {
  if (error_ != Error::none) co_return error_;
  while (in_part_) {
    const Result<std::string_view> skipped = co_await part_.next();
    if (!skipped) co_return error_;
  }
  while (!ended_) {
    const MultipartResult found = parse();
    if (found.event == MultipartEvent::part) {
      const MultipartPart& head = parser_.part();
      part_.name = head.name;
      part_.filename = head.filename;
      part_.content_type = head.content_type;
      part_.is_file_ = head.is_file;
      in_part_ = true;
      co_return &part_;
    }
    if (found.event == MultipartEvent::error) co_return fail_as_parser();
    if (found.event != MultipartEvent::need_more) continue;
    const Result<std::string_view> bytes = co_await req_->stream().next();
    if (!take(bytes) && !ended_) co_return error_;
  }
  co_return nullptr;
}

Task<FormPart*> FormDataIter::next() {
  const Result<FormPart*> part = co_await try_next();
  if (!part) co_await refusal();
  co_return *part;
}

// FormPart

Task<Result<std::string_view>> FormPart::next() {
  if (!unread_.empty()) co_return std::exchange(unread_, {});
  if (form_ == nullptr) co_return std::string_view{};
  FormDataIter& form = *form_;
  while (form.in_part_ && form.error_ == Error::none) {
    const MultipartResult found = form.parse();
    switch (found.event) {
      case MultipartEvent::data: co_return found.data;
      case MultipartEvent::end_of_part: form.in_part_ = false; break;
      case MultipartEvent::error: form.fail_as_parser(); break;
      default: {
        const Result<std::string_view> bytes = co_await form.req_->stream().next();
        form.take(bytes);
      }
    }
  }
  if (form.error_ != Error::none) co_return form.error_;
  co_return std::string_view{};
}

Task<Result<std::size_t>> FormPart::read(std::span<char> buffer) {
  std::size_t size = 0;
  while (size != buffer.size()) {
    const Result<std::string_view> piece = co_await next();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    const std::size_t taken = piece->copy(&buffer[size], buffer.size() - size);
    unread_ = piece->substr(taken);
    size += taken;
  }
  co_return size;
}

Task<Result<std::string_view>> FormPart::value(std::size_t most) {
  if (form_ == nullptr) {
    if (unread_.size() > most) co_return Error::too_large;
    co_return std::exchange(unread_, {});
  }
  Arena& arena = form_->req_->arena();
  std::string_view kept;
  for (;;) {
    const Result<std::string_view> piece = co_await next();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return kept;
    if (piece->size() > most - kept.size()) co_return form_->fail(Error::too_large);
    char* const longer = static_cast<char*>(arena.allocate(kept.size() + piece->size()));
    if (longer == nullptr) co_return form_->fail(Error::no_memory);
    kept.copy(longer, kept.size());
    piece->copy(longer + kept.size(), piece->size());
    Arena::free(const_cast<char*>(kept.data()));
    kept = {longer, kept.size() + piece->size()};
  }
}

// with_form_data

FileUpload* FormFiles::operator[](std::string_view name) const noexcept {
  FileUpload* const found =
      std::find_if(begin(), end(), [name](const FileUpload& file) { return file.name == name; });
  return found != end() ? found : nullptr;
}

namespace {

/// Goes through a body that is in memory.
class FormReader {
 public:
  FormReader(Request& req, const FormDataOptions& options, char* window) noexcept
      : body_(req.body()),
        parser_(boundary_of(req), {window, options.head_bytes}, {.parts = options.parts}) {}

  const MultipartParser& parser() const noexcept { return parser_; }
  const MultipartPart& part() const noexcept { return parser_.part(); }
  std::string_view content() const noexcept { return content_; }

  /// The next part. False after the last one, and after an error.
  bool next() noexcept {
    std::size_t begin = 0;
    std::size_t size = 0;
    for (;;) {
      const MultipartResult found = parser_.parse(body_.substr(at_));
      at_ += found.consumed;
      switch (found.event) {
        case MultipartEvent::part: begin = at_; break;
        // Not all of it need lie in the body, but it is what lies there.
        case MultipartEvent::data: size += found.data.size(); break;
        case MultipartEvent::end_of_part: content_ = body_.substr(begin, size); return true;
        case MultipartEvent::end: break;
        default: parser_.finish(); return false;
      }
    }
  }

 private:
  std::string_view body_;
  std::size_t at_ = 0;
  MultipartParser parser_;
  std::string_view content_;
};

// Copies a text into the arena. False if there is no room.
bool keep(Arena& arena, std::string_view& text) noexcept {
  const bool none = text.empty();
  text = none ? std::string_view{} : arena.copy(text);
  return none || text.data() != nullptr;
}

template <typename T>
T* take_array(Arena& arena, std::size_t count) noexcept {
  static_assert(std::is_trivially_destructible_v<T>);  // goes with the arena
  return static_cast<T*>(arena.allocate(count * sizeof(T)));
}

bool read_parts(Request& req, const FormDataOptions& options, char* window, FormData& form,
                Abort& refusal) noexcept {
  std::size_t fields = 0;
  std::size_t files = 0;
  FormReader counter(req, options, window);
  while (counter.next()) ++(counter.part().is_file ? files : fields);
  if (const MultipartParser& parser = counter.parser(); !parser.done()) {
    refusal = Abort(parser.error_status(), parser.error_reason());
    return false;
  }
  auto* const pairs = take_array<NameValue>(req.arena(), fields);
  auto* const uploads = take_array<FileUpload>(req.arena(), files);
  if (pairs == nullptr || uploads == nullptr) return false;
  fields = files = 0;
  for (FormReader reader(req, options, window); reader.next();) {
    MultipartPart part = reader.part();
    if (!keep(req.arena(), part.name)) return false;
    if (!part.is_file) {
      ::new (&pairs[fields++]) NameValue(part.name, reader.content());
      continue;
    }
    if (!keep(req.arena(), part.filename) || !keep(req.arena(), part.content_type)) return false;
    ::new (&uploads[files++]) FileUpload(part, reader.content());
  }
  form.fields = MultiDict({pairs, fields});
  form.files = FormFiles({uploads, files});
  req.set_form(form.fields);
  return true;
}

}  // namespace

FormData* detail::read_form(Request& req, const FormDataOptions& options, Abort& refusal) noexcept {
  refusal = Abort(413, "form too large");
  auto* const form = make_in<FormData>(req.arena());
  if (form == nullptr) return nullptr;
  if (!is_form_data(req)) {
    if (const MultiDict* fields = req.form(); fields != nullptr) form->fields = *fields;
    return form;
  }
  if (!req.body_kept()) return nullptr;
  char* const window = take_window(req, options);
  const bool read = window != nullptr && read_parts(req, options, window, *form, refusal);
  Arena::free(window);
  return read ? form : nullptr;
}

}  // namespace microdot::inline MICRODOT_ABI
