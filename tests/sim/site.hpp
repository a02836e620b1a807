#pragma once
// The site that simulated servers serve: handlers of every kind, which count what they begin and end.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <microdot/microdot.hpp>
#include <microdot/testing/sim_port.hpp>

#include "plan.hpp"

namespace sim {

/// A part of a text that differs at every place; static storage.
std::string_view text_at(std::size_t offset, std::size_t size);
/// What /stream answers for a body.
std::string digest(std::string_view body);
/// Tells bodies apart, and can be carried from part to part.
std::uint64_t hash(std::string_view bytes, std::uint64_t before = 0xcbf29ce484222325u) noexcept;

struct SiteFile {
  const char* name;
  std::size_t offset;  ///< In the text.
  std::size_t size;
  bool in_place;  ///< As in flash.
};
inline constexpr SiteFile kFiles[] = {{"empty.txt", 0, 0, false},        {"small.txt", 100, 60, false},
                                      {"page.txt", 2000, 1200, false},   {"large.txt", 300, 20'000, false},
                                      {"flash.txt", 4000, 9'000, true},  {"spot.txt", 7, 1, true},
                                      {"middle.txt", 5000, 4'096, false}};

/// What must balance when nothing runs any more.
struct Counts {
  int requests = 0;  ///< Begun and not ended, by `on_end`.
  int objects = 0;   ///< Of `g_emplace`.
  int frames = 0;    ///< Coroutines that are somewhere in their bodies.
  int doomed = 0;    ///< Background tasks that will fail and whose failure was not reported yet.
  int saves = 0;     ///< Shielded work that is not done.
  long handled = 0;  ///< All requests that reached a handler.
  int lost = 0;      ///< How often the network was, as the hooks are told.
  int up = 0;        ///< How often it came back.
  std::uint64_t refused_tasks = 0;
  std::string wrong;  ///< What a handler has seen that must not be.

  /// Empty, or what does not balance.
  std::string check() const;
};

class Site {
 public:
  explicit Site(const Plan& plan);
  Site(const Site&) = delete;
  ~Site();

  /// Gives the port its files; handlers that block move its clock.
  void attach(microdot::SimPort& port);
  /// While nothing runs: empty, or what was not given back.
  std::string check() const {
    return permits_.available() == 2 ? counts.check() : "a permit of a semaphore is lost";
  }
  /// Time in which handlers kept the program from anything else.
  microdot::Duration blocked() const { return blocked_; }

  microdot::App app;
  Counts counts;

 private:
  void watch(const Plan& plan);
  void add_plain();
  void add_coroutines();
  void add_streams();

  microdot::SimPort* port_ = nullptr;
  microdot::Duration blocked_{};
  std::array<std::uint32_t, 256> in_hand_{};  // requests by the last byte of their client's address
  microdot::Semaphore permits_{2};
  microdot::Event never_;
};

}  // namespace sim
