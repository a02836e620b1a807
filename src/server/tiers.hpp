#pragma once
/// The tiers of degradation: up at once, down only after a while of calm, so that they don't flicker.

#include <utility>

#include <microdot/base/shared.hpp>
#include <microdot/stats.hpp>

namespace microdot::inline MICRODOT_ABI::detail {

class Tiers {
 public:
  static constexpr Duration kCalm = std::chrono::seconds(1);

  /// May be asked for by other workers.
  Tier tier() const noexcept { return load_shared(tier_); }
  /// What the state of things calls for now. True if the tier has changed.
  bool update(Tier wanted, TimePoint now) noexcept {
    if (wanted >= tier_) {
      calm_ = false;
      if (wanted == tier_) return false;
      store_shared(tier_, wanted);
      return true;
    }
    if (!calm_ || wanted > below_) below_ = wanted;
    if (!std::exchange(calm_, true)) calm_since_ = now;
    if (now - calm_since_ < kCalm) return false;
    store_shared(tier_, below_);  // the highest that was called for meanwhile
    calm_ = false;
    return true;
  }

 private:
  Tier tier_ = Tier::normal;
  Tier below_ = Tier::normal;  // while calm: the highest that was called for
  bool calm_ = false;          // a lower tier would do
  TimePoint calm_since_{};
};

}  // namespace microdot::inline MICRODOT_ABI::detail
