#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include <microdot/base/config.hpp>
#include <microdot/http/chars.hpp>

namespace microdot::inline MICRODOT_ABI {

/// Where one field of a message head lies, as offsets into the head's buffer.
struct HeaderField {
  std::uint16_t name;
  std::uint16_t name_size;
  std::uint16_t value;
  std::uint16_t value_size;
};
static_assert(sizeof(HeaderField) == 8);

/// The header fields of one message, in the order they came, over storage and bytes of the caller.
///
///     std::string_view type = headers["content-type"];     // "" when missing
///     for (auto [name, value] : headers) …
///
/// Names are compared without case. Views stay valid as long as the head's buffer does.
///
/// What takes a `const char*` is for literals: a call that measures them is smaller, where size counts, than
/// a view made at each place. Elsewhere it is inlined and nothing is measured.
class HeaderTable {
 public:
  using value_type = std::pair<std::string_view, std::string_view>;

  /// Index that means "no such field".
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  HeaderTable() noexcept = default;
  /// An empty table that keeps up to `storage.size()` fields (at most 65535) in `storage`.
  explicit HeaderTable(std::span<HeaderField> storage) noexcept
      : fields_(storage.data()),
        capacity_(static_cast<std::uint16_t>(std::min<std::size_t>(storage.size(), 0xffff))) {}

  /// Forgets all fields.
  void clear() noexcept {
    count_ = 0;
    filter_ = 0;
  }
  /// Says where the head's bytes are (now): after they were copied elsewhere all views follow.
  void set_base(const char* base) noexcept { base_ = base; }
  /// Adds a field. False when the storage is full.
  bool add(HeaderField field) noexcept {
    if (count_ == capacity_) return false;
    filter_ |= filter_bit({base_ + field.name, field.name_size});
    fields_[count_++] = field;
    return true;
  }
  /// Moves the fields to other storage, e.g. when a stream keeps a copy of the head. False if it is too
  /// small.
  bool move_to(std::span<HeaderField> storage, const char* base) noexcept {
    if (storage.size() < count_) return false;
    for (std::size_t i = 0; i < count_; ++i) storage[i] = fields_[i];
    fields_ = storage.data();
    capacity_ = static_cast<std::uint16_t>(std::min<std::size_t>(storage.size(), 0xffff));
    base_ = base;
    return true;
  }

  /// The value of the first field called `name`, without whitespace around it; "" when there is none.
  std::string_view operator[](std::string_view name) const noexcept {
    const std::size_t index = find(name);
    return index == npos ? std::string_view{} : value(index);
  }
  std::string_view operator[](const char* name) const noexcept { return (*this)[std::string_view(name)]; }
  bool contains(std::string_view name) const noexcept { return find(name) != npos; }
  bool contains(const char* name) const noexcept { return contains(std::string_view(name)); }
  /// How many fields are called `name`.
  std::size_t count(std::string_view name) const noexcept {
    std::size_t n = 0;
    for (std::size_t i = find(name); i != npos; i = find(name, i + 1)) ++n;
    return n;
  }
  std::size_t count(const char* name) const noexcept { return count(std::string_view(name)); }
  /// The index of the first field called `name` at or after `start`, or `npos`.
  std::size_t find(std::string_view name, std::size_t start = 0) const noexcept {
    if (name.empty() || (filter_ & filter_bit(name)) == 0) return npos;
    for (std::size_t i = start; i < count_; ++i) {
      if (fields_[i].name_size == name.size() && equals_ignore_case(this->name(i), name)) return i;
    }
    return npos;
  }

  /// Number of fields.
  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  /// Name as it was sent, and value, of field `index` < `size()`.
  std::string_view name(std::size_t index) const noexcept {
    return {base_ + fields_[index].name, fields_[index].name_size};
  }
  std::string_view value(std::size_t index) const noexcept {
    return {base_ + fields_[index].value, fields_[index].value_size};
  }

  /// Goes over (name, value) pairs.
  class Iterator {
   public:
    using value_type = HeaderTable::value_type;
    using difference_type = std::ptrdiff_t;
    using reference = value_type;
    using pointer = void;
    using iterator_category = std::input_iterator_tag;

    Iterator() noexcept = default;
    Iterator(const HeaderTable* table, std::size_t index) noexcept : table_(table), index_(index) {}
    value_type operator*() const noexcept { return {table_->name(index_), table_->value(index_)}; }
    Iterator& operator++() noexcept {
      ++index_;
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator old = *this;
      ++index_;
      return old;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.index_ == b.index_; }

   private:
    const HeaderTable* table_ = nullptr;
    std::size_t index_ = 0;
  };
  Iterator begin() const noexcept { return {this, 0}; }
  Iterator end() const noexcept { return {this, count_}; }

 private:
  // One bit of 32 from length, first and last letter: most names that are absent are answered by it alone.
  // Upper and lower case differ in bit 5 only, which does not count.
  static std::uint32_t filter_bit(std::string_view name) noexcept {
    const unsigned first = static_cast<unsigned char>(name.front());
    const unsigned last = static_cast<unsigned char>(name.back());
    return 1U << ((first + last * 3U + static_cast<unsigned>(name.size()) * 7U) & 31U);
  }

  HeaderField* fields_ = nullptr;
  const char* base_ = "";
  std::uint32_t filter_ = 0;
  std::uint16_t count_ = 0;
  std::uint16_t capacity_ = 0;
};

}  // namespace microdot::inline MICRODOT_ABI
