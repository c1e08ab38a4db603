#pragma once

// Pictures of the graph behind a tensor, drawn by Graphviz: write_dot(loss, "graph.dot", model).

#include "wengert/autodiff/tensor.h"

#include <string>
#include <vector>

namespace wengert {

/// A name for a tensor in a drawing.
struct Named {
  std::string name;
  Tensor tensor;
};

struct DrawOptions {
  /// Names for what is no parameter of a model: {{"x", x}, {"labels", y}}. Results on the way may be named too.
  std::vector<Named> names = {};
  /// Larger graphs are refused: nobody can read them, and dot needs minutes.
  std::size_t max_nodes = 2000;
};

/// Writes what made y in the language of Graphviz: operators with the shape, dtype and bytes of their results and the line that
/// called them; parameters, inputs and constants in other shapes and colours; a legend. The file is written whole or not at all.
/// GraphError when y is not on the tape, was released by backward(), or when there are more than max_nodes; FileError.
WENGERT_API void write_dot(const Tensor& y, const std::string& path, const DrawOptions& = {}, Where = Where::current());
/// The same as a picture, by the program `dot` (Debian: graphviz), which is looked for on PATH. FileError when it is not there or fails.
WENGERT_API void write_svg(const Tensor& y, const std::string& path, const DrawOptions& = {}, Where = Where::current());

namespace detail {

enum class Drawing { dot, svg };
WENGERT_API void draw(const Tensor& y, const std::string& path, const std::vector<Named>& parameters, const DrawOptions&, Drawing, Where);

}  // namespace detail
}  // namespace wengert
