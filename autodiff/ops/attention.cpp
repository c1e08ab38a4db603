// Attention as one node; as it is written it stands in normalization.cpp.

#include "wengert/autodiff/kernels/attention.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/rule.h"

#include <cmath>

namespace wengert {

using detail::Access;
using detail::CalledBy;
using detail::needs_float;

namespace {

using Three = std::array<Tensor, 3>;

bool rows_lie(const Tensor& x) { return x.shape().back() <= 1 || x.strides()[x.rank() - 1] == 1; }
// Off the tape, with rows of consecutive numbers.
Tensor in_rows(const Tensor& x) { return rows_lie(x) ? x.detach() : contiguous(x.detach()); }

// The last two axes as a matrix, those before as the batch.
kernels::Matrix matrix(const Tensor& x, const Shape& batch) {
  const int r = x.rank();
  kernels::Matrix m{Access::body(x)->data(), x.strides()[r - 2], x.strides()[r - 1], {}};
  const int before = batch.rank() - (r - 2);
  for (int i = 0; i < batch.rank(); ++i)
    m.batch.push_back(i < before || x.shape()[i - before] == 1 ? 0 : x.strides()[i - before]);
  if (x.shape().back() <= 1) m.column = 1;
  return m;
}
Shape batch_of(const Tensor& x) { return Shape(std::span(x.shape().begin(), static_cast<std::size_t>(x.rank() - 2))); }

kernels::Attention problem(const Three& x, const Tensor& mask, bool causal, const Tensor& weights, const Tensor& y) {
  kernels::Attention a;
  const auto& [q, k, v] = x;
  a.dtype = q.dtype(), a.m = q.size(-2), a.n = k.size(-2), a.size = q.size(-1), a.width = v.size(-1);
  a.batch = batch_of(q), a.scale = 1 / std::sqrt(double(a.size)), a.causal = causal;
  a.q = matrix(q, a.batch), a.k = matrix(k, a.batch), a.v = matrix(v, a.batch), a.y = matrix(y, a.batch);
  a.weights = Access::body(weights)->data();
  if (mask.defined()) {
    const bool numbers = mask.dtype() != boolean;
    Tensor m = mask.rank() < 2 ? expand(mask, {1, a.n}) : mask;
    const Shape s = m.shape();
    a.mask = matrix(m, a.batch), a.mask_numbers = numbers;
    if (s[s.rank() - 2] == 1) a.mask.row = 0;
    a.mask.column = s.back() == 1 ? 0 : m.strides()[m.rank() - 1];
  }
  return a;
}

Tensor run(const Three& x, const Tensor& mask, bool causal, Tensor& y) {
  Shape shape = batch_of(x[0]);
  shape.push_back(x[0].size(-2)), shape.push_back(x[1].size(-2));
  Tensor weights = empty(shape, y.dtype());
  if (weights.numel() && y.numel()) kernels::attention_forward(problem(x, mask, causal, weights, y));
  else if (y.numel()) y.assign(zeros(y.shape(), y.dtype()));
  return weights;
}

// Cotangents of q, k, v written where `to` has room.
void run_back(const Three& x, const Tensor& weights, const Tensor& y_bar, const Three& to) {
  kernels::Attention a = problem(x, Tensor(), false, weights, y_bar);
  if (to[0].defined()) a.q_bar = matrix(to[0], a.batch);
  if (to[1].defined()) a.k_bar = matrix(to[1], a.batch);
  if (to[2].defined()) a.v_bar = matrix(to[2], a.batch);
  if (weights.numel() && y_bar.numel()) return kernels::attention_backward(a);
  for (Tensor t : to)
    if (t.defined() && t.numel()) t.assign(zeros(t.shape(), t.dtype()));
}

// The same with operators. With s_bar = w (p_bar - sum(w p_bar)), p_bar = y_bar v^T:  v_bar = w^T y_bar,
// q_bar = s_bar k / sqrt(size),  k_bar = s_bar^T q / sqrt(size).
Three by_operators(const Three& x, const Tensor& mask, bool causal, const Tensor& y_bar) {
  const auto& [q, k, v] = x;
  const Tensor w = attention(q, k, v, {.mask = mask, .causal = causal}).weights, p_bar = matmul(y_bar, transpose(v));
  const Tensor s_bar =
      w * (p_bar - sum(w * p_bar, {.axes = {-1}, .keep_dims = true})) * (1 / std::sqrt(double(q.size(-1))));
  return {matmul(s_bar, k), matmul(transpose(s_bar), q), matmul(transpose(w), y_bar)};
}
Tensor tangent(const Three& x, const Tensor& mask, bool causal, const Three& x_dot) {
  const auto& [q, k, v] = x;
  const Tensor w = attention(q, k, v, {.mask = mask, .causal = causal}).weights;
  Tensor s_dot, y_dot;
  if (x_dot[0].defined()) s_dot = matmul(x_dot[0], transpose(k));
  if (x_dot[1].defined()) {
    const Tensor more = matmul(q, transpose(x_dot[1]));
    s_dot = s_dot.defined() ? s_dot + more : more;
  }
  if (s_dot.defined()) {
    s_dot = s_dot * (1 / std::sqrt(double(q.size(-1))));
    y_dot = matmul(w * (s_dot - sum(w * s_dot, {.axes = {-1}, .keep_dims = true})), v);
  }
  if (!x_dot[2].defined()) return y_dot;
  const Tensor more = matmul(w, x_dot[2]);
  return y_dot.defined() ? y_dot + more : more;
}

bool plain(const Three& x, const Tensor& y_bar) {
  return !x[0].tracked() && !x[1].tracked() && !x[2].tracked() && !y_bar.tracked();
}

}  // namespace

// y = softmax(q k^T / sqrt(size) + mask) v, keeping the weights.
struct Attend {
  static constexpr std::string_view name = "attend";
  bool causal = false;
  SavedConstant mask;
  Saved q, k, v;
  SavedConstant weights;
  void describe(detail::Attributes& a) const { a.add("causal", causal), a.add("mask", mask); }

