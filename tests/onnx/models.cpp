// Writes models as FOLDER/name.onnx, and beside each FOLDER/name.npz with an input and what wengert makes of it. Other
// programs then load the one and compare with the other (tests/onnx/run).

#include <wengert/wengert.h>

#include <cstdio>
#include <string>
#include <vector>

using namespace wengert;

namespace {

std::string folder;

Tensor numbers(const Shape& shape, double low = -1, double high = 1, DType dtype = float32) {
  Rng rng{static_cast<std::uint64_t>(shape.numel())};  // the same whenever it is asked for
  return rng.uniform(shape, low, high, dtype);
}

template <class M, class F, class X>
void write(const std::string& name, const M& model, F f, const X& example) {
  const auto x = detail::as_inputs(example);
  save_onnx(folder + "/" + name + ".onnx", model, f, example);
  std::vector<NamedTensor> values;
  for (std::size_t i = 0; i < x.size(); ++i)
    values.push_back({x.size() == 1 ? "in.x" : "in.x" + std::to_string(i), x[i]});
  const auto y = std::apply(f, x);
  for (auto& [path, t] : detail::named_tensors(y))
    values.push_back({"out." + (path.empty() ? "y" : std::isdigit(path[0]) ? "y" + path : path), t});
  save_npz(folder + "/" + name + ".npz", values);
}

struct Nothing {};
using Tensors = std::vector<Tensor>;

struct Mlp {
  nn::Linear hidden{8, 16}, middle{16, 16, {.bias = false}}, output{16, 3};
  Tensor operator()(const Tensor& x) const { return log_softmax(output(gelu(middle(relu(hidden(x))))), -1); }
};

struct Norm {
  Param weight, bias;
  Tensor mean, var;
};

struct Cnn {
  Param first = numbers({6, 3, 3, 3}), first_bias = numbers({6}), second = numbers({8, 3, 3, 2});
  Norm norm{numbers({6}), numbers({6}), numbers({6}), numbers({6}, 0.5, 2)};
  nn::Linear output{8 * 2 * 2, 5};
  Tensor operator()(const Tensor& x) const {
    Tensor y = conv(x, first, first_bias, {.stride = {1}, .padding = {1}});
    y = relu(batch_norm(y, norm.weight, norm.bias, norm.mean, norm.var));
    y = max_pool(y, {2, 2}, {.stride = {2}});
    y = conv(y, second, Tensor(), {.stride = {1, 2}, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2});
    y = adaptive_avg_pool(silu(y), {2, 2});
    return output(flatten(y, 1));
  }
};

// One head, causal, over learned tokens and positions.
struct Transformer {
  Param tokens = numbers({11, 8}), places = numbers({5, 8}), weight = numbers({8}), bias = numbers({8});
  nn::Linear query{8, 8}, key{8, 8}, value{8, 8}, up{8, 32}, down{32, 8}, output{8, 11};
  Tensor operator()(const Tensor& words) const {
    Tensor x = embedding(tokens, words) + places;
    const Tensor h = layer_norm(x, weight, bias);
    x = x + attention(query(h), key(h), value(h), {.causal = true}).output;
    x = x + down(gelu_tanh(up(layer_norm(x, weight, bias))));
    return output(x);
  }
};

// As a loop over the steps, so that it is unrolled in the graph.
struct Lstm {
  nn::Linear input{4, 24}, state{6, 24};
  auto operator()(const Tensor& x) const {
    struct {
      Tensor output, cell;
    } y;
    Tensor h = zeros({x.size(1), 6}), c = zeros({x.size(1), 6});
    std::vector<Tensor> all;
    for (std::int64_t t = 0; t < x.size(0); ++t) {
      const Tensor gates = input(select(x, 0, t)) + state(h);
      auto gate = [&](std::int64_t i) { return narrow(gates, 1, 6 * i, 6); };
      c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * tanh(gate(2));
      h = sigmoid(gate(3)) * tanh(c);
      all.push_back(h);
    }
    y.output = stack(all, 0), y.cell = c;
    return y;
  }
};

struct Sequences {
  nn::Lstm lstm{4, 6, {.num_layers = 2, .bidirectional = true}};
  nn::Gru gru{4, 5, {.bidirectional = true}};
  nn::Rnn rnn{4, 3};
  Tensors operator()(const Tensor& x, const Tensor& lengths) const {
    const auto y = lstm(x), z = gru(x, {.lengths = lengths});
    return {y.output, y.h, y.c, z.output, z.h, rnn(x, {.h = y.h.defined() ? zeros({1, x.size(1), 3}) : y.h}).output};
  }
};

struct Encoder {
  nn::TransformerEncoderLayer layer{8, 2};
  nn::MultiHeadAttention across{8, 4};
  Tensor operator()(const Tensor& x, const Tensor& memory) const {
    return across(layer(x, {.causal = true}), memory, memory).output;
  }
};

Tensors pointwise_functions(const Tensor& x) {
  const Tensor p = abs(x) + 0.1, u = x * 0.4;
  return {neg(x),
          abs(x),
          sign(x),
          floor(x * 3),
          ceil(x * 3),
          round(x * 3),
          trunc(x * 3),
          square(x),
          reciprocal(p),
          sqrt(p),
          rsqrt(p),
          exp(x),
          log(p),
          log1p(p),
          expm1(x),
          exp2(x),
          log2(p),
          log10(p),
          sin(x),
          cos(x),
          tan(u),
          asin(u),
          acos(u),
          atan(x),
          sinh(x),
          cosh(x),
          asinh(x),
          acosh(p + 1),
          atanh(u),
          tanh(x),
          erf(x),
          erfc(x),
          relu(x),
          leaky_relu(x, 0.2),
          sigmoid(x),
          softplus(x),
          log_sigmoid(x),
          silu(x),
          gelu(x),
          gelu_tanh(x),
          mish(x),
          softsign(x),
          tanhshrink(x),
          selu(x),
          celu(x, 1.5),
          elu(x, 0.7),
          clamp(x, -1, 1),
          hardtanh(x, -0.5, 1),
          relu6(x * 4),
          hardsigmoid(x * 3),
          hardswish(x * 3),
          softshrink(x, 0.3),
          hardshrink(x, 0.3),
          x * 3 - 1,
          pow(p, 1.5),
          pow(2.5, x),
          glu(x, 1),
          prelu(x, full({1}, 0.3, x.dtype()))};
}

Tensors pairs(const Tensor& x, const Tensor& y) {
  return {x + y,
          x - y,
          x * y,
          x / (abs(y) + 1),
          pow(abs(x) + 1, y),
          maximum(x, y),
          minimum(x, y),
          hypot(x, y),
          to(less(x, y), x.dtype()),
          to(greater_equal(x, y), x.dtype()),
          to(not_equal(x, y), int64),
          where(greater(x, y), x, y),
          lerp(x, y, x * y)};
}

Tensors reductions(const Tensor& x) {
  return {sum(x),        sum(x, {1}),       sum(x, {.axes = {0, 2}, .keep_dims = true}), mean(x, {-1}),
          amax(x, {1}),  amin(x, {0, 2}),   var(x, {1}),          stddev(x, {.axes = {2}, .correction = 0, .keep_dims = true}),
          prod(x, {1}),  logsumexp(x, {2}), norm(x, {.axes = {1}}),      norm(x, {.axes = {1}, .p = 1}),
          softmax(x, 1), log_softmax(x, 0), cumsum(x, 1),         cumsum(x, 2, {.reverse = true}),
          argmax(x, 1),  argmin(x, {.axis = 2, .keep_dims = true})};
}

Tensors movements(const Tensor& x, const Tensor& i) {
  return {reshape(x, {4, 6}),
          permute(x, {2, 0, 1}),
          transpose(x),
          expand(unsqueeze(x, 0), {2, 2, 3, 4}),
          slice(x, 2, 1, 4, 2),
          narrow(x, 1, 1, 2),
          select(x, 0, 1),
          cat({x, x * 2}, 1),
          stack({x, x}, 1),
          flip(x, {0, 2}),
          roll(x, 2, 1),
          pad(x, {{1, 2}, {0, 1}}),
          index_select(x, 2, i),
          take(select(x, 0, 0), 0, i),
          gather(select(x, 0, 1), 0, reshape(i, {1, 3})),
          matmul(x, transpose(x)),
          matmul(select(x, 0, 0), select(select(x, 0, 0), 0, 1)),
          einsum("bij,bkj->bik", {x, x}),
          tril(matmul(x, transpose(x)))};
}

Tensors windows(const Tensor& x) {  // [2, 4, 9, 8]
  const Tensor line = select(x, 3, 0), w1 = numbers({6, 4, 3}), w2 = numbers({4, 3, 3, 2}), b = numbers({6});
  return {max_pool(x, {3, 2}, {.stride = {2, 1}, .padding = {1, 0}}),
          max_pool(x, {2, 2}, {.ceil_mode = true}),
          max_pool(select(x, 0, 0), {2, 2}),
          avg_pool(x, {3, 3}, {.stride = {2}, .padding = {1}}),
          avg_pool(x, {3, 3}, {.stride = {2}, .padding = {1}, .count_padding = false}),
          adaptive_max_pool(x, {3, 4}),
          conv(line, w1, b, {.stride = {2}, .padding = {1}}),
          conv_transpose(line, numbers({4, 6, 3}), b, {.stride = {2}, .padding = {1}, .output_padding = {1}}),
          conv_transpose(x, w2, Tensor(), {.stride = {2, 1}, .groups = 2}),
          conv(unsqueeze(x, 0), numbers({2, 2, 2, 3, 3}), Tensor())};
}

Tensors norms(const Tensor& x) {  // [2, 4, 3, 5]
  const Tensor weight = numbers({4}), bias = numbers({4}), last = numbers({5});
  return {layer_norm(x, last, Tensor()),
          group_norm(x, 2, weight, bias),
          instance_norm(x, weight, Tensor()),
          rms_norm(x, last),
          batch_norm(x, weight, bias),
          normalize(x, {.axis = 1}),
          pixel_shuffle(x, 2)};
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return std::puts("usage: models FOLDER"), 2;
  folder = arguments[1];
  const Nothing none;
  const Mlp mlp;
  write("mlp", mlp, [&](const Tensor& x) { return mlp(x); }, numbers({4, 8}));
  write("mlp_on_sequences", mlp, [&](const Tensor& x) { return mlp(x); }, numbers({2, 3, 8}));
  const Cnn cnn;
  write("cnn", cnn, [&](const Tensor& x) { return cnn(x); }, numbers({2, 3, 8, 12}));
  const Transformer transformer;
  write(
      "transformer", transformer, [&](const Tensor& x) { return transformer(x); },
      from(std::vector<std::int64_t>{1, 10, 0, 3, 3, 7, 2, 9, 5, 4}, {2, 5}));
  const Lstm lstm;
  write("lstm", lstm, [&](const Tensor& x) { return lstm(x); }, numbers({5, 2, 4}));
  const Sequences recurrent;
  write(
      "recurrent", recurrent, [&](const Tensor& x, const Tensor& n) { return recurrent(x, n); },
      std::tuple{numbers({5, 3, 4}), from(std::vector<std::int64_t>{5, 2, 3}, {3})});
  const Encoder encoder;
  write(
      "encoder", encoder, [&](const Tensor& x, const Tensor& memory) { return encoder(x, memory); },
      std::tuple{numbers({2, 5, 8}), numbers({2, 7, 8}, -1, 2)});
  write("pointwise", none, pointwise_functions, numbers({3, 8}, -2, 2));
  write("pointwise_float64", none, pointwise_functions, numbers({3, 8}, -2, 2, float64));
  write("pairs", none, pairs, std::tuple{numbers({3, 1, 4}), numbers({2, 1})});
  write("reductions", none, reductions, numbers({2, 3, 4}));
  write("movements", none, movements, std::tuple{numbers({2, 3, 4}), from(std::vector<std::int64_t>{2, 0, 1}, {3})});
  write("windows", none, windows, numbers({2, 4, 9, 8}));
  write("norms", none, norms, numbers({2, 4, 3, 5}));
}
