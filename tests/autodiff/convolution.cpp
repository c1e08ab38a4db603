#include "../support.h"
#include "derivatives.h"
#include "wengert/autodiff/base/parallel.h"

#include <limits>

using namespace wengert;
using namespace wengert::testing;

namespace {

std::vector<double> doubles(const Tensor& x) { return to(x, float64).to_vector<double>(); }

struct Sizes {
  std::int64_t n, c, o, groups;
  Shape in, kernel, stride, padding, dilation;
};

// The sum as it stands in ops.h, one product after the other.
Tensor naive_conv(const Tensor& x, const Tensor& w, const Sizes& s) {
  const int axes = s.in.rank();
  Shape out;
  for (int d = 0; d < axes; ++d)
    out.push_back((s.in[d] + 2 * s.padding[d] - s.dilation[d] * (s.kernel[d] - 1) - 1) / s.stride[d] + 1);
  const auto a = doubles(x), b = doubles(w);
  std::vector<double> y;
  const std::int64_t cg = s.c / s.groups, og = s.o / s.groups;
  for (std::int64_t i = 0; i < s.n; ++i)
    for (std::int64_t q = 0; q < s.o; ++q)
      for (std::int64_t p = 0; p < out.numel(); ++p) {
        double total = 0;
        for (std::int64_t r = 0; r < cg; ++r)
          for (std::int64_t k = 0; k < s.kernel.numel(); ++k) {
            std::int64_t p_left = p, k_left = k, at = 0, step = 1;
            bool inside = true;
            for (int d = axes - 1; d >= 0; --d) {
              const auto pos = p_left % out[d] * s.stride[d] - s.padding[d] + k_left % s.kernel[d] * s.dilation[d];
              p_left /= out[d], k_left /= s.kernel[d];
              inside = inside && pos >= 0 && pos < s.in[d];
              at += pos * step, step *= s.in[d];
            }
            if (inside)
              total += b[std::size_t((q * cg + r) * s.kernel.numel() + k)] *
                       a[std::size_t((i * s.c + q / og * cg + r) * s.in.numel() + at)];
          }
        y.push_back(total);
      }
  Shape shape = {s.n, s.o};
  for (auto d : out) shape.push_back(d);
  return from(y, shape);
}

Shape joined(Shape a, const Shape& b) {
  for (auto s : b) a.push_back(s);
  return a;
}

const Sizes cases[] = {
    {1, 1, 1, 1, {1}, {1}, {1}, {0}, {1}},
    {2, 3, 4, 1, {9}, {3}, {1}, {0}, {1}},
    {2, 4, 6, 2, {11}, {3}, {2}, {2}, {2}},
    {1, 1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {2, 3, 4, 1, {5, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {3, 2, 5, 1, {7, 5}, {3, 2}, {2, 3}, {1, 0}, {1, 2}},
    {2, 4, 6, 2, {5, 4}, {2, 3}, {1, 1}, {0, 2}, {1, 1}},
    {2, 3, 3, 3, {6, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {2, 6, 4, 2, {4, 5}, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {1, 2, 3, 1, {3, 3}, {3, 3}, {1, 1}, {0, 0}, {1, 1}},
    {1, 2, 2, 1, {2, 2}, {5, 5}, {3, 2}, {2, 3}, {1, 1}},
    {2, 2, 4, 2, {3, 4, 5}, {2, 2, 3}, {1, 2, 1}, {1, 0, 1}, {1, 1, 2}},
    {1, 2, 2, 1, {5, 3}, {3, 7}, {1, 1}, {1, 3}, {1, 1}},   // edges as wide as the lines
    {2, 3, 3, 3, {5, 40}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // one input channel for each group
    {2, 2, 8, 2, {7, 18}, {3, 2}, {2, 3}, {1, 1}, {1, 2}},
    {2, 9, 9, 9, {6, 5}, {5, 5}, {1, 1}, {4, 3}, {1, 1}},
    {3, 1, 1, 1, {6, 35}, {3, 3}, {1, 2}, {0, 1}, {2, 1}},
    {3, 2, 4, 2, {50}, {7}, {1}, {3}, {1}},
    {2, 2, 2, 2, {4, 5, 6}, {2, 3, 2}, {1, 1, 1}, {1, 1, 0}, {1, 1, 2}},
    {2, 2, 4, 2, {5, 5, 9}, {3, 3, 3}, {2, 1, 2}, {1, 1, 1}, {1, 1, 1}},
    {9, 20, 6, 1, {8, 30}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // parts and slices of the kernels; then several tiles
    {1, 64, 2, 1, {30, 31}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {1, 64, 2, 1, {23, 33}, {3, 3}, {2, 2}, {0, 1}, {1, 2}},
    {1, 32, 2, 1, {4, 9, 10}, {2, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
    {9, 9, 20, 1, {5, 17}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // channels enough to fill registers, on both sides
    {2, 16, 40, 2, {7, 9}, {3, 2}, {2, 3}, {1, 1}, {1, 2}},
    {1, 8, 33, 1, {29}, {5}, {1}, {2}, {1}},
    {1, 10, 12, 1, {4, 5, 6}, {2, 2, 3}, {1, 2, 1}, {1, 1, 1}, {1, 1, 2}},
    {1, 9, 8, 1, {3, 3}, {4, 4}, {3, 3}, {5, 5}, {1, 1}},  // some results see padding alone
    {2, 8, 8, 1, {6, 5}, {1, 1}, {2, 2}, {0, 0}, {1, 1}},  // some numbers are seen by no window
    {1, 8, 9, 1, {1, 2}, {3, 3}, {2, 3}, {2, 2}, {1, 1}},  // strides longer than the image
    {3, 2, 9, 1, {5, 16}, {3, 5}, {1, 2}, {1, 2}, {1, 1}},
    {1, 1, 8, 1, {40, 30}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},  // positions in several chunks
};
ConvOptions options_of(const Sizes& s) { return {s.stride, s.padding, s.dilation, s.groups}; }

}  // namespace

TEST_CASE("conv: agrees with the sum in its documentation, for any stride, padding, dilation and groups") {
  for (const Sizes& s : cases) {
    CAPTURE(to_string(s.in));
    CAPTURE(to_string(s.kernel));
    CAPTURE(s.groups);
    const Tensor x = random(joined({s.n, s.c}, s.in), 1), w = random(joined({s.o, s.c / s.groups}, s.kernel), 2),
                 b = random({s.o}, 3);
    const Tensor want = naive_conv(x, w, s);
    check_close(conv(x, w, Tensor(), options_of(s)), want, 1e-13);
    Shape one = {s.o};
    for (int i = 0; i < s.in.rank(); ++i) one.push_back(1);
    check_close(conv(x, w, b, options_of(s)), want + reshape(b, one), 1e-13);
    check_close(conv(to(x, float32), to(w, float32), to(b, float32), options_of(s)), want + reshape(b, one), 1e-5);
  }
}

TEST_CASE("conv: vjp, jvp and second order agree with central differences") {
  for (const Sizes& s : cases) {
    if (s.n > 3) continue;
    CAPTURE(to_string(s.in));
    CAPTURE(to_string(s.kernel));
    CAPTURE(s.groups);
    const Tensor x = random(joined({s.n, s.c}, s.in), 1), w = random(joined({s.o, s.c / s.groups}, s.kernel), 2),
                 b = random({s.o}, 3);
    test::check_rule([&](const std::vector<Tensor>& t) { return conv(t[0], t[1], t[2], options_of(s)); }, {x, w, b});
    test::check_rule([&](const std::vector<Tensor>& t) { return conv(t[0], t[1], Tensor(), options_of(s)); }, {x, w});
    // A sum of squares brings derivatives of derivatives with respect to all three.
    test::check_rule([&](const std::vector<Tensor>& t) { return square(conv(t[0], t[1], t[2], options_of(s))); },
                     {x, w, b});
  }
}

TEST_CASE("conv_transpose: is the transpose of conv") {
  for (const Sizes& s : cases) {
    CAPTURE(to_string(s.in));
    CAPTURE(to_string(s.kernel));
    CAPTURE(s.groups);
    const Tensor x = random(joined({s.n, s.c}, s.in), 1), w = random(joined({s.o, s.c / s.groups}, s.kernel), 2);
    const Tensor y = conv(x, w, Tensor(), options_of(s));
    const Tensor g = random(y.shape(), 4);
    Shape extra;  // what the division by the stride lost
    bool possible = true;
    for (int d = 0; d < s.in.rank(); ++d) {
      extra.push_back((s.in[d] + 2 * s.padding[d] - s.dilation[d] * (s.kernel[d] - 1) - 1) % s.stride[d]);
      possible = possible && y.size(d + 2) > 0;
    }
    REQUIRE(possible);
    const Tensor back = conv_transpose(g, w, Tensor(), {s.stride, s.padding, extra, s.dilation, s.groups});
    REQUIRE(back.shape() == x.shape());
    CHECK(dot(back, x) == doctest::Approx(dot(g, y)).epsilon(1e-12).scale(100));
  }
}

TEST_CASE("conv_transpose: vjp, jvp and second order agree with central differences") {
  const ConvTransposeOptions some[] = {
      {},
      {.stride = {2}, .padding = {1}, .output_padding = {1}},
      {.stride = {3, 2}, .padding = {1, 0}, .output_padding = {2, 0}, .dilation = {2, 1}, .groups = 2}};
  for (const auto& o : some) {
    const Tensor x = random({2, 4, 3, 4}, 1), w = random({4, 3, 3, 2}, 2), b = random({3 * o.groups}, 3);
    test::check_rule([&](const std::vector<Tensor>& t) { return conv_transpose(t[0], t[1], t[2], o); }, {x, w, b});
    test::check_rule([&](const std::vector<Tensor>& t) { return square(conv_transpose(t[0], t[1], Tensor(), o)); },
                     {x, w});
  }
}

TEST_CASE("conv_transpose: output padding wider than the stride is right where dilation allows it") {
  const Tensor x = random({1, 2, 3}, 1), w = random({2, 1, 2}, 2), b = random({1}, 3);
  const ConvTransposeOptions o = {.stride = {2}, .padding = {0}, .output_padding = {3}, .dilation = {4}};
  const Tensor y = conv_transpose(x, w, b, o);
  REQUIRE(y.shape() == Shape{1, 1, 12});
  const auto a = doubles(x), k = doubles(w);
  for (int i = 0; i < 12; ++i) {
    double want = doubles(b)[0];
    for (int c = 0; c < 2; ++c)
      for (int p = 0; p < 3; ++p)
        for (int j = 0; j < 2; ++j)
          if (p * 2 + j * 4 == i) want += a[std::size_t(c * 3 + p)] * k[std::size_t(c * 2 + j)];
    CHECK(doubles(y)[std::size_t(i)] == doctest::Approx(want));
  }
  test::check_rule([&](const std::vector<Tensor>& t) { return conv_transpose(t[0], t[1], t[2], o); }, {x, w, b});
}

TEST_CASE("conv: operands of any strides and single images are taken") {
  const Tensor x = random({2, 5, 3, 6}, 1), w = random({3, 3, 4, 2}, 2);
  const Tensor turned = permute(x, {0, 2, 3, 1}), turned_w = transpose(w);  // [2, 3, 6, 5], [3, 3, 2, 4]
  check_close(conv(turned, turned_w, Tensor()), conv(clone(turned), clone(turned_w), Tensor()), 0);
  check_close(conv(select(turned, 0, 1), turned_w, Tensor()), select(conv(turned, turned_w, Tensor()), 0, 1), 0);
  CHECK(conv_transpose(random({3, 4}, 1), random({3, 2, 3}, 2), Tensor()).shape() == Shape{2, 6});
  const Tensor spread = expand(random({1, 3, 1, 1}, 3), {2, 3, 5, 5});
  test::check_rule([&](const std::vector<Tensor>& t) { return conv(expand(t[0], {2, 3, 5, 5}), t[1], Tensor()); },
                   {random({1, 3, 1, 1}, 3), random({2, 3, 2, 2}, 4)});
}

TEST_CASE("conv: an empty batch gives an empty result and zero for the weight") {
  const Tensor x = zeros({0, 3, 5, 5}, float64).track(), w = random({4, 3, 3, 3}, 1).track(),
               b = random({4}, 2).track();
  const Tensor y = conv(x, w, b);
  CHECK(y.shape() == Shape{0, 4, 3, 3});
  const std::vector<Tensor> ys = {y}, leaves = {x, w, b}, y_bar = {zeros(y.shape(), float64)};
  const auto bars = grad(ys, leaves, y_bar);
  CHECK(bars[0].shape() == Shape{0, 3, 5, 5});
  check_close(bars[1], zeros({4, 3, 3, 3}, float64), 0);
  check_close(bars[2], zeros({4}, float64), 0);
}

// float32 and float64 go through different loops, oneDNN's where it is there, and the first and the last two shapes
// through Winograd's filtering. WENGERT_ONEDNN=0 asks for our own, WENGERT_WINOGRAD=0 for no filtering.
TEST_CASE("conv: many channels in float32 have the results and derivatives of float64") {
  const Sizes wide[] = {
      {9, 16, 24, 1, {9, 10}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {2, 48, 32, 1, {12, 7}, {5, 3}, {2, 1}, {2, 0}, {1, 2}},
      {3, 34, 64, 2, {8, 9}, {3, 2}, {3, 2}, {1, 1}, {2, 1}},
      {1, 17, 19, 1, {5, 5}, {4, 4}, {1, 1}, {3, 3}, {1, 1}},
      {2, 16, 16, 1, {4, 11, 6}, {2, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
      {9, 40, 48, 1, {16, 13}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {1, 64, 65, 1, {33, 34}, {3, 3}, {1, 1}, {0, 1}, {1, 1}},
  };
  for (const Sizes& s : wide) {
    CAPTURE(to_string(s.in));
    const std::vector<Tensor> x = {random(joined({s.n, s.c}, s.in), 1),
                                   random(joined({s.o, s.c / s.groups}, s.kernel), 2), random({s.o}, 3)};
    auto run = [&](DType dtype) {
      std::vector<Tensor> leaves;
      for (const Tensor& t : x) leaves.push_back(to(t, dtype).track());
      std::vector<Tensor> all = {conv(leaves[0], leaves[1], leaves[2], options_of(s))};
      for (const Tensor& g : grad(all, leaves, std::vector{random(all[0].shape(), 4, dtype)})) all.push_back(g);
      const ConvTransposeOptions back{s.stride, s.padding, {0}, s.dilation, s.groups};
      all.push_back(conv_transpose(all[0].detach(), leaves[1].detach(), Tensor(), back));
      return all;
    };
    const auto single = run(float32), exact = run(float64);
    // Sums of at most a few thousand products below one, each rounded to 6e-8; or as docs/numerics.md has it for
    // Winograd's, relative to the size of what is around.
    const double off = std::getenv("WENGERT_WINOGRAD") ? 5e-6 : 1.5e-5;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double size = std::sqrt(mean(square(exact[i])).item());
      check_close(to(single[i], float64) / size, exact[i] / size, off);
    }
  }
}

// Lines shorter and longer than a tile, a block and a register; channels that fill no register; every padding. Bounds
// as in docs/numerics.md.
TEST_CASE("conv: 3 x 3 and 5 x 5 with many channels are right for images of any size") {
  const Sizes some[] = {
      {90, 33, 41, 1, {4, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
      {70, 20, 35, 1, {5, 9}, {3, 3}, {1, 1}, {2, 2}, {1, 1}},
      {50, 33, 18, 1, {10, 6}, {3, 3}, {1, 1}, {0, 1}, {1, 1}},
      {1, 40, 33, 1, {9, 301}, {3, 3}, {1, 1}, {2, 0}, {1, 1}},
      {3, 32, 67, 1, {50, 11}, {3, 3}, {1, 1}, {1, 2}, {1, 1}},
      {3, 66, 41, 1, {13, 50}, {5, 5}, {1, 1}, {2, 2}, {1, 1}},
      {20, 48, 65, 1, {8, 6}, {5, 5}, {1, 1}, {1, 3}, {1, 1}},
      {16, 64, 50, 1, {7, 9}, {5, 5}, {1, 1}, {4, 0}, {1, 1}},
  };
  for (const Sizes& s : some) {
    CAPTURE(to_string(s.in));
    CAPTURE(s.c);
    const Tensor x = random(joined({s.n, s.c}, s.in), 1), w = random(joined({s.o, s.c}, s.kernel), 2),
                 b = random({s.o}, 3);
    auto run = [&](DType dtype) {
      const std::vector<Tensor> leaves = {to(x, dtype).track(), to(w, dtype).track(), to(b, dtype).track()};
      std::vector<Tensor> all = {conv(leaves[0], leaves[1], leaves[2], options_of(s))};
      for (const Tensor& g : grad(all, leaves, std::vector{random(all[0].shape(), 4, dtype)})) all.push_back(g);
      const ConvTransposeOptions back{s.stride, s.padding, {0}, s.dilation, s.groups};
      all.push_back(conv_transpose(all[0].detach(), leaves[1].detach(), random({s.c}, 5, dtype), back));
      return all;
    };
    const auto single = run(float32), exact = run(float64);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      CAPTURE(i);
      const double size = std::sqrt(mean(square(exact[i])).item());
      check_close(to(single[i], float64) / size, exact[i] / size, s.kernel[0] == 3 ? 1.5e-5 : 2e-5);
    }
  }
}

TEST_CASE("conv: one channel for each group: both gradients at once are those that are computed alone") {
  for (const DType dtype : {float32, float64})
    for (const ConvOptions& o : {ConvOptions{.padding = {1}, .groups = 11},
                                 ConvOptions{.stride = {2, 1}, .padding = {0, 2}, .dilation = {1, 2}, .groups = 11}}) {
      const Tensor x = random({5, 11, 90, 83}, 1, dtype).track(), w = random({22, 1, 3, 3}, 2, dtype).track(),
                   b = random({22}, 3, dtype).track();
      const auto y = [&] { return conv(x, w, b, o); };
      const Tensor y_bar = random(y().shape(), 4, dtype);
      REQUIRE(y_bar.numel() * 4 > 1 << 20);
      const auto alone = [&](const Tensor& t) { return grad(sum(y() * y_bar), t); };
      const Tensor together = sum(y() * y_bar);
      const std::vector<Tensor> ys = {together}, leaves = {x, w, b}, both = {x, w};
      const auto all = grad(ys, leaves);
      for (std::size_t i = 0; i < 3; ++i) check_close(all[i], alone(leaves[i]), 0);
      const std::vector<Tensor> again = {sum(y() * y_bar)};
      const auto two = grad(again, both);
      for (std::size_t i = 0; i < 2; ++i) check_close(two[i], all[i], 0);
    }
}

TEST_CASE("conv: 3 x 3 on one channel for each group is right for lines of any length") {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 49, 70})
    for (const std::int64_t lines : {1, 2, 3, 6})
      for (const std::int64_t outputs : {3, 6}) {
        CAPTURE(n);
        CAPTURE(lines);
        CAPTURE(outputs);
        const Sizes s{2, 3, outputs, 3, {lines, n}, {3, 3}, {1, 1}, {1, 1}, {1, 1}};
        const Tensor x = random({2, 3, lines, n}, 1), w = random({outputs, 1, 3, 3}, 2), dx = random(x.shape(), 3),
                     dw = random(w.shape(), 4), y_bar = random({2, outputs, lines, n}, 5);
        for (const DType dtype : {float32, float64}) {
          // Values are sums of nine products below one, each rounded to 6e-8 or 1e-16; what is compared of the
          // gradients are sums of up to 45,360, whose roundings are independent.
          const double rounding = dtype == float32 ? 6e-8 : 1.2e-16;
          const double off = rounding * std::sqrt(static_cast<double>(2 * outputs * lines * n * 9));
          const Tensor a = to(x, dtype).track(), b = to(w, dtype).track();
          const Tensor y = conv(a, b, Tensor(), options_of(s));
          check_close(to(y, float64).detach(), naive_conv(x, w, s), 9 * rounding);
          const std::vector<Tensor> ys = {sum(y * to(y_bar, dtype))}, leaves = {a, b};
          const auto bars = grad(ys, leaves);
          CHECK(sum(to(bars[0], float64) * dx).item() ==
                doctest::Approx(sum(y_bar * naive_conv(dx, w, s)).item()).epsilon(off));
          CHECK(sum(to(bars[1], float64) * dw).item() ==
                doctest::Approx(sum(y_bar * naive_conv(x, dw, s)).item()).epsilon(off));
        }
      }
}

TEST_CASE("conv: few channels into many, and many into few, are right for lines of any length") {
  for (const std::int64_t n : {1, 3, 4, 7, 8, 9, 12, 15, 16, 17, 20, 24, 28, 31, 32, 33, 36, 40, 49})
    for (const std::int64_t few : {1, 3})
      for (const std::int64_t many : {8, 13, 41})
        for (const bool padded : {false, true}) {
          CAPTURE(n);
          CAPTURE(few);
          CAPTURE(many);
          CAPTURE(padded);
          const Shape size{4, padded ? n : n + 2};
          const std::int64_t border = padded;
          const Sizes s{2, few, many, 1, size, {3, 3}, {1, 1}, {border, border}, {1, 1}},
              back{2, many, few, 1, size, {3, 3}, {1, 1}, {border, border}, {1, 1}};
          const Tensor x = random(joined({2, few}, size), 1), w = random({many, few, 3, 3}, 2), b = random({many}, 3);
          const Tensor z = random(joined({2, many}, size), 4), dz = random(z.shape(), 5),
                       v = random({few, many, 3, 3}, 6), want = naive_conv(dz, v, back), bar = random(want.shape(), 7);
          for (const DType dtype : {float32, float64}) {
            // Sums of up to 28 products below one, and of a few thousand of them.
            const double rounding = dtype == float32 ? 6e-8 : 1.2e-16;
            const Tensor y = conv(to(x, dtype), to(w, dtype), to(b, dtype), options_of(s));
            check_close(to(y, float64), naive_conv(x, w, s) + reshape(b, {many, 1, 1}), 28 * rounding);
            const Tensor a = to(z, dtype).track();
            const Tensor z_bar = grad(sum(conv(a, to(v, dtype), Tensor(), options_of(back)) * to(bar, dtype)), a);
            CHECK(sum(to(z_bar, float64) * dz).item() ==
                  doctest::Approx(sum(bar * want).item()).epsilon(1000 * rounding));
          }
        }
}

TEST_CASE("conv: the gradient of a weight has nothing of what its windows do not see, even if that is infinite") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const std::int64_t n : {5, 16, 19, 32})
    for (const DType dtype : {float32, float64})
      for (const bool last_line : {false, true})
        for (const bool last_column : {false, true}) {
          CAPTURE(n);
          std::vector<double> numbers(static_cast<std::size_t>(4 * n), 1);
          numbers[static_cast<std::size_t>((last_line ? 3 : 0) * n + (last_column ? n - 1 : 0))] = inf;
          const Tensor x = to(from(numbers, {1, 1, 4, n}), dtype), w = ones({1, 1, 3, 3}, dtype).track();
          const Tensor w_bar = grad(sum(conv(x, w, Tensor(), ConvOptions{.padding = {1}})), w);
          const auto got = doubles(w_bar);
          for (std::int64_t i = 0; i < 3; ++i)
            for (std::int64_t j = 0; j < 3; ++j) {
              const bool unseen = i == (last_line ? 0 : 2) || j == (last_column ? 0 : 2);
              const double seen_lines = i == 1 ? 4 : 3, seen_columns = static_cast<double>(j == 1 ? n : n - 1);
              CHECK(got[static_cast<std::size_t>(3 * i + j)] == (unseen ? seen_lines * seen_columns : inf));
            }
        }
}

TEST_CASE("conv_transpose: what is added to a result may be longer than the stride, with many channels as well") {
  const Tensor y = random({2, 16, 5, 4}, 1), w = random({16, 16, 3, 3}, 2);
  for (const ConvTransposeOptions& o :
       {ConvTransposeOptions{.stride = {2}, .padding = {1}, .output_padding = {2}, .dilation = {3}},
        ConvTransposeOptions{.stride = {1}, .output_padding = {2}, .dilation = {3}}}) {
    const Tensor exact = conv_transpose(y, w, Tensor(), o);
    check_close(conv_transpose(to(y, float32), to(w, float32), Tensor(), o), exact, 1e-5);
  }
}

TEST_CASE("conv: results and derivatives have the same bits for any number of threads") {
  const Tensor x = random({17, 8, 13, 11}, 1, float32).track(), w = random({12, 8, 3, 3}, 2, float32).track(),
               b = random({12}, 3, float32).track();
  const Tensor one = random({1, 40, 60, 50}, 4, float32).track(), v = random({6, 40, 5, 5}, 5, float32).track();
  const Tensor wide = random({13, 16, 9, 10}, 7, float32).track(), u = random({24, 16, 3, 3}, 8, float32).track();
  const Tensor filtered = random({19, 32, 16, 16}, 9, float32).track(), f = random({64, 32, 3, 3}, 10, float32).track();
  auto run = [&](int n) {
    set_threads(n);
    std::vector<Tensor> all;
    for (const auto& [in, weight, bias] : {std::array{x, w, b}, std::array{one, v, Tensor()},
                                           std::array{wide, u, Tensor()}, std::array{filtered, f, Tensor()}}) {
      const std::vector<Tensor> y = {conv(in, weight, bias, {.padding = {1}})}, leaves = {in, weight},
                                g = {random(y[0].shape(), 6, float32)};
      all.push_back(y[0]);
      for (auto& t : grad(y, leaves, g)) all.push_back(t);
    }
    return all;
  };
  const int before = threads();
  const auto first = run(1);
  for (int n : {2, 3, 8}) {
    const auto again = run(n);
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(first[i].to_vector<float>() == again[i].to_vector<float>());
  }
  set_threads(before);
}

TEST_CASE("conv: what does not fit is an error that names the shapes") {
  const Tensor x = zeros({2, 4, 8, 8}), w = zeros({6, 4, 3, 3}), none;
  CHECK_THROWS_AS(conv(x, zeros({6, 3, 3, 3}), none), ShapeError);
  CHECK(message_of<ShapeError>([&] {
          conv(x, zeros({6, 3, 3, 3}), none);
        }).starts_with("conv: input [2, 4, 8, 8] has 4 channels, but weight [6, 3, 3, 3] takes 3"));
  CHECK_THROWS_AS(conv(x, w, none, {.groups = 3}), ShapeError);
  CHECK_THROWS_AS(conv(x, w, none, {.groups = 4}), ShapeError);
  CHECK_THROWS_AS(conv(x, w, none, {.groups = 2}), ShapeError);
  CHECK_THROWS_AS(conv(x, w, none, {.groups = 0}), ValueError);
  CHECK_THROWS_AS(conv(x, zeros({6, 4, 9, 3}), none), ShapeError);
  CHECK(message_of<ShapeError>([&] {
          conv(x, zeros({6, 4, 9, 3}), none);
        }).starts_with("conv: the kernel reaches over 9 entries, but spatial axis 0 of [2, 4, 8, 8] has 8"));
  CHECK_THROWS_AS(conv(x, w, none, {.stride = {0}}), ValueError);
  CHECK_THROWS_AS(conv(x, w, none, {.padding = {-1}}), ValueError);
  CHECK_THROWS_AS(conv(x, w, none, {.dilation = {0}}), ValueError);
  CHECK_THROWS_AS(conv(x, w, zeros({5})), ShapeError);
  CHECK_THROWS_AS(conv(x, to(w, float64), none), TypeError);
  CHECK_THROWS_AS(conv(x, w, zeros({6}, float64)), TypeError);
  CHECK_THROWS_AS(conv(zeros({2, 4, 8, 8}, int64), zeros({6, 4, 3, 3}, int64), none), TypeError);
  CHECK_THROWS_AS(conv(zeros({4, 8}), w, none), ShapeError);
  CHECK_THROWS_AS(conv(zeros({1, 4, 8}), zeros({6, 4, 3}), none), ShapeError);
  CHECK_THROWS_AS(conv(x, w, none, {.stride = {1, 1, 1}}), ShapeError);
  CHECK_THROWS_AS(conv_transpose(x, w, none), ShapeError);
  CHECK_THROWS_AS(conv_transpose(x, zeros({4, 6, 3, 3}), none, {.output_padding = {1}}), ValueError);
  CHECK_THROWS_AS(conv_transpose(zeros({1, 4, 1}), zeros({4, 1, 2}), none, {.padding = {1}}), ShapeError);
}

TEST_CASE("unfold: a matrix product with its columns is a convolution; fold is its transpose") {
  const UnfoldOptions o = {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}};
  const Tensor x = random({2, 3, 6, 5}, 1), w = random({4, 3, 3, 2}, 2);
  const Tensor columns = unfold(x, {3, 2}, o);
  REQUIRE(columns.shape() == Shape{2, 18, 9});
  const Tensor y = conv(x, w, Tensor(), {o.stride, o.padding, o.dilation});
  check_close(reshape(matmul(reshape(w, {4, 18}), columns), y.shape()), y, 1e-14);
  const Tensor g = random(columns.shape(), 3);
  CHECK(dot(fold(g, {6, 5}, {3, 2}, o), x) == doctest::Approx(dot(g, columns)).epsilon(1e-12));
  test::check_rule([&](const std::vector<Tensor>& t) { return unfold(t[0], {3, 2}, o); }, {x});
  test::check_rule([&](const std::vector<Tensor>& t) { return fold(t[0], {6, 5}, {3, 2}, o); }, {g});
  check_close(unfold(select(x, 0, 1), {3, 2}, o), select(columns, 0, 1), 0);
  check_close(fold(select(g, 0, 1), {6, 5}, {3, 2}, o), select(fold(g, {6, 5}, {3, 2}, o), 0, 1), 0);
  CHECK(unfold(random({2, 3, 9}, 1), {3}).shape() == Shape{2, 9, 7});
  CHECK(unfold(zeros({0, 3, 9}), {3}).shape() == Shape{0, 9, 7});
}

TEST_CASE("unfold, fold: what does not fit is an error") {
  CHECK_THROWS_AS(unfold(zeros({2, 2}), {2, 2}), ShapeError);
  CHECK_THROWS_AS(unfold(zeros({1, 1, 2, 2}), {3, 2}), ShapeError);
  CHECK_THROWS_AS(unfold(zeros({1, 1, 4, 4}), {2, 2}, {.stride = {0}}), ValueError);
  CHECK_THROWS_AS(fold(zeros({1, 4, 8}), {4, 4}, {2, 2}), ShapeError);
  CHECK_THROWS_AS(fold(zeros({1, 3, 9}), {4, 4}, {2, 2}), ShapeError);
  CHECK_THROWS_AS(fold(zeros({1, 4, 9}), {4, 4}, {2}), ShapeError);
  CHECK_THROWS_AS(fold(zeros({4}), {4, 4}, {2, 2}), ShapeError);
}
