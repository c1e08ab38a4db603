// What a hidden layer is for: XOR and two spirals, which no line separates. Prints the accuracy of logistic regression
// and of a small network, and draws their decision boundaries to boundaries.svg. Training lowers the surrogate, binary
// cross entropy; what is watched on points held out is the true 0-1 loss, and the best network is kept.

#include "common/contours.h"

#include <fmt/format.h>
#include <wengert/wengert.h>

using namespace wengert;

struct Points {
  Tensor x, y;  // [n, 2], and 0 or 1 [n]
};

struct Logistic {
  nn::Linear layer{2, 1};
  Tensor operator()(const Tensor& x) const { return reshape(layer(x), {-1}); }
};
struct Network {
  nn::Linear first{2, 24}, second{24, 24}, output{24, 1};
  Tensor operator()(const Tensor& x) const { return reshape(output(tanh(second(tanh(first(x))))), {-1}); }
};

Points make_xor(std::int64_t n, Rng& rng) {
  const Tensor x = rng.uniform({n, 2}, -1, 1);
  return {x, to(select(x, 1, 0) * select(x, 1, 1) < 0.0, float32)};
}
Points make_spirals(std::int64_t n, Rng& rng) {
  const Tensor t = rng.uniform({n}, 0.15, 1), y = rng.bernoulli({n}, 0.5, float32);
  const Tensor angle = 9.0 * t + M_PI * y;
  return {stack({t * cos(angle), t * sin(angle)}, 1) + rng.normal({n, 2}, 0, 0.02), y};
}

// The part of the points on the wrong side.
template <class Model>
double zero_one_loss(const Model& model, const Points& p) {
  return mean(abs(to(model(p.x) > 0.0, float32) - p.y)).item();
}

template <class Model>
Model train(const Points& points, const Points& held_out) {
  Model model;
  optim::AdamW adam{model, {.lr = 1e-2}};
  optim::EarlyStopping stopping{model, {.patience = 400}};
  Rng rng{2};
  for (int epoch = 0; epoch < 1000; ++epoch) {
    for (auto [x, y] : data::batches({points.x, points.y}, {.batch_size = 100, .shuffle = rng})) {
      auto f = [x = x, y = y](const Model& m) { return nn::binary_cross_entropy_with_logits(m(x), y); };
      auto [loss, grads] = value_and_grad(f, model);
      optim::clip_norm(grads, 1.0);
      adam.step(model, grads);
    }
    if (stopping(zero_one_loss(model, held_out), model) || stopping.best == 0) break;
  }
  return stopping.best_model;
}

template <class Model>
common::Map map_of(const std::string& title, const Model& model, const Points& p) {
  common::Map map{.title = title,
                  .left = -1.1,
                  .right = 1.1,
                  .bottom = -1.1,
                  .top = 1.1,
                  .height = [model](double x, double y) { return model(tensor({{x, y}})).item(); },
                  .levels = {0}};
  const auto x = p.x.template to_vector<float>(), y = p.y.template to_vector<float>();
  for (const float side : {0.f, 1.f}) {
    common::Path points{.name = side ? "class 1" : "class 0", .x = {}, .y = {}, .points = true};
    for (std::size_t i = 0; i < y.size(); ++i)
      if (y[i] == side) points.x.push_back(x[2 * i]), points.y.push_back(x[2 * i + 1]);
    map.paths.push_back(points);
  }
  return map;
}

int main() {
  seed(1);
  Rng rng{1};
  std::vector<common::Map> maps;
  for (const bool spirals : {false, true}) {
    auto make = spirals ? make_spirals : make_xor;
    const Points points = make(600, rng), held_out = make(300, rng), test = make(1000, rng);
    const auto line = train<Logistic>(points, held_out);
    const auto network = train<Network>(points, held_out);
    const char* name = spirals ? "two spirals" : "XOR";
    fmt::print("{:<12} right of 1000 test points: logistic regression {:.1f} %, network {:.1f} %\n", name,
               100 * (1 - zero_one_loss(line, test)), 100 * (1 - zero_one_loss(network, test)));
    maps.push_back(map_of(fmt::format("{}, network", name), network, points));
  }
  no_grad off;
  if (common::plot("boundaries.svg", maps)) fmt::print("boundaries.svg shows the decision boundaries\n");
}