  Tensor forward(const Tensor& query, const Tensor& key, const Tensor& value) {
    q = query, k = key, v = value;
    Shape shape = query.shape();
    shape[shape.rank() - 1] = value.size(-1);
    Tensor y = empty(shape, query.dtype());
    weights = run({in_rows(query), in_rows(key), in_rows(value)}, mask, causal, y);
    return y;
  }
  static double flops(const Tensor& y, const Tensor& query, const Tensor& key, const Tensor&) {
    return 2.0 * double(query.numel() + y.numel()) * double(key.size(-2));
  }
  Three vjp(const Tensor& y_bar, Wants wants) const {
    const Three x{q, k, v};
    if (!plain(x, y_bar)) return by_operators(x, mask, causal, y_bar);
    Three x_bar;
    for (int i = 0; i < 3; ++i)
      if (wants(i)) x_bar[std::size_t(i)] = empty(x[std::size_t(i)].shape(), y_bar.dtype());
    run_back({in_rows(q), in_rows(k), in_rows(v)}, weights, in_rows(y_bar), x_bar);
    return x_bar;
  }
  Tensor jvp(std::span<const Tensor> x_dot) const {
    return tangent({q, k, v}, mask, causal, {x_dot[0], x_dot[1], x_dot[2]});
  }
};

// The same within one projection, whose cotangent is written as it lies.
struct SelfAttend {
  static constexpr std::string_view name = "self_attend";
  std::int64_t heads = 1;
  bool causal = false;
  SavedConstant mask;
  Saved projected;
  SavedConstant weights;
  void describe(detail::Attributes& a) const {
    a.add("heads", double(heads)), a.add("causal", causal), a.add("mask", mask);
  }

  // x [.., m, parts size] as views [.., heads, m, each].
  template <std::size_t parts>
  std::array<Tensor, parts> split(const Tensor& x) const {
    const int r = x.rank();
    const std::int64_t size = x.shape()[r - 1] / std::int64_t(parts);
    Shape shape = x.shape();
    shape[r - 1] = heads;
    std::array<Tensor, parts> all;
    for (std::size_t i = 0; i < parts; ++i) {
      const Tensor part = parts == 1 ? x : narrow(x, -1, std::int64_t(i) * size, size);
      Shape cut = shape;
      if (r < max_rank) cut.push_back(size / heads);
      all[i] = transpose(divided(part, cut), -3, -2);
    }
    return all;
  }
  // The last axis as two. reshape would copy a part of longer rows.
  static Tensor divided(const Tensor& x, const Shape& shape) {
    if (x.tracked() || x.strides()[x.rank() - 1] != 1) return reshape(x, shape);
    Shape strides = x.strides();
    strides[x.rank() - 1] = shape.back(), strides.push_back(1);
    return Access::make(detail::new_view(*Access::body(x), shape, strides, 0));
  }
  static Tensor joined(const Three& x, const Shape& shape) {
    std::vector<Tensor> all;
    for (const Tensor& t : x) {
      Shape wide = shape;
      wide[wide.rank() - 1] /= 3;
      all.push_back(reshape(transpose(t, -3, -2), wide));
    }
    return cat(all, -1);
  }

