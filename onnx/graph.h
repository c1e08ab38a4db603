#pragma once

// Internal: an ONNX graph and its encoding.

#include "wengert/autodiff/files/safetensors.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace wengert::onnx {

using Ints = std::vector<std::int64_t>;

struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, Ints, std::string, std::vector<std::string>> value;

  friend bool operator==(const Attribute&, const Attribute&) = default;
};

struct Node {
  std::string op;
  std::vector<std::string> inputs;  // "" for an omitted input
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;
  std::string doc;
};

/// The name and type of a value.
struct Value {
  std::string name;
  DType dtype;
  Shape shape;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<NamedTensor> initializers;
  std::vector<Value> inputs, outputs, inner;
};

/// The graph as a ModelProto in protobuf encoding, written without the protobuf library.
std::string encoded(const Graph&);

}  // namespace wengert::onnx
