#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/base/parallel.h"

#include <algorithm>
#include <limits>

using namespace wengert;
using namespace wengert::testing;

namespace {

std::vector<double> doubles(const Tensor& x) { return to(x, float64).to_vector<double>(); }

}  // namespace

TEST_CASE("max_pool: takes the largest of each window and sends the cotangent there") {
  const Tensor x = from<double>({1, 5, 2, 0,    //
                                 3, 4, 9, 8,    //
                                 7, 6, -1, -2,  //
                                 0, 1, -3, -4},
                                {1, 1, 4, 4})
                       .track();
  const Tensor y = max_pool(x, {2, 2});
  CHECK(doubles(y) == std::vector<double>{5, 9, 7, -1});
  const std::vector<Tensor> ys = {y}, xs = {x}, g = {from<double>({1, 2, 3, 4}, y.shape())};
  CHECK(doubles(grad(ys, xs, g)[0]) == std::vector<double>{0, 1, 0, 0, 0, 0, 2, 0, 3, 0, 4, 0, 0, 0, 0, 0});
}

TEST_CASE("max_pool: agrees with the plain loop for any size, stride and padding") {
  for (std::int64_t kernel : {1, 2, 3, 4})
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t padding : {0, 1})
        for (Shape in :
             {Shape{4, 4}, {6, 2}, {10, 4}, {6, 8}, {5, 7}, {9, 37}, {34, 68}, {14, 6}, {14, 10}, {14, 12}, {14, 14}}) {
          if (padding > kernel / 2 || kernel > in[1] + 2 * padding) continue;
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
            CHECK(doubles(max_pool(x, {kernel, kernel}, {.stride = {stride}, .padding = {padding}})) == value);
            const Tensor leaf = x.track();
            const std::vector<Tensor> ys = {max_pool(leaf, {kernel, kernel},
                                                     {.stride = {stride}, .padding = {padding}})},
                                      xs = {leaf}, gv = {g};
            CHECK(doubles(ys[0]) == value);
            check_close(grad(ys, xs, gv)[0], from(back, x.shape()), dtype == float32 ? 1e-6 : 1e-15);
          }
        }
}

TEST_CASE("max_pool: vjp, jvp and second order agree with central differences") {
  for (auto [kernel, stride, padding] : {std::array{2, 2, 0}, {3, 2, 1}, {2, 1, 0}})
    for (Shape in : {Shape{4, 6}, {5, 7}}) {
      auto f = [&, k = kernel, s = stride, p = padding](const std::vector<Tensor>& t) {
        return max_pool(t[0], {k, k}, {.stride = {s}, .padding = {p}});
      };
      test::check_rule(f, {random({2, 2, in[0], in[1]}, 7)});
      test::check_rule([&](const std::vector<Tensor>& t) { return square(f({t[0] * t[0]})); },
                       {random({2, 2, in[0], in[1]}, 7)});
    }
}

TEST_CASE("max_pool: the first of equal entries receives the cotangent") {
  for (std::int64_t stride : {2, 1}) {  // the loop for 2 x 2 and the general one
    const Tensor x = ones({1, 1, 2, 2}, float64).track();
    CHECK(doubles(grad(sum(max_pool(x, {2, 2}, {.stride = {stride}})), x)) == std::vector<double>{1, 0, 0, 0});
    const Tensor low = full({1, 1, 2, 2}, -INFINITY, float64).track();
    CHECK(doubles(grad(sum(max_pool(low, {2, 2}, {.stride = {stride}})), low)) == std::vector<double>{1, 0, 0, 0});
  }
}

TEST_CASE("max_pool: NaN wins, wherever it stands in the window") {
  for (std::int64_t stride : {2, 1})
    for (std::size_t at = 0; at < 4; ++at) {
      std::vector<double> v = {1, 2, 3, 4};
      v[at] = NAN;
      const Tensor x = from(v, {1, 1, 2, 2}).track();
      const Tensor y = max_pool(x, {2, 2}, {.stride = {stride}});
      CHECK(std::isnan(y.item()));
      CHECK(doubles(grad(y, x))[at] == 1);
    }
}

