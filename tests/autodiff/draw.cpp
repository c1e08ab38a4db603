#include "wengert/autodiff/inspect/draw.h"

#include "../files.h"
#include "wengert/autodiff/inspect/profile.h"
#include "wengert/autodiff/ops.h"
#include "wengert/autodiff/tape/gradient.h"
#include "wengert/autodiff/tape/rule.h"
#include "wengert/autodiff/transforms/transforms.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

using namespace wengert;
namespace fs = std::filesystem;

namespace {

std::string dot_of(const Tensor& y, const DrawOptions& options = {}) {
  const TemporaryFolder folder;
  write_dot(y, folder / "graph.dot", options);
  return read_bytes(folder / "graph.dot");
}

// As if the parameters were those of a model.
std::string dot_of(const Tensor& y, const std::vector<Named>& parameters, const DrawOptions& options = {}) {
  const TemporaryFolder folder;
  std::vector<detail::Member> members;
  for (const Named& p : parameters) members.push_back({p.name, p.tensor, true});
  detail::draw(y, folder / "graph.dot", members, options, detail::Drawing::dot, Where::current());
  return read_bytes(folder / "graph.dot");
}

int count(const std::string& text, const std::string& what) {
  int n = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}
bool has(const std::string& text, const std::string& what) { return count(text, what) > 0; }

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}

// The line of the node whose label begins with <B>title</B>.
std::string node(const std::string& dot, const std::string& title) {
  const auto at = dot.find("label=<<B>" + title + "</B>", dot.find("fillcolor"));
  REQUIRE(at != dot.npos);
  const auto begin = dot.rfind('\n', at) + 1;
  return dot.substr(begin, dot.find('\n', at) - begin);
}
std::string id(const std::string& dot, const std::string& title) {
  const std::string line = node(dot, title);
  const auto begin = line.find_first_not_of(' ');
  return line.substr(begin, line.find(' ', begin) - begin);
}
// Edges between two nodes, either way round, that have this among their attributes.
int edges(const std::string& dot, const std::string& from, const std::string& to, const std::string& attribute = "") {
  int n = 0;
  std::istringstream lines(dot);
  for (std::string line; std::getline(lines, line);) {
    const bool back = line.starts_with("  " + id(dot, to) + " -> " + id(dot, from) + " [dir=back");
    const bool forth = line.starts_with("  " + id(dot, from) + " -> " + id(dot, to)) && !has(line, "dir=back");
    n += (back || forth) && has(line, attribute);
  }
  return n;
}
// The text of the cluster of a layer.
std::string cluster(const std::string& dot, const std::string& layer) {
  const auto at = dot.find("label=<<B>" + layer + "</B>>;");
  REQUIRE(at != dot.npos);
  return dot.substr(at, dot.find("\n  }", at) - at);
}

// A value and its sign, for a node with two results.
struct Halves {
  static constexpr std::string_view name = "halves";
  std::array<Tensor, 2> forward(const Tensor& x) { return {x * 0.5, sum(x) * 0.5}; }
  Tensor vjp(arg<0>, const std::array<Tensor, 2>& y_bar) const { return y_bar[0] * 0.5; }
};

}  // namespace

TEST_CASE(
    "write_dot: an operator shows its name, the shape, dtype and bytes of its result and the line that called it") {
  const Tensor x = zeros({64, 128}).track();
  const Tensor y = tanh(x);
  const int line = __LINE__ - 1;
  const std::string dot = dot_of(y), tanh_node = node(dot, "tanh");
  CHECK(has(tanh_node, "float32 [64, 128]"));
  CHECK(has(tanh_node, "32 KiB"));
  CHECK(has(tanh_node, "draw.cpp:" + std::to_string(line)));
  CHECK(edges(dot, "variable", "tanh") == 1);
}

TEST_CASE("write_dot: parameters, variables, inputs, data, operators and the result look different") {
  const Tensor w = ones({3}).track(), v = ones({3}).track(), x = ones({3});
  const Tensor loss = sum((x * w) * v);
  const std::string dot = dot_of(loss + ones({}), {{"w", w}}, {.names = {{"v", v}, {"x", x}}});
  auto fill = [&](const char* title) {
    const std::string line = node(dot, title);
    return line.substr(line.find("shape="), line.find(", color") - line.find("shape="));
  };
  const std::array all{fill("w"), fill("v"), fill("x"), fill("mul"), fill("add"), fill("data")};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) CHECK(all[i] != all[k]);
}

