#include "wengert/autodiff/ops.h"
#include "wengert/onnx/record.h"

#include <cmath>
#include <limits>
#include <map>

// The translation of each operator to ONNX (opset 17). An operator that ONNX lacks is composed of others, by its
// definition.

namespace wengert::onnx {
namespace {

using Inputs = std::vector<std::string>;
using Attributes = std::vector<Attribute>;

// A call under translation.
struct Scope {
  Builder& b;
  const Call& call;

  const Tensor& x(std::size_t i) const { return call.x[i]; }
  const Tensor& y() const { return call.y[0]; }
  DType dtype() const { return x(0).dtype(); }
  std::string in(std::size_t i) const { return b.name_of(call.x[i]); }
  double number(std::string_view name) const { return call.attributes.number(name); }
  std::int64_t integer(std::string_view name) const { return static_cast<std::int64_t>(number(name)); }
  Ints list(std::string_view name) const {
    const Shape& s = call.attributes.list(name);
    return {s.begin(), s.end()};
  }
  /// The axes of a mask.
  Ints axes() const {
    Ints all;
    for (int i = 0; i < x(0).rank(); ++i)
      if (integer("axes") >> i & 1) all.push_back(i);
    return all;
  }
  std::string node(std::string op, Inputs inputs, Attributes attributes = {}) const {
    return b.node(std::move(op), std::move(inputs), std::move(attributes));
  }
  std::string c(double value) const { return b.number(value, dtype()); }
  std::string reshaped(const std::string& value, const Shape& shape) const {
    return node("Reshape", {value, b.ints({shape.begin(), shape.end()})});
  }
};

using Translation = std::string (*)(const Scope&);

std::string mul(const Scope& s, const std::string& a, const std::string& b) { return s.node("Mul", {a, b}); }
std::string add(const Scope& s, const std::string& a, const std::string& b) { return s.node("Add", {a, b}); }
std::string sub(const Scope& s, const std::string& a, const std::string& b) { return s.node("Sub", {a, b}); }

std::string clip(const Scope& s, double low, double high) { return s.node("Clip", {s.in(0), s.c(low), s.c(high)}); }

std::string mean(const Scope& s, const std::string& x, const Ints& axes) {
  return s.node("ReduceMean", {x}, {{"axes", axes}, {"keepdims", std::int64_t{1}}});
}
std::string sum(const Scope& s, const std::string& x, const Ints& axes, bool keep_dims) {
  if (axes.empty()) return s.node("Identity", {x});
  return s.node("ReduceSum", {x, s.b.ints(axes)}, {{"keepdims", std::int64_t{keep_dims}}});
}
std::string reduced(const Scope& s, const char* op, const Ints& axes, bool keep_dims) {
  if (axes.empty()) return s.node("Identity", {s.in(0)});
  return s.node(op, {s.in(0)}, {{"axes", axes}, {"keepdims", std::int64_t{keep_dims}}});
}

std::string gelu(const Scope& s) {
  const auto erf = s.node("Erf", {mul(s, s.in(0), s.c(std::sqrt(0.5)))});
  return mul(s, mul(s, s.in(0), s.c(0.5)), add(s, erf, s.c(1)));
}
std::string gelu_tanh(const Scope& s) {
  const auto x = s.in(0), cube = mul(s, mul(s, x, x), x);
  const auto inner = mul(s, add(s, x, mul(s, cube, s.c(0.044715))), s.c(std::sqrt(2 / M_PI)));
  return mul(s, mul(s, x, s.c(0.5)), add(s, s.node("Tanh", {inner}), s.c(1)));
}

std::string affine(const Scope& s) {
  const double scale = s.number("scale"), shift = s.number("shift");
  std::string y = s.in(0);
  if (scale != 1 || shift == 0) y = mul(s, y, s.c(scale));
  return shift == 0 ? y : add(s, y, s.c(shift));
}

std::string shrink(const Scope& s, bool soft) {
  const auto lambda = static_cast<float>(s.number("lambda"));
  return s.node("Shrink", {s.in(0)}, {{"lambd", lambda}, {"bias", soft ? lambda : 0.0f}});
}

// (x - mean) / sqrt(var + eps)
std::string standardize(const Scope& s) {
  const auto axes = s.list("axes");
  const auto d = sub(s, s.in(0), mean(s, s.in(0), axes));
  const auto var = mean(s, mul(s, d, d), axes);
  return s.node("Div", {d, s.node("Sqrt", {add(s, var, s.c(s.number("eps")))})});
}
// Standardization with a weight and a bias for each element of the last axes.
std::string layer_norm(const Scope& s) {
  std::string y = standardize(s);
  if (s.x(1).defined()) y = mul(s, y, s.in(1));
  return s.x(2).defined() ? add(s, y, s.in(2)) : y;
}
// Gain and bias for each channel.
std::string batch_norm(const Scope& s) {
  Shape channels;
  for (int i = 1; i < s.x(0).rank(); ++i) channels.push_back(i == 1 ? s.x(0).shape()[1] : 1);
  std::string y = standardize(s);
  if (s.x(1).defined()) y = mul(s, y, s.reshaped(s.in(1), channels));
  return s.x(2).defined() ? add(s, y, s.reshaped(s.in(2), channels)) : y;
}
std::string var(const Scope& s) {
  const auto axes = s.list("axes");
  const auto d = sub(s, s.in(0), mean(s, s.in(0), axes));
  return mul(s, sum(s, mul(s, d, d), axes, s.number("keep_dims") != 0), s.c(s.number("factor")));
}

std::string linear(const Scope& s) {
  if (s.x(0).rank() == 2) return s.node("Gemm", {s.in(0), s.in(1), s.in(2)}, {{"transB", std::int64_t{1}}});
  const auto y = s.node("MatMul", {s.in(0), s.node("Transpose", {s.in(1)}, {{"perm", Ints{1, 0}}})});
  return s.x(2).defined() ? add(s, y, s.in(2)) : y;
}

std::string slice(const Scope& s) {
  const auto axis = s.integer("axis"), start = s.integer("start"), step = s.integer("step");
  const auto stop = start + s.y().shape()[static_cast<int>(axis)] * step;
  return s.node("Slice", {s.in(0), s.b.ints({start}), s.b.ints({stop}), s.b.ints({axis}), s.b.ints({step})});
}

// Zeros around x: the transpose of a slice.
std::string unslice(const Scope& s) {
  if (s.integer("step") != 1) return "";
  const auto axis = s.integer("axis"), start = s.integer("start");
  const int rank = s.y().rank();
  Ints pads(static_cast<std::size_t>(2 * rank), 0);
  pads[static_cast<std::size_t>(axis)] = start;
  const auto a = static_cast<int>(axis);
  pads[static_cast<std::size_t>(rank + a)] = s.y().shape()[a] - start - s.x(0).shape()[a];
  return s.node("Pad", {s.in(0), s.b.ints(pads), s.c(0)});
}

std::string cat(const Scope& s) {
  Inputs all;
  for (std::size_t i = 0; i < s.call.x.size(); ++i) all.push_back(s.in(i));
  return s.node("Concat", all, {{"axis", s.integer("axis")}});
}

std::string flip(const Scope& s) {
  const Ints axes = s.axes(), back(axes.size(), -1), all(axes.size(), std::numeric_limits<std::int64_t>::min());
  if (axes.empty()) return s.node("Identity", {s.in(0)});
  return s.node("Slice", {s.in(0), s.b.ints(back), s.b.ints(all), s.b.ints(axes), s.b.ints(back)});
}

std::string pick(const Scope& s) {
  const auto n = s.x(1).shape()[0];
  const auto index = s.reshaped(s.in(1), {n, 1});
  return s.reshaped(s.node("GatherElements", {s.in(0), index}, {{"axis", std::int64_t{1}}}), {n});
}

// --- windows --------------------------------------------------------------------------------------------------------

Ints both_sides(const Ints& padding) {
  Ints all = padding;
  all.insert(all.end(), padding.begin(), padding.end());
  return all;
}

std::string conv(const Scope& s) {
  return s.node("Conv", {s.in(0), s.in(1), s.in(2)},
                {{"kernel_shape", s.list("kernel")},
                 {"strides", s.list("stride")},
                 {"pads", both_sides(s.list("padding"))},
                 {"dilations", s.list("dilation")},
                 {"group", s.integer("groups")}});
}

std::string conv_transpose(const Scope& s) {
  const Ints kernel = s.list("kernel"), stride = s.list("stride"), padding = s.list("padding"),
             dilation = s.list("dilation");
  Ints more;  // size of the result beyond the smallest size
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const int axis = static_cast<int>(i) + 2;
    more.push_back(s.y().shape()[axis] -
                   ((s.x(0).shape()[axis] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + 1));
  }
  return s.node("ConvTranspose", {s.in(0), s.in(1), s.in(2)},
                {{"kernel_shape", kernel},
                 {"strides", stride},
                 {"pads", both_sides(padding)},
                 {"dilations", dilation},
                 {"output_padding", more},
                 {"group", s.integer("groups")}});
}

// ONNX pools [n, channels, ...]. Leading axes of wengert's operators become one axis.
std::string pool(const Scope& s, const char* op, std::size_t spatial, const Ints& kernel, const Ints& stride,
                 const Ints& padding, const Ints& dilation, Attributes more) {
  const int before = s.x(0).rank() - static_cast<int>(spatial);
  Shape planes = {-1, 1};
  bool ceil = false;
  for (std::size_t i = 0; i < spatial; ++i) {
    const int axis = before + static_cast<int>(i);
    planes.push_back(s.x(0).shape()[axis]);
    const auto room = s.x(0).shape()[axis] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1;
    ceil |= s.y().shape()[axis] != room / stride[i] + 1;
  }
  more.insert(more.end(), {{"kernel_shape", kernel},
                           {"strides", stride},
                           {"pads", both_sides(padding)},
                           {"ceil_mode", std::int64_t{ceil}}});
  if (before == 2) return s.node(op, {s.in(0)}, more);
  return s.reshaped(s.node(op, {s.reshaped(s.in(0), planes)}, more), s.y().shape());
}

std::string max_pool(const Scope& s) {
  if (s.number("adaptive") != 0) return "";
  const Ints kernel = s.list("kernel"), dilation = s.list("dilation");
  return pool(s, "MaxPool", kernel.size(), kernel, s.list("stride"), s.list("padding"), dilation,
              {{"dilations", dilation}});
}

std::string avg_pool(const Scope& s) {
  const Ints kernel = s.list("kernel"), counted = s.list("count_padding");
  for (auto how : s.list("how"))
    if (how != 0) return "";  // windows of different sizes
  if (s.number("transposed") != 0) return "";
  return pool(s, "AveragePool", kernel.size(), kernel, s.list("stride"), s.list("padding"), Ints(kernel.size(), 1),
              {{"count_include_pad", counted.empty() ? 1 : counted[0]}});
}

// --- attention and recurrence, which we run as one operator each ----------------------------------------------------

// softmax(q k^T / sqrt(size) + mask) v of values [.., m, size], [.., n, size], [.., n, width].
std::string attended(const Scope& s, const std::string& q, const std::string& k, const std::string& v, int rank,
                     std::int64_t m, std::int64_t n, double size) {
  Ints order;
  for (int i = 0; i < rank; ++i) order.push_back(i < rank - 2 ? i : 2 * rank - 3 - i);
  const auto scores = s.node("MatMul", {q, s.node("Transpose", {k}, {{"perm", order}})});
  auto weights = mul(s, scores, s.c(1 / std::sqrt(size)));
  const auto never = s.c(-HUGE_VAL);
  if (s.number("causal") != 0) {
    const Tensor seen = equal(tril(ones({m, n}, int64)), 1);
    weights = s.node("Where", {s.b.constant(seen), weights, never});
  }
  if (const Tensor& mask = s.call.attributes.tensor("mask"); mask.defined()) {
    const auto name = s.b.name_of(mask);
    weights = mask.dtype() == boolean ? s.node("Where", {name, weights, never}) : add(s, weights, name);
  }
  return s.node("MatMul", {s.node("Softmax", {weights}, {{"axis", std::int64_t{-1}}}), v});
}

std::string attend(const Scope& s) {
  const Tensor &q = s.x(0), &k = s.x(1);
  return attended(s, s.in(0), s.in(1), s.in(2), q.rank(), q.size(-2), k.size(-2), static_cast<double>(q.size(-1)));
}

// The last axis holds q, k and v, and in each of them the heads.
std::string self_attend(const Scope& s) {
  const Tensor& x = s.x(0);
  const int r = x.rank();
  const std::int64_t heads = s.integer("heads"), size = x.size(-1) / 3, each = size / heads;
  Shape cut = x.shape();
  cut[r - 1] = heads, cut.push_back(each);
  Ints swap;
  for (int i = 0; i <= r; ++i) swap.push_back(i == r - 2 ? r - 1 : i == r - 1 ? r - 2 : i);
  std::string part[3];
  for (int i = 0; i < 3; ++i) {
    const auto third = s.node("Slice", {s.in(0), s.b.ints({i * size}), s.b.ints({(i + 1) * size}), s.b.ints({-1})});
    part[i] = s.node("Transpose", {s.reshaped(third, cut)}, {{"perm", swap}});
  }
  const auto y = attended(s, part[0], part[1], part[2], r + 1, x.size(-2), x.size(-2), static_cast<double>(each));
  return s.reshaped(s.node("Transpose", {y}, {{"perm", swap}}), s.y().shape());
}

// ONNX has an axis of directions in front, and the gates in another order.
std::vector<std::string> recurrent(const Scope& s, const char* op, const Ints& order) {
  const std::int64_t hidden = s.x(4).shape()[1], gates = static_cast<std::int64_t>(order.size());
  auto first_axis = [&](const std::string& value) { return s.node("Unsqueeze", {value, s.b.ints({0})}); };
  auto in_order = [&](std::size_t i) -> std::string {
    if (!s.x(i).defined()) return s.b.constant(zeros({gates * hidden}, s.dtype()));
    if (gates == 1) return s.in(i);
    Inputs parts;
    for (auto g : order)
      parts.push_back(s.node("Slice", {s.in(i), s.b.ints({g * hidden}), s.b.ints({(g + 1) * hidden}), s.b.ints({0})}));
    return s.node("Concat", parts, {{"axis", std::int64_t{0}}});
  };
  const bool lstm = gates == 4;
  const Tensor& lengths = s.call.attributes.tensor("lengths");
  Inputs in = {s.in(0), first_axis(in_order(3)), first_axis(in_order(4)), "", "", "", ""};
  if (s.x(5).defined() || s.x(6).defined())
    in[3] = first_axis(s.node("Concat", {in_order(5), in_order(6)}, {{"axis", std::int64_t{0}}}));
  if (lengths.defined()) in[4] = s.node("Cast", {s.b.name_of(lengths)}, {{"to", std::int64_t{6}}});
  if (s.x(1).defined()) in[5] = first_axis(s.in(1));
  if (lstm && s.x(2).defined()) in[6] = first_axis(s.in(2));
  Attributes attributes = {{"hidden_size", hidden},
                           {"direction", std::string(s.number("reverse") != 0 ? "reverse" : "forward")}};
  if (gates == 3) attributes.push_back({"linear_before_reset", std::int64_t{1}});
  if (gates == 1)
    attributes.push_back({"activations", std::vector<std::string>{s.number("relu") != 0 ? "Relu" : "Tanh"}});
  const auto y = s.b.nodes(op, in, attributes, lstm ? 3 : 2);
  std::vector<std::string> results = {s.node("Squeeze", {y[0], s.b.ints({1})})};
  for (std::size_t i = 1; i < y.size(); ++i) results.push_back(s.node("Squeeze", {y[i], s.b.ints({0})}));
  return results;
}

// --- the table ------------------------------------------------------------------------------------------------------

// Operators that ONNX has, with the same operands and no attributes.
const std::map<std::string_view, const char*>& same() {
  static const std::map<std::string_view, const char*> table = {
      {"add", "Add"},           {"sub", "Sub"},
      {"mul", "Mul"},           {"div", "Div"},
      {"pow", "Pow"},           {"maximum", "Max"},
      {"minimum", "Min"},       {"scale", "Mul"},
      {"neg", "Neg"},           {"abs", "Abs"},
      {"sign", "Sign"},         {"floor", "Floor"},
      {"ceil", "Ceil"},         {"round", "Round"},
      {"sqrt", "Sqrt"},         {"reciprocal", "Reciprocal"},
      {"exp", "Exp"},           {"log", "Log"},
      {"sin", "Sin"},           {"cos", "Cos"},
      {"tan", "Tan"},           {"asin", "Asin"},
      {"acos", "Acos"},         {"atan", "Atan"},
      {"sinh", "Sinh"},         {"cosh", "Cosh"},
      {"asinh", "Asinh"},       {"acosh", "Acosh"},
      {"atanh", "Atanh"},       {"tanh", "Tanh"},
      {"erf", "Erf"},           {"relu", "Relu"},
      {"sigmoid", "Sigmoid"},   {"softplus", "Softplus"},
      {"softsign", "Softsign"}, {"selu", "Selu"},
      {"less", "Less"},         {"less_equal", "LessOrEqual"},
      {"greater", "Greater"},   {"greater_equal", "GreaterOrEqual"},
      {"equal", "Equal"},       {"where", "Where"},
      {"matmul", "MatMul"},     {"clone", "Identity"}};
  return table;
}

const std::map<std::string_view, Translation>& others() {
  static const std::map<std::string_view, Translation> table = {
      {"not_equal", [](const Scope& s) { return s.node("Not", {s.node("Equal", {s.in(0), s.in(1)})}); }},
      {"affine", affine},
      {"pow_scalar", [](const Scope& s) { return s.node("Pow", {s.in(0), s.c(s.number("exponent"))}); }},
      {"power", [](const Scope& s) { return s.node("Pow", {s.c(s.number("base")), s.in(0)}); }},
      {"square", [](const Scope& s) { return mul(s, s.in(0), s.in(0)); }},
      {"rsqrt", [](const Scope& s) { return s.node("Reciprocal", {s.node("Sqrt", {s.in(0)})}); }},
      {"trunc",
       [](const Scope& s) { return mul(s, s.node("Sign", {s.in(0)}), s.node("Floor", {s.node("Abs", {s.in(0)})})); }},
      {"expm1", [](const Scope& s) { return sub(s, s.node("Exp", {s.in(0)}), s.c(1)); }},
      {"log1p", [](const Scope& s) { return s.node("Log", {add(s, s.in(0), s.c(1))}); }},
      {"exp2", [](const Scope& s) { return s.node("Pow", {s.c(2), s.in(0)}); }},
      {"log2", [](const Scope& s) { return mul(s, s.node("Log", {s.in(0)}), s.c(1 / std::log(2.0))); }},
      {"log10", [](const Scope& s) { return mul(s, s.node("Log", {s.in(0)}), s.c(1 / std::log(10.0))); }},
      {"erfc", [](const Scope& s) { return sub(s, s.c(1), s.node("Erf", {s.in(0)})); }},
      {"hypot",
       [](const Scope& s) { return s.node("Sqrt", {add(s, mul(s, s.in(0), s.in(0)), mul(s, s.in(1), s.in(1)))}); }},
      {"silu", [](const Scope& s) { return mul(s, s.in(0), s.node("Sigmoid", {s.in(0)})); }},
      {"mish", [](const Scope& s) { return mul(s, s.in(0), s.node("Tanh", {s.node("Softplus", {s.in(0)})})); }},
      {"log_sigmoid", [](const Scope& s) { return s.node("Neg", {s.node("Softplus", {s.node("Neg", {s.in(0)})})}); }},
      {"tanhshrink", [](const Scope& s) { return sub(s, s.in(0), s.node("Tanh", {s.in(0)})); }},
      {"gelu", gelu},
      {"gelu_tanh", gelu_tanh},
      {"leaky_relu",
       [](const Scope& s) {
         return s.node("LeakyRelu", {s.in(0)}, {{"alpha", static_cast<float>(s.number("negative_slope"))}});
       }},
      {"elu",
       [](const Scope& s) { return s.node("Elu", {s.in(0)}, {{"alpha", static_cast<float>(s.number("alpha"))}}); }},
      {"celu",
       [](const Scope& s) {  // the operator of ONNX is for float32 only
         const double alpha = s.number("alpha");
         const auto bent = mul(s, sub(s, s.node("Exp", {mul(s, s.in(0), s.c(1 / alpha))}), s.c(1)), s.c(alpha));
         return add(s, s.node("Max", {s.in(0), s.c(0)}), s.node("Min", {bent, s.c(0)}));
       }},
      {"clamp", [](const Scope& s) { return clip(s, s.number("low_bound"), s.number("high_bound")); }},
      {"hardtanh", [](const Scope& s) { return clip(s, s.number("low_bound"), s.number("high_bound")); }},
      {"relu6", [](const Scope& s) { return clip(s, 0, 6); }},
      {"hardsigmoid",
       [](const Scope& s) { return s.node("HardSigmoid", {s.in(0)}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}}); }},
      {"hardswish",
       [](const Scope& s) {
         return mul(s, s.in(0), s.node("HardSigmoid", {s.in(0)}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}}));
       }},
      {"softshrink", [](const Scope& s) { return shrink(s, true); }},
      {"hardshrink", [](const Scope& s) { return shrink(s, false); }},
      {"to",
       [](const Scope& s) {
         const DType d = s.y().dtype();
         const std::int64_t code = d == float32 ? 1 : d == float64 ? 11 : d == int64 ? 7 : 9;
         return s.node("Cast", {s.in(0)}, {{"to", code}});
       }},
      {"sum", [](const Scope& s) { return sum(s, s.in(0), s.axes(), s.number("keep_dims") != 0); }},
      {"amax", [](const Scope& s) { return reduced(s, "ReduceMax", s.axes(), true); }},
      {"amin", [](const Scope& s) { return reduced(s, "ReduceMin", s.axes(), true); }},
      {"prod", [](const Scope& s) { return reduced(s, "ReduceProd", {-1}, false); }},
      {"logsumexp",
       [](const Scope& s) { return reduced(s, "ReduceLogSumExp", {s.integer("axis")}, s.number("keep_dims") != 0); }},
      {"var", var},
      {"argmax",
       [](const Scope& s) {
         return s.node("ArgMax", {s.in(0)}, {{"axis", s.integer("axis")}, {"keepdims", s.integer("keep_dims")}});
       }},
      {"argmin",
       [](const Scope& s) {
         return s.node("ArgMin", {s.in(0)}, {{"axis", s.integer("axis")}, {"keepdims", s.integer("keep_dims")}});
       }},
      {"cumsum",
       [](const Scope& s) {
         return s.node("CumSum", {s.in(0), s.b.constant(scalar(s.number("axis"), int64))},
                       {{"reverse", s.integer("reverse")}});
       }},
      {"softmax", [](const Scope& s) { return s.node("Softmax", {s.in(0)}, {{"axis", s.integer("axis")}}); }},
      {"log_softmax", [](const Scope& s) { return s.node("LogSoftmax", {s.in(0)}, {{"axis", s.integer("axis")}}); }},
      {"standardize", standardize},
      {"layer_norm", layer_norm},
      {"batch_norm", batch_norm},
      {"linear", linear},
      {"reshape", [](const Scope& s) { return s.reshaped(s.in(0), s.y().shape()); }},
      {"permute", [](const Scope& s) { return s.node("Transpose", {s.in(0)}, {{"perm", s.list("order")}}); }},
      {"expand",
       [](const Scope& s) {
         const Shape& shape = s.y().shape();
         return s.node("Expand", {s.in(0), s.b.ints({shape.begin(), shape.end()})});
       }},
      {"slice", slice},
      {"unslice", unslice},
      {"cat", cat},
      {"flip", flip},
      {"index_select",
       [](const Scope& s) { return s.node("Gather", {s.in(0), s.in(1)}, {{"axis", s.integer("axis")}}); }},
      {"gather",
       [](const Scope& s) { return s.node("GatherElements", {s.in(0), s.in(1)}, {{"axis", s.integer("axis")}}); }},
      {"pick", pick},
      {"conv", conv},
      {"conv_transpose", conv_transpose},
      {"max_pool", max_pool},
      {"avg_pool", avg_pool},
      {"attend", attend},
      {"self_attend", self_attend}};
  return table;
}

}  // namespace

std::vector<std::string> translated(Builder& b, const Call& call) {
  const Scope s{b, call};
  if (call.name == "lstm") return recurrent(s, "LSTM", {0, 3, 1, 2});
  if (call.name == "gru") return recurrent(s, "GRU", {1, 0, 2});
  if (call.name == "rnn") return recurrent(s, "RNN", {0});
  if (const auto found = same().find(call.name); found != same().end()) {
    Inputs inputs;
    for (std::size_t i = 0; i < call.x.size(); ++i) inputs.push_back(s.in(i));
    return {s.node(found->second, inputs)};
  }
  const auto found = others().find(call.name);
  if (found == others().end()) return {};
  const std::string y = found->second(s);
  return y.empty() ? std::vector<std::string>() : std::vector{y};
}

}  // namespace wengert::onnx
