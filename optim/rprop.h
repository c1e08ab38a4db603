#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct RpropStep {
  double shrink, grow, smallest, largest;

  template <class L>
  void operator()(L& w, L g, L& before, L& size) const {
    const L agree = g * before;
    const L factor = select(agree > L(0), L(grow), select(agree < L(0), L(shrink), L(1)));
    size = min(max(size * factor, L(smallest)), L(largest));
    const L d = select(agree < L(0), L(0), g);  // after a change of sign: stay, and forget
    w = w - select(d > L(0), size, select(d < L(0), -size, L(0)));
    before = d;
  }
};
WENGERT_API UpdateLoop update_loop(const RpropStep&, DType, int memory);

}  // namespace detail

struct RpropOptions {
  double lr = 1e-2;                      ///< the first size of every step; later changes of it have no effect
  double shrink = 0.5, grow = 1.2;       ///< 0 < shrink < 1 < grow
  double smallest = 1e-6, largest = 50;  ///< sizes
  bool maximize = false;

  static RpropOptions torch() { return {}; }

  using Step = detail::RpropStep;
  static constexpr std::string_view name = "rprop";
  void check(const detail::Check& c) const {
    c.above_0("lr", lr), c.above_0("shrink", shrink), c.above_0("grow", grow);
    c.above_0("smallest", smallest), c.above_0("largest", largest);
    c.that(shrink < 1 && grow > 1, "shrink must be below 1 and grow above");
    c.that(smallest <= largest, "smallest must not be above largest");
  }
  detail::Common common() const { return {0, 1, maximize}; }
  Step at(std::int64_t) const { return {shrink, grow, smallest, largest}; }
};

/// Riedmiller & Braun 1993, in the form iRprop- (Igel & Huesken 2000): every number has a step size of its own, and
/// only the sign of its gradient counts:
///   the sign is that of the step before: size *= grow;   it changed: size *= shrink, g = 0;   w -= size sign(g).
/// For: whole batches only; the noise of small ones upsets the signs.
template <class Model>
class Rprop : public detail::FirstOrder<Rprop<Model>, Model, RpropOptions> {
  using Base = detail::FirstOrder<Rprop, Model, RpropOptions>;

 public:
  explicit Rprop(const Model& model, RpropOptions options = {}, Where where = Where::current())
      : Base(model, options, where), last(zeros_like(model)), size(detail::filled_like(model, options.lr)) {}

  Model last;  ///< the gradient of the step before, 0 where its sign had changed
  Model size;  ///< of the steps

  static auto members(auto& self) { return Base::kept(self, field("last", self.last), field("size", self.size)); }

 private:
  friend Base;
  void remembered(const Model&, auto&& f) { f(last, size); }
};

}  // namespace wengert::optim
