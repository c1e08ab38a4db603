// The whole vocabulary, as ops.h and nn.h declare it, through the harness. docs/operators.md is made of the results
// (tests/operators), which also tells when an operator has no row here. Elementwise operators have theirs without being
// named: elementwise.inc lists what ops.h declares.

#include "../remember.h"
#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/autodiff/ops/sequences.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/nn/nn.h"

#include <algorithm>
#include <cmath>

using namespace wengert;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

struct Elementwise {
  const char* name;
  Tensor (*f)(const Tensor&);
  Tensor (*of_dying)(Tensor&&);
};
const Elementwise elementwise[] = {
#define OPERATOR(name) {#name, [](const Tensor& x) { return name(x); }, [](Tensor&& x) { return name(std::move(x)); }},
#include "elementwise.inc"
#undef OPERATOR
};

// Where the operator is defined.
Tensor domain(const Elementwise& op, const Shape& shape) {
  const std::pair<double, double> ranges[] = {{-2, 2}, {-0.9, 0.9}, {0.1, 3}, {1.2, 5}};
  for (auto [low, high] : ranges) {
    const Tensor x = random(shape, low, high, 11);
    bool finite = true;
    for (double y : op.f(x).to_vector<double>()) finite &= std::isfinite(y);
    if (finite) return x;
  }
  FAIL("nowhere defined: ", op.name);
  return {};
}

// Operands that die with the call, which an operator may overwrite.
struct Dying {
  Tensors x;
  Tensor operator[](std::size_t i) const { return clone(x[i]); }
};

struct Row {
  const char* name;
  Tensors (*f)(const Tensors&);
  Tensors (*of_dying)(const Dying&);
  std::vector<Shape> operands;
  template <class F>
  Row(const char* n, F function, std::vector<Shape> shapes)
      : name(n), f(function), of_dying(function), operands(std::move(shapes)) {}
};
// clang-format off
#define ROW(name, result, ...) {#name, [](const auto& x) -> Tensors { return {result}; }, {__VA_ARGS__}},
#define ROWS(name, results, ...) {#name, [](const auto& x) -> Tensors { return results; }, {__VA_ARGS__}},
using S = Shape;
Tensor index(std::vector<std::int64_t> i) { return from(i, {std::int64_t(i.size())}); }
Tensor index(std::vector<std::int64_t> i, const Shape& s) { return from(i, s); }
Tensors states(const Recurrent& r) { return r.c.defined() ? Tensors{r.output, r.h, r.c} : Tensors{r.output, r.h}; }
Tensor square_matrix(const Tensor& x) { return x + 3 * eye(x.size(-1), x.dtype()); }
Tensor positive_matrix(const Tensor& x) { return matmul(x, transpose(x)) + eye(x.size(-1), x.dtype()); }

