#include "golden.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>

namespace golden {

Json read_json(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  try {
    return Json::parse(in);
  } catch (const Json::parse_error& e) {
    throw std::runtime_error("no JSON from byte " + std::to_string(e.byte) + " on");
  }
}

namespace {

template <Element T>
Tensor take(const std::vector<char>& bytes, std::size_t begin, std::size_t end, const Shape& shape) {
  if (begin > end || end > bytes.size() || (end - begin) % sizeof(T))
    throw std::runtime_error("its data_offsets lie outside of the file");
  std::vector<T> numbers((end - begin) / sizeof(T));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data() + begin, end - begin);
  return from(numbers, shape);
}

Tensor read_tensor(const Json& entry, const std::vector<char>& bytes) {
  Shape shape;
  for (std::int64_t s : entry.at("shape")) shape.push_back(s);
  const std::size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
  const std::string dtype = entry.at("dtype");
  if (dtype == "F32") return take<float>(bytes, begin, end, shape);
  if (dtype == "F64") return take<double>(bytes, begin, end, shape);
  if (dtype == "I64") return take<std::int64_t>(bytes, begin, end, shape);
  throw std::runtime_error("unknown dtype " + dtype);
}

}  // namespace

Data read_data(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::uint64_t length = 0;
  in.read(reinterpret_cast<char*>(&length), sizeof length);
  if (!in || length > (1u << 28)) throw std::runtime_error(path + ": no safetensors file");
  std::string header(length, ' ');
  in.read(header.data(), static_cast<std::streamsize>(length));
  if (!in) throw std::runtime_error(path + ": ends within its header");
  const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  const Json entries = Json::parse(header);
  Data data;
  data.path = path;
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__") continue;
    try {
      data.tensors[name] = read_tensor(entry, bytes);
    } catch (const std::exception& e) {
      data.broken[name] = e.what();
    }
  }
  return data;
}

const Tensor& Data::at(const std::string& name) const {
  if (const auto it = tensors.find(name); it != tensors.end()) return it->second;
  const auto why = broken.find(name);
  if (why == broken.end()) throw std::runtime_error("the data file has no tensor " + name);
  throw std::runtime_error("tensor " + name + " cannot be read: " + why->second);
}

const Tensor& Args::operator[](const std::string& name) const {
  read_.insert(name);
  for (const auto& [key, tensor] : tensors_)
    if (key == name) return tensor;
  throw std::runtime_error("the case has no argument " + name);
}

Tensor Args::maybe(const std::string& name) const {
  read_.insert(name);
  for (const auto& [key, tensor] : tensors_)
    if (key == name) return tensor;
  return {};
}

std::vector<Tensor> Args::list(const std::string& name) const {
  read_.insert(name);
  std::vector<Tensor> all;
  for (const auto& [key, tensor] : tensors_)
    if (key == name) all.push_back(tensor);
  return all;
}

const Json& Args::at(const std::string& attr) const {
  read_.insert(attr);
  if (!attrs_.contains(attr)) throw std::runtime_error("the case has no attribute " + attr);
  return attrs_[attr];
}

std::vector<std::string> Args::unread() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : attrs_.items())
    if (!read_.contains(name)) names.push_back(name);
  for (const auto& [name, tensor] : tensors_)
    if (!read_.contains(name)) names.push_back(name);
  return names;
}

double Args::number(const std::string& attr) const {
  const Json& value = at(attr);
  if (!value.is_string()) return value.get<double>();
  const std::string text = value;
  constexpr double inf = std::numeric_limits<double>::infinity();
  return text == "inf" ? inf : text == "-inf" ? -inf : std::numeric_limits<double>::quiet_NaN();
}

std::vector<std::int64_t> Args::integers(const std::string& attr) const {
  const Json& value = at(attr);
  if (value.is_null()) return {};
  if (value.is_number()) return {value.get<std::int64_t>()};
  return value.get<std::vector<std::int64_t>>();
}

Shape Args::shape(const std::string& attr) const {
  const auto all = integers(attr);
  return Shape(std::span(all));
}

}  // namespace golden
