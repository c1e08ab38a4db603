// Products made of matmul, sums and rearrangements, from which they have their derivatives.

#include "wengert/autodiff/ops/matrices.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>

namespace wengert {

using detail::axes_of;
using detail::axis_of;
using detail::CalledBy;
using detail::needs_float;
using detail::needs_square;

namespace {

// A tensor whose axes have names. Axes under "..." are named by the digits 0..7, the last one always 7.
struct Named {
  Tensor x;
  std::string axes;

  int find(char c) const { return static_cast<int>(axes.find(c)); }
  bool has(char c) const { return axes.find(c) != std::string::npos; }
};

// The axes in this order; those that x lacks are not there.
Tensor arranged(const Named& n, const std::string& order, const CalledBy& by) {
  Shape permutation;
  for (char c : order) permutation.push_back(n.find(c));
  return permutation.empty() ? n.x : permute(by(n.x), permutation);
}

// Axes of the same name within one operand are its diagonal.
Named without_repeats(Named n, const CalledBy& by) {
  for (std::size_t i = 0; i < n.axes.size(); ++i)
    for (std::size_t j = n.axes.size() - 1; j > i; --j) {
      if (n.axes[i] != n.axes[j]) continue;
      if (n.x.size(int(i)) != n.x.size(int(j)))
        fail<ShapeError>(by.where, "einsum: axis '{}' has {} and {} entries in {}", n.axes[i], n.x.size(int(i)),
                         n.x.size(int(j)), n.x.shape());
      const char name = n.axes[i];
      n.x = diagonal(by(n.x), 0, int(i), int(j));
      n.axes.erase(j, 1), n.axes.erase(i, 1);
      n.axes += name;
      return without_repeats(std::move(n), by);
    }
  return n;
}

Named summed(Named n, const std::string& kept, const CalledBy& by) {
  Shape axes;
  std::string left;
  for (std::size_t i = 0; i < n.axes.size(); ++i) {
    if (kept.find(n.axes[i]) == std::string::npos) axes.push_back(std::int64_t(i));
    else left += n.axes[i];
  }
  if (axes.empty()) return n;
  return {sum(by(n.x), axes), left};
}

std::int64_t size_of_axis(const Named& n, char c) { return n.has(c) ? n.x.size(n.find(c)) : 1; }

// Two operands at once, as a batched matrix product: names in both that are kept are the batch, those that are not are
// summed.
Named contracted(Named a, Named b, const std::string& kept, const CalledBy& by) {
  a = summed(a, kept + b.axes, by), b = summed(b, kept + a.axes, by);
  std::string batch, inner, left, right;
  Shape batch_sizes, left_sizes, right_sizes;
  std::int64_t inner_size = 1;
  for (char c : a.axes) {
    const std::int64_t n = size_of_axis(a, c), m = size_of_axis(b, c);
    if (!b.has(c)) left += c, left_sizes.push_back(n);
    else if (n != m && n != 1 && m != 1) fail<ShapeError>(by.where, "einsum: axis '{}' has {} and {} entries", c, n, m);
    else if (kept.find(c) != std::string::npos) batch += c, batch_sizes.push_back(std::max(n, m));
    else inner += c, inner_size *= std::max(n, m);
  }
  for (char c : b.axes)
    if (!a.has(c)) right += c, right_sizes.push_back(size_of_axis(b, c));
  // Axes of size one repeat over those of the other operand.
  auto stretched = [&](const Named& n, const Named& other, const std::string& order) {
    const Tensor x = arranged(n, order, by);
    Shape shape;
    for (char c : order)
      shape.push_back(other.has(c) && size_of_axis(n, c) == 1 ? size_of_axis(other, c) : size_of_axis(n, c));
    return expand(by(x), shape);
  };
  const std::int64_t rows = left_sizes.numel(), columns = right_sizes.numel(), count = batch_sizes.numel();
  const Tensor x = reshape(by(stretched(a, b, batch + left + inner)), {count, rows, inner_size});
  const Tensor y = reshape(by(stretched(b, a, batch + inner + right)), {count, inner_size, columns});
  Shape shape = batch_sizes;
  for (auto s : left_sizes) shape.push_back(s);
  for (auto s : right_sizes) shape.push_back(s);
  return {reshape(by(matmul(by(x), by(y))), shape), batch + left + right};
}

struct Formula {
  std::vector<std::string> operands;
  std::string result;
};

// "..." becomes as many digits as it stands for axes.
std::string named_axes(const std::string& part, int dots, std::string_view formula, const CalledBy& by) {
  std::string names;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part.compare(i, 3, "...") == 0) {
      for (int k = 8 - dots; k < 8; ++k) names += static_cast<char>('0' + k);
      i += 2;
    } else if (std::isalpha(static_cast<unsigned char>(part[i]))) {
      names += part[i];
    } else {
      fail<ValueError>(by.where, "einsum: '{}' in \"{}\" is neither a letter nor part of \"...\"", part[i], formula);
    }
  }
  return names;
}