const Row rows[] = {
  ROW(add, add(x[0], x[1]), S{2, 3}, S{3})
  ROW(sub, sub(x[0], x[1]), S{2, 1}, S{3})
  ROW(mul, mul(x[0], x[1]), S{2, 3}, S{3})
  ROW(div, div(x[0], x[1]), S{2, 3}, S{3})
  ROW(pow, pow(x[0], x[1]), S{2, 3}, S{3})
  ROW(fmod, fmod(x[0], x[1]), S{2, 3}, S{3})
  ROW(remainder, remainder(x[0], x[1]), S{2, 3}, S{3})
  ROWS(maximum, (Tensors{maximum(x[0], x[1]), maximum(x[0], 1)}), S{2, 3}, S{3})
  ROWS(minimum, (Tensors{minimum(x[0], x[1]), minimum(x[0], 1)}), S{2, 3}, S{3})
  ROW(neg, neg(x[0]), S{3})
  ROW(lerp, lerp(x[0], x[1], x[2]), S{2, 3}, S{3}, S{2, 1})
  ROW(hypot, hypot(x[0], x[1]), S{2, 3}, S{3})
  ROW(atan2, atan2(x[0], x[1]), S{2, 3}, S{3})
  ROW(logaddexp, logaddexp(x[0], x[1]), S{2, 3}, S{3})
  ROW(xlogy, xlogy(x[0], x[1]), S{2, 3}, S{3})
  ROW(scale, scale(x[0], x[1]), S{2, 3}, S{3})
  ROW(affine, affine(x[0], 2, 3), S{3})
  ROW(polygamma, polygamma(2, x[0]), S{3})
  ROW(clamp, clamp(x[0], x[1], x[2] + 1), S{2, 3}, S{3}, S{2, 1})
  ROW(prelu, prelu(x[0] - 1, x[1]), S{2, 3}, S{3})
  ROW(glu, glu(x[0]), S{2, 4})
  ROW(where, where(x[0].detach() > 1, x[0], x[1]), S{2, 3}, S{3})
  ROW(to, to(x[0], x[0].dtype()), S{3})
  ROW(clone, clone(x[0]), S{3})
  ROW(contiguous, contiguous(transpose(x[0])), S{2, 3})
  ROW(reshape, reshape(x[0], {3, -1}), S{2, 3})
  ROW(flatten, flatten(x[0]), S{2, 3})
  ROW(permute, permute(x[0], {2, 0, 1}), S{2, 3, 2})
  ROW(transpose, transpose(x[0]), S{2, 3})
  ROW(unsqueeze, unsqueeze(x[0], 1), S{2, 3})
  ROW(squeeze, squeeze(x[0], 1), S{2, 1, 3})
  ROW(expand, expand(x[0], {2, 2, 3}), S{2, 1})
  ROW(slice, slice(x[0], 1, 1, 6, 2), S{2, 6})
  ROW(narrow, narrow(x[0], 1, 1, 2), S{2, 4})
  ROW(select, select(x[0], 1, 2), S{2, 4})
  ROW(unslice, detail::unslice(x[0], {2, 7}, 1, 1, 2), S{2, 3})
  ROW(cat, cat({x[0], x[1]}, 1), S{2, 3}, S{2, 1})
  ROW(stack, stack({x[0], x[1]}, 1), S{2, 3}, S{2, 3})
  ROW(movedim, movedim(x[0], {0}, {2}), S{2, 3, 2})
  ROWS(split, split(x[0], 0, 2), S{5, 2})
  ROWS(chunk, chunk(x[0], 0, 2), S{5, 2})
  ROWS(unbind, unbind(x[0], 1), S{2, 3})
  ROW(flip, flip(x[0], {1}), S{2, 3})
  ROW(roll, roll(x[0], 1, 2), S{2, 3})
  ROW(repeat, repeat(x[0], {2, 1, 3}), S{2, 3})
  ROW(tile, tile(x[0], {2}), S{2, 3})
  ROW(repeat_interleave, repeat_interleave(x[0], 0, 2), S{2, 3})
  ROW(pad, pad(x[0], {{1, 2}}, PadMode::reflect), S{2, 4})
  ROW(sliding_windows, sliding_windows(x[0], 1, 2), S{2, 4})
  ROW(diagonal, diagonal(x[0], 1), S{3, 4})
  ROW(undiagonal, detail::undiagonal(x[0], 1, 3, 4), S{2, 3})
  ROW(diag_embed, diag_embed(x[0], 1), S{2, 3})
  ROW(diag, diag(x[0]), S{3})
  ROW(tril, tril(x[0]), S{2, 3, 3})
  ROW(triu, triu(x[0], 1), S{2, 3, 3})
  ROW(masked_fill, masked_fill(x[0], x[0].detach() > 1, 2), S{2, 3})
  ROW(index_select, index_select(x[0], 1, index({2, 0, 2})), S{2, 3})
  ROW(take, take(x[0], 0, index({1, -1, 0, 1}, {2, 2})), S{2, 3})
  ROW(index_add, index_add(x[0], 1, index({3, 0, 3}), x[1]), S{2, 4}, S{2, 3})
  ROW(unselect, detail::unselect(x[0], {2, 4}, 1, index({3, 0, 3})), S{2, 3})
  ROW(pick, detail::pick(x[0], index({2, 0})), S{2, 3})
  ROW(unpick, detail::unpick(x[0], index({2, 0}), 3), S{2})
  ROW(gather, gather(x[0], 1, index({2, 0, 1, 1}, {2, 2})), S{2, 3})
  ROW(take_along, take_along(x[0], 1, index({2, 0}, {1, 2})), S{2, 3})
  ROW(ungather, detail::ungather(x[0], {2, 3}, 1, index({2, 0, 1, 1}, {2, 2})), S{2, 2})
  ROW(scatter_add, scatter_add(x[0], 1, index({2, 0, 1, 1}, {2, 2}), x[1]), S{2, 3}, S{2, 2})
  ROW(scatter, scatter(x[0], 1, index({2, 0, 1, 1}, {2, 2}), x[1]), S{2, 3}, S{2, 2})
  ROW(masked_select, masked_select(x[0], x[0].detach() > 1), S{2, 3})
  ROW(sort, sort(x[0]).values, S{2, 4})
  ROW(topk, topk(x[0], 2).values, S{2, 4})
  ROW(sum, sum(x[0], {0}), S{2, 3})
  ROW(mean, mean(x[0], {1}), S{2, 3})
  ROW(sum_to, sum_to(x[0], {1, 3}), S{2, 2, 3})
  ROW(amax, amax(x[0], {1}), S{2, 3})
  ROW(amin, amin(x[0], {0}), S{2, 3})
  ROW(max_with_index, max_with_index(x[0]).values, S{2, 3})
  ROW(min_with_index, min_with_index(x[0]).values, S{2, 3})
  ROW(var, var(x[0], {1}), S{2, 3})
  ROW(stddev, stddev(x[0], {1}), S{2, 3})
  ROW(prod, prod(x[0], {1}), S{2, 3})
  ROW(norm, norm(x[0], {.axes = {1}, .p = 3}), S{2, 3})
  ROW(cumsum, cumsum(x[0], 1), S{2, 3})
  ROW(cumprod, cumprod(x[0], 1), S{2, 3})
  ROW(logcumsumexp, logcumsumexp(x[0], 1), S{2, 3})
  ROW(cummax, cummax(x[0], 1).values, S{2, 4})
  ROW(cummin, cummin(x[0], 1).values, S{2, 4})
  ROW(linear_recurrence, linear_recurrence(x[0], x[1], 1), S{2, 3}, S{2, 3})
  ROW(diff, diff(x[0], -1, 2), S{2, 4})
  ROW(softmax, softmax(x[0]), S{2, 3})
  ROW(log_softmax, log_softmax(x[0], 0), S{2, 3})
  ROW(logsumexp, logsumexp(x[0], {-1}), S{2, 3})
  ROW(cross_entropy, detail::cross_entropy(x[0], index({2, 0})), S{2, 3})
  ROW(matmul, matmul(x[0], x[1]), S{2, 2, 3}, S{3, 2})
  ROW(linear, linear(x[0], x[1], x[2]), S{2, 3}, S{2, 3}, S{2})
  ROW(einsum, einsum("bij,bjk->ik", {x[0], x[1]}), S{2, 2, 3}, S{2, 3, 2})
  ROW(tensordot, tensordot(x[0], x[1], {1}, {0}), S{2, 3}, S{3, 2})
  ROW(dot, dot(x[0], x[1]), S{3}, S{3})
  ROW(outer, outer(x[0], x[1]), S{3}, S{2})
  ROW(kron, kron(x[0], x[1]), S{2, 2}, S{1, 3})
  ROW(cross, cross(x[0], x[1]), S{2, 3}, S{3})
  ROW(trace, trace(x[0]), S{3, 3})
  ROW(matrix_power, matrix_power(x[0], 3), S{2, 2})
  ROW(multi_dot, multi_dot({x[0], x[1], x[2]}), S{2, 3}, S{3, 2}, S{2, 1})
  ROW(cdist, cdist(x[0], x[1]), S{2, 3}, S{3, 3})
  ROW(solve, solve(square_matrix(x[0]), x[1]), S{3, 3}, S{3, 2})
  ROW(solve_triangular, solve_triangular(square_matrix(x[0]), x[1]), S{3, 3}, S{3, 2})
  ROW(inverse, inverse(square_matrix(x[0])), S{3, 3})
  ROW(cholesky, cholesky(positive_matrix(x[0])), S{3, 3})
  ROW(det, det(square_matrix(x[0])), S{3, 3})
  ROW(slogdet, slogdet(square_matrix(x[0])).log_abs, S{3, 3})
  ROW(logdet, logdet(square_matrix(x[0])), S{3, 3})
  ROWS(qr, (Tensors{qr(x[0]).q, qr(x[0]).r}), S{3, 2})
  ROW(svd, matmul(svd(x[0]).u, exp(svd(x[0]).vt)), S{3, 3})
  ROW(svdvals, svdvals(x[0]), S{3, 2})
  ROW(eigh, square(eigh(positive_matrix(x[0])).vectors), S{3, 3})
  ROW(eigvalsh, eigvalsh(positive_matrix(x[0])), S{3, 3})
  ROW(standardize, standardize(x[0], {1}), S{2, 4})
  ROW(layer_norm, layer_norm(x[0], x[1], x[2]), S{2, 4}, S{4}, S{4})
  ROW(batch_norm, batch_norm(x[0], x[1], x[2]), S{4, 2}, S{2}, S{2})
  ROW(group_norm, group_norm(x[0], 2, x[1], x[2]), S{2, 4, 2}, S{4}, S{4})
  ROW(instance_norm, instance_norm(x[0], x[1], x[2]), S{2, 2, 4}, S{2}, S{2})
  ROW(rms_norm, rms_norm(x[0], x[1]), S{2, 4}, S{4})
  ROW(local_response_norm, local_response_norm(x[0], 3, 0.5), S{2, 4, 2})
  ROW(normalize, normalize(x[0]), S{2, 3})
  ROW(cosine_similarity, cosine_similarity(x[0], x[1]), S{2, 3}, S{3})
  ROW(pairwise_distance, pairwise_distance(x[0], x[1]), S{2, 3}, S{3})
  ROW(embedding, embedding(x[0], index({2, 0, 2})), S{3, 2})
  ROW(pixel_shuffle, pixel_shuffle(x[0], 2), S{1, 4, 2, 2})
  ROW(attention, attention(x[0], x[1], x[2]).output, S{2, 3}, S{4, 3}, S{4, 2})
  ROWS(rnn, states(rnn(x[0], x[1], x[2] - 1, x[3] - 1, x[4], x[5])), S{3, 2, 2}, S{2, 3}, S{3, 2}, S{3, 3}, S{3}, S{3})
  ROWS(gru, states(gru(x[0], x[1], x[2], x[3], x[4], x[5])), S{2, 2, 2}, S{2, 2}, S{6, 2}, S{6, 2}, S{6}, S{6})
  ROWS(lstm, states(lstm(x[0], x[1], x[2], x[3], x[4], x[5], x[6])), S{2, 2, 2}, S{2, 2}, S{2, 2}, S{8, 2}, S{8, 2}, S{8}, S{8})
  ROW(attend, attend(x[0], x[1], x[2], {.mask = index({1, 0, 1, 1}) > 0}), S{2, 3}, S{4, 3}, S{4, 2})
  ROW(self_attend, self_attend(x[0], 2, {.causal = true}), S{2, 3, 12})
  ROW(conv, conv(x[0], x[1], x[2], {.stride = {2}, .padding = {1}}), S{2, 2, 5}, S{3, 2, 3}, S{3})
  ROW(conv_transpose, conv_transpose(x[0], x[1], x[2], {.stride = {2}}), S{2, 3, 3}, S{3, 2, 3}, S{2})
  ROW(conv, conv(x[0], x[1], x[2]), S{1, 2, 4, 4}, S{2, 2, 3, 3}, S{2})
  ROW(unfold, unfold(x[0], {2, 2}), S{1, 2, 3, 3})
  ROW(fold, fold(x[0], {3, 3}, {2, 2}), S{1, 4, 4})
  ROW(max_pool, max_pool(x[0], {2}), S{2, 5})
  ROW(max_pool, max_pool(x[0], {2, 2}), S{1, 4, 4})
  ROW(avg_pool, avg_pool(x[0], {2}), S{2, 5})
  ROW(adaptive_max_pool, adaptive_max_pool(x[0], {3}), S{2, 5})
  ROW(adaptive_avg_pool, adaptive_avg_pool(x[0], {3}), S{2, 5})
  ROW(interpolate, interpolate(x[0], {5}, {.mode = Interpolation::cubic}), S{1, 2, 4})
  ROW(interpolate_by, interpolate_by(x[0], {1.5}, {.mode = Interpolation::linear}), S{1, 2, 4})
  ROW(nn::cross_entropy, nn::cross_entropy(x[0], index({2, 0}), {.label_smoothing = 0.1}), S{2, 3})
  ROW(nn::nll, nn::nll(x[0], index({2, 0})), S{2, 3})
  ROW(nn::mse, nn::mse(x[0], x[1]), S{2, 3}, S{2, 3})
  ROW(nn::l1, nn::l1(x[0], x[1]), S{2, 3}, S{2, 3})
  ROW(nn::smooth_l1, nn::smooth_l1(x[0], x[1], 0.5), S{2, 3}, S{2, 3})
  ROW(nn::huber, nn::huber(x[0], x[1], 0.5), S{2, 3}, S{2, 3})
  ROW(nn::binary_cross_entropy, nn::binary_cross_entropy(x[0] / 2, x[1]), S{2, 3}, S{2, 3})
  ROW(nn::binary_cross_entropy_with_logits, nn::binary_cross_entropy_with_logits(x[0], x[1]), S{2, 3}, S{2, 3})
  ROW(nn::kl_div, nn::kl_div(x[0], x[1]), S{2, 3}, S{2, 3})
  ROW(nn::hinge_embedding, nn::hinge_embedding(x[0], to(index({1, -1, -1}), x[0].dtype())), S{3})
  ROW(nn::margin_ranking, nn::margin_ranking(x[0], x[1], to(index({1, -1, 1}), x[0].dtype()), 1), S{3}, S{3})
  ROW(nn::cosine_embedding, nn::cosine_embedding(x[0], x[1], to(index({1, -1}), x[0].dtype())), S{2, 3}, S{2, 3})
  ROW(nn::soft_margin, nn::soft_margin(x[0], to(index({1, -1, 1}), x[0].dtype())), S{3})
  ROW(nn::multi_margin, nn::multi_margin(x[0], index({2, 0}), 2), S{2, 3})
  ROW(nn::triplet_margin, nn::triplet_margin(x[0], x[1], x[2]), S{2, 3}, S{2, 3}, S{2, 3})
  ROW(nn::poisson_nll, nn::poisson_nll(x[0], x[1]), S{2, 3}, S{2, 3})
  ROW(nn::gaussian_nll, nn::gaussian_nll(x[0], x[1], x[2]), S{2, 3}, S{2, 3}, S{2, 1})
  ROW(nn::ctc, nn::ctc(x[0], index({1, 2}, {1, 2}), index({4}), index({2})), S{4, 1, 3})
};
#undef ROW
#undef ROWS
// clang-format on

