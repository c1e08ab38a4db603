#pragma once

// Internal: an ONNX graph, and its bytes.

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
  std::vector<std::string> inputs;  // "" for one that is left out
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;
  std::string doc;
};

/// A value that has a name and a type, but no numbers.
struct Value {
  std::string name;
  DType dtype;
  Shape shape;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<NamedTensor> initialisers;
  std::vector<Value> inputs, outputs, inner;
};

/// As a ModelProto in protobuf's encoding, without the library of that name: five messages need a screen of code.
std::string encoded(const Graph&);

}  // namespace wengert::onnx
