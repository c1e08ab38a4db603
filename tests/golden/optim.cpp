#include "wengert/optim/optim.h"

#include "golden.h"
#include "options.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <fmt/format.h>

// Optimizers, schedules and clipping, through the classes that users have.

namespace golden {
namespace schedule = optim::schedule;
namespace {

using Model = std::vector<Tensor>;

// --- optim.json -----------------------------------------------------------------------------------------------------

// The formulas of "problems", on its parameters in alphabetical order.
Tensor loss_of(const std::string& problem, const Model& p, const Data& data) {
  auto at = [&](const char* name) { return find(data, fmt::format("problem/{}/{}", problem, name)); };
  if (problem == "rosenbrock") {
    const std::int64_t n = p[0].numel();
    const Tensor here = slice(p[0], 0, 0, n - 1), next = slice(p[0], 0, 1, n);
    return sum(100.0 * square(next - square(here)) + square(1.0 - here));
  }
  if (problem == "ridge") return mean(square(matmul(at("X"), p[0]) - at("y"))) + 0.1 * sum(square(p[0]));
  if (problem == "mlp") return mean(square(linear(tanh(linear(at("X"), p[0], p[2])), p[1], p[3]) - at("Y")));
  throw Unsupported("no problem " + problem);
}

// A run of so many steps: the parameters and the loss before each and after the last.
struct Run {
  std::vector<Model> path;
  std::vector<double> losses;
};
template <class Step>
Run follow(const Json& one, Model model, const Data& data, Step&& step) {
  const std::string problem = one.at("problem");
  auto loss = [&](const Model& p) { return loss_of(problem, p, data); };
  Run run;
  for (int k = 0; k <= one.at("steps").get<int>(); ++k) {
    if (k > 0) step(model, loss);
    Model now;
    for (const Tensor& p : model) now.push_back(clone(p));
    run.path.push_back(now), run.losses.push_back(loss(now).item());
  }
  return run;
}

template <template <class> class Optimizer, class Options>
Run run_first_order(const Json& one, const Model& start, const std::vector<std::string>& names, const Data& data) {
  Options options;
  set_options(options, one.at("attrs"));
  Optimizer<Model> optimizer(start, options);
  if (!one.at("groups").is_null())
    for (const Json& group : one["groups"]) {
      Options own = options;
      set_options(own, group);
      std::string pattern;
      for (const Json& name : group.at("params"))
        pattern += fmt::format("|{}", std::ranges::find(names, name.get<std::string>()) - names.begin());
      optimizer.group(pattern, own);
    }
  return follow(one, start, data, [&](Model& model, auto& loss) { optimizer.step(model, grad(loss, model)); });
}

Run run_lbfgs(const Json& one, const Model& start, const std::vector<std::string>&, const Data& data) {
  const Json& a = one.at("attrs");
  optim::Lbfgs lbfgs(start, {.lr = number(a.at("lr")),
                             .max_iter = a.at("max_iter"),
                             .max_eval = a.at("max_eval").is_null() ? 0 : a["max_eval"].get<std::int64_t>(),
                             .history_size = a.at("history_size"),
                             .tolerance_grad = number(a.at("tolerance_grad")),
                             .tolerance_change = number(a.at("tolerance_change")),
                             .line_search = !a.at("line_search_fn").is_null()});
  return follow(one, start, data, [&](Model& model, auto& loss) { lbfgs.step(model, loss); });
}

}  // namespace

std::vector<std::string> run_optimizer(const Json& one, const Json& file, const Data& data) {
  const Json& problem = file.at("problems").at(one.at("problem").get<std::string>());
  Model start;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : problem.at("params").items())
    names.push_back(name), start.push_back(find(data, tensor));

  const std::map<std::string, Run (*)(const Json&, const Model&, const std::vector<std::string>&, const Data&)> rows{
      {"SGD", run_first_order<optim::Sgd, optim::SgdOptions>},
      {"Adagrad", run_first_order<optim::Adagrad, optim::AdagradOptions>},
      {"RMSprop", run_first_order<optim::RmsProp, optim::RmsPropOptions>},
      {"Adadelta", run_first_order<optim::Adadelta, optim::AdadeltaOptions>},
      {"Adam", run_first_order<optim::Adam, optim::AdamOptions>},
      {"AdamW", run_first_order<optim::AdamW, optim::AdamWOptions>},
      {"Adamax", run_first_order<optim::Adamax, optim::AdamaxOptions>},
      {"NAdam", run_first_order<optim::Nadam, optim::NadamOptions>},
      {"RAdam", run_first_order<optim::Radam, optim::RadamOptions>},
      {"Rprop", run_first_order<optim::Rprop, optim::RpropOptions>},
      {"LBFGS", run_lbfgs},
  };
  const auto row = rows.find(one.at("optimizer"));
  if (row == rows.end()) throw Unsupported("no optimizer " + one.at("optimizer").get<std::string>());
  const Run run = row->second(one, start, names, data);

