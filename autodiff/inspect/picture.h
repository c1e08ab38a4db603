#pragma once

// Internal: a graph as it is drawn, between the tape and the language of Graphviz.

#include "wengert/autodiff/inspect/draw.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wengert::picture {

enum class Role { operation, result, parameter, buffer, variable, input, data };

struct Value {
  Shape shape;
  DType dtype = float32;
  std::int64_t bytes() const { return shape.numel() * static_cast<std::int64_t>(size_of(dtype)); }
};

struct Box {
  Role role = Role::operation;
  std::string title;          // of an operator its rule's name, else the name it was given
  std::string name;           // the name that a result on the way was given
  std::string layer;          // "" outside of all
  std::vector<Value> values;  // none where only an identity is known
  Where where{};
  double forward_ns = -1, backward_ns = 0;  // of an operator that a profile saw; not negative then

  std::int64_t bytes() const {
    std::int64_t n = 0;
    for (const Value& v : values) n += v.bytes();
    return n;
  }
};

struct Arrow {
  int from = 0, to = 0;
  std::uint32_t output = 0;
  bool differentiable = true;
};

struct Picture {
  std::vector<Box> boxes;
  std::vector<Arrow> arrows;  // sorted by `to`
  ColourBy colour_by = ColourBy::kind;
};

inline bool is_operator(const Box& b) { return b.role == Role::operation || b.role == Role::result; }
inline bool in_model(Role r) { return r == Role::parameter || r == Role::buffer; }

/// The picture in the language of Graphviz.
std::string dot_text(const Picture&);

}  // namespace wengert::picture
