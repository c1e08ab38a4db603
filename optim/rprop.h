#pragma once

#include "wengert/optim/step.h"

namespace wengert::optim {

namespace detail {

struct RpropStep {
  double eta_minus, eta_plus, min_step_size, max_step_size;

  template <class L>
  void operator()(L& w, L g, L& before, L& size) const {
    const L agree = g * before;
    const L factor = select(agree > L(0), L(eta_plus), select(agree < L(0), L(eta_minus), L(1)));
    size = min(max(size * factor, L(min_step_size)), L(max_step_size));
    const L d = select(agree < L(0), L(0), g);  // after a change of sign: no step, and g counts as 0
    w = w - select(d > L(0), size, select(d < L(0), -size, L(0)));
    before = d;
  }
};
WENGERT_API UpdateLoop update_loop(const RpropStep&, DType, int memory);

}  // namespace detail

struct RpropOptions {
  double lr = 1e-2;                        ///< initial step size; later changes have no effect
  double eta_minus = 0.5, eta_plus = 1.2;  ///< 0 < eta_minus < 1 < eta_plus
  double min_step_size = 1e-6, max_step_size = 50;
  bool maximize = false;

  static RpropOptions torch() { return {}; }

  using Step = detail::RpropStep;
  static constexpr std::string_view name = "rprop";
  void check(const detail::Check& c) const {
    c.above_0("lr", lr), c.above_0("eta_minus", eta_minus), c.above_0("eta_plus", eta_plus);
    c.above_0("min_step_size", min_step_size), c.above_0("max_step_size", max_step_size);
    c.that(eta_minus < 1 && eta_plus > 1, "eta_minus < 1 < eta_plus must hold");
    c.that(min_step_size <= max_step_size, "min_step_size <= max_step_size must hold");
  }
  detail::Common common() const { return {0, 1, maximize}; }
  Step at(std::int64_t) const { return {eta_minus, eta_plus, min_step_size, max_step_size}; }
};

/// Riedmiller & Braun 1993, in the form iRprop- (Igel & Huesken 2000): every element has its own step size, and only
/// the sign of its gradient counts:
///   same sign as in the last step: size *= eta_plus;   opposite sign: size *= eta_minus, g = 0;   w -= size sign(g).
/// For: whole batches only; the noise of small ones upsets the signs.
template <class Model>
class Rprop : public detail::FirstOrder<Rprop<Model>, Model, RpropOptions> {
  using Base = detail::FirstOrder<Rprop, Model, RpropOptions>;

 public:
  explicit Rprop(const Model& model, RpropOptions options = {}, Where where = Where::current())
      : Base(model, options, where), last(zeros_like(model)), size(detail::filled_like(model, options.lr)) {}

  Model last;  ///< gradient of the last step, 0 where its sign changed
  Model size;  ///< step sizes

  static auto members(auto& self) { return Base::stored(self, field("last", self.last), field("size", self.size)); }

 private:
  friend Base;
  void visit_state(const Model&, auto&& f) { f(last, size); }
};

}  // namespace wengert::optim
