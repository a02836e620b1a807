#pragma once
/// Forms of the type multipart/form-data, with files. `FormDataIter` gives fields and files as they come,
/// however large they are, and keeps nothing of them; `with_form_data` gives small forms as a whole.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <microdot/async/task.hpp>
#include <microdot/base/result.hpp>
#include <microdot/handler.hpp>
#include <microdot/http/multi_dict.hpp>
#include <microdot/http/multipart.hpp>
#include <microdot/into_response.hpp>
#include <microdot/request.hpp>
#include <microdot/response.hpp>

namespace microdot::inline MICRODOT_ABI {

class FileUpload;
class FormDataIter;

/// What a form may have, beside `Limits::max_content_length`.
struct FormDataOptions {
  std::uint16_t head_bytes = 512;  ///< Of one part: its name, its filename, its type. More: 413. They are
                                   ///< taken from the request's arena while the form is read.
  std::uint16_t parts = 64;        ///< Fields and files. More: 413.
};

/// A field or a file of a form, to be read piece by piece. Valid until the next one is asked for, as are its
/// texts.
///
/// Reading gives errors as results: `closed` (the client left), `timeout`, `too_large`, `invalid` (what was
/// sent is no such form). They end the form: the next `FormDataIter::next` ends the request because of them.
class FormPart {
 public:
  std::string_view name;
  std::string_view content_type;  ///< "" if it was not sent.

  /// The file, if it is one; null for a field.
  FileUpload* file() noexcept;

  /// The next bytes of the content, without a copy; valid until anything more of the form is read. Empty at
  /// the end.
  Task<Result<std::string_view>> next();
  /// Fills `buffer`; gives fewer bytes than it has room for at the end, and then 0.
  Task<Result<std::size_t>> read(std::span<char> buffer);
  /// What has not been read yet, as a text in the request's own memory. More than `most` bytes: `too_large`.
  /// No room: `no_memory`.
  Task<Result<std::string_view>> value(std::size_t most = 1024);
  /// Hands what has not been read yet to `sink(std::string_view)`, piece by piece as it comes. A sink returns
  /// nothing, a `Result<void>` whose error ends the copy and is its result, or a `Task` of these: while that
  /// waits (for a slow flash) the client waits, too, since nothing more is read. Gives the number of bytes.
  /// `sink` has to outlive the copy, as the temporary of `co_await part->copy(…)` does.
  template <typename Sink>
  Task<Result<std::uint64_t>> copy(Sink&& sink) {
    using Answer = std::invoke_result_t<Sink&, std::string_view>;
    std::uint64_t size = 0;
    for (;;) {
      const Result<std::string_view> piece = co_await next();
      if (!piece) co_return piece.error();
      if (piece->empty()) co_return size;
      size += piece->size();
      if constexpr (std::is_void_v<Answer>) {
        sink(*piece);
      } else if constexpr (std::is_same_v<Answer, Task<>>) {
        Task<> taken = sink(*piece);
        co_await taken;
      } else if constexpr (detail::kIsTask<Answer>) {
        Answer taking = sink(*piece);
        const Result<void> taken = co_await taking;
        if (!taken) co_return taken.error();
      } else {
        const Result<void> taken = sink(*piece);
        if (!taken) co_return taken.error();
      }
    }
  }

 protected:
  FormPart() noexcept = default;
  /// One whose content is at hand.
  FormPart(const MultipartPart& part, std::string_view content) noexcept
      : name(part.name), content_type(part.content_type), is_file_(part.is_file), unread_(content) {}

 private:
  friend class FormDataIter;

  bool is_file_ = false;
  FormDataIter* form_ = nullptr;  // where more comes from
  std::string_view unread_;
};

/// A file of a form. Reading and copying: see `FormPart`.
class FileUpload : public FormPart {
 public:
  FileUpload() noexcept = default;
  FileUpload(const MultipartPart& part, std::string_view content) noexcept
      : FormPart(part, content), filename(part.filename) {}

  /// As the client sent it; "" if no file was chosen. Not fit for opening files: see `safe_filename`.
  std::string_view filename;

#if MICRODOT_HOSTED
  /// Writes what has not been read yet to a file, in place of what is there; gives its size. `path` is the
  /// program's own: a file, or a directory (it exists, or the path ends with '/'), in which it is called
  /// `safe_filename(filename)`. The file gets its name when it is complete: an upload that ends early leaves
  /// nothing. See `FileSink` for what that costs. Errors of the disk: `not_found`, `permission`,
  /// `no_descriptors`, `io` (it is full, too).
  Task<Result<std::uint64_t>> save(std::string_view path);
#endif
};

inline FileUpload* FormPart::file() noexcept { return is_file_ ? static_cast<FileUpload*>(this) : nullptr; }

/// Reads a form as it comes, in the order sent. What is not read of a part is skipped.
///
///     FormDataIter form(req);
///     while (FormPart* part = co_await form.next()) {
///       if (FileUpload* file = part->file()) {
///         Result<std::uint64_t> size = co_await file->copy(flash);
///         …
///       }
///     }
///
/// No part is given where the request's type is another one. One for each request.
class FormDataIter {
 public:
  explicit FormDataIter(Request& req, const FormDataOptions& options = {}) noexcept;
  FormDataIter(const FormDataIter&) = delete;
  FormDataIter& operator=(const FormDataIter&) = delete;
  ~FormDataIter() { Arena::free(window_); }

