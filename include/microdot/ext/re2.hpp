#pragma once
#include <microdot/route.hpp>

/// The engine for "re:" components, RE2: time linear in the length of the path, whatever the expression.
/// Including this header in any one file of the program and linking microdot::re2 (microdot::re2_noexcept) is
/// all that it takes:
///
///     #include <microdot/ext/re2.hpp>
///     app.get("/orders/<re:[A-Z]{2}[0-9]+:code>", [](Request&, std::string_view code) { … });
///
/// An expression in RE2's syntax matches the whole of one decoded segment. It is compiled once, when the App
/// starts. Memory comes from the heap: for compiling, and afterwards for RE2's cache of states where an
/// expression is not one-pass; each expression has a budget of `kRegexMemory`.
namespace microdot::inline MICRODOT_ABI {

/// The most bytes of heap that one expression may use; the App says at start which route needs more.
inline constexpr long kRegexMemory = 1L << 20;

/// RE2 as the engine of routes.
const RegexEngine& re2_engine() noexcept;

namespace detail {
/// Sets RE2 as the engine before `main`. Routes are compiled later, when an App starts.
inline const bool kRe2Installed = (set_regex_engine(&re2_engine()), true);
}  // namespace detail

}  // namespace microdot::inline MICRODOT_ABI