TEST_CASE("max_pool: same bits for any number of threads; empty batches; operands of any strides") {
  const int before = threads();
  const Tensor x = random({9, 8, 33, 40}, 1, float32);
  set_threads(1);
  const auto first = max_pool(x, {2, 2}).to_vector<float>(),
             wide = max_pool(x, {3, 3}, {.stride = {2}, .padding = {1}}).to_vector<float>();
  for (int n : {2, 3, 8}) {
    set_threads(n);
    CHECK(max_pool(x, {2, 2}).to_vector<float>() == first);
    CHECK(max_pool(x, {3, 3}, {.stride = {2}, .padding = {1}}).to_vector<float>() == wide);
  }
  set_threads(before);
  CHECK(max_pool(zeros({0, 3, 4, 4}), {2, 2}).shape() == Shape{0, 3, 2, 2});
  check_close(max_pool(transpose(x), {2, 2}), transpose(max_pool(x, {2, 2})), 0);
}

TEST_CASE("max_pool: what does not fit is an error") {
  const Tensor x = zeros({1, 1, 4, 4});
  CHECK_THROWS_AS(max_pool(x, {5, 5}), ShapeError);
  CHECK_THROWS_AS(max_pool(x, {0, 0}), ValueError);
  CHECK_THROWS_AS(max_pool(x, {2, 2}, {.stride = {-1}}), ValueError);
  CHECK_THROWS_AS(max_pool(x, {2, 2}, {.stride = {2}, .padding = {2}}), ValueError);
  CHECK_THROWS_AS(max_pool(x, {2, 2}, {.stride = {2}, .padding = {-1}}), ValueError);
  CHECK_THROWS_AS(max_pool(zeros({4}), {2, 2}), ShapeError);
  CHECK_THROWS_AS(max_pool(zeros({1, 4, 0}), {1, 1}), ShapeError);
  CHECK_THROWS_AS(max_pool(zeros({1, 4, 4}, int64), {2, 2}), TypeError);
}

TEST_CASE("max_pool, avg_pool: agree with plain loops over one to three axes, with dilation and ceil_mode") {
  struct Case {
    Shape in, kernel, stride, padding, dilation;
    bool ceil;
  };
  const Case cases[] = {
      {{7}, {2}, {2}, {0}, {1}, false},
      {{7}, {3}, {2}, {1}, {1}, true},
      {{9}, {3}, {3}, {1}, {2}, true},
      {{6, 5}, {2, 3}, {1, 2}, {1, 0}, {1, 1}, false},
      {{5, 7}, {2, 2}, {2, 2}, {0, 0}, {1, 1}, true},
      {{8, 9}, {3, 2}, {2, 3}, {1, 1}, {2, 3}, true},
      {{4, 5, 6}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},
      {{3, 8, 7}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},
      {{5, 4, 6}, {3, 2, 3}, {1, 2, 2}, {1, 0, 1}, {1, 1, 2}, true},
      {{1, 1, 1}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, false},
      {{1}, {2}, {1}, {1}, {2}, false},  // a window that sees padding only
  };
  for (const Case& c : cases) {
    const int axes = c.in.rank();
    CAPTURE(to_string(c.in));
    CAPTURE(to_string(c.kernel));
    Shape shape = {2, 3};
    for (auto n : c.in) shape.push_back(n);
    const Tensor x = random(shape, 1);
    const auto a = doubles(x);
    for (int what = 0; what < 3; ++what) {  // max, mean with the padding, mean without
      Shape dilation;
      for (int d = 0; d < axes; ++d) dilation.push_back(what ? 1 : c.dilation[d]);
      Shape out, result = {2, 3};
      for (int d = 0; d < axes; ++d) {
        const auto room = c.in[d] + 2 * c.padding[d] - dilation[d] * (c.kernel[d] - 1) - 1;
        auto n = (c.ceil ? (room + c.stride[d] - 1) / c.stride[d] : room / c.stride[d]) + 1;
        if (c.ceil && (n - 1) * c.stride[d] >= c.in[d] + c.padding[d]) --n;
        out.push_back(n), result.push_back(n);
      }
      std::vector<double> want;
      for (std::int64_t plane = 0; plane < 6; ++plane)
        for (std::int64_t p = 0; p < out.numel(); ++p) {
          double best = -INFINITY, total = 0;
          int inside = 0, padded = 0;
          for (std::int64_t k = 0; k < c.kernel.numel(); ++k) {
            std::int64_t p_left = p, k_left = k, at = 0, step = 1;
            bool there = true, counted = true;
            for (int d = axes - 1; d >= 0; --d) {
              const auto pos = p_left % out[d] * c.stride[d] - c.padding[d] + k_left % c.kernel[d] * dilation[d];
              p_left /= out[d], k_left /= c.kernel[d];
              there = there && pos >= 0 && pos < c.in[d];
              counted = counted && pos < c.in[d] + c.padding[d];
              at += pos * step, step *= c.in[d];
            }
            padded += counted;
            if (!there) continue;
            const double v = a[std::size_t(plane * c.in.numel() + at)];
            best = std::max(best, v), total += v, ++inside;
          }
          want.push_back(what == 0 ? best : what == 1 ? total / padded : total / inside);
        }
      auto f = [&](const std::vector<Tensor>& t) {
        if (what == 0) return max_pool(t[0], c.kernel, {c.stride, c.padding, c.dilation, c.ceil});
        return avg_pool(t[0], c.kernel, {c.stride, c.padding, c.ceil, what == 1});
      };
      check_close(f({x}), from(want, result), 1e-14);
      if (std::ranges::find(want, -INFINITY) == want.end()) test::check_rule(f, {x});
    }
  }
}

