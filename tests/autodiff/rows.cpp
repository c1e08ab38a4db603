#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/tape/random.h"

#include <atomic>
#include <thread>

using namespace wengert;
using namespace wengert::testing;

// The gradient of a table holds the rows that were looked up, until someone asks for its numbers
// (autodiff/tape/rows.h). Here it is compared with what plain loops add up, and with itself as an ordinary tensor.

namespace {

constexpr std::int64_t entries = 3000, width = 7;

bool holds_rows(const Tensor& t) { return detail::Access::body(t)->is(wengert::detail::Form::rows); }
Tensor some_rows(std::int64_t n, int seed, std::int64_t below = entries) {
  Rng rng(static_cast<std::uint64_t>(seed));
  return rng.integers({n}, 0, below);
}
Tensor table() { return random({entries, width}, 1, float64).track(); }

using Numbers = std::vector<double>;
void add_to(Numbers& sum, const Tensor& index, const Tensor& x) {
  const auto at = index.to_vector<std::int64_t>();
  const auto v = x.to_vector<double>();
  for (std::size_t i = 0; i < at.size(); ++i)
    for (std::size_t j = 0; j < std::size_t(width); ++j)
      sum[std::size_t(at[i] * width) + j] += v[i * std::size_t(width) + j];
}
Numbers zero() { return Numbers(std::size_t(entries * width)); }
void check_equal(const Tensor& got, const Numbers& want, double tolerance = 1e-15) {
  check_close(got, from(want, {entries, width}), tolerance);
}

}  // namespace

TEST_CASE("rows: the gradient of a few lookups is that of a plain loop, and holds its rows") {
  const Tensor w = table(), index = some_rows(200, 2), y_bar = random({200, width}, 3, float64);
  const Tensor g = grad(sum(index_select(w, 0, index) * y_bar), w);
  CHECK(holds_rows(g));
  Numbers want = zero();
  add_to(want, index, y_bar);
  check_equal(g, want, 0);
  CHECK_FALSE(holds_rows(grad(sum(index_select(w, 0, some_rows(entries, 2))), w)));
  check_close(grad(sum(index_select(w, 0, some_rows(0, 2))), w), zeros(w.shape(), float64), 0);
  CHECK_FALSE(holds_rows(grad(sum(index_select(w, 1, arange(2))), w)));
}

TEST_CASE("rows: lookups, slices and whole tables add up in any order") {
  const Tensor w = table(), a = some_rows(150, 2), b = some_rows(170, 3), ya = random({150, width}, 4, float64),
               yb = random({170, width}, 5, float64), all = random({entries, width}, 6, float64);
  Numbers looked_up = zero();
  add_to(looked_up, a, ya), add_to(looked_up, b, yb);
  const auto first = [&] { return sum(index_select(w, 0, a) * ya); };
  const auto second = [&] { return sum(index_select(w, 0, b) * yb); };
  const Tensor both = grad(first() + second(), w);
  CHECK(holds_rows(both));
  check_equal(both, looked_up);

  Numbers with_all = all.to_vector<double>();
  add_to(with_all, a, ya), add_to(with_all, b, yb);
  check_equal(grad(first() + second() + sum(w * all), w), with_all);
  check_equal(grad(sum(w * all) + first() + second(), w), with_all);

  Numbers with_slice = looked_up;
  for (std::size_t j = 0; j < std::size_t(50 * width); ++j) with_slice[std::size_t(100 * width) + j] += 1;
  check_equal(grad(first() + second() + sum(slice(w, 0, 100, 150)), w), with_slice);
  check_equal(grad(sum(slice(w, 0, 100, 150)) + first() + second(), w), with_slice);

  // Along the other axis too.
  Numbers with_column = looked_up;
  for (std::size_t i = 0; i < std::size_t(entries); ++i) with_column[i * std::size_t(width)] += 1;
  const Tensor column = from(std::vector<std::int64_t>{0}, {1});
  check_equal(grad(first() + second() + sum(index_select(w, 1, column)), w), with_column);
  check_equal(grad(sum(index_select(w, 1, column)) + first() + second(), w), with_column);
}

TEST_CASE("rows: when a quarter of them is there, all are made and the sum goes on") {
  const Tensor w = table();
  Numbers want = zero();
  Tensor loss = scalar(0, float64);
  for (int i = 0; i < 6; ++i) {
    const Tensor index = some_rows(400, 10 + i), y = random({400, width}, 20 + i, float64);
    add_to(want, index, y);
    loss = loss + sum(index_select(w, 0, index) * y);
  }
  const Tensor g = grad(loss, w);
  CHECK_FALSE(holds_rows(g));
  check_equal(g, want, 1e-14);
}

