#pragma once

// Drawings of the graph that computed a tensor, by Graphviz: write_dot(loss, "graph.dot", model).

#include "wengert/autodiff/model/model.h"
#include "wengert/autodiff/tape/tensor.h"

#include <string>
#include <type_traits>
#include <vector>

namespace wengert {

/// A name for a tensor in a drawing.
struct Named {
  std::string name;
  Tensor tensor;
};

class Profile;

/// What the color of an operator shows: its kind; its time in a profile, forward and backward; or the bytes of its
/// results (a view counts in full).
enum class ColorBy { kind, time, bytes };

struct DrawOptions {
  /// Names of tensors outside the model: {{"x", x}, {"labels", y}}. Intermediate results may be named too.
  std::vector<Named> names = {};
  /// Larger graphs are refused (GraphError): they are unreadable, and dot takes minutes to lay them out.
  std::size_t max_nodes = 2000;
  /// ColorBy::time needs the profile that observed the graph being recorded; ValueError without one. To see times of
  /// the backward pass too, run it with {.keep_graph = true} before drawing. Operators that were not observed are white.
  ColorBy color_by = ColorBy::kind;
  const Profile* profile = nullptr;
};

/// Writes the graph of y in the DOT language: operators with the shape, dtype and bytes of their results and the line
/// that called them; parameters, inputs and constants in other shapes and colors; a legend. The file is written whole
/// or not at all. GraphError when y is not on the tape, was released by backward(), or has more than max_nodes nodes;
/// FileError when the file cannot be written.
WENGERT_API void write_dot(const Tensor& y, const std::string& path, const DrawOptions& = {}, Where = Where::current());
/// The same as an SVG image, made by the program `dot` (Debian: graphviz) on PATH. FileError when dot is missing or
/// fails.
WENGERT_API void write_svg(const Tensor& y, const std::string& path, const DrawOptions& = {}, Where = Where::current());

namespace detail {

/// A tensor of a model, and its path.
struct Member {
  std::string path;
  Tensor tensor;
  bool trained;
};
enum class Drawing { dot, svg };
WENGERT_API void draw(const Tensor& y, const std::string& path, const std::vector<Member>&, const DrawOptions&, Drawing,
                      Where);

template <class Model>
std::vector<Member> members_by_path(const Model& model) {
  std::vector<Member> all;
  for_each_tensor(model, [&](std::string_view path, const auto& t) {
    all.push_back({std::string(path), t, std::is_same_v<decltype(t), const Param&>});
  });
  return all;
}

}  // namespace detail

/// The same, with the names of the model's tensors ("hidden.weight"). Each layer ("hidden") is a frame around its
/// parameters and the operators that use them.
template <class Model>
void write_dot(const Tensor& y, const std::string& path, const Model& model, const DrawOptions& options = {},
               Where where = Where::current()) {
  detail::draw(y, path, detail::members_by_path(model), options, detail::Drawing::dot, where);
}
template <class Model>
void write_svg(const Tensor& y, const std::string& path, const Model& model, const DrawOptions& options = {},
               Where where = Where::current()) {
  detail::draw(y, path, detail::members_by_path(model), options, detail::Drawing::svg, where);
}

}  // namespace wengert