TEST_CASE("write_dot: the legend names what the picture has, and nothing else") {
  const Tensor w = ones({2, 3}).track();
  const std::string with = dot_of(sum(w * ones({2, 3})), {{"w", w}}), without = dot_of(sum(w), {{"w", w}});
  for (const char* role : {">operator<", ">result<", ">parameter<", ">data<"}) CHECK(has(with, role));
  CHECK(!has(with, ">variable<"));
  CHECK(!has(without, ">data<"));
  CHECK(has(with, "2 operators, results 28 B"));
  CHECK(has(with, "1 parameter, 6 numbers"));
}

TEST_CASE("write_dot: a layer is a cluster of its parameters and the operators that take them") {
  const Tensor x = ones({4, 3});
  const Tensor w = ones({3}).track(), b = ones({3}).track(), gain = ones({1}).track();
  const Tensor hidden = x * w + b;
  const std::string dot =
      dot_of(sum(relu(hidden) * gain), {{"net.hidden.weight", w}, {"net.hidden.bias", b}, {"gain", gain}});
  CHECK(count(dot, "subgraph") == 1);
  const std::string layer = cluster(dot, "net.hidden");
  for (const char* title : {"net.hidden.weight", "net.hidden.bias", "mul", "add"})
    CHECK(has(layer, "<B>" + std::string(title) + "</B>"));
  for (const char* title : {"relu", "sum", "gain"}) CHECK(!has(layer, "<B>" + std::string(title) + "</B>"));
}

namespace {

struct Scaled {
  Param gain = ones({3}), shift = ones({3});
  Buffer spread = ones({3});
  Tensor operator()(const Tensor& x) const { return x * gain / spread + shift; }
};
struct Model {
  std::vector<Scaled> blocks{Scaled(), Scaled()};
  Param temperature = ones({1});
  Tensor operator()(const Tensor& x) const { return blocks[1](relu(blocks[0](x))) * temperature; }
};

}  // namespace

TEST_CASE("write_dot: a model names its parameters and buffers and frames its layers") {
  const TemporaryFolder folder;
  const Model model;
  const Tensor x = ones({4, 3});
  write_dot(sum(model(x)), folder / "graph.dot", model, {.names = {{"x", x}}});
  const std::string dot = read_bytes(folder / "graph.dot");
  CHECK(count(dot, "subgraph") == 2);
  for (const char* title : {"blocks.0.gain", "blocks.0.shift", "div", "mul", "add"})
    CHECK(has(cluster(dot, "blocks.0"), "<B>" + std::string(title) + "</B>"));
  CHECK(has(cluster(dot, "blocks.1"), "<B>blocks.1.spread</B>"));
  for (const char* role : {">parameter<", ">buffer<", ">input<"}) CHECK(has(dot, role));
  CHECK(has(node(dot, "x"), "float32 [4, 3]"));
  CHECK(!has(dot, ">data<"));
  CHECK(has(message_of<GraphError>([&] { write_dot(ones({2}), folder / "graph.dot", model); }), "draw.cpp"));
}

TEST_CASE("write_dot: inside a transform the model has its names, as the argument and as the original") {
  const TemporaryFolder folder;
  const Model model;
  const Tensor x = ones({4, 3});
  (void)value_and_grad(
      [&](const Model& m) {
        const Tensor loss = sum(m(x));
        write_dot(loss, folder / "argument.dot", m);
        write_dot(loss, folder / "original.dot", model);
        return loss;
      },
      model);
  for (const char* file : {"argument.dot", "original.dot"})
    CHECK(has(read_bytes(folder / file), "<B>blocks.1.gain</B>"));
}

TEST_CASE("write_dot: what reads a transposed weight belongs to the weight's layer") {
  const Tensor w = ones({3, 4}).track(), x = ones({4, 3}).track();
  const std::string dot = dot_of(relu(x * transpose(w)), {{"hidden.weight", w}});
  const std::string layer = cluster(dot, "hidden");
  CHECK(has(layer, "<B>permute</B>"));
  CHECK(has(layer, "<B>mul</B>"));
}

TEST_CASE("write_dot: a penalty on weights is no part of their layer, nor is what adds it to the loss") {
  const Tensor w = ones({3}).track(), x = ones({3}).track();
  const std::string layer = cluster(dot_of(sum(abs(x * w)) + sum(square(w)), {{"hidden.weight", w}}), "hidden");
  CHECK(has(layer, "<B>mul</B>"));
  for (const char* title : {"add", "square", "sum"}) CHECK(!has(layer, "<B>" + std::string(title) + "</B>"));
}