TEST_CASE("rows: one gradient after the other, of several shapes, changed and given back between") {
  for (int round = 0; round < 20; ++round) {
    const bool other = round % 3 == 1;
    const Tensor w = other ? random({entries - 10, width}, 1, float64).track() : table();
    const Tensor index = some_rows(100 + round, round, entries - 10);
    const Tensor y = random({100 + round, width}, round + 50, float64);
    Tensor g = grad(sum(index_select(w, 0, index) * y), w);
    REQUIRE(holds_rows(g));
    Numbers want = zero();
    add_to(want, index, y);
    if (other) want.resize(std::size_t((entries - 10) * width));
    check_close(g, from(want, w.shape()), 0);
    if (round % 5 == 2) {
      for (double& x : g.write<double>()) x = 1;
      CHECK_FALSE(holds_rows(g));
    }
    if (round == 13) {
      g = Tensor();
      trim();
    }
  }
}

TEST_CASE("rows: whoever changes numbers in place or computes with them gets an ordinary tensor") {
  const Tensor w = table(), index = some_rows(100, 2);
  const auto gradient = [&] { return grad(sum(index_select(w, 0, index)), w); };
  Tensor g = gradient();
  const Tensor plain = clone(g), view = reshape(g, {-1});
  CHECK_FALSE(holds_rows(plain));
  check_close(reshape(view, g.shape()), plain, 0);
  check_close(gradient() + 1.0, plain + 1.0, 0);
  check_close(exp(gradient()), exp(plain), 0);
  check_close(transpose(gradient()), transpose(plain), 0);
  g.assign(ones(g.shape(), float64));
  CHECK_FALSE(holds_rows(g));
  check_close(g, ones(g.shape(), float64), 0);
  Tensor h = gradient();
  Tensor part = slice(h, 0, 5, 6);
  part.write<double>()[0] = 5;
  CHECK_FALSE(holds_rows(h));
}

TEST_CASE("rows: backward adds gradients up in a leaf; second derivatives work") {
  const Tensor w = table(), index = some_rows(100, 2), more = some_rows(90, 3);
  Numbers want = zero();
  for (const Tensor& at : {index, more, index}) {
    backward(sum(index_select(w, 0, at)));
    add_to(want, at, ones({at.numel(), width}, float64));
  }
  CHECK(holds_rows(w.grad()));
  check_equal(w.grad(), want);
  const Tensor g = grad(sum(square(index_select(w, 0, index))), w, {.create_graph = true});
  Numbers twice = zero();
  add_to(twice, index, full({100, width}, 2, float64));
  check_equal(grad(sum(g), w), twice, 0);
}

TEST_CASE("rows: gradients that add up over many calls take no more memory than their rows") {
  const Tensor t = random({entries, 64}, 1, float64).track();
  const std::int64_t lookups = 200, batch = lookups * 64 * 8;
  const auto add = [&](int seed) { backward(sum(index_select(t, 0, some_rows(lookups, seed, 300)) * 3.0)); };
  const auto start = memory_stats().in_use;
  for (int i = 0; i < 20; ++i) add(i);  // of 300 rows, which are one and a half batches, all have come by now
  const auto before = memory_stats().in_use;
  CHECK(before - start < 5 * batch);
  for (int i = 20; i < 60; ++i) add(i);
  CHECK(holds_rows(t.grad()));
  CHECK(memory_stats().in_use - before < batch);
  CHECK(sum(t.grad()).item() == 60.0 * 3 * 64 * lookups);
}

TEST_CASE("rows: the same bits for any number of threads, and those of a plain loop") {
  constexpr std::int64_t n = 30000, columns = 64, lookups = 3000;
  const Tensor w = random({n, columns}, 1, float32).track(), y = random({lookups, columns}, 2, float32);
  const Tensor first = some_rows(lookups, 3, n), second = some_rows(lookups, 4, n);
  std::vector<float> want(std::size_t(n * columns));
  for (const Tensor& index : {second, first}) {  // the later one is met first
    const auto at = index.to_vector<std::int64_t>();
    for (std::size_t i = 0; i < at.size(); ++i)
      for (std::size_t j = 0; j < std::size_t(columns); ++j)
        want[std::size_t(at[i] * columns) + j] += y.read<float>()[i * std::size_t(columns) + j];
  }
  const int before = threads();
  for (const int count : {1, 2, 3, 8}) {
    set_threads(count);
    const Tensor g = grad(sum(index_select(w, 0, first) * y) + sum(index_select(w, 0, second) * y), w);
    CHECK(holds_rows(g));
    CHECK(g.to_vector<float>() == want);
  }
  set_threads(before);
}

TEST_CASE("rows: several threads may ask for the numbers at once") {
  const Tensor w = table(), index = some_rows(200, 2);
  const Tensor want = clone(grad(sum(exp(index_select(w, 0, index))), w));
  const Tensor g = grad(sum(exp(index_select(w, 0, index))), w);
  REQUIRE(holds_rows(g));
  std::vector<std::thread> readers;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i) readers.emplace_back([&] { right += g.to_vector<double>() == want.to_vector<double>(); });
  for (auto& r : readers) r.join();
  CHECK(right == 4);
}
