#include "wengert/autodiff/inspect/dry_run.h"

#include "../support.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/transforms/checkpoint.h"

#include <algorithm>
#include <stdexcept>

using namespace wengert;
using test::contains;

namespace {

constexpr unsigned line_of_net = __LINE__ + 3;
struct Net {
  Param w = ones({16, 4}), b = ones({4});
  Tensor operator()(const Tensor& x) const { return tanh(matmul(x, w) + b); }
};

}  // namespace

TEST_CASE("dry run: shapes, parameters, FLOPs and bytes of each operator, in order") {
  const Net net;
  const Tensor x = ones({8, 16});
  const DryRun run = dry_run(net, x);
  REQUIRE(run.rows.size() == 3);
  const DryRunRow &product = run.rows[0], &sum = run.rows[1], &last = run.rows[2];
  CHECK(product.name == "matmul");
  CHECK(product.operands == std::vector<Shape>{{8, 16}, {16, 4}});
  CHECK(product.results == std::vector<Shape>{{8, 4}});
  CHECK(product.parameters == 64);
  CHECK(product.flops == 2 * 8 * 16 * 4);
  CHECK(product.backward_flops == 2 * 8 * 16 * 4);  // X^T Y_bar; x is no variable
  CHECK(product.bytes == 8 * 4 * 4);
  CHECK(sum.parameters == 4);
  CHECK(last.name == "tanh");
  CHECK(last.where.line() == line_of_net);
  CHECK(run.parameters == 68);
  CHECK(run.flops == 2 * 8 * 16 * 4 + 32 + 32);
  CHECK(run.backward_flops >= 2 * 8 * 16 * 4);
}

TEST_CASE("dry run: the peak is that of the numbers held, forwards and backwards") {
  const Tensor x = ones({1 << 16}).track();  // 256 KiB each
  const DryRun run = dry_run([&] { return sum(exp(sin(cos(x)))); });
  REQUIRE(run.rows.size() == 4);
  const std::int64_t one = 1 << 18;
  for (int i = 0; i < 3; ++i) {
    const auto peak = run.rows[std::size_t(i)].peak_bytes;
    CHECK(peak >= (i + 1) * one);  // cos and sin keep what they were given, exp what it made
    CHECK(peak < (i + 1) * one * 1.3 + 65536);
  }
  CHECK(run.rows[0].backward_peak_bytes > 0);
  CHECK(run.peak_bytes >= 3 * one);
  CHECK(run.peak_bytes < 6 * one);
}

TEST_CASE("dry run: gradients, the pool's own peak and the result of the function stay as they are") {
  const Net net;
  const Tensor x = ones({8, 16});
  backward(sum(net(x)));
  const auto before = net.w.grad().to_vector<float>();
  reset_peak_memory();
  {
    const Tensor large = zeros({1 << 20});
  }
  const auto peak = memory_stats().peak;
  (void)dry_run(net, x);
  CHECK(net.w.grad().to_vector<float>() == before);
  CHECK(memory_stats().peak == peak);
  CHECK_THROWS_AS((void)dry_run([](const Tensor&) -> Tensor { throw std::runtime_error("no"); }, x),
                  std::runtime_error);
  CHECK(memory_stats().peak == peak);
}

TEST_CASE("dry run: functions of several arguments, without a derivative, or that differentiate themselves") {
  const Tensor x = ones({3}), y = ones({3}).track();
  const DryRun two = dry_run([](const Tensor& a, const Tensor& b) { return a * b; }, x, y);
  CHECK(two.rows.size() == 1);
  CHECK(two.rows[0].parameters == 3);
  CHECK(dry_run([](const Tensor& a) { return exp(a); }, x).backward_flops == 0);
  CHECK(dry_run([](const Tensor& a) { (void)exp(a); }, x).rows.size() == 1);
  CHECK(dry_run([&] {
          backward(sum(y * y));
          return y;
        }).rows.size() == 2);
  CHECK(dry_run([&] { return y; }).rows.empty());
}

TEST_CASE("dry run: what a checkpoint computes again counts as backward") {
  const Tensor x = ones({100}).track();
  const DryRun run = dry_run([&] { return checkpoint([](const Tensor& t) { return tanh(sin(t)); }, x); });
  CHECK(run.flops == 200);
  CHECK(run.backward_flops == 200);
  CHECK(run.rows.size() == 4);
}

TEST_CASE("dry run: a parameter that is used twice counts once") {
  const Net net;
  const DryRun run = dry_run([&](const Tensor& x) { return net(x) + net(x); }, ones({8, 16}));
  CHECK(run.parameters == 68);
}

TEST_CASE("dry run: as a table with a line for each operator and a sum") {
  const Net net;
  const std::string text = to_string(dry_run(net, ones({8, 16})));
  CHECK(std::count(text.begin(), text.end(), '\n') == 5);
  CHECK(contains(text, "[8, 16] [16, 4]"));
  CHECK(contains(text, "dry_run.cpp:" + std::to_string(line_of_net)));
  CHECK(contains(text, "1.02 k"));
  CHECK(contains(text, "\nall "));
}
