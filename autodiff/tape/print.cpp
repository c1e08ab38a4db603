#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/tape/tensor.h"

#include <algorithm>
#include <cmath>

namespace wengert {
namespace {

constexpr std::int64_t whole_up_to = 1000, edge = 3;  // larger tensors show the first and last three of each axis

std::string element(const Tensor& x, std::int64_t i) {
  switch (x.dtype()) {
    case DType::float32: return fmt::format("{:.6g}", detail::data<float>(x)[i]);
    case DType::float64: return fmt::format("{:.6g}", detail::data<double>(x)[i]);
    case DType::int64: return fmt::format("{}", detail::data<std::int64_t>(x)[i]);
    case DType::boolean: return detail::data<bool>(x)[i] ? "true" : "false";
  }
  return {};
}

struct Printer {
  Tensor x;
  bool shortened;
  std::size_t width = 0;
  std::string text{};

  // Calls f(index, gap) for the entries shown along an axis of n.
  template <class F>
  void shown(std::int64_t n, F&& f) const {
    for (std::int64_t i = 0; i < n; ++i) {
      const bool gap = shortened && n > 2 * edge && i == edge;
      if (gap) i = n - edge;
      f(i, gap);
    }
  }
  void measure(int axis, std::int64_t at) {
    if (axis == x.rank()) width = std::max(width, element(x, at).size());
    else shown(x.shape()[axis], [&](std::int64_t i, bool) { measure(axis + 1, at + i * x.strides()[axis]); });
  }
  void print(int axis, std::int64_t at) {
    if (axis == x.rank()) {
      text += fmt::format("{:>{}}", element(x, at), width);
      return;
    }
    const bool last = axis + 1 == x.rank();
    const std::string separator = last ? ", " : fmt::format(",{:\n>{}}{:>{}}", "", x.rank() - axis - 1, "", axis + 1);
    text += '[';
    shown(x.shape()[axis], [&](std::int64_t i, bool gap) {
      if (i) text += separator;
      if (gap) text += fmt::format("...{}", separator);
      print(axis + 1, at + i * x.strides()[axis]);
    });
    text += ']';
  }
};

}  // namespace

std::string to_string(const Tensor& t) {
  if (!t.defined()) return "undefined";
  Printer p{detail::packed(t), t.numel() > whole_up_to};
  p.measure(0, 0);
  p.print(0, 0);
  return fmt::format("{}  {} {}", p.text, name(t.dtype()), to_string(t.shape()));
}

}  // namespace wengert
