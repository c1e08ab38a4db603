// Elementwise functions, reductions, normalisations: alone, forwards and backwards.

#include "shapes.h"
#include "steps.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/fuse.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/nn/losses.h"

using namespace wengert;

namespace bench {
namespace {

struct Elementwise {
  std::string name;
  std::function<Tensor(const Inputs&)> f;
  std::function<std::vector<Shape>(std::int64_t n)> shapes;
};

Shape shape(const shapes::Sizes& sizes) { return Shape(std::span<const std::int64_t>(sizes)); }

std::vector<Elementwise> elementwise_list() {
  auto flat = [](int inputs) {
    return [inputs](std::int64_t n) { return std::vector<Shape>(static_cast<std::size_t>(inputs), Shape{n}); };
  };
  auto rows = [](std::int64_t n) { return std::vector<Shape>{shape(shapes::rows(n))}; };
  auto images = [](std::int64_t n) { return std::vector<Shape>{shape(shapes::images(n))}; };
  auto with_gain = [](auto of, int axis) {
    return [=](std::int64_t n) {
      const Shape x = of(n)[0];
      return std::vector<Shape>{x, {x[axis]}, {x[axis]}};
    };
  };
  return {
      {"relu", [](const Inputs& x) { return relu(x[0]); }, flat(1)},
      {"tanh", [](const Inputs& x) { return tanh(x[0]); }, flat(1)},
      {"sigmoid", [](const Inputs& x) { return sigmoid(x[0]); }, flat(1)},
      {"exp", [](const Inputs& x) { return exp(x[0]); }, flat(1)},
      {"gelu", [](const Inputs& x) { return gelu(x[0]); }, flat(1)},
      {"mul", [](const Inputs& x) { return x[0] * x[1]; }, flat(2)},
      {"mul_add", [](const Inputs& x) { return x[0] * x[1] + x[2]; }, flat(3)},
      {"chain6", [](const Inputs& x) { return tanh(x[0] * x[1] + x[2]) * x[1] + x[0] * x[2]; }, flat(3)},
      {"chain6_fuse",
       [](const Inputs& x) -> Tensor {
         return fuse([](auto a, auto b, auto c) { return tanh(a * b + c) * b + a * c; }, x[0], x[1], x[2]);
       },
       flat(3)},
      {"square_sum", [](const Inputs& x) { return sum(square(x[0] - x[1])); }, flat(2)},
      {"square_sum_fuse",
       [](const Inputs& x) -> Tensor { return fuse_sum([](auto a, auto b) { return square(a - b); }, x[0], x[1]); },
       flat(2)},
      {"sum", [](const Inputs& x) { return sum(x[0]); }, flat(1)},
      {"sum_rows", [](const Inputs& x) { return sum(x[0], {1}); }, rows},
      {"sum_cols", [](const Inputs& x) { return sum(x[0], {0}); }, rows},
      {"softmax", [](const Inputs& x) { return softmax(x[0], 1); }, rows},
      {"log_softmax", [](const Inputs& x) { return log_softmax(x[0], 1); }, rows},
      {"cross_entropy", [](const Inputs& x) { return nn::cross_entropy(x[0], zeros({x[0].size(0)}, int64)); }, rows},
      {"max_pool2", [](const Inputs& x) { return max_pool(x[0], {2, 2}); }, images},
      {"layer_norm", [](const Inputs& x) { return layer_norm(x[0], x[1], x[2]); }, with_gain(rows, 1)},
      {"batch_norm2d", [](const Inputs& x) { return batch_norm(x[0], x[1], x[2]); }, with_gain(images, 1)},
  };
}

void elementwise_case(const Options& o, const Elementwise& e, std::int64_t n) {
  Inputs x;
  for (const Shape& s : e.shapes(n)) x.push_back(randn(s, rng));
  const std::string name = fmt::format("ew_{}_n{}", e.name, n);
  report(o, name + "_fwd", [&] { (void)e.f(x); });
  for (Tensor& t : x) t = t.track();
  const Tensor y_bar = randn(e.f(x).shape(), rng);
  report(o, name + "_fwdbwd", [&] {
    const Tensor y = e.f(x);
    (void)grad({&y, 1}, x, {&y_bar, 1});
  });
}

}  // namespace

std::vector<Case> elementwise_cases() {
  std::vector<Case> cases;
  for (const Elementwise& e : elementwise_list())
    for (const std::int64_t n : shapes::elementwise)
      cases.push_back({fmt::format("ew_{}_n{}", e.name, n), [=](const Options& o) { elementwise_case(o, e, n); }});
  return cases;
}

}  // namespace bench