  std::vector<std::string> wrong;
  const std::int64_t n = one.at("compare_steps").get<std::int64_t>() + 1;
  auto compare = [&](const std::string& what, std::vector<Tensor> got, const Tensor& want) {
    got.resize(std::size_t(n));
    const auto d = difference(stack(got), slice(want, 0, 0, n), {one.at("rtol").get<double>()});
    if (!d.empty()) wrong.push_back(what + ": " + d);
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<Tensor> path;
    for (const Model& m : run.path) path.push_back(m[i]);
    compare(names[i], path, find(data, one.at("params").at(names[i])));
  }
  std::vector<Tensor> losses;
  for (double l : run.losses) losses.push_back(scalar(l, float64));
  compare("losses", losses, find(data, one.at("losses")));
  return wrong;
}

// --- schedulers.json ------------------------------------------------------------------------------------------------

namespace {

// What a scheduler makes of a learning rate, and of the momentum if it cycles that.
struct Made {
  optim::Schedule lr, momentum;
};

Made make(const std::string& name, const Json& a, double lr) {
  auto count = [&](const char* key) { return a.at(key).is_null() ? 0 : a[key].get<std::int64_t>(); };
  auto value = [&](const char* key) { return number(a.at(key)); };
  auto alone = [](optim::Schedule s) { return Made{s, schedule::Constant{0}}; };
  auto parts = [&] {
    std::vector<optim::Schedule> all;
    for (const Json& part : a.at("parts")) all.push_back(make(part[0], part[1], 1).lr);
    return all;
  };
  if (name == "StepLR") return alone(schedule::StepDecay{lr, count("step_size"), value("gamma")});
  if (name == "MultiStepLR") return alone(schedule::MultiStep{lr, a.at("milestones"), value("gamma")});
  if (name == "ExponentialLR") return alone(schedule::Exponential{lr, value("gamma")});
  if (name == "MultiplicativeLR") return alone(schedule::Exponential{lr, value("factor")});
  if (name == "CosineAnnealingLR")
    return alone(schedule::Cosine{.base = lr, .min = value("eta_min"), .steps = count("T_max"), .clamp = false});
  if (name == "CosineAnnealingWarmRestarts")
    return alone(schedule::CosineRestarts{lr, value("eta_min"), count("T_0"), count("T_mult")});
  if (name == "LinearLR")
    return alone(schedule::Linear{lr * value("start_factor"), lr * value("end_factor"), count("total_iters")});
  if (name == "ConstantLR")
    return alone(schedule::in_turn(
        {{schedule::Constant{lr * value("factor")}, count("total_iters")}, {schedule::Constant{lr}}}));
  if (name == "PolynomialLR")
    return alone(schedule::Polynomial{.base = lr, .steps = count("total_iters"), .power = value("power")});
  if (name == "LambdaLR" && a.at("lambda_name") == "linear_warmup")
    return alone(schedule::Constant{lr} * schedule::WarmUp{count("warmup")});
  if (name == "LambdaLR" && a.at("lambda_name") == "warmup_cosine")
    return alone(
        schedule::in_turn({{schedule::Constant{lr} * schedule::WarmUp{count("warmup")}, count("warmup")},
                           {schedule::Cosine{.base = lr, .steps = count("total") - count("warmup"), .clamp = false}}}));
  if (name == "SequentialLR") {
    std::vector<schedule::Phase> phases;
    const auto all = parts();
    std::int64_t begun = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      phases.push_back({schedule::Constant{lr} * all[i]});
      if (i + 1 == all.size()) break;
      const std::int64_t next = a.at("milestones")[i];
      phases.back().steps = next - std::exchange(begun, next);
    }
    return alone(schedule::in_turn(phases));
  }
  if (name == "ChainedScheduler") {
    optim::Schedule product = schedule::Constant{lr};
    for (const optim::Schedule& s : parts()) product = product * s;
    return alone(product);
  }
  if (name == "OneCycleLR") {
    const schedule::OneCycle cycle{.max_lr = value("max_lr"),
                                   .steps = count("total_steps"),
                                   .pct_start = value("pct_start"),
                                   .div_factor = value("div_factor"),
                                   .final_div_factor = value("final_div_factor"),
                                   .linear = a.at("anneal_strategy") == "linear",
                                   .three_phase = a.at("three_phase"),
                                   .base_momentum = value("base_momentum"),
                                   .max_momentum = value("max_momentum")};
    return {cycle, [=](std::int64_t step) { return cycle.momentum(step); }};
  }
  if (name == "CyclicLR") {
    schedule::Cyclic cycle{.base_lr = value("base_lr"),
                           .max_lr = value("max_lr"),
                           .step_size_up = count("step_size_up"),
                           .step_size_down = count("step_size_down"),
                           .gamma = value("gamma"),
                           .base_momentum = value("base_momentum"),
                           .max_momentum = value("max_momentum")};
    if (a.at("mode") == "triangular2") cycle.mode = schedule::Cyclic::triangular2;
    if (a.at("mode") == "exp_range") cycle.mode = schedule::Cyclic::exp_range;
    return {cycle, [=](std::int64_t step) { return cycle.momentum(step); }};
  }
  throw Unsupported("no scheduler " + name);
}