// Runs the harness and tells main() how each mode went, for docs/operators.md.
template <class F>
void through_harness(const char* name, const F& f, const Tensors& x) {
  const CheckReport report = check(f, x);
  test::remember(report.rules, x);
  INFO(std::string(name));
  CHECK_MESSAGE(report.passed(), report.text());
  test::remember_operator(name, report.passed());
}

}  // namespace

TEST_CASE("vocabulary: elementwise operators have right derivatives, up to the third") {
  CHECK(std::size(elementwise) > 50);
  for (const Elementwise& op : elementwise)
    for (const Shape& shape : {Shape{3, 1}, Shape{0}, Shape{9}})
      through_harness(op.name, [&](const Tensors& x) { return Tensors{op.f(x[0])}; }, {domain(op, shape)});
}

TEST_CASE("vocabulary: all other operators have right derivatives, up to the third") {
  for (const Row& row : rows) {
    Tensors x;
    for (const Shape& s : row.operands) x.push_back(random(s, 0.3, 1.7, x.size() + 3));
    through_harness(row.name, row.f, x);
  }
}

TEST_CASE("vocabulary: elementwise operators keep shapes and dtypes, and say what they are not defined for") {
  for (const Elementwise& op : elementwise) {
    INFO(std::string(op.name));
    for (DType dtype : {float32, float64}) {
      const Tensor y = op.f(to(domain(op, {2, 3}), dtype));
      CHECK(y.shape() == Shape{2, 3});
      CHECK(y.dtype() == dtype);
    }
    CHECK(test::contains(test::message<TypeError>([&] { (void)op.f(zeros({2}, boolean)); }), "bool"));
  }
}

