// What operators say to the person who called them: the operator, what was needed, what came.

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"

using namespace wengert;

namespace {

template <class F>
void says(const char* wanted, F&& f, int line) {
  INFO("line ", line);
  const std::string text = test::message<Error>(f);
  CHECK_MESSAGE(test::contains(text, wanted), text);
  CHECK_MESSAGE(test::contains(text, "mistakes.cpp:" + std::to_string(line)), text);
}
#define SAYS(wanted, call) says(wanted, [&] { (void)(call); }, __LINE__)

const Tensor x = ones({2, 3}), v = ones({3}), d = ones({2, 3}, float64);
const Tensor index = zeros({2}, int64), yes = ones({2, 3}, boolean);

}  // namespace

TEST_CASE("mistakes: shapes are named with the call's line") {
  SAYS("unsqueeze: axis 4 is out of range [-3, 2] for shape [2, 3]", unsqueeze(x, 4));
  SAYS("squeeze: axis 1 of [2, 3] must have one entry, not 3", squeeze(x, 1));
  SAYS("unslice: [2, 3] does not fit into [2, 4]", detail::unslice(x, {2, 4}, 1, 2, 1));
  SAYS("narrow: entries [1, 5) exceed axis 1 of [2, 3], which has 3", narrow(x, 1, 1, 4));
  SAYS("select: index 7 is out of range for axis 0 of [2, 3] (2 entries)", select(x, 0, 7));
  SAYS("topk: k = 9 exceeds axis 1 of [2, 3] (3 entries)", topk(x, 9));
  SAYS("argmax: cannot reduce axis 0 of [0], which is empty", argmax(zeros({0})));
  SAYS("sum_to: [2] does not broadcast to [2, 3], the shape of x", sum_to(x, {2}));
  SAYS("softmax: axis 0 is out of range: a scalar has no axes", softmax(scalar(1), 0));
  SAYS("stack: shapes differ: [2, 3] and [3]", stack({x, v}));
  SAYS("movedim: needs a new place for each axis, got axes [0] and places [0, 1]", movedim(x, {0}, {0, 1}));
  SAYS("split: sizes sum to 2, but axis 1 of [2, 3] has 3 entries", split(x, 1, std::vector<std::int64_t>{1, 1}));
  SAYS("repeat: got 1 counts for [2, 3], which has 2 axes", repeat(x, {2}));
  SAYS("pad: got 3 widths for [2, 3], which has 2 axes", pad(x, {{1, 1}, {1, 1}, {1, 1}}));
  SAYS("sliding_windows: size 4 exceeds axis 1 of [2, 3] (3 entries)", sliding_windows(x, 1, 4));
  SAYS("undiagonal: diagonal 0 of a [2, 2] matrix has 2 entries", detail::undiagonal(v, 0, 2, 2));
  SAYS("diag: takes a vector or a matrix, got [1, 1, 1]", diag(ones({1, 1, 1})));
  SAYS("unpick: x must be [n], got [2, 3]", detail::unpick(x, index, 3));
  SAYS("unpick: k must be >= 0, got -1", detail::unpick(ones({2}), index, -1));
  SAYS("glu: the size of axis 1 of [2, 3] must be even", glu(x));
  SAYS("prelu: slope [2] must have one entry", prelu(x, ones({2})));
  SAYS("rms_norm: weight must be [3] for x [2, 3], got [2]", rms_norm(x, ones({2})));
  SAYS("pixel_shuffle: [1, 3, 2, 2] needs [.., c * 2^2, h, w]", pixel_shuffle(ones({1, 3, 2, 2}), 2));
  SAYS("embedding: weight must be [entries, size], got [3]", embedding(v, index));
  SAYS("attention: needs [.., length, size], got [3] and [2, 3]", attention(v, x, x));
}

TEST_CASE("mistakes: products say which axes do not fit") {
  SAYS("einsum: needs at least one operand", einsum("i", {}));
  SAYS("einsum: 'i' is twice in the result of", einsum("ij->ii", {x}));
  SAYS("einsum: dtypes differ: float32 and float64", einsum("ij,ij->", {x, d}));
  SAYS("tensordot: [1] axes of x, but [0, 1] of y", tensordot(x, x, {1}, {0, 1}));
  SAYS("tensordot: axis 1 of [2, 3] and axis 0 of [2, 3] differ", tensordot(x, x, {1}, {0}));
  SAYS("dot: needs two vectors, got [2, 3] and [3]", dot(x, v));
  SAYS("outer: needs two vectors, got [2, 3] and [3]", outer(x, v));
  SAYS("kron: takes up to 4 axes", kron(ones({1, 1, 1, 1, 1}), v));
  SAYS("multi_dot: operand 1 is [2, 3], which does not continue the chain", multi_dot({x, x}));
  SAYS("cdist: needs [.., m, d] and [.., n, d], got [2, 3] and [3]", cdist(x, v));
}

TEST_CASE("mistakes: dtypes are named with their cure") {
  SAYS("take: the index must be int64, got float32", take(x, 0, v));
  SAYS("take_along: the index [2] must have the axes of [2, 3]", take_along(x, 1, index));
  SAYS("take_along: [2, 3] and index [3, 1] do not broadcast except along axis 1",
       take_along(x, 1, zeros({3, 1}, int64)));
  SAYS("ungather: the index must be int64, got float32", detail::ungather(x, {2, 3}, 1, x));
  SAYS("ungather: [2, 3] by index [2, 3] does not fit into [1, 3]",
       detail::ungather(x, {1, 3}, 1, zeros({2, 3}, int64)));
  SAYS("scatter_add: the index must be int64, got float32", scatter_add(x, 1, x, x));
  SAYS("index_add: needs one index for each entry of axis 0 of [2, 3], got 1", index_add(x, 0, zeros({1}, int64), x));
  SAYS("the source [2, 1] must cover the index [2, 2]", scatter(x, 1, zeros({2, 2}, int64), ones({2, 1})));
  SAYS("masked_select: the mask must be bool, got float32", masked_select(x, x));
  SAYS("linear_recurrence: dtypes differ: float32 and float64", linear_recurrence(x, d, 1));
  SAYS("cumprod: not defined for bool", cumprod(yes, 1));
}

TEST_CASE("scalars: standardize and var take them as a single entry") {
  const Tensor s = scalar(2, float64);
  CHECK(standardize(s, {}).item() == 0);
  CHECK(var(s, {.correction = 0}).item() == 0);
  CHECK(detail::pick(yes, index).to_vector<bool>() == std::vector<bool>{true, true});
}
