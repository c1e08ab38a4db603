#include "wengert/autodiff/fail.h"
#include "wengert/autodiff/kernels/optimizers.h"
#include "wengert/optim/in_place.h"
#include "wengert/optim/optim.h"

#include <cmath>

namespace wengert::optim::detail {

using wengert::detail::Access;

void check(const SgdOptions& o, Where where) {
  if (!(o.lr >= 0) || std::isinf(o.lr)) fail<ValueError>(where, "sgd: lr must be at least 0, got {}", o.lr);
  if (!(o.momentum >= 0 && o.momentum < 1))
    fail<ValueError>(where, "sgd: momentum must be in [0, 1), got {}", o.momentum);
  if (!std::isfinite(o.dampening)) fail<ValueError>(where, "sgd: dampening must be a number, got {}", o.dampening);
  if (!(o.weight_decay >= 0) || std::isinf(o.weight_decay))
    fail<ValueError>(where, "sgd: weight_decay must be at least 0, got {}", o.weight_decay);
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0))
    fail<ValueError>(where, "sgd: nesterov needs momentum > 0 and dampening = 0, got momentum {} and dampening {}",
                     o.momentum, o.dampening);
}

SgdUpdate::SgdUpdate(const SgdOptions& options, std::vector<bool>& moving, Where where)
    : options_(options), moving_(moving), where_(where) {}

namespace {

void run(const SgdOptions& o, bool first, Tensor& w, const Tensor& g, Tensor* velocity, Where where) {
  const Tensor slope = contiguous(g.detach());
  const kernels::SgdStep step{o.lr, o.momentum, o.dampening, o.weight_decay, o.nesterov, o.maximize, first};
  void* b = velocity ? own(*velocity, where) : nullptr;
  kernels::sgd(w.dtype(), w.numel(), step, own(w, where), Access::body(slope)->data, b);
}

}  // namespace

void SgdUpdate::operator()(std::size_t, Tensor& w, const Tensor& g) { run(options_, true, w, g, nullptr, where_); }

void SgdUpdate::operator()(std::size_t index, Tensor& w, const Tensor& g, Tensor& velocity) {
  if (moving_.size() <= index) moving_.resize(index + 1);
  run(options_, !moving_[index], w, g, &velocity, where_);
  moving_[index] = true;
}

}  // namespace wengert::optim::detail
