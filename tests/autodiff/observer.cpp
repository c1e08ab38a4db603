#include "wengert/autodiff/tape/observer.h"

#include "../support.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"

#include <array>
#include <stdexcept>
#include <thread>

using namespace wengert;
using namespace wengert::detail;

namespace {

// Writes down what it is told, as words.
struct Diary final : Observer {
  explicit Diary(Threads threads = Threads::mine) : Observer(threads) { begin(); }
  ~Diary() override { end(); }
  std::string text;
  std::vector<unsigned> lines;

  void enter(const Frame& f) override { note("<", f), lines.push_back(f.where.line()); }
  void leave(const Frame& f) override { note(">", f); }
  void abandon(const Frame& f) noexcept override { note("!", f); }
  void sent(const Frame& f, int operand, const Tensor&) override {
    text += std::string(f.name) + "." + std::to_string(operand) + " ";
  }
  void read(const Frame& f, const Tensor&) override { text += std::string(f.name) + "? "; }

 private:
  void note(const char* how, const Frame& f) {
    constexpr std::array suffix{"", "'", "*", "", "", ""};
    text += how + std::string(f.name) + suffix[static_cast<std::size_t>(f.act)] + " ";
  }
};

// x^2 by way of another operator.
struct Squared {
  static constexpr std::string_view name = "squared";
  Saved x;
  Tensor forward(const Tensor& a) {
    x = a;
    return a * a;
  }
  Tensor vjp(arg<0>, const Tensor& y_bar) const { return y_bar * x * 2; }
};
struct Broken {
  static constexpr std::string_view name = "broken";
  Tensor forward(const Tensor&) { throw std::runtime_error("broken"); }
};

}  // namespace

TEST_CASE("observer: operators, derivatives and sweeps are told as they nest, filed under the user's line") {
  const Tensor x = tensor({1, 2, 3}).track();
  Diary diary;
  const Tensor y = apply(Squared{}, Operand(x));
  const unsigned line = __LINE__ - 1;
  CHECK(diary.text == "<squared <mul >mul >squared ");
  CHECK(diary.lines == std::vector{line, line});
  diary.text.clear(), diary.lines.clear();
  (void)grad({&y, 1}, {&x, 1}, {&x, 1});
  const unsigned from = __LINE__ - 1;
  CHECK(diary.text == "<backward <squared' squared? <mul >mul <affine >affine squared.0 >squared' >backward ");
  CHECK(diary.lines == std::vector{from, line, line, line});
}

TEST_CASE("observer: the sum of two cotangents is told, and forward mode") {
  const Tensor x = tensor({1, 2}).track(), y = exp(x) + sin(x);
  Diary diary;
  (void)grad({&y, 1}, {&x, 1}, {&y, 1});
  CHECK(test::contains(diary.text, "<accumulate >accumulate"));
  diary.text.clear();
  const Tensor z = sin(x), x_dot = ones({2});
  (void)push_forward({&z, 1}, {&x, 1}, {&x_dot, 1});
  CHECK(diary.text == "<sin >sin <jvp <sin* sin? >sin* >jvp ");
}

TEST_CASE("observer: an operator that throws is abandoned, and those after it are told as before") {
  Diary diary;
  const Tensor x = ones({2});
  CHECK_THROWS_AS(apply(Broken{}, Operand(x)), std::runtime_error);
  (void)exp(x);
  CHECK(diary.text == "<broken !broken <exp >exp ");
  CHECK(innermost_frame() == nullptr);
}

TEST_CASE("observer: one of this thread hears this thread, one of all hears all; they nest") {
  const Tensor x = ones({2});
  Diary all(Observer::Threads::all);
  {
    Diary mine;
    std::thread([&] { (void)sin(x); }).join();
    (void)cos(x);
    CHECK(mine.text == "<cos >cos ");
  }
  (void)exp(x);
  CHECK(all.text == "<sin >sin <cos >cos <exp >exp ");
}

TEST_CASE("observer: bits are the same with and without, and without there is none") {
  CHECK(!watched());
  auto gradient = [] {
    const Tensor x = test::random({3, 5}).track();
    const Tensor y = sum(tanh(matmul(x, transpose(x))) * 3 + sum(x * x));
    return grad(y, x).to_vector<double>();
  };
  const auto before = gradient();
  {
    Diary diary;
    CHECK(watched());
    CHECK(gradient() == before);
  }
  CHECK(!watched());
}

TEST_CASE("observer: an exception from an observer comes out of the operator, after all have been told") {
  struct Stop final : Observer {
    Stop() : Observer(Threads::mine) { begin(); }
    ~Stop() override { end(); }
    void leave(const Frame& f) override {
      if (f.act == Act::vjp) throw std::runtime_error("stop");
    }
  };
  const Tensor x = ones({2}).track(), y = sum(exp(x));
  {
    const Stop stop;
    Diary diary;
    CHECK_THROWS_WITH(backward(y, {.keep_graph = true}), "stop");
    CHECK(test::contains(diary.text, ">sum' !backward"));
  }
  CHECK(innermost_frame() == nullptr);
  backward(y);
  CHECK(x.grad().to_vector<float>() == exp(x).to_vector<float>());
}

TEST_CASE("observer: nodes are told when they are born and when they die, on whichever thread") {
  struct Census final : Observer {
    int alive = 0, born_ever = 0;
    Census() : Observer(Threads::mine) { begin(); }
    ~Census() override { end(); }
    void born(Node&) override { ++alive, ++born_ever; }
    void died(const Node&) noexcept override { --alive; }
  } census;
  Tensor y = exp(ones({2}).track());
  CHECK(census.alive == 2);
  y = sin(y);
  CHECK(census.alive == 3);
  std::thread([gone = std::move(y)] {}).join();
  CHECK(census.alive == 0);
  CHECK(census.born_ever == 3);
}
