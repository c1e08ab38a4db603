#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/kernels/optimizers.h"
#include "wengert/optim/in_place.h"
#include "wengert/optim/optim.h"

#include <cmath>

namespace wengert::optim::detail {

using wengert::detail::Access;

void check(const AdamOptions& o, Where where) {
  if (!(o.lr >= 0) || std::isinf(o.lr)) fail<ValueError>(where, "adam: lr must be at least 0, got {}", o.lr);
  if (!(o.beta1 >= 0 && o.beta1 < 1)) fail<ValueError>(where, "adam: beta1 must be in [0, 1), got {}", o.beta1);
  if (!(o.beta2 >= 0 && o.beta2 < 1)) fail<ValueError>(where, "adam: beta2 must be in [0, 1), got {}", o.beta2);
  if (!(o.eps >= 0) || std::isinf(o.eps)) fail<ValueError>(where, "adam: eps must be at least 0, got {}", o.eps);
  if (!(o.weight_decay >= 0) || std::isinf(o.weight_decay))
    fail<ValueError>(where, "adam: weight_decay must be at least 0, got {}", o.weight_decay);
}

// Powers by pow in double: a running product in float would drift.
AdamUpdate::AdamUpdate(const AdamOptions& o, std::int64_t t, Where where)
    : options_(o),
      rate_(o.lr / (1 - std::pow(o.beta1, static_cast<double>(t)))),
      root_factor_(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(t)))),
      where_(where) {}

void AdamUpdate::run(Tensor& w, const Tensor& g, Tensor& m, Tensor& v, Tensor* v_max) {
  const Tensor slope = contiguous(g.detach());
  const AdamOptions& o = options_;
  const kernels::AdamStep step{o.beta1, o.beta2, o.eps, o.weight_decay, rate_, root_factor_, o.maximize};
  kernels::adam(w.dtype(), w.numel(), step, own(w, where_), Access::body(slope)->data, own(m, where_), own(v, where_),
                v_max ? own(*v_max, where_) : nullptr);
}

void AdamUpdate::operator()(std::size_t, Tensor& w, const Tensor& g, Tensor& m, Tensor& v) { run(w, g, m, v, nullptr); }
void AdamUpdate::operator()(std::size_t, Tensor& w, const Tensor& g, Tensor& m, Tensor& v, Tensor& v_max) {
  run(w, g, m, v, &v_max);
}

}  // namespace wengert::optim::detail
