#include "wengert/autodiff/tape/rule.h"

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

using namespace wengert;

TEST_CASE("rule: a struct inside a function has a name as a member") {
  struct Cube {
    const std::string_view name = "cube";
    Saved x{};
    Tensor forward(const Tensor& a) {
      x = a;
      return a * a * a;
    }
    Tensor vjp(arg<0>, const Tensor& y_bar) const { return 3 * x * x * y_bar; }
  };
  const Tensor x = tensor({2, -1}, float64).track();
  const Tensor y = apply(Cube{}, Operand(x));
  const Tensor first = grad(sum(y), x, {.create_graph = true});
  CHECK(first.to_vector<double>() == std::vector{12.0, 3.0});
  CHECK(grad(sum(first), x, {.keep_graph = true}).to_vector<double>() == std::vector{12.0, -6.0});

  const Tensor z = apply(Cube{}, Operand(x)), kept = z * 1;
  backward(sum(kept));  // forgets what the rule saved, and keeps its name
  std::string message;
  try {
    backward(sum(z));
  } catch (const GraphError& e) {
    message = e.what();
  }
  CHECK(message.find("cube") != std::string::npos);
}

namespace {
// x w; both cotangents together where both are wanted.
struct Product {
  static constexpr std::string_view name = "product";
  int* together = nullptr;
  Saved x{}, w{};
  Tensor forward(const Tensor& a, const Tensor& b) {
    x = a, w = b;
    return a * b;
  }
  std::optional<std::array<Tensor, 2>> vjp(const Tensor& y_bar, Wants wants) const {
    if (!wants(0) || !wants(1)) return std::nullopt;
    ++*together;
    return std::array{w * y_bar, x * y_bar};
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return w * y_bar; }
  Tensor vjp(arg<1>, const Tensor& y_bar) const { return x * y_bar; }
};
}  // namespace

TEST_CASE("rule: cotangents of all operands together, or none and then one by one") {
  int together = 0;
  const Tensor x = tensor({2, -1}, float64).track(), w = tensor({3, 5}, float64).track();
  const Tensor y = sum(apply(Product{&together}, Operand(x), Operand(w)));
  const Tensor both[] = {x, w};
  const auto bars = grad({&y, 1}, both, {}, {.keep_graph = true});
  CHECK(together == 1);
  CHECK(bars[0].to_vector<double>() == std::vector{3.0, 5.0});
  CHECK(bars[1].to_vector<double>() == std::vector{2.0, -1.0});
  CHECK(grad(y, w, {.keep_graph = true}).to_vector<double>() == std::vector{2.0, -1.0});
  CHECK(together == 1);
  const Tensor x_dot = ones({2}, float64);
  CHECK(push_forward({&y, 1}, {&x, 1}, {&x_dot, 1})[0].item() == 8);
}