TEST_CASE("write_dot: the data run down a straight line, with parameters on both sides of their operator") {
  const Tensor x = ones({5, 4}), w = ones({3, 4}).track(), b = ones({3}).track();
  const std::string dot = dot_of(relu(linear(x, w, b)), {{"w", w}, {"b", b}}, {.names = {{"x", x}}});
  const std::string to = id(dot, "linear");
  CHECK(has(dot, "{ rank=same; " + id(dot, "w") + "; " + to + "; }"));
  CHECK(has(dot, id(dot, "w") + " -> " + to + ";"));
  CHECK(has(dot, to + " -> " + id(dot, "b") + " [dir=back];"));
  CHECK(!has(dot, "rank=same; " + id(dot, "x") + ";"));
}

TEST_CASE("write_dot: an operator on parameters of two layers stands between them") {
  const Tensor w = ones({3}).track(), v = ones({3}).track();
  const std::string dot = dot_of(w * v, {{"a.weight", w}, {"b.weight", v}});
  CHECK(count(dot, "subgraph") == 2);
  CHECK(!has(cluster(dot, "a"), "<B>mul</B>"));
  CHECK(!has(cluster(dot, "b"), "<B>mul</B>"));
}

TEST_CASE("write_dot: an input that comes in again further down stays above its first operator") {
  const Tensor x = ones({3, 3}), w = ones({3, 3}).track();
  const std::string dot = dot_of(x + relu(matmul(x, w)), {{"w", w}}, {.names = {{"x", x}}});
  CHECK(!has(dot, "rank=same; " + id(dot, "x") + ";"));
  CHECK(!has(dot, " -> " + id(dot, "x")));
}

TEST_CASE("write_dot: data appears once per tensor, dashed, and by its name when it was given one") {
  const Tensor x = ones({5}), w = ones({5}).track();
  const Tensor y = (w * x) - x;
  const std::string dot = dot_of(y, DrawOptions{.names = {{"x", x}}});
  CHECK(count(dot, "<B>x</B>") == 1);
  CHECK(edges(dot, "x", "mul", "style=dashed") == 1);
  CHECK(edges(dot, "x", "sub", "style=dashed") == 1);
  CHECK(count(dot, "style=dashed") == 2);
  CHECK(has(node(dot, "x"), "float32 [5]"));
  CHECK(count(dot_of(y), "<B>data</B>") == 1);
}

TEST_CASE("write_dot: a parameter that is used off the tape keeps its name, and its edge is dashed") {
  const Tensor w = ones({5}).track(), x = ones({5}).track();
  const std::string dot = dot_of(x * w.detach(), {{"w", w}});
  CHECK(edges(dot, "w", "mul", "style=dashed") == 1);
  CHECK(edges(dot, "variable", "mul") == 1);
}

TEST_CASE("write_dot: results on the way can be named") {
  const Tensor x = ones({5}).track(), h = tanh(x);
  CHECK(has(node(dot_of(sum(h), DrawOptions{.names = {{"hidden", h}}}), "tanh"), "<I>hidden</I>"));
}

TEST_CASE("write_dot: an operand used twice has two edges") {
  const Tensor x = ones({5}).track();
  const std::string dot = dot_of(x * x);
  CHECK(edges(dot, "variable", "mul") == 2);
}

TEST_CASE("write_dot: of several results an edge tells which it carries, and its shape") {
  const Tensor x = ones({5}).track();
  const auto [a, b] = apply(Halves{}, Operand(x));
  const std::string dot = dot_of(a * b);
  CHECK(has(dot, "result 0: [5]"));
  CHECK(has(dot, "result 1: []"));
}

TEST_CASE("write_dot: names are escaped, whatever is in them") {
  const Tensor x = ones({2}).track();
  const std::string dot = dot_of(tanh(x), DrawOptions{.names = {{"<b>\"a\" & \\N\n\xff\xc3\xa4]>", x}}});
  CHECK(has(dot, "<B>&lt;b&gt;&quot;a&quot; &amp; \\N??\xc3\xa4]&gt;</B>"));
  CHECK(has(dot, "tooltip=\"&lt;b&gt;&quot;a&quot; &amp; \\\\N"));
  CHECK(has(dot_of(tanh(x), DrawOptions{.names = {{"", x}}}), "<B>?</B>"));
}

TEST_CASE("write_dot: a tensor off the tape is a GraphError") {
  const TemporaryFolder folder;
  const std::string said = message_of<GraphError>([&] { write_dot(ones({2}), folder / "graph.dot"); });
  CHECK(has(said, "write_dot: this tensor is not on the tape"));
  CHECK(has(said, "draw.cpp"));
  CHECK(folder.entries() == 0);
}