Formula parse(std::string_view formula, const std::vector<Tensor>& x, const CalledBy& by) {
  std::string text;
  for (char c : formula)
    if (c != ' ') text += c;
  const std::size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  std::vector<std::string> parts;
  for (std::size_t at = 0; at != std::string::npos;) {
    const std::size_t comma = left.find(',', at);
    parts.push_back(left.substr(at, comma == std::string::npos ? comma : comma - at));
    at = comma == std::string::npos ? comma : comma + 1;
  }
  if (parts.size() != x.size())
    fail<ValueError>(by.where, "einsum: \"{}\" has {} operands, got {}", formula, parts.size(), x.size());
  Formula f;
  int most = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool dotted = parts[i].find("...") != std::string::npos;
    const int letters = static_cast<int>(parts[i].size()) - (dotted ? 3 : 0), dots = x[i].rank() - letters;
    if (dots < 0 || (dots > 0 && !dotted))
      fail<ShapeError>(by.where, "einsum: \"{}\" in \"{}\" does not name the axes of {}", parts[i], formula,
                       x[i].shape());
    f.operands.push_back(named_axes(parts[i], dotted ? dots : 0, formula, by));
    most = std::max(most, dots);
  }
  if (arrow != std::string::npos) {
    f.result = named_axes(text.substr(arrow + 2), most, formula, by);
  } else {
    std::map<char, int> times;
    for (const std::string& axes : f.operands)
      for (char c : axes) ++times[c];
    for (auto [c, n] : times)
      if (n == 1 || (c >= '0' && c <= '9')) f.result += c;  // digits come before letters
  }
  for (std::size_t i = 0; i < f.result.size(); ++i) {
    const char c = f.result[i];
    if (f.result.find(c, i + 1) != std::string::npos)
      fail<ValueError>(by.where, "einsum: '{}' is twice in the result of \"{}\"", c, formula);
    if (std::none_of(f.operands.begin(), f.operands.end(),
                     [c](const std::string& o) { return o.find(c) != std::string::npos; }))
      fail<ValueError>(by.where, "einsum: '{}' in the result of \"{}\" is in none of the operands", c, formula);
  }
  return f;
}

std::string names_but(const std::vector<Named>& all, std::size_t i, std::size_t j, const std::string& result) {
  std::string kept = result;
  for (std::size_t k = 0; k < all.size(); ++k)
    if (k != i && k != j) kept += all[k].axes;
  return kept;
}

// Multiplications of the pair's product.
double cost(const Named& a, const Named& b) {
  double n = 1;
  for (char c : a.axes) n *= static_cast<double>(std::max(size_of_axis(a, c), size_of_axis(b, c)));
  for (char c : b.axes)
    if (!a.has(c)) n *= static_cast<double>(size_of_axis(b, c));
  return n;
}

}  // namespace

