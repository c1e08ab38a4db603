#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"
#include "wengert/data/data.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace wengert;

namespace {

using Labels = std::vector<std::int64_t>;

// Row i is (i, i + 0.5), its label i.
data::Dataset numbered(std::int64_t n) {
  const Tensor column = reshape(arange(n, float32), {n, 1});
  return {cat({column, column + 0.5}, 1), arange(n)};
}

// The labels in the order of the batches; checks on the way that every row came with its own label.
Labels labels_of(const data::Batches& batches) {
  Labels seen;
  for (auto [x, y] : batches) {
    REQUIRE(x.shape() == Shape{y.size(0), 2});
    const auto pixels = x.read<float>();
    const auto labels = y.read<std::int64_t>();
    for (std::size_t i = 0; i < labels.size(); ++i) {
      CHECK(pixels[2 * i] == labels[i]);
      CHECK(pixels[2 * i + 1] == static_cast<float>(labels[i]) + 0.5f);
    }
    seen.insert(seen.end(), labels.begin(), labels.end());
  }
  return seen;
}

Labels sorted(Labels labels) {
  std::sort(labels.begin(), labels.end());
  return labels;
}

Labels counted(std::int64_t n) { return arange(n).to_vector<std::int64_t>(); }

}  // namespace

TEST_CASE("batches: without shuffling rows keep their order, and the last batch is what is left") {
  const auto batches = data::batches(numbered(10), {.batch_size = 4});
  CHECK(batches.size() == 3);
  CHECK(labels_of(batches) == counted(10));
  CHECK(batches[2].size() == 2);
}

TEST_CASE("batches: drop_last leaves out the last batch only when it is smaller") {
  CHECK(labels_of(data::batches(numbered(10), {.batch_size = 4, .drop_last = true})) == counted(8));
  CHECK(labels_of(data::batches(numbered(8), {.batch_size = 4, .drop_last = true})) == counted(8));
  CHECK(data::batches(numbered(3), {.batch_size = 4, .drop_last = true}).size() == 0);
}

TEST_CASE("batches: shuffled, every row comes exactly once in every epoch, and epochs differ") {
  Rng rng{7};
  const auto train = numbered(1001);
  const auto first = labels_of(data::batches(train, {.batch_size = 64, .shuffle = rng}));
  const auto second = labels_of(data::batches(train, {.batch_size = 64, .shuffle = rng}));
  CHECK(sorted(first) == counted(1001));
  CHECK(sorted(second) == counted(1001));
  CHECK(first != counted(1001));
  CHECK(first != second);
}

TEST_CASE("batches: the same seed gives the same order, with any number of threads and when walked twice") {
  const int before = threads();
  Rng a{7}, b{7}, c{8};
  const auto train = numbered(100);
  const auto epoch = data::batches(train, {.batch_size = 9, .shuffle = a});
  set_threads(3);
  const auto same = labels_of(data::batches(train, {.batch_size = 9, .shuffle = b}));
  set_threads(before);
  CHECK(labels_of(epoch) == same);
  CHECK(labels_of(epoch) == same);
  CHECK(labels_of(data::batches(train, {.batch_size = 9, .shuffle = c})) != same);
}

TEST_CASE("batches: shuffle = true takes the default generator") {
  seed(7);
  const auto by_default = labels_of(data::batches(numbered(100), {.shuffle = true}));
  Rng rng{7};
  CHECK(by_default == labels_of(data::batches(numbered(100), {.shuffle = rng})));
  CHECK(by_default != counted(100));
}

TEST_CASE("batches: wide rows are gathered whole") {
  Rng rng{1};
  const Tensor x = reshape(arange(7 * 40000, float32), {7, 200, 200});
  for (auto [part, y] : data::batches({x, arange(7)}, {.batch_size = 3, .shuffle = rng}))
    for (std::int64_t i = 0; i < part.size(0); ++i) {
      const auto row = static_cast<std::size_t>(y.read<std::int64_t>()[static_cast<std::size_t>(i)]);
      CHECK(select(part, 0, i).to_vector<float>() == select(x, 0, static_cast<std::int64_t>(row)).to_vector<float>());
    }
}

TEST_CASE("batches: strided data is read in its own order, and y may be left out") {
  Rng rng{1};
  const Tensor x = transpose(reshape(arange(6, float32), {2, 3}));
  const auto plain = data::batches({x, {}}, {.batch_size = 2});
  CHECK(plain[0].x.to_vector<float>() == std::vector<float>{0, 3, 1, 4});
  CHECK_FALSE(plain[0].y.defined());
  CHECK_FALSE(data::batches({x, {}}, {.shuffle = rng})[0].y.defined());
}

TEST_CASE("batches: no rows make no batches") {
  Rng rng{1};
  CHECK(labels_of(data::batches({zeros({0, 2}), zeros({0}, int64)}, {.batch_size = 3, .shuffle = rng})).empty());
}

TEST_CASE("batches: a size below one and unequal rows are refused") {
  CHECK_THROWS_WITH_AS(data::batches(numbered(3), {.batch_size = 0}),
                       doctest::Contains("batches: batch_size must be >= 1, got 0"), ValueError);
  CHECK_THROWS_WITH_AS(data::batches({ones({3, 2}), ones({2})}),
                       doctest::Contains("same number of rows, got [3, 2] and [2]"), ShapeError);
  CHECK_THROWS_AS(data::batches({ones({}), {}}), ShapeError);
  CHECK_THROWS_AS(data::batches({}), ValueError);
}

TEST_CASE("batches: once warm, epochs take no memory from the system") {
  Rng rng{3};
  const auto train = numbered(1000);
  auto epoch = [&] {
    for (auto [x, y] : data::batches(train, {.batch_size = 64, .shuffle = rng})) CHECK(x.defined());
  };
  epoch();
  const auto before = memory_stats().system_allocations;
  for (int i = 0; i < 10; ++i) epoch();
  CHECK(memory_stats().system_allocations == before);
}

TEST_CASE("split: the last part is held out, as views or shuffled") {
  const auto all = numbered(10);
  const auto [train, test] = data::split(all, {.test = 0.3});
  CHECK(train.y.to_vector<std::int64_t>() == Labels{0, 1, 2, 3, 4, 5, 6});
  CHECK(test.y.to_vector<std::int64_t>() == Labels{7, 8, 9});
  CHECK(test.x.read<float>().data() == all.x.read<float>().data() + 14);

  Rng rng{5};
  const auto mixed = data::split(all, {.shuffle = rng});
  CHECK(mixed.test.size() == 2);
  auto labels = mixed.train.y.to_vector<std::int64_t>();
  for (auto y : mixed.test.y.to_vector<std::int64_t>()) labels.push_back(y);
  CHECK(labels != counted(10));
  CHECK(sorted(labels) == counted(10));
  labels_of(data::batches(mixed.train));
}

TEST_CASE("split: nothing or everything may be held out, but not more") {
  CHECK(data::split(numbered(3), {.test = 0}).test.size() == 0);
  CHECK(data::split(numbered(3), {.test = 1}).train.size() == 0);
  CHECK_THROWS_AS(data::split(numbered(3), {.test = 1.5}), ValueError);
  CHECK_THROWS_AS(data::split(numbered(3), {.test = -0.1}), ValueError);
}
