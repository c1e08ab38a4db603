// Draws the schedules of optim to schedules.svg.

#include "common/plot.h"

#include <fmt/format.h>
#include <wengert/optim.h>

using namespace wengert;
namespace schedule = optim::schedule;

common::Curve curve(const std::string& name, int colour, const optim::Schedule& schedule) {
  common::Curve c{.name = name, .colour = colour};
  for (int step = 0; step < 100; ++step) c.add(step, schedule(step));
  return c;
}

// What a plateau makes of a validation loss that falls and stays, falls and stays.
optim::Schedule plateau() {
  return [](std::int64_t step) {
    schedule::Plateau rate{1, {.factor = 0.5, .patience = 8}};
    double lr = 1;
    for (int k = 0; k < step; ++k) lr = rate(std::max(1 - 0.04 * (k % 50), 0.4) - 0.5 * (k / 50));
    return lr;
  };
}

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "schedules.svg";
  const optim::Schedule warm = schedule::WarmUp{20};
  const common::Panel decays{.title = "Decays",
                             .x_label = "step",
                             .curves = {curve("StepDecay", 0, schedule::StepDecay{1, 20, 0.6}),
                                        curve("Exponential", 1, schedule::Exponential{1, 0.97}),
                                        curve("Polynomial", 2, schedule::Polynomial{.base = 0.9, .power = 2}),
                                        curve("MultiStep", 3, schedule::MultiStep{0.95, {30, 80}, 0.5})}};
  const common::Panel cosines{
      .title = "Cosines, warm up, plateau",
      .x_label = "step",
      .curves = {curve("Cosine", 0, schedule::Cosine{.base = 1, .min = 0.1}),
                 curve("Restarts", 1, schedule::CosineRestarts{1, 0, 14, 2}),
                 curve("WarmUp", 2, warm * schedule::Linear{0.9, 0.3, 100}), curve("Plateau", 3, plateau())}};
  const common::Panel cycles{
      .title = "Cycles",
      .x_label = "step",
      .curves = {curve("OneCycle", 0, schedule::OneCycle{.max_lr = 1}),
                 curve("Cyclic", 1, schedule::Cyclic{.base_lr = 0.2, .max_lr = 0.8, .step_size_up = 12}),
                 curve("triangular2", 2, schedule::Cyclic{0.1, 0.9, 12, 0, schedule::Cyclic::triangular2})}};
  if (!common::plot(path, {decays, cosines, cycles})) {
    fmt::print(stderr, "schedules: {} was not drawn: it needs gnuplot (Debian: apt-get install gnuplot-nox)\n", path);
    return 1;
  }
  fmt::print("{} shows the schedules\n", path);
}
