// Networks that hand a state from step to step, a whole sequence at a time.

#include "wengert/autodiff/kernels/recurrent.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/axes.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"

#include <string>

namespace wengert {

using detail::Access;
using detail::needs_float;

using kernels::Cell;

namespace {

// x, first h, first c, W, U, and their biases; what is not there is undefined.
constexpr std::size_t operand_count = 7;
using Operands = std::array<Tensor, operand_count>;
template <Cell cell>
using States = std::array<Tensor, cell == Cell::lstm ? 3 : 2>;  // output, last h, last c

void* numbers(const Tensor& t) { return t.defined() ? Access::body(t)->data() : nullptr; }
Tensor packed(const Tensor& t) { return t.defined() ? contiguous(t.detach()) : t; }
Tensor or_zeros(const Tensor& t, const Shape& shape, DType dtype) { return t.defined() ? t : zeros(shape, dtype); }

// The formula, step by step, with operators: what derivatives of derivatives are taken of.
template <Cell cell>
States<cell> by_steps(const Operands& a, const RecurrentOptions& o) {
  const auto& [x, first_h, first_c, w, u, b, bu] = a;
  const std::int64_t steps = x.size(0), n = x.size(1), hidden = u.size(1);
  Tensor h = or_zeros(first_h, {n, hidden}, x.dtype()), c = or_zeros(first_c, {n, hidden}, x.dtype());
  const Tensor inputs = linear(x, w, b), nothing = scalar(0, x.dtype());
  const Tensor runs =
      o.lengths.defined() ? unsqueeze(less(reshape(arange(steps), {steps, 1}), o.lengths), 2) : Tensor();
  std::vector<Tensor> output(static_cast<std::size_t>(steps));
  for (std::int64_t k = 0; k < steps; ++k) {
    const std::int64_t t = o.reverse ? steps - 1 - k : k;
    const Tensor input = select(inputs, 0, t), product = linear(h, u, bu);
    const auto gate = [&](const Tensor& of, int i) { return narrow(of, 1, i * hidden, hidden); };
    Tensor next_h, next_c = c;
    if constexpr (cell == Cell::lstm) {
      const Tensor s = input + product;
      next_c = sigmoid(gate(s, 1)) * c + sigmoid(gate(s, 0)) * tanh(gate(s, 2));
      next_h = sigmoid(gate(s, 3)) * tanh(next_c);
    } else if constexpr (cell == Cell::gru) {
      const Tensor r = sigmoid(gate(input, 0) + gate(product, 0)), z = sigmoid(gate(input, 1) + gate(product, 1));
      next_h = (1 - z) * tanh(gate(input, 2) + r * gate(product, 2)) + z * h;
    } else {
      next_h = cell == Cell::relu ? relu(input + product) : tanh(input + product);
    }
    const Tensor now = runs.defined() ? select(runs, 0, t) : runs;
    output[static_cast<std::size_t>(t)] = now.defined() ? where(now, next_h, nothing) : next_h;
    h = now.defined() ? where(now, next_h, h) : next_h;
    c = now.defined() ? where(now, next_c, c) : next_c;
  }
  const Tensor y = steps ? stack(output) : zeros({0, n, hidden}, x.dtype());
  if constexpr (cell == Cell::lstm) return {y, h, c};
  else return {y, h};
}

}  // namespace

// States from W x + b (one product for all steps) and U h (one for each). Kept are the gates, and for lstm c and
// tanh(c), for gru U_n h + u. The way back runs through the steps once and leaves the cotangents of W x + b; the
// weights' are products of those, for all steps at once. What is differentiated again is by_steps.
template <Cell cell>
struct RecurrentRule {
  static constexpr std::string_view name = cell == Cell::lstm ? "lstm" : cell == Cell::gru ? "gru" : "rnn";
  RecurrentOptions options;
  std::array<Saved, operand_count> operand = {};
  Saved output;
  SavedConstant gates, kept, cells, states;
  void describe(detail::Attributes& a) const {
    a.add("reverse", options.reverse), a.add("relu", cell == Cell::relu), a.add("lengths", options.lengths);
  }