TEST_CASE("write_dot: a graph that backward released is a GraphError that names both places") {
  const TemporaryFolder folder;
  const Tensor x = ones({2}).track(), h = exp(x), y = sum(h);
  backward(y);
  const std::string said = message_of<GraphError>([&] { write_dot(y, folder / "graph.dot"); });
  CHECK(has(said, "already released by the backward at draw.cpp:"));
  CHECK(has(said, "draw before backward, or pass {.keep_graph = true}"));
  CHECK(has(message_of<GraphError>([&] { write_dot(tanh(h), folder / "graph.dot"); }), "the graph of exp"));
}

TEST_CASE("write_dot: a kept graph can be drawn after backward, and drawing leaves gradients alone") {
  const Tensor x = ones({2}).track(), y = sum(square(x));
  backward(y, {.keep_graph = true});
  CHECK(has(dot_of(y), "<B>square</B>"));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{2, 2});
  backward(y);
  CHECK(x.grad().to_vector<float>() == std::vector<float>{4, 4});
}

TEST_CASE("write_dot: a graph with too many nodes is refused, of any depth") {
  const TemporaryFolder folder;
  Tensor y = ones({1}).track();
  for (int i = 0; i < 300000; ++i) y = neg(y);
  const std::string said = message_of<GraphError>([&] { write_dot(y, folder / "graph.dot"); });
  CHECK(has(said, "the graph has 300001 nodes, and more than 2000"));
  CHECK(has(said, ".max_nodes"));
  Tensor z = ones({1}).track();
  for (int i = 0; i < 3000; ++i) z = neg(z);
  CHECK(count(dot_of(z, DrawOptions{.max_nodes = 3001}), "<B>neg</B>") == 3000);
}

