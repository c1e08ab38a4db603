#include "wengert/onnx/onnx.h"

#include "../files.h"
#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/random.h"

#include <doctest/doctest.h>

using namespace wengert;
using test::contains;
using test::message;

// What the graphs compute is checked by other programs: tests/onnx/run.

namespace {

struct Affine {
  Param weight = ones({2, 3}), bias = zeros({2});
  Tensor operator()(const Tensor& x) const { return linear(x, weight, bias); }
};

template <class F>
std::string refused(F f, const Tensor& x = ones({4, 3})) {
  TemporaryFolder folder;
  const auto what = message<GraphError>([&] { save_onnx(folder / "x", Affine(), f, x); });
  CHECK(folder.entries() == 0);
  return what;
}

}  // namespace

TEST_CASE("save_onnx: parameters keep their paths, and inputs and outputs their names") {
  TemporaryFolder folder;
  const Affine model;
  save_onnx(folder / "x", model, ones({4, 3}), {.inputs = {"pixels"}, .outputs = {"scores"}});
  const std::string bytes = read_bytes(folder / "x");
  for (const char* part : {"weight", "bias", "pixels", "scores", "Gemm", "transB", "wengert", "onnx.cpp:"})
    CHECK_MESSAGE(contains(bytes, part), part);
  CHECK(folder.entries() == 1);
  CHECK_FALSE(model.weight.grad().defined());
  save_onnx(folder / "y", model, ones({4, 3}), {.inputs = {"pixels"}, .outputs = {"scores"}});
  CHECK(read_bytes(folder / "y").size() == bytes.size());
}

TEST_CASE("save_onnx: the file is protobuf's encoding of the graph, byte by byte") {
  TemporaryFolder folder;
  struct Nothing {};
  save_onnx(folder / "x", Nothing(), [](const Tensor& x) { return relu(x); }, ones({300}));
  const std::string bytes = read_bytes(folder / "x");
  // ir_version 8; producer; graph
  CHECK(bytes.starts_with(std::string("\x08\x08\x12\x07wengert\x3a")));
  // an input "x": tensor type float32, one axis of 300 (two groups of seven bits)
  CHECK(contains(bytes, std::string("\x5a\x10\x0a\x01x\x12\x0b\x0a\x09\x08\x01\x12\x05\x0a\x03\x08\xac\x02")));
  // the operator set "", 17, is the last field
  CHECK(bytes.ends_with(std::string("\x42\x04\x0a\x00\x10\x11", 6)));
}

TEST_CASE("save_onnx: an operator without an ONNX form is named with the user's line") {
  const auto line = std::to_string(__LINE__ + 1);
  const auto what = refused([](const Tensor& x) { return digamma(x); });
  CHECK(contains(what, "save_onnx: the operator 'digamma' has no ONNX form here, with operands [4, 3]"));
  CHECK(contains(what, "onnx.cpp:" + line));
}

TEST_CASE("save_onnx: numbers that come from the input by other ways than operators are found") {
  CHECK(contains(refused([](const Tensor& x) { return x * x.read<float>()[0]; }), "is no operator's result"));
  Rng rng{1};
  CHECK(contains(refused([&](const Tensor& x) { return x * rand({4, 3}, rng); }), "is no operator's result"));
}

TEST_CASE("save_onnx: a graph that depends on the numbers is found") {
  const Tensor x = from(std::vector<float>{1, -2}, {2});
  CHECK(contains(refused([](const Tensor& t) { return t.read<float>()[0] > 0 ? relu(t) : tanh(t); }, x),
                 "which operators run depends on the numbers of the input"));
}

TEST_CASE("save_onnx: names in another number than tensors, and functions without a result, are refused") {
  TemporaryFolder folder;
  const Affine model;
  CHECK_THROWS_WITH_AS(save_onnx(folder / "x", model, ones({4, 3}), {.inputs = {"a", "b"}}),
                       doctest::Contains("2 names for 1 inputs"), ValueError);
  CHECK_THROWS_WITH_AS(save_onnx(folder / "x", model, ones({4, 3}), {.outputs = {"a", "b"}}),
                       doctest::Contains("2 names for 1 results"), ValueError);
  CHECK_THROWS_AS(save_onnx(folder / "x", model, [](const Tensor&) { return Tensor(); }, ones({1})), ValueError);
  CHECK_THROWS_AS(save_onnx(folder / "absent/x", model, ones({4, 3})), FileError);
  CHECK(folder.entries() == 0);
}