Tensor einsum(std::string_view formula, const std::vector<Tensor>& x, Where where) {
  const CalledBy by(where);
  if (x.empty()) fail<ValueError>(where, "einsum: needs at least one operand");
  for (const Tensor& t : x) {
    needs_float("einsum", by(t));
    if (t.dtype() != x[0].dtype())
      fail<TypeError>(where, "einsum: dtypes differ: {} and {}; convert with to()", x[0].dtype(), t.dtype());
  }
  const Formula f = parse(formula, x, by);
  std::vector<Named> all;
  for (std::size_t i = 0; i < x.size(); ++i) all.push_back(without_repeats({x[i], f.operands[i]}, by));
  while (all.size() > 1) {
    std::size_t first = 0, second = 1;
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t j = i + 1; j < all.size(); ++j)
        if (cost(all[i], all[j]) < cost(all[first], all[second])) first = i, second = j;
    Named r = contracted(all[first], all[second], names_but(all, first, second, f.result), by);
    all.erase(all.begin() + std::ptrdiff_t(second));
    all[first] = std::move(r);
  }
  return arranged(summed(all[0], f.result, by), f.result, by);
}

Tensor tensordot(Operand x, Operand y, const Shape& axes, const Shape& other_axes) {
  const CalledBy by(x);
  if (axes.rank() != other_axes.rank())
    fail<ValueError>(x.where(), "tensordot: {} axes of x, but {} of y", axes, other_axes);
  const std::uint32_t a = axes.empty() ? 0 : axes_of("tensordot", x, axes),
                      b = other_axes.empty() ? 0 : axes_of("tensordot", y, other_axes);
  Shape first, second, shape;
  std::int64_t rows = 1, columns = 1, inner = 1;
  for (int i = 0; i < x->rank(); ++i)
    if (!(a >> i & 1)) first.push_back(i), rows *= x->shape()[i], shape.push_back(x->shape()[i]);
  for (int k = 0; k < axes.rank(); ++k) {
    const int i = axis_of("tensordot", x, int(axes[k])), j = axis_of("tensordot", y, int(other_axes[k]));
    if (x->shape()[i] != y->shape()[j])
      fail<ShapeError>(x.where(), "tensordot: axis {} of {} and axis {} of {} differ", i, x->shape(), j, y->shape());
    first.push_back(i), second.push_back(j), inner *= x->shape()[i];
  }
  for (int j = 0; j < y->rank(); ++j)
    if (!(b >> j & 1)) second.push_back(j), columns *= y->shape()[j], shape.push_back(y->shape()[j]);
  const Tensor left = reshape(by(permute(x, first)), {rows, inner}),
               right = reshape(by(permute(y, second)), {inner, columns});
  return reshape(by(matmul(by(left), by(right))), shape);
}

Tensor dot(Operand x, Operand y) {
  if (x->rank() != 1 || y->rank() != 1)
    fail<ShapeError>(x.where(), "dot: needs two vectors, got {} and {}", x->shape(), y->shape());
  return matmul(x, y);
}

Tensor outer(Operand x, Operand y) {
  if (x->rank() != 1 || y->rank() != 1)
    fail<ShapeError>(x.where(), "outer: needs two vectors, got {} and {}", x->shape(), y->shape());
  const CalledBy by(x);
  return mul(by(unsqueeze(x, 1)), y);
}

Tensor kron(Operand x, Operand y) {
  const CalledBy by(x);
  const int rank = std::max(x->rank(), y->rank());
  if (2 * rank > max_rank)
    fail<ShapeError>(x.where(), "kron: takes up to {} axes, got {} and {}", max_rank / 2, x->shape(), y->shape());
  Shape left, right, shape;
  for (int i = 0; i < rank; ++i) {
    const int a = i - (rank - x->rank()), b = i - (rank - y->rank());
    const std::int64_t m = a < 0 ? 1 : x->shape()[a], n = b < 0 ? 1 : y->shape()[b];
    left.push_back(m), left.push_back(1), right.push_back(1), right.push_back(n);
    shape.push_back(m * n);
  }
  return reshape(by(mul(by(reshape(x, left)), by(reshape(y, right)))), shape);
}

