#include "wengert/autodiff/model/model.h"

#include "support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <doctest/doctest.h>

using namespace wengert;
using test::contains;
using test::message;

namespace {

// A layer with a constructor and a private member: it names its members.
class Dense {
 public:
  Dense(std::int64_t in, std::int64_t out) : weight(ones({out, in})), bias_(zeros({out})) {}
  Tensor operator()(Operand x) const { return linear(x, weight, bias_); }
  static auto members(auto& self) { return fields(field("weight", self.weight), field("bias", self.bias_)); }
  Param weight;

 private:
  Param bias_;
};

enum class Mode { quick, exact };

struct Mlp {
  Dense hidden{3, 4}, output{4, 2};
  Param gain = ones({1});
  Tensor mask = ones({4});
  int depth = 2;
  double rate = 0.1;
  Mode mode = Mode::exact;
  std::string title = "mlp";
  Shape shape{3};
  Tensor (*activation)(Operand) = relu;
  Tensor operator()(const Tensor& x) const { return output(gain * activation(hidden(x) * mask)); }
};

struct Everything {
  std::vector<Dense> blocks{Dense(1, 2), Dense(2, 1)};
  std::array<Param, 2> pair{Param(ones({1})), Param(ones({2}))};
  std::optional<Dense> extra, absent;
  std::tuple<Dense, int, Param> mixed{Dense(1, 1), 3, Param(zeros({}))};
  std::pair<Param, double> scale{Param(ones({})), 2.0};
  std::variant<std::monostate, Dense, Param> choice = Param(ones({5}));
  std::vector<std::array<Param, 1>> nested{{Param(ones({7}))}};
  std::vector<bool> flags{true, false};
  std::vector<double> numbers{1, 2};
  Param none;
  Buffer running = zeros({3});
};

struct Wide {
  Param a0 = zeros({}), a1 = zeros({}), a2 = zeros({}), a3 = zeros({}), a4 = zeros({}), a5 = zeros({}), a6 = zeros({}),
        a7 = zeros({}), a8 = zeros({}), a9 = zeros({}), b0 = zeros({}), b1 = zeros({}), b2 = zeros({}), b3 = zeros({}),
        b4 = zeros({}), b5 = zeros({}), b6 = zeros({}), b7 = zeros({}), b8 = zeros({}), b9 = zeros({}), c0 = zeros({}),
        c1 = zeros({}), c2 = zeros({}), c3 = zeros({}), c4 = zeros({}), c5 = zeros({}), c6 = zeros({}), c7 = zeros({}),
        c8 = zeros({}), c9 = zeros({}), d0 = zeros({}), d1 = zeros({}), d2 = zeros({}), d3 = zeros({}), d4 = zeros({}),
        d5 = zeros({});
};

struct Foreign {
  explicit Foreign(int n) : inner(ones({n})) {}
  Param inner;
};
auto members(auto& f) requires std::same_as<std::remove_const_t<std::remove_reference_t<decltype(f)>>, Foreign> {
  return fields(field("inner", f.inner));
}

struct Tied {
  Shared<Dense> first{Dense(2, 2)}, second = share(first);
  Param own = ones({1});
};

struct Tree {
  Param value = ones({1});
  std::vector<Tree> children;
};

template <class M>
std::vector<std::string> names(const M& m) {
  std::vector<std::string> all;
  for_each_tensor(m, [&](std::string_view name, const auto&) { all.emplace_back(name); });
  return all;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("model: names are the paths to the members, in order") {
  CHECK(names(Mlp()) == Names{"hidden.weight", "hidden.bias", "output.weight", "output.bias", "gain", "mask"});
  Names params;
  for (auto& [name, w] : named_parameters(Mlp())) params.push_back(name);
  CHECK(params == Names{"hidden.weight", "hidden.bias", "output.weight", "output.bias", "gain"});
}

TEST_CASE("model: containers, optionals, tuples and variants are followed, undefined Params are not there") {
  Everything e;
  e.extra = Dense(2, 2);
  CHECK(names(e) == Names{"blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias", "pair.0", "pair.1",
                          "extra.weight", "extra.bias", "mixed.0.weight", "mixed.0.bias", "mixed.2", "scale.0",
                          "choice", "nested.0.0", "running"});
  CHECK(num_parameters(e) == 4 + 3 + 3 + 6 + 2 + 1 + 1 + 5 + 7);
}

TEST_CASE("model: a local struct, a struct of structs, a tree and thirty-six members") {
  struct Local {
    Param first_ = ones({1}), value2 = ones({2});
    Mlp inner;
  };
  const Names expected{
      "first_",     "value2",    "inner.hidden.weight", "inner.hidden.bias", "inner.output.weight", "inner.output.bias",
      "inner.gain", "inner.mask"};
  CHECK(names(Local()) == expected);
  Tree t;
  t.children.resize(2);
  t.children[1].children.resize(1);
  CHECK(names(t) == Names{"value", "children.0.value", "children.1.value", "children.1.children.0.value"});
  CHECK(names(Wide()).size() == 36);
  CHECK(names(Wide()).back() == "d5");
}

TEST_CASE("model: a free function names the members of a type that cannot be changed") {
  struct Holder {
    Foreign f{3};
  };
  CHECK(names(Holder()) == Names{"f.inner"});
}

TEST_CASE("model: a path longer than a line is whole") {
  Tree t;
  Tree* at = &t;
  for (int i = 0; i < 60; ++i) {
    at->children.resize(1);
    at = &at->children[0];
  }
  const auto all = names(t);
  REQUIRE(all.size() == 61);
  CHECK(all.back().size() == 60 * std::string("children.0.").size() + 5);
  CHECK(all[1] == "children.0.value");
  CHECK(contains(all.back(), "children.0.children.0.value"));
}

TEST_CASE("param: is a leaf with numbers of its own") {
  const Tensor t = tensor({1, 2});
  Param w = t;
  w.write<float>()[0] = 5;
  CHECK(t.to_vector<float>() == std::vector<float>{1, 2});
  CHECK(w.is_trained());
  backward(sum(w * w));
  CHECK(w.grad().to_vector<float>() == std::vector<float>{10, 4});
}

TEST_CASE("param: a copy is deep and has a gradient of its own, a move keeps both") {
  Param a = tensor({1, 2});
  backward(sum(a));
  Param b = a;
  CHECK_FALSE(b.grad().defined());
  b.write<float>()[0] = 9;
  CHECK(a.to_vector<float>()[0] == 1);
  Param c = std::move(a);
  CHECK(c.grad().to_vector<float>() == std::vector<float>{1, 1});
  CHECK(c.is_trained());
  a = b;
  CHECK(a.to_vector<float>() == b.to_vector<float>());
}

TEST_CASE("param: a new value makes a new leaf, and one that is on the tape is refused") {
  Param w = tensor({1, 2});
  w = tensor({3, 4, 5});
  CHECK(w.numel() == 3);
  CHECK(w.is_trained());
  const std::string what = message<GraphError>([&] { w = w - 0.1 * w; });
  CHECK(contains(what, "detach()"));
  CHECK(contains(what, "model.cpp"));
  w.assign(w - 0.5 * w);
  CHECK(w.to_vector<float>() == std::vector<float>{1.5, 2, 2.5});
}

TEST_CASE("param: integers cannot be trained") {
  CHECK(contains(message<TypeError>([] { Param w(zeros({2}, int64)); }), "Tensor member"));
}

TEST_CASE("model: a copy can be trained without touching the original, buffers included") {
  Everything a;
  Everything b = a;
  for_each_tensor(b, [](auto& t) { t.assign(zeros(t.shape())); });
  b.running.write<float>()[0] = 7;
  for_each_param(a, [](Param& w) {
    if (w.numel() > 0 && w.to_vector<float>()[0] != 0) CHECK(w.to_vector<float>()[0] == 1);
  });
  CHECK(a.blocks[0].weight.to_vector<float>()[0] == 1);
  CHECK(a.running.to_vector<float>()[0] == 0);
}

TEST_CASE("model: two models are walked in step") {
  Mlp a, b;
  for_each_param(a, b, [](Param& x, Param& y) { x.assign(x + 2.0 * y); });
  CHECK(a.gain.item() == 3);
  int seen = 0;
  const Mlp& c = b;
  for_each_param(a, c, a, [&](std::string_view name, Param& x, const Param& y, Param& z) {
    CHECK(x.shape() == y.shape());
    CHECK(&x == &z);
    seen += name == "output.bias";
  });
  CHECK(seen == 1);
}

TEST_CASE("model: walking two that differ in length or in an optional is an error that names the place") {
  Everything a, b;
  b.blocks.pop_back();
  CHECK(contains(message<ValueError>([&] { for_each_param(a, b, [](std::string_view, Param&, Param&) {}); }),
                 "'blocks'"));
  Everything c;
  c.extra = Dense(1, 1);
  CHECK(
      contains(message<ValueError>([&] { for_each_param(a, c, [](std::string_view, Param&, Param&) {}); }), "'extra'"));
  Everything d;
  d.choice = Dense(1, 1);
  const Where here = Where::current();
  const auto what = message<ValueError>([&] { for_each_param(a, d, [](Param&, Param&) {}); });
  CHECK(contains(what, "'choice'"));
  CHECK(contains(what, "model.cpp:" + std::to_string(here.line() + 1)));
}

TEST_CASE("model: tensors that stand for themselves are variables, alone or in containers") {
  Tensor t = ones({2});
  std::tuple<Tensor, std::vector<Tensor>, Mlp> all{ones({1}), {ones({3})}, {}};
  int seen = 0;
  for_each_param(t, [&](Tensor& x) { seen += int(x.numel()); });
  CHECK(seen == 2);
  CHECK(num_parameters(all) == 4 + num_parameters(Mlp()));
}

TEST_CASE("model: a buffer is no variable, wherever it stands") {
  std::tuple<Tensor, Buffer> both{ones({1}), Buffer(ones({3}))};
  CHECK(num_parameters(both) == 1);
  int tensors = 0;
  for_each_tensor(both, [&](const Tensor&) { ++tensors; });
  CHECK(tensors == 2);
  const auto grads = grad([](const Tensor& x, const Buffer& b) { return sum(x * b); }, both);
  CHECK(std::get<0>(grads).item() == 3);
  CHECK_FALSE(std::get<1>(grads).defined());
}

TEST_CASE("model: a shared part is counted once and stays one in a copy") {
  Tied a;
  CHECK(num_parameters(a) == 7);
  CHECK(names(a) == Names{"first.weight", "first.bias", "own"});
  Tied b = copy(a);
  b.first->weight.write<float>()[0] = 5;
  CHECK(b.second->weight.to_vector<float>()[0] == 5);
  CHECK(a.second->weight.to_vector<float>()[0] == 1);
  CHECK(contains(message<GraphError>([&] { Tied c = a; }), "copy(model)"));
  const Tied zero = zeros_like(a);
  CHECK(&*zero.first == &*zero.second);
}

TEST_CASE("model: zeros_like has the model's shapes, no leaves and no buffers") {
  const Mlp model;
  Mlp zero = zeros_like(model);
  for_each_param(zero, model, [](Param& z, const Param& w) {
    CHECK(z.shape() == w.shape());
    CHECK_FALSE(z.tracked());
    CHECK(sum(abs(z)).item() == 0);
  });
  CHECK_FALSE(zero.mask.defined());
  zero.gain = zero.gain + 1.0;  // sums stay plain numbers
  CHECK_FALSE(zero.gain.tracked());
  const Mlp again = zero;
  CHECK_FALSE(again.gain.tracked());
  CHECK(model.gain.item() == 1);
}

TEST_CASE("model: summary lists names, shapes and counts") {
  CHECK(summary(Mlp()) ==
        "name           shape           numbers\n"
        "hidden.weight  float32 [4, 3]  12\n"
        "hidden.bias    float32 [4]     4\n"
        "output.weight  float32 [2, 4]  8\n"
        "output.bias    float32 [2]     2\n"
        "gain           float32 [1]     1\n"
        "mask           float32 [4]     4 (not trained)\n"
        "total                          27\n");
}

TEST_CASE("model: backward fills the gradients of its Params, zero_grad forgets them") {
  Mlp model;
  backward(sum(model(ones({5, 3}))));
  CHECK(model.hidden.weight.grad().shape() == Shape{4, 3});
  CHECK(model.output.weight.grad().to_vector<float>()[0] == 15);
  zero_grad(model);
  for_each_param(model, [](Param& w) { CHECK_FALSE(w.grad().defined()); });
}
