#include "wengert/nn/compression.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/checked.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace wengert::nn {

double pruning_schedule(std::int64_t step, PruningSchedule s, Where where) {
  if (s.begin >= s.end || !(s.first >= 0 && s.first <= 1) || !(s.last >= 0 && s.last <= 1))
    fail<ValueError>(where, "pruning_schedule: begin < end and shares in [0, 1] must hold, got {}, {}, {}, {}", s.begin,
                     s.end, s.first, s.last);
  const double t = std::clamp(static_cast<double>(step - s.begin) / static_cast<double>(s.end - s.begin), 0., 1.);
  return s.last + (s.first - s.last) * std::pow(1 - t, 3);
}

namespace tools {
namespace {

template <class F>
void as_numbers(const Tensor& t, F&& f) {
  if (t.dtype() == float32) f(float());
  else f(double());
}

// |w|, or -1 for weights that are already pruned.
void append_sizes(std::vector<double>& to, const Tensor& w, const Tensor& mask, Where where) {
  const Tensor x = contiguous(w);
  as_numbers(x, [&]<class T>(T) {
    const auto numbers = x.read<T>(), m = mask.read<T>();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (!std::isfinite(numbers[i])) fail<ValueError>(where, "prune: a weight is {}, and has no size", numbers[i]);
      to.push_back(m[i] == 0 ? -1. : std::abs(static_cast<double>(numbers[i])));
    }
  });
}

void prune_together(std::span<Tensor> weights, std::span<Tensor> masks, double share, Where where) {
  std::vector<double> sizes;
  for (std::size_t k = 0; k < weights.size(); ++k) append_sizes(sizes, weights[k], masks[k], where);
  const auto n = static_cast<std::ptrdiff_t>(std::llround(share * static_cast<double>(sizes.size())));
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::nth_element(order.begin(), order.begin() + n, order.end(),
                   [&](auto a, auto b) { return sizes[a] != sizes[b] ? sizes[a] < sizes[b] : a < b; });
  std::vector<bool> gone(sizes.size());
  std::for_each(order.begin(), order.begin() + n, [&](auto i) { gone[i] = true; });
  std::size_t at = 0;
  for (Tensor& mask : masks)
    as_numbers(mask, [&]<class T>(T) {
      for (T& m : mask.write<T>()) {
        if (gone[at++]) m = 0;
      }
    });
}

}  // namespace

void prune_smallest(std::vector<Tensor> weights, std::vector<Tensor> masks, double share, bool global, Where where) {
  if (!(share >= 0 && share <= 1)) fail<ValueError>(where, "prune: the share must be in [0, 1], got {}", share);
  if (global) return prune_together(weights, masks, share, where);
  for (std::size_t k = 0; k < weights.size(); ++k) prune_together({&weights[k], 1}, {&masks[k], 1}, share, where);
}

void mask_in_place(Tensor& weight, const Tensor& mask, Where where) {
  as_numbers(mask, [&]<class T>(T) {
    const auto m = mask.read<T>(where);
    const auto w = weight.write<T>(where);
    for (std::size_t i = 0; i < w.size(); ++i)
      if (m[i] == 0) w[i] = 0;
  });
}

std::int64_t count_ones(const std::vector<Tensor>& masks) {
  std::int64_t n = 0;
  for (auto& mask : masks) as_numbers(mask, [&]<class T>(T) { n += std::ranges::count(mask.read<T>(), T(1)); });
  return n;
}

}  // namespace tools

Tensor LowRankLinear::operator()(Operand x) const {
  const At at(x.where());
  return second(first(x));
}

LowRankLinear low_rank(const Linear& layer, LowRankOptions o, Where where) {
  const no_grad values;
  const Tensor& weight = layer.weight;
  const std::int64_t out = weight.size(0), in = weight.size(1), most = std::min(in, out);
  if (o.rank < 0 || o.rank > most || !(o.energy > 0 && o.energy <= 1))
    fail<ValueError>(where, "low_rank: rank must be in [0, {}] and energy in (0, 1], got {} and {}", most, o.rank,
                     o.energy);
  const SVD f = svd(Operand(to(weight.detach(), float64), where));
  const auto s = f.s.to_vector<double>();
  std::int64_t rank = o.rank;
  if (rank == 0) {
    const double all = std::inner_product(s.begin(), s.end(), s.begin(), 0.);
    for (double kept = 0; rank < most && (rank == 0 || kept < o.energy * all); ++rank)
      kept += s[static_cast<std::size_t>(rank)] * s[static_cast<std::size_t>(rank)];
  }
  const Tensor root = sqrt(narrow(f.s, 0, 0, rank));
  Rng rng;  // its values are overwritten below
  LowRankLinear thin{Linear(in, rank, rng, {.bias = false, .dtype = weight.dtype()}, where),
                     Linear(rank, out, rng, {.bias = layer.bias.defined(), .dtype = weight.dtype()}, where)};
  thin.first.weight.assign(to(reshape(root, {rank, 1}) * narrow(f.vt, 0, 0, rank), weight.dtype()));
  thin.second.weight.assign(to(narrow(f.u, 1, 0, rank) * root, weight.dtype()));
  if (layer.bias.defined()) thin.second.bias.assign(layer.bias.detach());
  return thin;
}

