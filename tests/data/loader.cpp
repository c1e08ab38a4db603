#include "wengert/data/loader.h"

#include "files.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops.h"
#include "wengert/data/data.h"
#include "wengert/optim/checkpoints.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

using namespace wengert;

namespace {

using Labels = std::vector<std::int64_t>;

// Row i is (i, -i), its label i.
data::Dataset numbered(std::int64_t n) {
  const Tensor column = reshape(arange(n, float32), {n, 1});
  return {cat({column, -column}, 1), arange(n)};
}

void append(Labels& all, const data::Dataset& batch) {
  const auto y = batch.y.to_vector<std::int64_t>();
  const auto x = batch.x.to_vector<float>();
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(x[2 * i + 1] == -static_cast<float>(y[i]));
  all.insert(all.end(), y.begin(), y.end());
}

Labels rest_of_epoch(data::Loader<>& loader) {
  Labels all;
  for (const auto& batch : loader) append(all, batch);
  return all;
}

// The next so many batches, over the ends of epochs.
std::vector<Labels> batches_of(data::Loader<>& loader, int n) {
  std::vector<Labels> all;
  while (static_cast<int>(all.size()) < n)
    if (const auto batch = loader.next()) append(all.emplace_back(), *batch);
  return all;
}

Labels sorted(Labels labels) {
  std::sort(labels.begin(), labels.end());
  return labels;
}

Labels counted(std::int64_t n) { return arange(n).to_vector<std::int64_t>(); }

template <class E, class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}
bool contains(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("loader: every row comes once in an epoch, and epochs differ") {
  data::Loader loader(numbered(101), {.batch_size = 8, .shuffle = true, .seed = 5});
  CHECK(loader.size() == 13);
  CHECK(loader.rows() == 101);
  const Labels first = rest_of_epoch(loader), second = rest_of_epoch(loader);
  CHECK(loader.epoch() == 2);
  CHECK(loader.position() == 0);
  CHECK(sorted(first) == counted(101));
  CHECK(sorted(second) == counted(101));
  CHECK(first != second);
  CHECK(first != counted(101));
}

TEST_CASE("loader: unshuffled it keeps the order, and drop_last leaves out the smaller batch") {
  data::Loader loader(numbered(10), {.batch_size = 4, .shuffle = false});
  CHECK(rest_of_epoch(loader) == counted(10));
  CHECK(rest_of_epoch(loader) == counted(10));
  data::Loader dropping(numbered(10), {.batch_size = 4, .shuffle = false, .drop_last = true});
  CHECK(dropping.size() == 2);
  CHECK(rest_of_epoch(dropping) == counted(8));
  data::Loader nothing(data::Dataset{zeros({0, 2}), zeros({0}, int64)}, {.prefetch = 2});
  CHECK(rest_of_epoch(nothing).empty());
  CHECK(nothing.epoch() == 1);
}

TEST_CASE("loader: the order depends on the seed and the epoch alone") {
  data::Loader a(numbered(50), {.batch_size = 7, .shuffle = true, .seed = 1}),
      b(numbered(50), {.batch_size = 5, .shuffle = true, .seed = 1}),
      c(numbered(50), {.batch_size = 7, .shuffle = true, .seed = 2});
  const Labels first = rest_of_epoch(a);
  CHECK(first == rest_of_epoch(b));
  CHECK(first != rest_of_epoch(c));
  const Labels second = rest_of_epoch(a);
  a.seek(0);
  CHECK(rest_of_epoch(a) == first);
  a.seek(1);
  CHECK(rest_of_epoch(a) == second);
}

TEST_CASE("loader: shuffle is off by default, and a generator draws the seed") {
  data::Loader plain(numbered(10), {.seed = 5});
  CHECK(rest_of_epoch(plain) == counted(10));
  Rng rng{3}, same{3};
  data::Loader a(numbered(50), {.shuffle = rng}), b(numbered(50), {.shuffle = true, .seed = same.bits()}),
      c(numbered(50), {.shuffle = rng});
  CHECK(a.seed() == b.seed());
  const Labels order = rest_of_epoch(a);
  CHECK(order == rest_of_epoch(b));
  CHECK(order != counted(50));
  CHECK(order != rest_of_epoch(c));  // the generator has moved on
}

TEST_CASE("loader: prefetching on a thread changes no batch") {
  for (std::int64_t prefetch : {1, 2, 5, 40}) {
    data::Loader plain(numbered(61), {.batch_size = 4, .shuffle = true, .seed = 3}),
        ahead(numbered(61), {.batch_size = 4, .shuffle = true, .seed = 3, .prefetch = prefetch});
    CHECK(batches_of(plain, 50) == batches_of(ahead, 50));
    // Places are taken up wherever one goes.
    plain.seek(7, 11), ahead.seek(7, 11);
    CHECK(batches_of(plain, 9) == batches_of(ahead, 9));
  }
}

TEST_CASE("loader: after a break the epoch goes on, and copies go their own way") {
  data::Loader loader(numbered(20), {.batch_size = 4, .shuffle = true, .seed = 9, .prefetch = 2});
  data::Loader whole = loader;
  const Labels all = rest_of_epoch(whole);
  Labels seen;
  for (const auto& batch : loader) {
    append(seen, batch);
    if (loader.position() == 2) break;
  }
  data::Loader copy = loader;
  const Labels rest = rest_of_epoch(loader);
  CHECK(rest_of_epoch(copy) == rest);
  seen.insert(seen.end(), rest.begin(), rest.end());
  CHECK(seen == all);
  data::Loader moved = std::move(copy);
  CHECK(moved.epoch() == 1);
  loader = moved;
  CHECK(rest_of_epoch(loader) == rest_of_epoch(moved));
}

namespace {
struct Kept {
  Param weight = ones({2});
  data::Loader<> batches;
};
}  // namespace

TEST_CASE("loader: a file keeps the place in an epoch, and the very same batches follow") {
  const TemporaryFolder folder;
  for (std::int64_t prefetch : {0, 3}) {
    Kept first{.batches =
                   data::Loader(numbered(33), {.batch_size = 4, .shuffle = true, .seed = 11, .prefetch = prefetch})};
    batches_of(first.batches, 13);
    optim::Checkpoints files{folder / std::to_string(prefetch)};
    files.save(first, 13);
    const auto follow = batches_of(first.batches, 20);

    Kept second{
        .batches = data::Loader(numbered(33), {.batch_size = 4, .shuffle = true, .seed = 1, .prefetch = 3 - prefetch})};
    batches_of(second.batches, 2);  // its thread is somewhere else
    CHECK(files.load_latest(second) == 13);
    CHECK(second.batches.seed() == 11);
    CHECK(second.batches.epoch() == 1);
    CHECK(second.batches.position() == 4);
    CHECK(batches_of(second.batches, 20) == follow);
  }
}

TEST_CASE("loader: saved behind the last batch of an epoch, the loop is not entered and the next epoch begins") {
  const TemporaryFolder folder;
  data::Loader loader(numbered(8), {.batch_size = 4, .shuffle = true, .seed = 1});
  for (const auto& batch : loader) {
    CHECK(batch.x.defined());
    save(folder / "place", loader);
    CHECK(loader.epoch() == 0);
  }
  data::Loader again(numbered(8), {.batch_size = 4, .shuffle = true, .seed = 1});
  load(folder / "place", again);
  CHECK(again.position() == 2);
  CHECK(rest_of_epoch(again).empty());
  CHECK(again.epoch() == 1);
  CHECK(rest_of_epoch(again) == rest_of_epoch(loader));
}

TEST_CASE("loader: a place for other data or other batches is refused, until another one is chosen") {
  const TemporaryFolder folder;
  data::Loader loader(numbered(8), {.batch_size = 4, .shuffle = true});
  save(folder / "place", loader);
  data::Loader other(numbered(9), {.batch_size = 4});
  load(folder / "place", other);
  CHECK(contains(message<ValueError>([&] { other.next(); }),
                 "batches of 4 from 8 rows, but it deals batches of 4 from 9"));
  other.seek(0);
  CHECK(other.next().has_value());
}

TEST_CASE("loader: data of one's own is collated by a function, with random numbers that belong to the batch") {
  const std::vector<std::string> words{"a", "list", "of", "words", "and", "no", "tensors"};
  struct Batch {
    std::string text;
    std::uint64_t drawn;
  };
  auto collate = [&](data::Rows rows, Rng& rng) {
    Batch batch{{}, rng.bits()};
    for (auto i : rows) batch.text += words[static_cast<std::size_t>(i)] + ' ';
    return batch;
  };
  data::Loader plain(7, collate, {.batch_size = 3, .shuffle = false}),
      ahead(7, collate, {.batch_size = 3, .shuffle = false, .prefetch = 2});
  static_assert(std::same_as<decltype(plain), data::Loader<Batch>>);
  std::vector<std::uint64_t> drawn;
  for (int epoch = 0; epoch < 2; ++epoch) {
    auto other = ahead.begin();
    for (const auto& batch : plain) {
      CHECK((*other).text == batch.text);
      CHECK(other->drawn == batch.drawn);
      drawn.push_back(batch.drawn);
      if (plain.position() == 1) CHECK(batch.text == "a list of ");
      ++other;
    }
    CHECK(other == ahead.end());
  }
  std::sort(drawn.begin(), drawn.end());
  CHECK(std::unique(drawn.begin(), drawn.end()) == drawn.end());
}

TEST_CASE("loader: batches of a data set go through a function") {
  data::Loader loader(numbered(6), [](data::Dataset b) { return b.x * 2.; },
                      {.batch_size = 3, .shuffle = false, .prefetch = 1});
  static_assert(std::same_as<decltype(loader), data::Loader<Tensor>>);
  CHECK(loader.next()->to_vector<float>() == std::vector<float>{0, 0, 2, -2, 4, -4});
}

TEST_CASE("loader: what the function throws on the thread comes out of next(), and the place stays") {
  for (std::int64_t prefetch : {0, 1, 4}) {
    std::atomic<bool> broken = true;
    data::Loader loader(8,
                        [&](data::Rows rows) {
                          if (rows[0] == 4 && broken) throw std::runtime_error("row 4 is broken");
                          return rows[0];
                        },
                        {.batch_size = 2, .shuffle = false, .prefetch = prefetch});
    CHECK(loader.next() == 0);
    CHECK(loader.next() == 2);
    for (int i = 0; i < 3; ++i) CHECK(message<std::runtime_error>([&] { loader.next(); }) == "row 4 is broken");
    CHECK(loader.position() == 2);
    broken = false;
    CHECK(loader.next() == 4);
    CHECK(loader.next() == 6);
    CHECK_FALSE(loader.next().has_value());
  }
}

TEST_CASE("loader: its thread makes no more batches than it may, and ends with the loader") {
  std::atomic<int> made = 0;
  {
    data::Loader loader(1000, [&](data::Rows) { return ++made; }, {.batch_size = 1, .prefetch = 3});
    loader.next();
    for (int i = 0; i < 200 && made < 4; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(made == 4);
  }
  CHECK(made == 4);
  data::Loader never_asked(1000, [&](data::Rows) { return ++made; }, {.prefetch = 3});
  CHECK(made == 4);
}

TEST_CASE("loader: its thread runs kernels alone, whatever the others may") {
  const int before = threads();
  set_threads(3);
  data::Loader plain(2, [](data::Rows) { return threads(); }, {.batch_size = 1});
  data::Loader ahead(2, [](data::Rows) { return threads(); }, {.batch_size = 1, .prefetch = 1});
  CHECK(plain.next() == 3);
  CHECK(ahead.next() == 1);
  CHECK(threads() == 3);
  set_threads(before);
}

TEST_CASE("loader: once warm, epochs take no memory from the system") {
  for (std::int64_t prefetch : {0, 2}) {
    data::Loader loader(numbered(4000), {.batch_size = 64, .prefetch = prefetch});
    for (int i = 0; i < 10; ++i) rest_of_epoch(loader);
    const auto before = memory_stats().system_allocations;
    for (int i = 0; i < 10; ++i)
      for (const auto& batch : loader) CHECK(batch.x.defined());
    CHECK(memory_stats().system_allocations == before);
  }
}

TEST_CASE("loader: options and data that make no sense are refused") {
  CHECK(contains(message<ValueError>([] { data::Loader(numbered(3), {.batch_size = 0}); }),
                 "batch_size must be >= 1, got 0"));
  CHECK(contains(message<ValueError>([] { data::Loader(numbered(3), {.prefetch = -1}); }), "prefetch must be >= 0"));
  CHECK(contains(message<ShapeError>([] { data::Loader(data::Dataset{ones({3, 2}), ones({2})}); }), "loader: x and y"));
  CHECK_THROWS_AS(data::Loader(data::Dataset{}), ValueError);
  CHECK_THROWS_AS(data::Loader(data::Dataset{}, [](data::Dataset b) { return b; }), ValueError);
  data::Loader loader(numbered(9), {.batch_size = 3});
  CHECK(contains(message<ValueError>([&] { loader.seek(0, 4); }), "no batch 4 in epoch 0; an epoch has 3"));
  CHECK_THROWS_AS(loader.seek(-1), ValueError);
}

TEST_CASE("take: rows by their numbers, in any order and more than once") {
  const auto some = data::take(numbered(5), Labels{4, 0, 4});
  CHECK(some.y.to_vector<std::int64_t>() == Labels{4, 0, 4});
  CHECK(some.x.to_vector<float>() == std::vector<float>{4, -4, 0, 0, 4, -4});
  CHECK(contains(message<ValueError>([] { data::take(numbered(5), Labels{5}); }),
                 "take: there is no row 5; there are 5"));
}