  Tensor forward(const Tensor& x) {
    projected = x;
    Shape shape = x.shape();
    shape[shape.rank() - 1] /= 3;
    Tensor y = empty(shape, x.dtype()), y_heads = split<1>(y)[0];
    weights = run(split<3>(contiguous(x.detach())), mask, causal, y_heads);
    return y;
  }
  static double flops(const Tensor& y, const Tensor&) { return 4.0 * double(y.numel()) * double(y.size(-2)); }
  Tensor vjp(arg<0>, const Tensor& y_bar) const {
    const Tensor& x = projected;
    if (x.tracked() || y_bar.tracked())
      return joined(by_operators(split<3>(x), mask, causal, split<1>(y_bar)[0]), x.shape());
    Tensor x_bar = empty(x.shape(), x.dtype());
    run_back(split<3>(contiguous(x)), weights, split<1>(contiguous(y_bar))[0], split<3>(x_bar));
    return x_bar;
  }
  Tensor jvp(arg<0>, const Tensor& x_dot) const {
    const Tensor y_dot = tangent(split<3>(projected), mask, causal, split<3>(x_dot));
    return reshape(transpose(y_dot, -3, -2), detail::result_shape());
  }
};

namespace {

void check_mask(std::string_view op, Operand x, const Tensor& mask, const Shape& scores) {
  if (!mask.defined()) return;
  if (mask.dtype() != boolean && mask.dtype() != x->dtype())
    fail<TypeError>(x.where(), "{}: mask must be bool or {}, got {}", op, x->dtype(), mask.dtype());
  bool fits = mask.rank() <= scores.rank();
  for (int i = 1; fits && i <= mask.rank(); ++i) {
    const std::int64_t s = mask.shape()[mask.rank() - i];
    fits = s == 1 || s == scores[scores.rank() - i];
  }
  if (!fits) fail<ShapeError>(x.where(), "{}: mask {} does not broadcast to {}", op, mask.shape(), scores);
}

}  // namespace

Tensor attend(Operand query, Operand key, Operand value, const AttentionOptions& options) {
  const CalledBy by(query);
  needs_float("attend", query);
  const int r = query->rank();
  bool fits = r >= 2 && key->rank() == r && value->rank() == r && key->shape().back() == query->shape().back() &&
              key->size(-2) == value->size(-2);
  for (int i = 0; fits && i < r - 2; ++i)
    fits = query->shape()[i] == key->shape()[i] && query->shape()[i] == value->shape()[i];
  if (!fits)
    fail<ShapeError>(query.where(),
                     "attend: needs query [.., m, size], key [.., n, size], value [.., n, width], got {}, {} and {}",
                     query->shape(), key->shape(), value->shape());
  if (key->dtype() != query->dtype() || value->dtype() != query->dtype())
    fail<TypeError>(query.where(), "attend: dtypes differ: {}, {} and {}; convert with to()", query->dtype(),
                    key->dtype(), value->dtype());
  Shape scores = query->shape();
  scores[r - 1] = key->size(-2);
  check_mask("attend", query, options.mask, scores);
  if (options.mask.tracked()) return attention(query, key, value, options).output;
  Attend rule{options.causal, {}, {}, {}, {}, {}};
  rule.mask = options.mask;
  return apply(std::move(rule), query, key, value);
}

Tensor self_attend(Operand projected, std::int64_t heads, const AttentionOptions& options) {
  needs_float("self_attend", projected);
  const int r = projected->rank();
  if (r < 2 || r >= max_rank || heads < 1 || projected->shape().back() % (3 * heads))
    fail<ShapeError>(projected.where(), "self_attend: needs [.., m, 3 size] with a size that {} heads divide, got {}",
                     heads, projected->shape());
  Shape scores = projected->shape();
  scores[r - 1] = scores[r - 2], scores.insert(r - 2, heads);
  check_mask("self_attend", projected, options.mask, scores);
  if (options.mask.tracked()) {
    const CalledBy by(projected);
    const SelfAttend s{heads, options.causal, {}, {}, {}};
    const auto [q, k, v] = s.split<3>(projected);
    Shape shape = projected->shape();
    shape[r - 1] /= 3;
    return reshape(by(transpose(by(attention(by(q), by(k), by(v), options).output), -3, -2)), shape);
  }
  SelfAttend rule{heads, options.causal, {}, {}, {}};
  rule.mask = options.mask;
  return apply(std::move(rule), projected);
}

}  // namespace wengert