TEST_CASE("avg_pool: stride defaults to the kernel, single numbers to all axes") {
  const Tensor x = random({2, 6, 6}, 1);
  CHECK(avg_pool(x, {2, 3}).shape() == Shape{2, 3, 2});
  CHECK(max_pool(x, {2, 3}).shape() == Shape{2, 3, 2});
  CHECK(avg_pool(x, {2, 2}, {.stride = {1}}).shape() == Shape{2, 5, 5});
  CHECK(avg_pool(arange(4, float64), {4}).item() == 1.5);
}

TEST_CASE("adaptive pooling: windows cover the input, whatever the size") {
  for (Shape size : {Shape{1, 1}, {3, 2}, {4, 5}, {6, 10}, {9, 7}, {12, 10}}) {
    CAPTURE(to_string(size));
    const Tensor x = random({2, 3, 6, 10}, 4);
    const auto a = doubles(x);
    std::vector<double> most, mean;
    for (std::int64_t plane = 0; plane < 6; ++plane)
      for (std::int64_t r = 0; r < size[0]; ++r)
        for (std::int64_t c = 0; c < size[1]; ++c) {
          double best = -INFINITY, total = 0;
          int n = 0;
          for (std::int64_t i = r * 6 / size[0]; i < std::int64_t(std::ceil(double((r + 1) * 6) / double(size[0])));
               ++i)
            for (std::int64_t j = c * 10 / size[1]; j < std::int64_t(std::ceil(double((c + 1) * 10) / double(size[1])));
                 ++j) {
              const double v = a[std::size_t((plane * 6 + i) * 10 + j)];
              best = std::max(best, v), total += v, ++n;
            }
          most.push_back(best), mean.push_back(total / n);
        }
    auto largest = [&](const std::vector<Tensor>& t) { return adaptive_max_pool(t[0], size); };
    auto average = [&](const std::vector<Tensor>& t) { return adaptive_avg_pool(t[0], size); };
    check_close(largest({x}), from(most, {2, 3, size[0], size[1]}), 0);
    check_close(average({x}), from(mean, {2, 3, size[0], size[1]}), 1e-14);
    test::check_rule(largest, {x});
    test::check_rule(average, {x});
  }
}

TEST_CASE("pooling: what does not fit is an error") {
  const Tensor x = zeros({2, 4, 4});
  CHECK_THROWS_AS(max_pool(x, {}), ShapeError);
  CHECK_THROWS_AS(max_pool(x, {1, 1, 1, 1}), ShapeError);
  CHECK_THROWS_AS(max_pool(x, {2, 2}, {.stride = {1, 1, 1}}), ShapeError);
  CHECK_THROWS_AS(avg_pool(x, {2, 2}, {.stride = {0}}), ValueError);
  CHECK_THROWS_AS(avg_pool(x, {2, 2}, {.padding = {2}}), ValueError);
  CHECK_THROWS_AS(avg_pool(x, {5, 2}), ShapeError);
  CHECK_THROWS_AS(avg_pool(zeros({3, 0}), {1}), ShapeError);
  CHECK_THROWS_AS(avg_pool(zeros({4, 4}, int64), {2}), TypeError);
  CHECK_THROWS_AS(adaptive_avg_pool(x, {0, 2}), ValueError);
  CHECK_THROWS_AS(adaptive_max_pool(x, {-1}), ValueError);
  CHECK(avg_pool(zeros({0, 3, 4, 4}), {2, 2}).shape() == Shape{0, 3, 2, 2});
  CHECK(adaptive_max_pool(zeros({0, 3, 4, 4}), {3, 3}).shape() == Shape{0, 3, 3, 3});
}