namespace {

using Factors = std::array<Tensor, 4>;  // [out, r], [in, r], [height, r], [width, r]

Tensor product_of(const Factors& f) { return einsum("or,cr,hr,wr->ochw", {f[0], f[1], f[2], f[3]}); }

// The least squares solution for one factor with the other factors fixed.
void improve(Factors& f, const Tensor& kernel, std::size_t mode) {
  static constexpr const char* formulas[] = {"ochw,cr,hr,wr->or", "ochw,or,hr,wr->cr", "ochw,or,cr,wr->hr",
                                             "ochw,or,cr,hr->wr"};
  const std::int64_t rank = f[0].size(1);
  Tensor gram = ones({rank, rank}, float64);
  std::vector<Tensor> operands{kernel};
  for (std::size_t k = 0; k < 4; ++k) {
    if (k == mode) continue;
    gram = gram * matmul(transpose(f[k]), f[k]);
    operands.push_back(f[k]);
  }
  // Nearly parallel columns make the matrix singular; a small multiple of the identity keeps the solution finite.
  const double little = 1e-10 * sum(gram * eye(rank, float64)).item() / static_cast<double>(rank) + 1e-300;
  f[mode] = transpose(solve(gram + little * eye(rank, float64), transpose(einsum(formulas[mode], operands))));
}

// Gives each column the same length in all four factors, so that training changes them alike.
void balance(Factors& f) {
  Tensor all = ones({f[0].size(1)}, float64);
  std::array<Tensor, 4> lengths;
  for (std::size_t k = 0; k < 4; ++k) {
    lengths[k] = sqrt(sum(square(f[k]), {0})) + 1e-300;
    all = all * lengths[k];
  }
  for (std::size_t k = 0; k < 4; ++k) f[k] = f[k] / lengths[k] * sqrt(sqrt(all));
}

}  // namespace

CpConv2d cp_decompose(const Tensor& weight, const Tensor& bias, const ConvOptions& options, CpOptions o, Where where) {
  const no_grad values;
  at_least_one("cp_decompose", "rank", o.rank, where), at_least_one("cp_decompose", "max_sweeps", o.max_sweeps, where);
  if (weight.rank() != 4 || options.groups != 1)
    fail<ShapeError>(where, "cp_decompose: needs a kernel [out, in, height, width] with one group, got {} with {}",
                     weight.shape(), options.groups);
  const Tensor kernel = to(weight.detach(), float64);
  const double size = std::sqrt(sum(square(kernel)).item());
  Rng rng{o.seed};
  Factors f;
  for (std::size_t k = 0; k < 4; ++k) f[k] = rng.normal({kernel.size(static_cast<int>(k)), o.rank}, 0, 1, float64);
  double error = 1;
  for (std::int64_t sweep = 0; sweep < o.max_sweeps; ++sweep) {
    for (std::size_t mode = 0; mode < 4; ++mode) improve(f, kernel, mode);
    const double before = error;
    error = size > 0 ? std::sqrt(sum(square(product_of(f) - kernel)).item()) / size : 0;
    if (sweep > 0 && std::abs(before - error) < 1e-7) break;
  }
  balance(f);
  const auto as = [&](const Tensor& t, const Shape& shape) {
    return Param(reshape(contiguous(to(t, weight.dtype())), shape), where);
  };
  const std::int64_t r = o.rank;
  return {.in = as(transpose(f[1]), {r, weight.size(1), 1, 1}),
          .vertical = as(transpose(f[2]), {r, 1, weight.size(2), 1}),
          .horizontal = as(transpose(f[3]), {r, 1, 1, weight.size(3)}),
          .out = as(f[0], {weight.size(0), r, 1, 1}),
          .bias = bias.defined() ? Param(clone(bias.detach()), where) : Param(),
          .options = options,
          .error = error};
}

Tensor CpConv2d::operator()(Operand x) const {
  const At at(x.where());
  // The options of the convolution apply along one axis only.
  const auto axis = [](const Shape& s, int i) { return s[s.rank() == 1 ? 0 : i]; };
  const auto thin = [&](int i) {
    const auto pair = [&](std::int64_t n, std::int64_t none) { return i == 0 ? Shape{n, none} : Shape{none, n}; };
    return ConvOptions{.stride = pair(axis(options.stride, i), 1),
                       .padding = pair(axis(options.padding, i), 0),
                       .dilation = pair(axis(options.dilation, i), 1),
                       .groups = in.size(0)};
  };
  const Tensor none;
  return conv(conv(conv(conv(x, in, none), vertical, none, thin(0)), horizontal, none, thin(1)), out, bias);
}

Tensor CpConv2d::kernel() const {
  const std::int64_t r = in.size(0);
  return einsum("or,rc,rh,rw->ochw",
                {reshape(out, {out.size(0), r}), reshape(in, {r, in.size(1)}), reshape(vertical, {r, vertical.size(2)}),
                 reshape(horizontal, {r, horizontal.size(3)})});
}

}  // namespace wengert::nn
