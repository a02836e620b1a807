#pragma once
/// The tiers of degradation: up at once, down only after a while of calm, so that they don't flicker.

#include <microdot/stats.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

class Tiers {
 public:
  static constexpr Duration kCalm = std::chrono::seconds(1);

  Tier tier() const noexcept { return tier_; }
  /// What the state of things calls for now. True if the tier has changed.
  bool update(Tier wanted, TimePoint now) noexcept {
    if (wanted >= tier_) {
      calm_since_ = now;
      below_ = Tier::normal;
      if (wanted == tier_) return false;
      tier_ = wanted;
      return true;
    }
    if (wanted > below_) below_ = wanted;
    if (now - calm_since_ < kCalm) return false;
    tier_ = below_;  // the highest that was called for meanwhile
    calm_since_ = now;
    below_ = Tier::normal;
    return true;
  }

 private:
  Tier tier_ = Tier::normal;
  Tier below_ = Tier::normal;
  TimePoint calm_since_{};
};

}  // namespace microdot::inline MICRODOT_ABI::detail
