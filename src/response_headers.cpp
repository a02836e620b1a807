#include <microdot/response_headers.hpp>

#include <cstring>
#include <new>

#include <microdot/http/chars.hpp>
#include <microdot/http/response_writer.hpp>

#include "field_lines.hpp"

namespace microdot::inline MICRODOT_ABI {

std::uint32_t detail::FieldLines::kind_of(std::string_view name) noexcept {
  switch (name.size()) {  // nearly all others are told by it
    case 4: return equals_ignore_case(name, "Date") ? kFraming : 0;
    case 10: return equals_ignore_case(name, "Connection") ? kFraming : 0;
    case 12: return equals_ignore_case(name, "Content-Type") ? kContentType : 0;
    case 14: return equals_ignore_case(name, "Content-Length") ? kFraming : 0;
    case 17: return equals_ignore_case(name, "Transfer-Encoding") ? kFraming : 0;
    default: return 0;
  }
}

// A name has no ':', a value no CR.
Header ResponseHeaders::field_at(std::uint32_t offset) const noexcept {
  const std::string_view rest(lines_->text() + offset, lines_->size - offset);
  const std::size_t name_size = rest.find(':');
  const std::size_t end = rest.find('\r', name_size);
  return {rest.substr(0, name_size), rest.substr(name_size + 2, end - name_size - 2)};
}

bool ResponseHeaders::find(std::string_view name, std::string_view& value) const noexcept {
  for (std::uint32_t at = 0; at < size();) {
    const Header field = field_at(at);
    value = field.value;
    if (equals_ignore_case(field.name, name)) return true;
    at += line_size(field);
  }
  return false;
}

void ResponseHeaders::set(std::string_view name, std::string_view value) noexcept {
  // The new field is made first: name and value may be views of one that is replaced.
  const std::uint32_t before = size();
  add(name, value);
  remove_before(before, size() != before ? field_at(before).name : name);
}

void ResponseHeaders::add(std::string_view name, std::string_view value) noexcept {
  if (!is_valid_field_name(name) || !is_valid_field_value(value)) return fail(Error::invalid);
  add_valid(name, value, detail::FieldLines::kind_of(name));
}

void ResponseHeaders::add_valid(std::string_view name, std::string_view value, std::uint32_t kind) noexcept {
  const std::size_t before = size();
  const std::size_t now = before + line_size({name, value});
  Lines* old = nullptr;
  if (lines_ == nullptr || !Arena::extend(lines_, sizeof(Lines) + now)) {
    void* memory = current_arena().allocate(sizeof(Lines) + now);
    if (memory == nullptr) return fail(Error::no_memory);
    auto* larger = ::new (memory) Lines;
    old = std::exchange(lines_, larger);
    if (old != nullptr) std::memcpy(static_cast<void*>(larger), old, sizeof(Lines) + before);
  }
  char* at = lines_->text() + before;
  std::memcpy(at, name.data(), name.size());
  at += name.size();
  std::memcpy(at, ": ", 2);
  at += 2;
  if (!value.empty()) std::memcpy(at, value.data(), value.size());
  std::memcpy(at + value.size(), "\r\n", 2);
  lines_->size = static_cast<std::uint32_t>(now);
  lines_->kinds |= kind;
  Arena::free(old);  // last: the value may lie there
}

void ResponseHeaders::remove(std::string_view name) noexcept { remove_before(size(), name); }

// Removes the fields called `name` among those that lie before `end`. The name may be that of any field: it
// is compared before anything moves, and then the first one's, which is removed last.
void ResponseHeaders::remove_before(std::uint32_t end, std::string_view name) noexcept {
  std::uint32_t first = 0;
  for (;; first += line_size(field_at(first))) {
    if (first >= end) return;
    if (equals_ignore_case(field_at(first).name, name)) break;
  }
  const Header kept = field_at(first);
  for (std::uint32_t at = first + line_size(kept); at < end;) {
    const Header field = field_at(at);
    if (equals_ignore_case(field.name, kept.name)) {
      end -= line_size(field);
      remove_line(at, line_size(field));
    } else {
      at += line_size(field);
    }
  }
  remove_line(first, line_size(kept));
  std::uint32_t kinds = 0;
  for_each([&kinds](const Header& field) noexcept { kinds |= detail::FieldLines::kind_of(field.name); });
  lines_->kinds = kinds;
  if (lines_->size == 0) clear();
}

void ResponseHeaders::remove_line(std::uint32_t at, std::uint32_t size) noexcept {
  char* text = lines_->text() + at;
  std::memmove(text, text + size, lines_->size - at - size);
  lines_->size -= size;
}

}  // namespace microdot::inline MICRODOT_ABI