Tensor cross(Operand x, Operand y, int axis) {
  const CalledBy by(x);
  const Shape shape = detail::broadcast("cross", x, y);
  const Tensor a = expand(x, shape), b = expand(y, shape);
  axis = axis_of("cross", by(a), axis);
  if (shape[axis] != 3) fail<ShapeError>(x.where(), "cross: axis {} of {} must have three entries", axis, shape);
  auto turned = [&](const Tensor& t, std::int64_t by_how_much) { return roll(by(t), axis, by_how_much); };
  return sub(by(mul(by(turned(a, -1)), by(turned(b, -2)))), by(mul(by(turned(a, -2)), by(turned(b, -1)))));
}

Tensor trace(Operand x) {
  const CalledBy by(x);
  if (x->rank() < 2) fail<ShapeError>(x.where(), "trace: needs matrices [.., m, n], got {}", x->shape());
  return sum(by(diagonal(x, 0, -2, -1)), {-1});
}

Tensor matrix_power(Operand a, int n) {
  const CalledBy by(a);
  needs_square("matrix_power", a);
  if (n == 0) return clone(expand(eye(a->size(-1), a->dtype()), a->shape()));
  Tensor power = n < 0 ? inverse(a) : a.tensor(), result;
  for (unsigned left = static_cast<unsigned>(std::abs(n)); left; left /= 2) {
    if (left & 1) result = result.defined() ? matmul(by(result), by(power)) : power;
    if (left > 1) power = matmul(by(power), by(power));
  }
  return result;
}

namespace {

// Matrices first..last, split where `cut` says.
Tensor chained(const std::vector<Tensor>& a, const std::vector<std::vector<std::size_t>>& cut, std::size_t first,
               std::size_t last, const CalledBy& by) {
  if (first == last) return a[first];
  const std::size_t k = cut[first][last];
  return matmul(by(chained(a, cut, first, k, by)), by(chained(a, cut, k + 1, last, by)));
}

}  // namespace

// The cheapest order by dynamic programming. Cormen et al., Introduction to Algorithms, 15.2.
Tensor multi_dot(const std::vector<Tensor>& given, Where where) {
  const CalledBy by(where);
  if (given.empty()) fail<ValueError>(where, "multi_dot: needs at least one matrix");
  std::vector<Tensor> a = given;
  const bool row = a.size() > 1 && a.front().rank() == 1, column = a.size() > 1 && a.back().rank() == 1;
  if (row) a.front() = unsqueeze(by(a.front()), 0);
  if (column) a.back() = unsqueeze(by(a.back()), 1);
  const std::size_t n = a.size();
  for (std::size_t i = 0; i < n; ++i)
    if (a[i].rank() != 2 || (i > 0 && a[i].size(0) != a[i - 1].size(1)))
      fail<ShapeError>(where, "multi_dot: operand {} is {}, which does not continue the chain", i, given[i].shape());
  std::vector<std::vector<double>> price(n, std::vector<double>(n, 0));
  std::vector<std::vector<std::size_t>> cut(n, std::vector<std::size_t>(n, 0));
  for (std::size_t length = 2; length <= n; ++length)
    for (std::size_t i = 0; i + length <= n; ++i) {
      const std::size_t j = i + length - 1;
      for (std::size_t k = i; k < j; ++k) {
        const double p =
            price[i][k] + price[k + 1][j] + double(a[i].size(0)) * double(a[k].size(1)) * double(a[j].size(1));
        if (k == i || p < price[i][j]) price[i][j] = p, cut[i][j] = k;
      }
    }
  Tensor y = chained(a, cut, 0, n - 1, by);
  if (column) y = squeeze(by(y), 1);
  return row ? squeeze(by(y), 0) : y;
}

Tensor cdist(Operand x, Operand y, double p) {
  const CalledBy by(x);
  if (x->rank() < 2 || y->rank() < 2 || x->size(-1) != y->size(-1))
    fail<ShapeError>(x.where(), "cdist: needs [.., m, d] and [.., n, d], got {} and {}", x->shape(), y->shape());
  return norm(by(sub(by(unsqueeze(x, -2)), by(unsqueeze(y, -3)))), {.axes = {-1}, .p = p});
}

}  // namespace wengert
