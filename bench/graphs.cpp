// What one operator costs: recorded, differentiated, released; in short chains, in chains of a million, and as graphs
// grow.

#include "shapes.h"
#include "steps.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"

using namespace wengert;

namespace bench {
namespace {

Tensor chain(const std::string& op, const Tensor& x, const Tensor& c, std::int64_t length) {
  Tensor y = x;
  if (op == "add")
    for (std::int64_t i = 0; i < length; ++i) y = y + c;
  else if (op == "mul")
    for (std::int64_t i = 0; i < length; ++i) y = y * c;
  else
    for (std::int64_t i = 0; i < length; ++i) y = tanh(y);
  return y;
}

// Walking back drops much of the graph as it passes, so that little is left to release.
void chain_case(const Options& o, const std::string& op, std::int64_t n) {
  constexpr int length = 1000;
  const std::string name = fmt::format("chain_{}_e{}", op, n);
  const Tensor x = full({n}, 0.5), tracked = x.track(), c = full({n}, 0.999), y_bar = ones({n});
  const Phases recorded = phases(
      length, 6 * o.samples, [&] { return chain(op, tracked, c, length); },
      [&](const Tensor& y) { (void)grad({&y, 1}, {&tracked, 1}, {&y_bar, 1}); });
  report_chain(o, name, recorded);
  const Phases plain = phases(length, 6 * o.samples, [&] { return chain(op, x, c, length); }, [](const Tensor&) {});
  emit(o, name + "_nograd_fwd", summarize(plain.forward));
}

void deep_case(const Options& o, const std::string& what) {
  constexpr int length = 1000000;
  const Tensor x = full({1}, 0.5).track(), c = full({1}, 0.999999);
  double heap = 0, rss = 0;
  trim();
  const Phases p = phases(
      length, 1,
      [&] {
        const auto held = memory_stats().in_use;
        const double resident = rss_mib();
        Tensor y = chain("mul", x, c, length);
        heap = static_cast<double>(memory_stats().in_use - held) / length;
        rss = (rss_mib() - resident) * (1 << 20) / length;
        return y;
      },
      [&](const Tensor& y) {
        if (what == "bwd") backward(y);
      });
  report_deep(o, what, p, heap, rss);
}

void growth_case(const Options& o, std::int64_t n) {
  const Tensor x = full({1}, 0.5).track(), c = full({1}, 0.999999), y_bar = ones({1});
  report_growth(o, "nodes", n, [&] {
    const Tensor y = chain("mul", x, c, n);
    (void)grad({&y, 1}, {&x, 1}, {&y_bar, 1});
  });
}

}  // namespace

std::vector<Case> graph_cases() {
  std::vector<Case> cases;
  for (const std::string op : {"add", "mul", "tanh"})
    for (const std::int64_t n : {1, 16})
      cases.push_back({fmt::format("chain_{}_e{}", op, n), [=](const Options& o) { chain_case(o, op, n); }});
  for (const std::string what : {"bwd", "destroy"})
    cases.push_back({"deep_" + what, [=](const Options& o) { deep_case(o, what); }});
  for (const std::int64_t n : shapes::nodes)
    cases.push_back({fmt::format("growth_nodes_{}", n), [=](const Options& o) { growth_case(o, n); }});
  return cases;
}

}  // namespace bench
