#include "wengert/autodiff/base/shape.h"

#include "wengert/autodiff/base/fail.h"

#include <fmt/ranges.h>

namespace wengert {

std::string_view name(DType d) {
  switch (d) {
    case DType::float32: return "float32";
    case DType::float64: return "float64";
    case DType::int64: return "int64";
    case DType::boolean: return "bool";
  }
  return "?";
}

std::string to_string(const Shape& s) { return fmt::format("[{}]", fmt::join(s.begin(), s.end(), ", ")); }

void Shape::too_many() { fail<ShapeError>(Where(), "a tensor has at most {} axes", max_rank); }

}  // namespace wengert
