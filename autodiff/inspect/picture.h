#pragma once

// Internal: a drawing as data, between the tape and the DOT language.

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
  std::string title;          // the rule's name for an operator, else the name of the tensor
  std::string name;           // of an intermediate result, if it has one
  std::string layer;          // path of the layer; empty outside all layers
  std::vector<Value> values;  // empty where only the tensor's identity is known
  Where where{};
  double forward_ns = -1, backward_ns = 0;  // negative: not observed by a profile

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
  ColorBy color_by = ColorBy::kind;
};

inline bool is_operator(const Box& b) { return b.role == Role::operation || b.role == Role::result; }
inline bool in_model(Role r) { return r == Role::parameter || r == Role::buffer; }

/// The picture in the DOT language.
std::string dot_text(const Picture&);

}  // namespace wengert::picture