  kernels::Recurrent problem(const Tensor& x, const Tensor& u) const {
    kernels::Recurrent r;
    r.dtype = x.dtype(), r.cell = cell, r.reverse = options.reverse;
    r.steps = x.shape()[0], r.n = x.shape()[1], r.hidden = u.shape()[1];
    r.lengths = static_cast<const std::int64_t*>(numbers(options.lengths));
    r.weight = numbers(u);
    return r;
  }

  template <class... X>
  States<cell> forward(const X&... all) {
    const Operands a{all.detach()...};
    std::size_t i = 0;
    ((all.defined() ? void(operand[i] = all) : void(), ++i), ...);
    const auto& [x, first_h, first_c, w, u, b, bu] = a;
    const std::int64_t steps = x.shape()[0], n = x.shape()[1], hidden = u.shape()[1];
    constexpr bool apart = cell == Cell::gru;  // u is part of the product that r scales
    Tensor input = linear(x, w, apart || !bu.defined() ? b : b.defined() ? b + bu : bu);
    const Shape each{steps, n, hidden};
    Tensor y = empty(each, x.dtype()), h = options.lengths.defined() ? empty(each, x.dtype()) : y, c, more;
    if (cell == Cell::lstm || cell == Cell::gru) more = empty(each, x.dtype());
    if (cell == Cell::lstm) c = empty(each, x.dtype());
    const Tensor weight = packed(u), bias = apart ? packed(bu) : Tensor(), h0 = packed(first_h), c0 = packed(first_c);
    kernels::Recurrent r = problem(x, weight);
    r.bias = numbers(bias), r.first_h = numbers(h0), r.first_c = numbers(c0);
    r.gates = numbers(input), r.kept = numbers(more), r.cells = numbers(c), r.states = numbers(h);
    r.output = numbers(y);
    if (y.numel()) kernels::recurrent_forward(r);
    const auto last = [&](const Tensor& of, const Tensor& first) {
      return clone(steps ? select(of, 0, options.reverse ? 0 : steps - 1) : or_zeros(first, {n, hidden}, x.dtype()));
    };
    output = y, gates = input, states = h;
    if (more.defined()) kept = more;
    if constexpr (cell == Cell::lstm) {
      cells = c;
      return {y, last(h, first_h), last(c, first_c)};
    } else {
      return {y, last(h, first_h)};
    }
  }
  template <class... X>
  static double flops(const States<cell>& y, const Tensor& x, const Tensor&, const Tensor&, const Tensor& w,
                      const X&...) {
    const Shape& s = y[0].shape();
    return 2.0 * double(s[0] * s[1]) * double(w.shape()[0]) * double(x.shape()[2] + s[2]);
  }

  std::array<Tensor, operand_count> vjp(const States<cell>& y_bar, Wants wants) const {
    const Operands a = operands();
    bool plain = true;
    for (const Tensor& t : a) plain = plain && !t.tracked();
    for (const Tensor& t : y_bar) plain = plain && !t.tracked();
    return plain ? fused(a, y_bar, wants) : through_steps(a, y_bar, wants);
  }

  States<cell> jvp(std::span<const Tensor> x_dot) const {
    const Operands a = operands();
    bool again = false;
    std::vector<Tensor> from, tangents;
    Operands z = a;
    for (std::size_t i = 0; i < operand_count; ++i) {
      again = again || a[i].tracked() || x_dot[i].tracked();
      if (!x_dot[i].defined()) continue;
      z[i] = variable(a[i]);
      from.push_back(z[i]), tangents.push_back(x_dot[i]);
    }
    const States<cell> y = by_steps<cell>(z, options);
    const auto y_dot = push_forward(y, from, tangents, again, place());
    States<cell> result;
    for (std::size_t k = 0; k < y.size(); ++k) result[k] = y_dot[k];
    return result;
  }

