#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/parallel.h"

#include <limits>

using namespace wengert;
using namespace wengert::testing;

namespace {

std::vector<double> doubles(const Tensor& x) { return to(x, float64).to_vector<double>(); }

}  // namespace

TEST_CASE("max_pool2d: takes the largest of each window and sends the cotangent there") {
  const Tensor x = from<double>({1, 5, 2, 0,    //
                                 3, 4, 9, 8,    //
                                 7, 6, -1, -2,  //
                                 0, 1, -3, -4},
                                {1, 1, 4, 4})
                       .track();
  const Tensor y = max_pool2d(x, 2);
  CHECK(doubles(y) == std::vector<double>{5, 9, 7, -1});
  const std::vector<Tensor> ys = {y}, xs = {x}, g = {from<double>({1, 2, 3, 4}, y.shape())};
  CHECK(doubles(grad(ys, xs, g)[0]) == std::vector<double>{0, 1, 0, 0, 0, 0, 2, 0, 3, 0, 4, 0, 0, 0, 0, 0});
}

TEST_CASE("max_pool2d: agrees with the plain loop for any size, stride and padding") {
  for (std::int64_t kernel : {1, 2, 3, 4})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t padding : {0, 1})
        for (Shape in : {Shape{4, 4}, {5, 7}, {9, 37}, {34, 68}}) {
          if (padding > kernel / 2) continue;
          CAPTURE(kernel);
          CAPTURE(stride);
          CAPTURE(padding);
          CAPTURE(to_string(in));
          for (DType dtype : {float32, float64}) {
            const Tensor x = random({2, 3, in[0], in[1]}, 1, dtype);
            const auto a = doubles(x);
            const std::int64_t h = (in[0] + 2 * padding - kernel) / stride + 1,
                               w = (in[1] + 2 * padding - kernel) / stride + 1;
            std::vector<double> value, back(a.size(), 0.0);
            const Tensor g = random({2, 3, h, w}, 2, dtype);
            const auto gs = doubles(g);
            for (std::int64_t p = 0, i = 0; p < 6; ++p)
              for (std::int64_t r = 0; r < h; ++r)
                for (std::int64_t c = 0; c < w; ++c, ++i) {
                  double best = -INFINITY;
                  std::size_t at = 0;
                  for (std::int64_t u = 0; u < kernel; ++u)
                    for (std::int64_t v = 0; v < kernel; ++v) {
                      const auto y = r * stride - padding + u, z = c * stride - padding + v;
                      if (y < 0 || y >= in[0] || z < 0 || z >= in[1]) continue;
                      const auto j = static_cast<std::size_t>((p * in[0] + y) * in[1] + z);
                      if (a[j] > best) best = a[j], at = j;
                    }
                  value.push_back(best);
                  back[at] += gs[static_cast<std::size_t>(i)];
                }
            CHECK(doubles(max_pool2d(x, kernel, stride, padding)) == value);
            const Tensor leaf = x.track();
            const std::vector<Tensor> ys = {max_pool2d(leaf, kernel, stride, padding)}, xs = {leaf}, gv = {g};
            CHECK(doubles(ys[0]) == value);
            check_close(grad(ys, xs, gv)[0], from(back, x.shape()), dtype == float32 ? 1e-6 : 1e-15);
          }
        }
}

TEST_CASE("max_pool2d: vjp, jvp and second order agree with central differences") {
  for (auto [kernel, stride, padding] : {std::array{2, 2, 0}, {3, 2, 1}, {2, 1, 0}})
    for (Shape in : {Shape{4, 6}, {5, 7}}) {
      auto f = [&, k = kernel, s = stride, p = padding](const std::vector<Tensor>& t) {
        return max_pool2d(t[0], k, s, p);
      };
      test::check_rule(f, {random({2, 2, in[0], in[1]}, 7)});
      test::check_rule([&](const std::vector<Tensor>& t) { return square(f({t[0] * t[0]})); },
                       {random({2, 2, in[0], in[1]}, 7)});
    }
}

TEST_CASE("max_pool2d: the first of equal entries receives the cotangent") {
  for (std::int64_t stride : {2, 1}) {  // the loop for 2 x 2 and the general one
    const Tensor x = ones({1, 1, 2, 2}, float64).track();
    CHECK(doubles(grad(sum(max_pool2d(x, 2, stride)), x)) == std::vector<double>{1, 0, 0, 0});
    const Tensor low = full({1, 1, 2, 2}, -INFINITY, float64).track();
    CHECK(doubles(grad(sum(max_pool2d(low, 2, stride)), low)) == std::vector<double>{1, 0, 0, 0});
  }
}

TEST_CASE("max_pool2d: NaN wins, wherever it stands in the window") {
  for (std::int64_t stride : {2, 1})
    for (std::size_t at = 0; at < 4; ++at) {
      std::vector<double> v = {1, 2, 3, 4};
      v[at] = NAN;
      const Tensor x = from(v, {1, 1, 2, 2}).track();
      const Tensor y = max_pool2d(x, 2, stride);
      CHECK(std::isnan(y.item()));
      CHECK(doubles(grad(y, x))[at] == 1);
    }
}

TEST_CASE("max_pool2d: same bits for any number of threads; empty batches; operands of any strides") {
  const int before = threads();
  const Tensor x = random({9, 8, 33, 40}, 1, float32);
  set_threads(1);
  const auto first = max_pool2d(x, 2).to_vector<float>(), wide = max_pool2d(x, 3, 2, 1).to_vector<float>();
  for (int n : {2, 3, 8}) {
    set_threads(n);
    CHECK(max_pool2d(x, 2).to_vector<float>() == first);
    CHECK(max_pool2d(x, 3, 2, 1).to_vector<float>() == wide);
  }
  set_threads(before);
  CHECK(max_pool2d(zeros({0, 3, 4, 4}), 2).shape() == Shape{0, 3, 2, 2});
  check_close(max_pool2d(transpose(x), 2), transpose(max_pool2d(x, 2)), 0);
}

TEST_CASE("max_pool2d: what does not fit is an error") {
  const Tensor x = zeros({1, 1, 4, 4});
  CHECK_THROWS_AS(max_pool2d(x, 5), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 0), ValueError);
  CHECK_THROWS_AS(max_pool2d(x, 2, -1), ValueError);
  CHECK_THROWS_AS(max_pool2d(x, 2, 2, 2), ValueError);
  CHECK_THROWS_AS(max_pool2d(x, 2, 2, -1), ValueError);
  CHECK_THROWS_AS(max_pool2d(zeros({4}), 2), ShapeError);
  CHECK_THROWS_AS(max_pool2d(zeros({1, 4, 0}), 1), ShapeError);
  CHECK_THROWS_AS(max_pool2d(zeros({1, 4, 4}, int64), 2), TypeError);
}
