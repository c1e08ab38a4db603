#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/tape/gradient.h"

using namespace wengert;
using test::check_rule;
using test::random;

using Tensors = std::vector<Tensor>;
using Floats = std::vector<float>;

TEST_CASE("flip, roll, repeat, tile: values") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(flip(x).to_vector<float>() == Floats{6, 5, 4, 3, 2, 1});
  CHECK(flip(transpose(x), {0}).to_vector<float>() == Floats{3, 6, 2, 5, 1, 4});
  CHECK(roll(x, 1, 1).to_vector<float>() == Floats{3, 1, 2, 6, 4, 5});
  CHECK(roll(x, 1, -4).to_vector<float>() == Floats{2, 3, 1, 5, 6, 4});
  CHECK(tile(tensor({1, 2}), {2, 2}).to_vector<float>() == Floats{1, 2, 1, 2, 1, 2, 1, 2});
  CHECK(repeat_interleave(tensor({1, 2}), 0, 2).to_vector<float>() == Floats{1, 1, 2, 2});
  CHECK(repeat(x, {0, 1}).shape() == Shape{0, 3});
}

TEST_CASE("pad: each mode, and cutting") {
  const Tensor x = tensor({1, 2, 3});
  CHECK(pad(x, {{1, 2}}).to_vector<float>() == Floats{0, 1, 2, 3, 0, 0});
  CHECK(pad(x, {{1, -1}}, PadMode::constant, 7).to_vector<float>() == Floats{7, 1, 2});
  CHECK(pad(x, {{2, 1}}, PadMode::reflect).to_vector<float>() == Floats{3, 2, 1, 2, 3, 2});
  CHECK(pad(x, {{2, 1}}, PadMode::replicate).to_vector<float>() == Floats{1, 1, 1, 2, 3, 3});
  CHECK(pad(x, {{2, 1}}, PadMode::circular).to_vector<float>() == Floats{2, 3, 1, 2, 3, 1});
  CHECK(
      test::contains(test::message<ShapeError>([&] { (void)pad(x, {{3, 0}}, PadMode::reflect); }), "too few entries"));
  CHECK(test::contains(test::message<ShapeError>([&] { (void)pad(x, {{-2, -2}}); }), "take more"));
}

TEST_CASE("diagonals and triangles: values") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(diagonal(x).to_vector<float>() == Floats{1, 5});
  CHECK(diagonal(x, 1).to_vector<float>() == Floats{2, 6});
  CHECK(diagonal(x, -5).shape() == Shape{0});
  CHECK(diag(tensor({1, 2}), -1).to_vector<float>() == Floats{0, 0, 0, 1, 0, 0, 0, 2, 0});
  CHECK(tril(x).to_vector<float>() == Floats{1, 0, 0, 4, 5, 0});
  CHECK(triu(x, 1).to_vector<float>() == Floats{0, 2, 3, 0, 0, 6});
}

TEST_CASE("rearranged entries: every derivative agrees with differences") {
  const Tensor x = random({3, 4, 2});
  const std::pair<const char*, Tensor (*)(const Tensors&)> all[] = {
      {"flip", [](const Tensors& t) { return flip(t[0], {0, -1}); }},
      {"roll", [](const Tensors& t) { return roll(t[0], 1, 3); }},
      {"repeat", [](const Tensors& t) { return repeat(t[0], {2, 1, 2, 3}); }},
      {"repeat_interleave", [](const Tensors& t) { return repeat_interleave(t[0], 1, 3); }},
      {"movedim", [](const Tensors& t) { return movedim(t[0], {0, 2}, {-1, 0}); }},
      {"split", [](const Tensors& t) { return split(t[0], 1, 3)[0] * 2; }},
      {"chunk", [](const Tensors& t) { return chunk(t[0], 0, 2)[1]; }},
      {"unbind", [](const Tensors& t) { return unbind(t[0], 1)[2]; }},
      {"pad by zeros", [](const Tensors& t) { return pad(t[0], {{1, 2}, {-1, 1}}); }},
      {"pad by a value", [](const Tensors& t) { return pad(t[0], {{1, 2}, {-1, 1}}, PadMode::constant, 3); }},
      {"reflect", [](const Tensors& t) { return pad(t[0], {{2, 3}, {1, 1}}, PadMode::reflect); }},
      {"replicate", [](const Tensors& t) { return pad(t[0], {{2, 3}, {4, 1}}, PadMode::replicate); }},
      {"circular", [](const Tensors& t) { return pad(t[0], {{2, 3}, {2, 1}}, PadMode::circular); }},
      {"sliding_windows", [](const Tensors& t) { return sliding_windows(t[0], 1, 3); }},
      {"diagonal", [](const Tensors& t) { return diagonal(t[0], 1, 1, 0); }},
      {"undiagonal", [](const Tensors& t) { return detail::undiagonal(t[0], -1, 3, 4); }},
      {"diag_embed", [](const Tensors& t) { return diag_embed(t[0], 1, 0, 2); }},
      {"tril", [](const Tensors& t) { return tril(t[0]); }},
      {"masked_fill", [](const Tensors& t) { return masked_fill(t[0], tensor({1, 0}, boolean), 2); }},
  };
  for (auto& [name, f] : all) {
    INFO(name);
    check_rule(f, {x});
  }
}
