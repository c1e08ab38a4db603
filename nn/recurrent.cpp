#include "wengert/nn/recurrent.h"

#include "wengert/autodiff/tape/tape.h"
#include "wengert/nn/checked.h"
#include "wengert/nn/dropout.h"
#include "wengert/nn/init.h"

namespace wengert::nn {

namespace {

Param drawn(const Shape& shape, std::int64_t hidden, Rng& rng, DType dtype, Where where) {
  return Param(init::uniform_fan_in(shape, hidden, rng, dtype), where);
}

// [num_layers directions, n, hidden], or undefined.
void check_states(const char* layer, const char* what, Operand x, const Tensor& t, const Shape& shape) {
  if (t.defined() && !(t.shape() == shape))
    fail<ShapeError>(x.where(), "{}: {} must be [num_layers directions, n, hidden] = {} for x {}, got {}", layer, what,
                     shape, x->shape(), t.shape());
}

}  // namespace

RecurrentLayer::RecurrentLayer(Kind kind, std::int64_t size, std::int64_t width, Rng& rng, const Options& o,
                               Where where)
    : in(size), hidden(width), options(o), kind_(kind) {
  at_least_one(name(), "in", in, where), at_least_one(name(), "hidden", hidden, where);
  at_least_one(name(), "num_layers", o.num_layers, where);
  if (!(o.dropout >= 0 && o.dropout <= 1))
    fail<ValueError>(where, "{}: dropout must be in [0, 1], got {}", name(), o.dropout);
  const std::int64_t wide = (kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1) * hidden;
  const int directions = o.bidirectional ? 2 : 1;
  for (std::int64_t layer = 0; layer < o.num_layers; ++layer)
    for (int d = 0; d < directions; ++d) {
      weights.push_back(drawn({wide, layer ? directions * hidden : in}, hidden, rng, o.dtype, where));
      weights.push_back(drawn({wide, hidden}, hidden, rng, o.dtype, where));
      for (int i = 0; i < 2; ++i) weights.push_back(o.bias ? drawn({wide}, hidden, rng, o.dtype, where) : Param());
    }
}

std::string_view RecurrentLayer::name_of(std::size_t i, std::span<char, 64> room) const {
  static constexpr const char* names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  const std::size_t directions = options.bidirectional ? 2 : 1, at = i / 4;
  char* end = fmt::format_to_n(room.data(), room.size(), "{}_l{}{}", names[i % 4], at / directions,
                               at % directions ? "_reverse" : "")
                  .out;
  return {room.data(), static_cast<std::size_t>(end - room.data())};
}

Recurrent RecurrentLayer::one(Operand x, const Tensor& h, const Tensor& c, std::size_t at,
                              const RecurrentOptions& o) const {
  const Param *w = &weights[4 * at], *u = w + 1, *b = w + 2, *bu = w + 3;
  if (kind_ == Kind::lstm) return lstm(x, h, c, *w, *u, *b, *bu, o);
  return kind_ == Kind::gru ? gru(x, h, *w, *u, *b, *bu, o) : rnn(x, h, *w, *u, *b, *bu, o);
}

Recurrent RecurrentLayer::operator()(Operand x, const RecurrentInput& given) const {
  const At at(x.where());
  if (x->rank() != 3 || x->shape()[2] != in)
    fail<ShapeError>(x.where(), "{}: x must be {}, got {}", name(),
                     options.batch_first ? fmt::format("[n, steps, {}]", in) : fmt::format("[steps, n, {}]", in),
                     x->shape());
  Tensor y = options.batch_first ? transpose(x, 0, 1) : x.tensor();
  const std::size_t directions = options.bidirectional ? 2 : 1, count = weights.size() / 4;
  const Shape states{static_cast<std::int64_t>(count), y.shape()[1], hidden};
  check_states(name(), "h", x, given.h, states), check_states(name(), "c", x, given.c, states);
  std::array<Tensor, 2> output;
  Tensor h, c;
  std::vector<Tensor> all_h, all_c;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t d = i % directions;
    const auto first = [&](const Tensor& of) { return of.defined() ? select(of, 0, std::int64_t(i)) : of; };
    if (d == 0 && i > 0 && options.dropout > 0) y = dropout({y, x.where()}, options.dropout, given.mode);
    const Recurrent r = one({y, x.where()}, first(given.h), first(given.c), i,
                            {.reverse = d == 1, .lengths = given.lengths, .relu = options.relu});
    output[d] = r.output;
    if (count == 1) h = r.h, c = r.c;
    else all_h.push_back(r.h), all_c.push_back(r.c);
    if (d + 1 == directions) y = directions == 2 ? cat({output[0], output[1]}, 2) : output[0];
  }
  const auto joined = [&](const Tensor& single, const std::vector<Tensor>& several) {
    if (count == 1) return single.defined() ? unsqueeze(single, 0) : single;
    return several[0].defined() ? stack(several) : Tensor();
  };
  return {options.batch_first ? transpose(y, 0, 1) : y, joined(h, all_h), joined(c, all_c)};
}

RecurrentCell::RecurrentCell(const char* name, std::int64_t gates, std::int64_t in, std::int64_t hidden, Rng& rng,
                             Options o, Where where)
    : options(o) {
  at_least_one(name, "in", in, where), at_least_one(name, "hidden", hidden, where);
  weight_ih = drawn({gates * hidden, in}, hidden, rng, o.dtype, where);
  weight_hh = drawn({gates * hidden, hidden}, hidden, rng, o.dtype, where);
  if (!o.bias) return;
  bias_ih = drawn({gates * hidden}, hidden, rng, o.dtype, where);
  bias_hh = drawn({gates * hidden}, hidden, rng, o.dtype, where);
}

namespace {

Tensor as_sequence(const char* cell, Operand x, const Tensor& weight) {
  if (x->rank() != 2 || x->shape()[1] != weight.shape()[1])
    fail<ShapeError>(x.where(), "{}: x must be [n, {}], got {}", cell, weight.shape()[1], x->shape());
  return unsqueeze(x, 0);
}

}  // namespace

Tensor RnnCell::operator()(Operand x, Operand h) const {
  const At at(x.where());
  const Tensor s = as_sequence("RnnCell", x, weight_ih);
  return rnn({s, x.where()}, h, weight_ih, weight_hh, bias_ih, bias_hh, {.relu = options.relu}).h;
}
Tensor GruCell::operator()(Operand x, Operand h) const {
  const At at(x.where());
  return gru({as_sequence("GruCell", x, weight_ih), x.where()}, h, weight_ih, weight_hh, bias_ih, bias_hh).h;
}
LstmState LstmCell::operator()(Operand x, const LstmState& state) const {
  const At at(x.where());
  const Tensor s = as_sequence("LstmCell", x, weight_ih);
  const Recurrent r = lstm({s, x.where()}, state.h, state.c, weight_ih, weight_hh, bias_ih, bias_hh);
  return {r.h, r.c};
}

}  // namespace wengert::nn
