#include "wengert/onnx/graph.h"

#include "wengert/autodiff/ops.h"

#include <cstring>

// Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), which are stable.

namespace wengert::onnx {
namespace {

constexpr std::int64_t ir_version = 8, opset = 17;

// A message under construction. It needs three kinds of protobuf fields: varints, four bytes, and a length with that
// number of bytes.
class Message {
 public:
  Message& number(int field, std::int64_t value) { return tag(field, 0), varint(static_cast<std::uint64_t>(value)); }
  Message& real(int field, float value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    tag(field, 5), bytes_.append(bytes, sizeof value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    tag(field, 2), varint(value.size()), bytes_ += value;
    return *this;
  }
  Message& inner(int field, const Message& m) { return text(field, m.bytes_); }
  std::string bytes() && { return std::move(bytes_); }

 private:
  Message& tag(int field, int kind) { return varint(static_cast<std::uint64_t>(field << 3 | kind)); }
  Message& varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>((value & 127) | 128);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  std::string bytes_;
};

int type_code(DType d) { return d == float32 ? 1 : d == float64 ? 11 : d == int64 ? 7 : 9; }

Message encoded(const NamedTensor& named) {
  const Tensor t = contiguous(named.tensor.detach());
  Message m;
  for (auto size : t.shape()) m.number(1, size);
  const auto bytes = static_cast<std::size_t>(t.numel()) * size_of(t.dtype());
  return m.number(2, type_code(t.dtype())).text(8, named.name).text(9, {detail::data<char>(t), bytes});
}

Message encoded(const Value& v) {
  Message shape;
  for (auto size : v.shape) shape.inner(1, Message().number(1, size));
  return Message().text(1, v.name).inner(2,
                                         Message().inner(1, Message().number(1, type_code(v.dtype)).inner(2, shape)));
}

Message encoded(const Attribute& a) {
  Message m;
  m.text(1, a.name);
  if (const auto* i = std::get_if<std::int64_t>(&a.value)) return m.number(3, *i).number(20, 2);
  if (const auto* f = std::get_if<float>(&a.value)) return m.real(2, *f).number(20, 1);
  if (const auto* s = std::get_if<std::string>(&a.value)) return m.text(4, *s).number(20, 3);
  if (const auto* all = std::get_if<Ints>(&a.value)) {
    for (auto i : *all) m.number(8, i);
    return m.number(20, 7);
  }
  for (auto& s : std::get<std::vector<std::string>>(a.value)) m.text(9, s);
  return m.number(20, 8);
}

Message encoded(const Node& n) {
  Message m;
  for (auto& x : n.inputs) m.text(1, x);
  for (auto& y : n.outputs) m.text(2, y);
  m.text(3, n.outputs[0]).text(4, n.op);
  for (auto& a : n.attributes) m.inner(5, encoded(a));
  return m.text(6, n.doc);
}

}  // namespace

std::string encoded(const Graph& g) {
  Message graph;
  for (auto& n : g.nodes) graph.inner(1, encoded(n));
  graph.text(2, g.name);
  for (auto& t : g.initializers) graph.inner(5, encoded(t));
  for (auto& v : g.inputs) graph.inner(11, encoded(v));
  for (auto& v : g.outputs) graph.inner(12, encoded(v));
  for (auto& v : g.inner) graph.inner(13, encoded(v));
  Message model;
  model.number(1, ir_version).text(2, "wengert").inner(7, graph);
  model.inner(8, Message().text(1, "").number(2, opset));
  return std::move(model).bytes();
}

}  // namespace wengert::onnx
