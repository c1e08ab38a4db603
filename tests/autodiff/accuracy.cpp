// What docs/numerics.md says of elementary functions, against the C library in long double.

#include "derivatives.h"

#include <algorithm>
#include <limits>

using namespace wengert;

namespace {

struct Case {
  const char* name;
  Tensor (*function)(Operand);
  long double (*exact)(long double);
  double low, high;                 // of the points
  double units32 = 4, units64 = 4;  // in the last place
};

constexpr double relative = 1.5e-14;  // of erf in float64, in units of the last place
const double erf_units = relative / std::numeric_limits<double>::epsilon();

const Case cases[] = {
    {"exp", exp, std::exp, -80, 80},
    {"exp2", exp2, std::exp2, -120, 120},
    {"expm1", expm1, std::expm1, -10, 10},
    {"log", log, std::log, 1e-6, 1e6},
    {"log1p", log1p, std::log1p, -0.9, 100},
    {"log2", log2, std::log2, 1e-6, 1e6},
    {"log10", log10, std::log10, 1e-6, 1e6},
    {"sqrt", sqrt, std::sqrt, 0, 1e6},
    {"sin", sin, std::sin, -20, 20},
    {"cos", cos, std::cos, -20, 20},
    {"tan", tan, std::tan, -1.5, 1.5},
    {"asin", asin, std::asin, -1, 1},
    {"acos", acos, std::acos, -1, 1},
    {"atan", atan, std::atan, -20, 20},
    {"sinh", sinh, std::sinh, -20, 20},
    {"cosh", cosh, std::cosh, -20, 20},
    {"tanh", tanh, std::tanh, -12, 12, 6},
    {"asinh", asinh, std::asinh, -100, 100},
    {"acosh", acosh, std::acosh, 1, 100},
    {"atanh", atanh, std::atanh, -0.999, 0.999},
    {"erf", erf, std::erf, -6, 6, 6, erf_units},
};

// The largest error over 20,000 points, in units of the last place of the result.
template <class T>
double worst(const Case& c, const Tensor& points) {
  const auto x = points.to_vector<T>(), y = c.function(points).template to_vector<T>();
  double most = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double exact = c.exact(x[i]);
    const T near = std::max(std::abs(static_cast<T>(exact)), std::numeric_limits<T>::min());
    const T unit = std::nextafter(near, std::numeric_limits<T>::infinity()) - near;
    most = std::max(most, static_cast<double>(std::abs(y[i] - exact) / unit));
  }
  return most;
}

}  // namespace

TEST_CASE("accuracy: elementary functions are within the units of the last place that docs/numerics.md names") {
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(worst<float>(c, wengert::testing::random({20000}, 1, float32, c.low, c.high)) <= c.units32);
    CHECK(worst<double>(c, wengert::testing::random({20000}, 2, float64, c.low, c.high)) <= c.units64);
  }
}