  /// The next part; null after the last one. A form that can't be read (also: of whose last part that was
  /// found out) ends the request, with `error_status` and `error_reason`: the handler goes no further.
  Task<FormPart*> next();
  /// The same for those who answer themselves: gives the error instead.
  Task<Result<FormPart*>> try_next();

  /// After an error of the form: 400, 408, 413, or 503 when there was no memory; and why (static storage). 0
  /// and
  /// "" as long as nothing is wrong with it: then an error of `copy` or `save` was the sink's or the disk's.
  int error_status() const noexcept;
  std::string_view error_reason() const noexcept;
  /// What to answer after an error of reading, copying or saving: that, or 500.
  ///
  ///     if (!size) co_return form.refusal();
  Abort refusal() const noexcept;

 private:
  friend class FormPart;

  MultipartResult parse() noexcept;
  bool take(const Result<std::string_view>& bytes) noexcept;
  Error fail(Error error) noexcept;
  Error fail_as_parser() noexcept;

  Request* req_;
  char* window_;
  MultipartParser parser_;
  FileUpload part_;
  std::string_view rest_;  // of what came from the stream
  Error error_ = Error::none;
  bool in_part_ = false;
  bool ended_ = false;
};

/// The files of a form that is in memory.
class FormFiles {
 public:
  FormFiles() noexcept = default;
  explicit FormFiles(std::span<FileUpload> files) noexcept : files_(files) {}

  /// The first file called `name`; null if there is none.
  FileUpload* operator[](std::string_view name) const noexcept;
  FileUpload* begin() const noexcept { return files_.data(); }
  FileUpload* end() const noexcept { return files_.data() + files_.size(); }
  std::size_t size() const noexcept { return files_.size(); }

 private:
  std::span<FileUpload> files_;
};

/// A form that is in memory: see `with_form_data`.
struct FormData {
  MultiDict fields;  ///< Also as `req.form()`.
  FormFiles files;

  /// The first value of the field `name`; "" if there is none.
  std::string_view operator[](std::string_view name) const noexcept { return fields[name]; }
};

namespace detail {

/// Reads the form of a request whose body is in memory. Null, with what to answer in `refusal`, if there is
/// none.
FormData* read_form(Request& req, const FormDataOptions& options, Abort& refusal) noexcept;

template <typename T>
Task<T> refuse_form(Abort refusal) {
  for (;;) co_await refusal;
}

template <typename F, typename Call = typename CallOf<F>::type>
class FormHandler {
  static_assert(kIsTask<Call>, "a handler with a form is called as f(Request&, FormData&, path arguments…)");
};
template <typename F, typename R, typename... P>
class FormHandler<F, R(Request&, FormData&, P...)> {
  static_assert(!CoroutineType<R> || (!std::is_reference_v<P> && ...),
                "a coroutine must take path arguments by value: references are gone when it resumes");

 public:
  using Answer = std::conditional_t<kIsTask<R>, R, Response>;

  FormHandler(F handler, const FormDataOptions& options) : handler_(std::move(handler)), options_(options) {}

  Answer operator()(Request& req, P... arguments) {
    Abort refusal(400);
    FormData* const form = read_form(req, options_, refusal);
    if constexpr (kIsTask<R>) {
      if (form == nullptr) return refuse_form<typename R::value_type>(refusal);
      return handler_(req, *form, std::forward<P>(arguments)...);
    } else {
      if (form == nullptr) return refusal;
      if constexpr (std::is_void_v<R>) {
        handler_(req, *form, std::forward<P>(arguments)...);
        return Response("", 204);
      } else {
        return into_response(handler_(req, *form, std::forward<P>(arguments)...));
      }
    }
  }

 private:
  F handler_;
  FormDataOptions options_;
};

}  // namespace detail

/// A handler that gets the form as a whole:
///
///     app.post("/profile", with_form_data([](Request& req, FormData& form) {
///       FileUpload* photo = form.files["photo"];
///       return req.format("{} {}", form["name"], photo != nullptr ? photo->filename : "");
///     }));
///
/// Called as f(Request&, FormData&, path arguments…), plain or a coroutine. Nothing is copied but the names:
/// the form lies in the body, which has to be one that is kept (`Limits::max_body_length`; larger: 413), for
/// as long as the request. A form that can't be read is answered 400 or 413 with the reason. Of
/// application/x-www-form-urlencoded there are the fields; of another type the form is empty.
template <typename F>
auto with_form_data(F handler, const FormDataOptions& options = {}) {
  return detail::FormHandler<F>(std::move(handler), options);
}

}  // namespace microdot::inline MICRODOT_ABI
