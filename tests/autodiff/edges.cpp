// Rules on tensors without entries and on axes of size one. tests/rules asks for both from every rule of the library.

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/ops/adjoints.h"
#include "wengert/nn/nn.h"

using namespace wengert;
using test::check_rule;
using test::random;

namespace {

using Tensors = std::vector<Tensor>;

struct Case {
  const char* name;
  Tensors (*f)(const Tensors&);
  std::vector<std::vector<Shape>> operands;
};

Tensor indices(const Shape& shape) { return zeros(shape, int64); }

// Numbers between 0.1 and 0.9; square matrices with a heavy diagonal, so that they have an inverse and a root.
Tensors draw(const std::vector<Shape>& shapes, bool matrices) {
  Tensors x;
  for (const Shape& s : shapes) {
    Tensor t = random(s, 0.1, 0.9, x.size() + 1);
    if (matrices && s.rank() >= 2 && s[s.rank() - 1] == s[s.rank() - 2]) t = t + 2.5 * eye(s[s.rank() - 1], float64);
    x.push_back(t);
  }
  return x;
}

const Case matrices[] = {
    {"cholesky", [](const Tensors& x) { return Tensors{cholesky(x[0])}; }, {{{0, 0}}, {{0, 2, 2}}, {{1, 1}}}},
    {"det", [](const Tensors& x) { return Tensors{det(x[0])}; }, {{{0, 0}}, {{0, 2, 2}}, {{1, 1}}, {{2, 1, 1}}}},
    {"logdet", [](const Tensors& x) { return Tensors{logdet(x[0])}; }, {{{0, 0}}, {{0, 2, 2}}, {{1, 1}}}},
    {"inverse", [](const Tensors& x) { return Tensors{inverse(x[0])}; }, {{{0, 0}}, {{0, 2, 2}}, {{1, 1}}}},
    {"eigvalsh", [](const Tensors& x) { return Tensors{eigvalsh(x[0])}; }, {{{0, 0}}, {{0, 2, 2}}, {{1, 1}}}},
    {"qr",
     [](const Tensors& x) {
       const QR r = qr(x[0]);
       return Tensors{r.q, r.r};
     },
     {{{0, 0}}, {{3, 0}}, {{0, 2, 2}}, {{1, 1}}, {{3, 1}}}},
    {"svdvals", [](const Tensors& x) { return Tensors{svdvals(x[0])}; }, {{{0, 0}}, {{0, 3}}, {{1, 1}}, {{3, 1}}}},
    {"solve",
     [](const Tensors& x) { return Tensors{solve(x[0], x[1])}; },
     {{{0, 0}, {0, 2}}, {{2, 2}, {2, 0}}, {{0, 2, 2}, {0, 2, 3}}, {{1, 1}, {1, 3}}, {{1, 1}, {1}}}},
    {"solve_triangular",
     [](const Tensors& x) { return Tensors{solve_triangular(x[0], x[1])}; },
     {{{0, 0}, {0, 2}}, {{2, 2}, {2, 0}}, {{0, 2, 2}, {0, 2, 3}}, {{1, 1}, {1, 3}}}},
};

const Case others[] = {
    {"clone", [](const Tensors& x) { return Tensors{clone(x[0])}; }, {{{0, 3}}, {{1, 3}}}},
    {"to",
     [](const Tensors& x) { return Tensors{to(to(x[0], x[0].dtype() == float64 ? float32 : float64), x[0].dtype())}; },
     {{{0, 3}}, {{1, 3}}}},
    {"diagonal", [](const Tensors& x) { return Tensors{diagonal(x[0])}; }, {{{0, 0}}, {{0, 3}}, {{1, 1}}, {{1, 3}}}},
    {"diag_embed", [](const Tensors& x) { return Tensors{diag_embed(x[0])}; }, {{{0}}, {{0, 2}}, {{1}}}},
    {"flip", [](const Tensors& x) { return Tensors{flip(x[0])}; }, {{{0, 3}}, {{1, 3}}, {{1}}}},
    {"amax", [](const Tensors& x) { return Tensors{amax(x[0], {1})}; }, {{{0, 3}}, {{1, 3}}, {{3, 1}}}},
    {"amin", [](const Tensors& x) { return Tensors{amin(x[0], {1})}; }, {{{0, 3}}, {{1, 3}}, {{3, 1}}}},
    {"logsumexp", [](const Tensors& x) { return Tensors{logsumexp(x[0], {1})}; }, {{{0, 3}}, {{1, 3}}, {{3, 1}}}},
    {"var", [](const Tensors& x) { return Tensors{var(x[0], {1})}; }, {{{0, 3}}, {{1, 3}}}},
    {"var of single entries",
     [](const Tensors& x) { return Tensors{var(x[0], {.axes = {1}, .correction = 0})}; },
     {{{3, 1}}}},
    {"standardize",
     [](const Tensors& x) { return Tensors{standardize(x[0], {1}, 0.1)}; },
     {{{0, 3}}, {{1, 3}}, {{3, 1}}}},
    {"standardize down columns",
     [](const Tensors& x) { return Tensors{standardize(x[0], {0}, 0.1)}; },
     {{{2, 0}}, {{3, 1}}, {{1, 3}}}},
    {"batch_norm",
     [](const Tensors& x) { return Tensors{batch_norm(x[0], x[1], x[2], 0.1)}; },
     {{{2, 2, 9}, {2}, {2}}, {{0, 2, 9}, {2}, {2}}, {{1, 1, 9}, {1}, {1}}}},
    {"pick",
     [](const Tensors& x) { return Tensors{detail::pick(x[0], indices({x[0].size(0)}))}; },
     {{{0, 3}}, {{1, 3}}, {{3, 1}}}},
    {"unpick",
     [](const Tensors& x) { return Tensors{detail::unpick(x[0], indices({x[0].size(0)}), 2)}; },
     {{{0}}, {{1}}}},
    {"conv",
     [](const Tensors& x) { return Tensors{conv(x[0], x[1], x[2], {.padding = {1}})}; },
     {{{0, 2, 4}, {3, 2, 3}, {3}}, {{1, 1, 1}, {1, 1, 1}, {1}}, {{2, 1, 1, 3}, {1, 1, 1, 2}, {1}}}},
    {"conv_transpose",
     [](const Tensors& x) { return Tensors{conv_transpose(x[0], x[1], x[2])}; },
     {{{0, 2, 4}, {2, 3, 3}, {3}}, {{1, 1, 1}, {1, 1, 1}, {1}}}},
    {"unfold",
     [](const Tensors& x) { return Tensors{unfold(x[0], {2, 2}, {.padding = {1, 1}})}; },
     {{{0, 2, 3, 3}}, {{1, 1, 1, 1}}}},
    {"fold", [](const Tensors& x) { return Tensors{fold(x[0], {2, 2}, {2, 1})}; }, {{{0, 4, 2}}, {{1, 2, 2}}}},
    {"max_pool", [](const Tensors& x) { return Tensors{max_pool(x[0], {2})}; }, {{{0, 4}}, {{2, 0, 4}}, {{1, 4}}}},
    {"avg_pool", [](const Tensors& x) { return Tensors{avg_pool(x[0], {2})}; }, {{{0, 4}}, {{1, 4}}}},
    {"adaptive_max_pool", [](const Tensors& x) { return Tensors{adaptive_max_pool(x[0], {2})}; }, {{{0, 4}}, {{1, 4}}}},
    {"interpolate",
     [](const Tensors& x) { return Tensors{interpolate(x[0], {3}, {.mode = Interpolation::linear})}; },
     {{{0, 2, 4}}, {{1, 1, 1}}}},
    {"linear",
     [](const Tensors& x) { return Tensors{linear(x[0], x[1], x[2])}; },
     {{{0, 3}, {2, 3}, {2}}, {{2, 0}, {2, 0}, {2}}, {{1, 1}, {1, 1}, {1}}}},
    {"cross_entropy of single classes",
     [](const Tensors& x) { return Tensors{detail::cross_entropy(x[0], indices({x[0].size(0)}))}; },
     {{{3, 1}}, {{1, 3}}}},
    {"cross_entropy of no rows",
     [](const Tensors& x) { return Tensors{nn::cross_entropy(x[0], indices({0}), {.reduction = nn::Reduction::sum})}; },
     {{{0, 3}}}},
    {"binary_cross_entropy",
     [](const Tensors& x) { return Tensors{nn::binary_cross_entropy(x[0], x[1], {.reduction = nn::Reduction::none})}; },
     {{{0, 3}, {0, 3}}, {{1, 3}, {1, 3}}}},
};

template <std::size_t N>
void check_all(const Case (&cases)[N], bool square) {
  for (const Case& c : cases)
    for (const auto& shapes : c.operands) {
      INFO(std::string(c.name), " ", to_string(shapes[0]));
      CheckOptions options;
      if (c.name == std::string("to")) options.absolute = 1, options.identity = 1e-6;  // through float32
      check_rule(c.f, draw(shapes, square), options);
    }
}

}  // namespace

TEST_CASE("edges: decompositions and systems of no matrices, of matrices without entries, of single numbers") {
  check_all(matrices, true);
}
TEST_CASE("edges: rules on empty and size-one axes") { check_all(others, false); }
