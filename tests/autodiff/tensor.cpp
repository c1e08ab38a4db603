#include "../support.h"
#include "wengert/autodiff/base/pool.h"
#include "wengert/autodiff/ops.h"

#include <algorithm>

using namespace wengert;
using test::contains;
using test::message;

TEST_CASE("tensors are made from numbers, rows and vectors") {
  CHECK(tensor({1, 2, 3}).shape() == Shape{3});
  CHECK(tensor({{1, 2}, {3, 4}}).to_vector<float>() == std::vector<float>{1, 2, 3, 4});
  CHECK(from(std::vector<double>{1, 2}, {2, 1}).dtype() == float64);
  CHECK(arange(3).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2});
  CHECK(eye(2, float64).to_vector<double>() == std::vector<double>{1, 0, 0, 1});
  CHECK(full({2}, 7, int64).to_vector<std::int64_t>() == std::vector<std::int64_t>{7, 7});
  CHECK(contains(message<ShapeError>([] { (void)from(std::vector<double>{1, 2}, {3}); }),
                 "shape [3] has 3 elements, got 2 values"));
  CHECK_THROWS_AS((void)tensor({{1, 2}, {3}}), ShapeError);
}

TEST_CASE("a handle is a reference: copies share numbers, and writing through one is seen by all") {
  Tensor a = zeros({3}), b = a;
  a.write<float>()[1] = 5;
  CHECK(b.to_vector<float>()[1] == 5);
  Tensor c = clone(a);
  c.write<float>()[1] = 6;
  CHECK(a.to_vector<float>()[1] == 5);
}

TEST_CASE("assign copies numbers into strided views, too") {
  Tensor a = zeros({2, 2});
  Tensor column = select(a, 1, 0);
  column.assign(tensor({7, 8}));
  CHECK(a.to_vector<float>() == std::vector<float>{7, 0, 8, 0});
  CHECK(contains(message<ShapeError>([&] { a.assign(zeros({4})); }), "assign: float32 [2, 2] cannot take float32 [4]"));
}

TEST_CASE("x += y gives the handle a new value and leaves the old one alone") {
  Tensor a = tensor({1, 2}), b = a;
  a += tensor({10, 20});
  CHECK(a.to_vector<float>() == std::vector<float>{11, 22});
  CHECK(b.to_vector<float>() == std::vector<float>{1, 2});
}

TEST_CASE("reading with the wrong type, axis or count is named") {
  const Tensor a = zeros({2, 3});
  CHECK(contains(message<TypeError>([&] { (void)a.read<double>(); }), "the tensor is float32, not float64"));
  CHECK(contains(message<ShapeError>([&] { (void)a.item(); }), "item: needs one element, got [2, 3]"));
  CHECK(contains(message<ValueError>([&] { (void)a.size(2); }), "axis 2 of a tensor with shape [2, 3]"));
  CHECK(a.size(-1) == 3);
}

TEST_CASE("to_string shows numbers, dtype and shape; large tensors are shortened") {
  CHECK(to_string(tensor({{1, 2.5}, {-3, 4}})) == "[[  1, 2.5],\n [ -3,   4]]  float32 [2, 2]");
  CHECK(to_string(scalar(2, float64)) == "2  float64 []");
  CHECK(to_string(zeros({0})) == "[]  float32 [0]");
  CHECK(to_string(tensor({1, 0}, boolean)) == "[ true, false]  bool [2]");
  CHECK(to_string(arange(5000)) == "[   0,    1,    2, ..., 4997, 4998, 4999]  int64 [5000]");
  CHECK(to_string(Tensor()) == "undefined");
}

TEST_CASE("memory: freed blocks are kept, counted, and given back by trim") {
  trim();
  const auto before = memory_stats();
  {
    const Tensor a = empty({1 << 20});
    CHECK(memory_stats().in_use >= before.in_use + (4 << 20));
    CHECK(memory_stats().peak >= memory_stats().in_use);
  }
  CHECK(memory_stats().in_use == before.in_use);
  CHECK(memory_stats().reserved > before.reserved);
  trim();
  CHECK(memory_stats().reserved == before.reserved);
}

TEST_CASE("memory: blocks below a huge page are cut from regions, which go back once nothing in them is held") {
  trim();
  const auto before = memory_stats();
  {
    Tensor kept;
    {
      std::vector<Tensor> many;  // 22 MB, in blocks of 20 KB to 1.3 MB
      for (int i = 0; i < 60; ++i) many.push_back(full({5000 << i % 7}, i));
      for (int i = 0; i < 60; ++i) {
        const auto x = many[i].read<float>();
        CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
        CHECK(std::ranges::count(x, static_cast<float>(i)) == many[i].numel());
      }
      kept = many[30];
    }
    const auto all = memory_stats();
    CHECK(all.reserved >= before.reserved + (16 << 20));
    CHECK(all.system_allocations <= before.system_allocations + 4);
    trim();
    CHECK(memory_stats().reserved <= all.reserved - (8 << 20));
    std::vector<Tensor> others;  // what is left of the region that holds `kept` is used, and `kept` is not
    for (int i = 0; i < 60; ++i) others.push_back(full({5000 << i % 7}, -1));
    CHECK(memory_stats().system_allocations <= all.system_allocations + 4);
    CHECK(std::ranges::count(kept.read<float>(), 30.0f) == kept.numel());
  }
  trim();
  CHECK(memory_stats().reserved == before.reserved);
}