TEST_CASE("vocabulary: operands that die give the same values and cotangents") {
  const auto same = [](const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape() == b.shape());
    REQUIRE(a.dtype() == b.dtype());
    const auto v = to(a, float64).to_vector<double>(), w = to(b, float64).to_vector<double>();
    for (std::size_t i = 0; i < v.size(); ++i) CHECK((v[i] == w[i] || (v[i] != v[i] && w[i] != w[i])));
  };
  const auto compare = [&](const char* name, auto&& of_living, auto&& of_dying, const Tensors& x) {
    INFO(std::string(name));
    const Tensors plain = of_living(x), over = of_dying(Dying{x});
    REQUIRE(plain.size() == over.size());
    for (std::size_t k = 0; k < plain.size(); ++k) same(over[k], plain[k]);
    Tensors leaves;
    for (const Tensor& t : x) leaves.push_back(is_float(t.dtype()) ? t.track() : t);
    const auto cotangents = [&](const Tensors& y) {
      Tensor total = scalar(0, float64);
      for (const Tensor& t : y)
        if (is_float(t.dtype())) total = total + sum(to(sin(t) * t, float64));
      return total.tracked() ? grad({&total, 1}, leaves, {}) : Tensors();
    };
    const Tensors bars = cotangents(of_living(leaves)), bars_over = cotangents(of_dying(Dying{leaves}));
    REQUIRE(bars.size() == bars_over.size());
    for (std::size_t k = 0; k < bars.size(); ++k) same(bars_over[k], bars[k]);
  };
  for (const Row& row : rows) {
    Tensors x;
    for (const Shape& s : row.operands) x.push_back(random(s, 0.3, 1.7, x.size() + 3));
    compare(row.name, row.f, row.of_dying, x);
  }
  for (const Elementwise& op : elementwise)
    compare(
        op.name, [&](const Tensors& x) { return Tensors{op.f(x[0])}; },
        [&](const Dying& x) { return Tensors{op.of_dying(x[0])}; }, {domain(op, {2, 3})});
}