// The rates that plateaus give, evaluation by evaluation.
std::vector<double> plateau_rates(const Json& a, double lr, const std::vector<double>& metrics, int steps) {
  schedule::Plateau plateau(lr, {.factor = number(a.at("factor")),
                                 .patience = a.at("patience"),
                                 .threshold = number(a.at("threshold")),
                                 .relative = a.at("threshold_mode") == "rel",
                                 .maximize = a.at("mode") == "max",
                                 .cooldown = a.at("cooldown"),
                                 .min_lr = number(a.at("min_lr")),
                                 .eps = number(a.at("eps"))});
  std::vector<double> rates{lr};
  for (int k = 0; k < steps; ++k) rates.push_back(plateau(metrics[std::size_t(k)]));
  return rates;
}

}  // namespace

std::vector<std::string> run_scheduler(const Json& one, const Json&, const Data& data) {
  const int steps = one.at("steps");
  std::vector<Tensor> lr, momentum;
  for (const Json& initial : one.at("initial_lr")) {
    std::vector<double> rates, momenta;
    if (one.at("scheduler") == "ReduceLROnPlateau") {
      rates = plateau_rates(one.at("attrs"), initial, find(data, one.at("metrics")).to_vector<double>(), steps);
    } else {
      const Made made = make(one.at("scheduler"), one.at("attrs"), initial);
      for (int k = 0; k <= steps; ++k) rates.push_back(made.lr(k)), momenta.push_back(made.momentum(k));
    }
    const std::int64_t n = steps + 1;
    lr.push_back(from(rates, {n}));
    if (!momenta.empty()) momentum.push_back(from(momenta, {n}));
  }
  std::vector<std::string> wrong;
  auto compare = [&](const char* what, const std::vector<Tensor>& got) {
    if (!one.contains(what)) return;
    const auto d = difference(stack(got, 1), find(data, one[what]), {one.at("rtol").get<double>()});
    if (!d.empty()) wrong.push_back(fmt::format("{}: {}", what, d));
  };
  compare("lr", lr), compare("momentum", momentum);
  return wrong;
}

// --- clip.json ------------------------------------------------------------------------------------------------------

std::vector<std::string> run_clipping(const Json& one, const Json&, const Data& data) {
  const Json& a = one.at("attrs");
  Model grads;
  for (const Json& name : one.at("before")) grads.push_back(clone(find(data, name)));
  std::vector<std::string> wrong;
  auto compare = [&](const std::string& what, const Tensor& got, const Json& want) {
    const auto d = difference(got, find(data, want), {one.at("rtol").get<double>()});
    if (!d.empty()) wrong.push_back(what + ": " + d);
  };
  if (one.at("function") == "clip_grad_norm_") {
    const double norm = optim::clip_norm(grads, number(a.at("max_norm")), {.norm_type = number(a.at("norm_type"))});
    compare("total_norm", scalar(norm, find(data, one.at("total_norm")).dtype()), one.at("total_norm"));
  } else if (one.at("function") == "clip_grad_value_") {
    optim::clip_value(grads, number(a.at("clip_value")));
  } else {
    throw Unsupported("no function " + one.at("function").get<std::string>());
  }
  for (std::size_t i = 0; i < grads.size(); ++i) compare(fmt::format("gradient {}", i), grads[i], one.at("after")[i]);
  return wrong;
}

}  // namespace golden
