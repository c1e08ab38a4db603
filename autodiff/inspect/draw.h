#pragma once

// Pictures of the graph behind a tensor, drawn by Graphviz: write_dot(loss, "graph.dot", model).

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

/// What the colours of operators tell: their kind; their time in a profile, forwards and backwards; or the bytes of
/// their results (a view counts in full).
enum class ColourBy { kind, time, bytes };

struct DrawOptions {
  /// Names for what is in no model: {{"x", x}, {"labels", y}}. Results on the way may be named too.
  std::vector<Named> names = {};
  /// Larger graphs are refused: nobody can read them, and dot needs minutes.
  std::size_t max_nodes = 2000;
  /// By time it needs the profile that watched while the graph was recorded; ValueError without. For times of the
  /// backward too, keep the graph there ({.keep_graph = true}) and draw afterwards. What it did not see stays white.
  ColourBy colour_by = ColourBy::kind;
  const Profile* profile = nullptr;
};

/// Writes what made y in the language of Graphviz: operators with the shape, dtype and bytes of their results and the
/// line that called them; parameters, inputs and constants in other shapes and colours; a legend. The file is written
/// whole or not at all. GraphError when y is not on the tape, was released by backward(), or when there are more than
/// max_nodes; FileError.
WENGERT_API void write_dot(const Tensor& y, const std::string& path, const DrawOptions& = {}, Where = Where::current());
/// The same as a picture, by the program `dot` (Debian: graphviz), which is looked for on PATH. FileError when it is
/// not there or fails.
WENGERT_API void write_svg(const Tensor& y, const std::string& path, const DrawOptions& = {}, Where = Where::current());

namespace detail {

/// What a model calls a tensor.
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

/// The same with the names that the tensors have in a model ("hidden.weight"). Each layer ("hidden") is a frame around
/// its parameters and the operators that take them.
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