 private:
  static Where place() { return detail::thread_state().context.rule->node->where; }
  Operands operands() const {
    Operands a;
    for (std::size_t i = 0; i < operand_count; ++i)
      if (operand[i].kept()) a[i] = operand[i].get();
    return a;
  }
  // A node of its own for each operand, since one tensor may stand for two of them.
  static Tensor variable(const Tensor& x) { return x.tracked() ? affine(x, 1, 0) : x.track(); }

  std::array<Tensor, operand_count> through_steps(const Operands& a, const States<cell>& y_bar, Wants wants) const {
    Operands z = a, x_bar;
    std::array<const Tensor*, operand_count> from;
    std::array<Tensor, operand_count> found;
    std::size_t count = 0;
    for (std::size_t i = 0; i < operand_count; ++i)
      if (wants(int(i))) z[i] = variable(a[i]), from[count++] = &z[i];
    const States<cell> y = by_steps<cell>(z, options);
    detail::pull_back(y, y_bar, {from.data(), count}, {found.data(), count}, {.create_graph = true}, place());
    count = 0;
    for (std::size_t i = 0; i < operand_count; ++i)
      if (wants(int(i))) x_bar[i] = found[count++];
    return x_bar;
  }

  std::array<Tensor, operand_count> fused(const Operands& a, const States<cell>& y_bar, Wants wants) const {
    const auto& [x, first_h, first_c, w, u, b, bu] = a;
    const Tensor weight = packed(u), h0 = packed(first_h), c0 = packed(first_c), out_bar = packed(y_bar[0]);
    const Shape& shape = gates->shape();
    Tensor h_bar = clone(y_bar[1]), c_bar, input_bar = empty(shape, x.dtype()), product_bar = input_bar;
    if constexpr (cell == Cell::lstm) c_bar = clone(y_bar[2]);
    if constexpr (cell == Cell::gru) product_bar = empty(shape, x.dtype());
    kernels::Recurrent r = problem(x, weight);
    r.first_h = numbers(h0), r.first_c = numbers(c0);
    r.gates = numbers(gates), r.kept = numbers(kept), r.cells = numbers(cells), r.states = numbers(states);
    (void)output.get();  // was it changed in place?
    r.output_bar = numbers(out_bar), r.h_bar = numbers(h_bar), r.c_bar = numbers(c_bar);
    r.gates_bar = numbers(input_bar), r.product_bar = cell == Cell::gru ? numbers(product_bar) : nullptr;
    if (out_bar.numel()) kernels::recurrent_backward(r);

    const std::int64_t rows = r.steps * r.n, wide = shape[2];
    const Tensor flat = reshape(input_bar, {rows, wide}), flat_product = reshape(product_bar, {rows, wide});
    std::array<Tensor, operand_count> x_bar;
    if (wants(0)) x_bar[0] = matmul(input_bar, w);
    if (wants(1)) x_bar[1] = h_bar;
    if (wants(2)) x_bar[2] = c_bar;
    if (wants(3)) x_bar[3] = matmul(transpose(flat), reshape(x, {rows, x.shape()[2]}));
    if (wants(4)) x_bar[4] = weight_bar(flat_product, h0, r.n);
    if (wants(5)) x_bar[5] = sum(flat, {0});
    if (wants(6)) x_bar[6] = cell != Cell::gru && x_bar[5].defined() ? x_bar[5] : sum(flat_product, {0});
    return x_bar;
  }
  // The cotangent of U: those of the products with the states before them.
  Tensor weight_bar(const Tensor& product_bar, const Tensor& h0, std::int64_t n) const {
    const std::int64_t rows = product_bar.shape()[0], hidden = states->shape()[2];
    const std::int64_t rest = std::max<std::int64_t>(0, rows - n), first = options.reverse ? rest : 0;
    const Tensor before = narrow(reshape(states, {rows, hidden}), 0, rest ? n - (options.reverse ? 0 : n) : 0, rest);
    const Tensor u_bar = matmul(transpose(narrow(product_bar, 0, options.reverse ? 0 : rows - rest, rest)), before);
    if (!h0.defined() || rows == 0) return u_bar;
    return u_bar + matmul(transpose(narrow(product_bar, 0, first, rows - rest)), h0);
  }
};

namespace {

void needs(const char* op, const char* what, Operand x, const Shape& shape, Operand input) {
  if (!x->defined()) return;
  if (!(x->shape() == shape))
    fail<ShapeError>(input.where(), "{}: {} must be {} for x {}, got {}", op, what, shape, input->shape(), x->shape());
  if (x->dtype() != input->dtype())
    fail<TypeError>(input.where(), "{}: dtypes differ: x {}, {} {}; convert with to()", op, input->dtype(), what,
                    x->dtype());
}

void check_lengths(const char* op, Operand x, const Tensor& lengths) {
  if (!lengths.defined()) return;
  if (lengths.dtype() != int64) fail<TypeError>(x.where(), "{}: lengths must be int64, got {}", op, lengths.dtype());
  if (!(lengths.shape() == Shape{x->shape()[1]}))
    fail<ShapeError>(x.where(), "{}: x {} needs lengths [{}], one for each sequence, got {}", op, x->shape(),
                     x->shape()[1], lengths.shape());
  const auto* at = detail::data<std::int64_t>(lengths);
  for (std::int64_t i = 0; i < lengths.numel(); ++i)
    if (at[i] < 0 || at[i] > x->shape()[0])
      fail<ValueError>(x.where(), "{}: length {} of sequence {} is not in 0..{}, the steps of x {}", op, at[i], i,
                       x->shape()[0], x->shape());
}

template <Cell cell>
Recurrent run(Operand x, Operand h, Operand c, Operand w, Operand u, Operand b, Operand bu, RecurrentOptions o) {
  constexpr const char* op = RecurrentRule<cell>::name.data();
  needs_float(op, x);
  if (x->rank() != 3) fail<ShapeError>(x.where(), "{}: x must be [steps, n, in], got {}", op, x->shape());
  constexpr std::int64_t gates = kernels::gates_of(cell);
  if (u->rank() != 2 || u->shape()[0] != gates * u->shape()[1])
    fail<ShapeError>(x.where(), "{}: weight_hh must be [{}hidden, hidden], got {}", op,
                     gates > 1 ? std::to_string(gates) + " " : "", u->shape());
  const std::int64_t n = x->shape()[1], hidden = u->shape()[1], wide = gates * hidden;
  needs(op, "weight_hh", u, u->shape(), x), needs(op, "weight_ih", w, {wide, x->shape()[2]}, x);
  needs(op, "bias_ih", b, {wide}, x), needs(op, "bias_hh", bu, {wide}, x);
  needs(op, "h", h, {n, hidden}, x), needs(op, "c", c, {n, hidden}, x);
  if (o.lengths.defined()) o.lengths = contiguous(o.lengths);
  check_lengths(op, x, o.lengths);
  const auto y = apply(RecurrentRule<cell>{o, {}, {}, {}, {}, {}, {}}, x, h, c, w, u, b, bu);
  if constexpr (cell == Cell::lstm) return {y[0], y[1], y[2]};
  else return {y[0], y[1], {}};
}

}  // namespace

Recurrent rnn(Operand x, Operand h, Operand weight_ih, Operand weight_hh, Operand bias_ih, Operand bias_hh,
              const RecurrentOptions& o) {
  const auto cell = o.relu ? run<Cell::relu> : run<Cell::tanh>;
  return cell(x, h, Tensor(), weight_ih, weight_hh, bias_ih, bias_hh, o);
}
Recurrent gru(Operand x, Operand h, Operand weight_ih, Operand weight_hh, Operand bias_ih, Operand bias_hh,
              const RecurrentOptions& o) {
  return run<Cell::gru>(x, h, Tensor(), weight_ih, weight_hh, bias_ih, bias_hh, o);
}
Recurrent lstm(Operand x, Operand h, Operand c, Operand weight_ih, Operand weight_hh, Operand bias_ih, Operand bias_hh,
               const RecurrentOptions& o) {
  return run<Cell::lstm>(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, o);
}

}  // namespace wengert