TEST_CASE("write_dot: a file that cannot be written is a FileError, and an older file stays") {
  const TemporaryFolder folder;
  const Tensor y = tanh(ones({2}).track());
  CHECK(has(message_of<FileError>([&] { write_dot(y, folder / "no/graph.dot"); }), "cannot be written: No such file"));
  CHECK(has(message_of<FileError>([&] { write_dot(y, folder / ""); }), "cannot be written"));
  write_dot(y, folder / "graph.dot");
  const std::string before = read_bytes(folder / "graph.dot");
  CHECK_THROWS_AS(write_dot(ones({2}), folder / "graph.dot"), GraphError);
  CHECK(read_bytes(folder / "graph.dot") == before);
  write_dot(exp(y), folder / "graph.dot");
  CHECK(has(read_bytes(folder / "graph.dot"), "<B>exp</B>"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_dot: a symbolic link stays one, and its target is replaced") {
  const TemporaryFolder folder;
  write_bytes(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  write_dot(tanh(ones({2}).track()), folder / "link");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(has(read_bytes(folder / "target"), "digraph"));
}

namespace {

// The environment's PATH, replaced while this lives.
struct Path {
  std::string before = std::getenv("PATH") ? std::getenv("PATH") : "";
  explicit Path(const std::string& now) { ::setenv("PATH", now.c_str(), 1); }
  ~Path() { ::setenv("PATH", before.c_str(), 1); }
};

// A program called dot that runs these lines of shell.
void make_dot(const TemporaryFolder& folder, const std::string& lines) {
  write_bytes(folder / "dot", "#!/bin/sh\n" + lines + "\n");
  fs::permissions(folder / "dot", fs::perms::owner_all);
}

bool built_without_graphviz() {
  const TemporaryFolder folder;
  const Path path(folder / "");
  return has(message_of<FileError>([&] { write_svg(tanh(ones({2}).track()), folder / "graph.svg"); }),
             "-Dgraphviz=disabled");
}

}  // namespace

TEST_CASE("write_svg: without the program dot it is a FileError that says what to install") {
  if (built_without_graphviz()) return;
  const TemporaryFolder folder, empty;
  const Path path(empty / "");
  const std::string said = message_of<FileError>([&] { write_svg(tanh(ones({2}).track()), folder / "graph.svg"); });
  CHECK(has(said, "install graphviz"));
  CHECK(folder.entries() == 0);
}

TEST_CASE("write_svg: dot's failure is a FileError with dot's own words, and an older file stays") {
  if (built_without_graphviz()) return;
  const TemporaryFolder folder, programs;
  write_bytes(folder / "graph.svg", "old");
  make_dot(programs, "echo half a picture; echo 'syntax error in line 7' >&2; exit 3");
  const Path path(programs / "");
  const std::string said = message_of<FileError>([&] { write_svg(tanh(ones({2}).track()), folder / "graph.svg"); });
  CHECK(has(said, "dot ended with status 3: syntax error in line 7"));
  CHECK(read_bytes(folder / "graph.svg") == "old");
  CHECK(folder.entries() == 1);
  make_dot(programs, "exit 0");
  CHECK_THROWS_AS(write_svg(tanh(ones({2}).track()), folder / "graph.svg"), FileError);
  make_dot(programs, "kill -9 $$");
  CHECK(has(message_of<FileError>([&] { write_svg(tanh(ones({2}).track()), folder / "graph.svg"); }), "status 137"));
}

TEST_CASE("write_svg: dot reads the drawing and its output becomes the file") {
  if (built_without_graphviz()) return;
  const TemporaryFolder folder, programs;
  make_dot(programs, "[ \"$1\" = -Tsvg ] && while read -r line; do echo \"$line\"; done; echo '</svg>'");
  const Path path(programs / "");
  write_svg(tanh(ones({2}).track()), folder / "graph.svg");
  CHECK(has(read_bytes(folder / "graph.svg"), "<B>tanh</B>"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_svg: Graphviz takes every label that write_dot writes") {
  const bool there = std::system("dot -V >/dev/null 2>&1") == 0;
  if (!there || built_without_graphviz()) return;
  const TemporaryFolder folder;
  const Tensor x = ones({4, 3}), w = ones({3}).track();
  const Tensor y = sum(tanh(x * w)) / 2;
  detail::draw(y, folder / "graph.svg", {{"<hid \"den\"&>.we\\ight\xff", w, true}}, {.names = {{"", x}}},
               detail::Drawing::svg, Where::current());
  const std::string svg = read_bytes(folder / "graph.svg");
  CHECK(has(svg, "</svg>"));
  CHECK(has(svg, "we\\ight?"));
  CHECK(has(svg, ">tanh<"));
}

// ---------------------------------------------------------------- colors by cost

namespace {

std::string fill_of(const std::string& dot, const std::string& title) {
  const std::string line = node(dot, title);
  const auto at = line.find("fillcolor=\"") + 11;
  return line.substr(at, 7);
}

}  // namespace

TEST_CASE("write_dot: colored by bytes, the largest result is darkest, and the legend tells the scale") {
  const Tensor x = ones({1000}).track();
  const std::string dot = dot_of(sum(exp(narrow(x, 0, 0, 500))), DrawOptions{.color_by = ColorBy::bytes});
  CHECK(fill_of(dot, "exp") == fill_of(dot, "slice"));
  CHECK(fill_of(dot, "exp") == "#e86048");
  CHECK(fill_of(dot, "sum") > fill_of(dot, "exp"));  // nearly white
  CHECK(fill_of(dot, "variable") == "#ffffff");
  CHECK(has(node(dot, "exp"), "<B>50.0 %</B> of all results"));
  CHECK(has(dot, "bytes of results:"));
  CHECK(has(dot, ">2.0 KiB<"));
  CHECK(!has(dot, ">operator<"));
  CHECK(has(dot, ">variable<"));
}

TEST_CASE("write_dot: colored by time, operators show theirs, forwards and backwards; those not seen stay white") {
  const Tensor x = ones({300, 300}).track(), early = exp(x);
  const Profile profile;
  const Tensor y = sum(matmul(early, early));
  const DrawOptions options{.color_by = ColorBy::time, .profile = &profile};
  CHECK(!has(dot_of(y, options), " back"));
  backward(y, {.keep_graph = true});
  const std::string dot = dot_of(y, options);
  CHECK(has(dot, "time:"));
  CHECK(has(dot, " in all"));
  CHECK(has(node(dot, "matmul"), " back"));
  CHECK(has(node(dot, "matmul"), " %</B>"));
  // The dearest of the two that were seen; which one it is, the scheduler decides.
  CHECK((fill_of(dot, "matmul") == "#e86048" || fill_of(dot, "sum") == "#e86048"));
  CHECK(fill_of(dot, "exp") == "#ffffff");
  CHECK(!has(node(dot, "exp"), " %</B>"));
}

TEST_CASE("write_dot: to color by time without a profile is a ValueError that shows how") {
  const TemporaryFolder folder;
  const Tensor y = exp(ones({2}).track());
  const std::string said =
      message_of<ValueError>([&] { write_dot(y, folder / "graph.dot", {.color_by = ColorBy::time}); });
  CHECK(has(said, ".profile = &profile"));
  CHECK(folder.entries() == 0);
}
