#include "wengert/autodiff/files/safetensors.h"

#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/autodiff/ops.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

// 8 bytes with the length of the header, the header (JSON), then the numbers; all little-endian, as are the machines we
// run on.
static_assert(std::endian::native == std::endian::little, "safetensors: swap the bytes on this machine");

namespace wengert {

using detail::File;
using detail::FileTask;
using detail::in_quotes;

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t longest_header = 100'000'000;  // the limit of the reference implementation
constexpr std::string_view metadata_key = "__metadata__";

struct Format {
  DType dtype;
  std::string_view code;
};
constexpr Format formats[] = {{float32, "F32"}, {float64, "F64"}, {int64, "I64"}, {boolean, "BOOL"}};

// One line of the header.
struct Entry {
  std::string name;
  std::string code;  // of the dtype
  Shape shape;
  std::uint64_t offsets[2] = {0, 0};
  bool has_code = false, has_shape = false, has_offsets = false;

  DType dtype{};
  std::uint64_t begin() const { return offsets[0]; }
  std::uint64_t end() const { return offsets[1]; }
};

struct Header {
  std::vector<Entry> entries;
  Metadata metadata;
};

// The header arrives as a stream of JSON events, each of which must be the one that the format has at that place. No
// tree is built: deep nesting, repeated keys and wrong numbers are met before they can do anything.
class HeaderReader {
 public:
  explicit HeaderReader(const FileTask& task) : task_(task) {}
  Header header;

  bool null() { wrong("null"); }
  bool boolean(bool b) { wrong(b ? "true" : "false"); }
  bool number_integer(std::int64_t n) { wrong(std::to_string(n)); }
  bool number_float(double, const std::string& text) { wrong(text.substr(0, 40)); }
  bool binary(Json::binary_t&) { wrong("binary data"); }

  bool number_unsigned(std::uint64_t n) {
    if (in_ == In::shape) add_size(n);
    else if (in_ == In::offsets) add_offset(n);
    else wrong(std::to_string(n));
    return true;
  }

  bool string(std::string& s) {
    if (in_ == In::metadata) {
      if (!header.metadata.emplace(key_, s).second) fail("{} appears twice in {}", in_quotes(key_), metadata_key);
    } else if (in_ == In::tensor && key_ == "dtype") {
      once(entry().has_code), entry().code = s;
    } else {
      wrong(in_quotes(s));
    }
    return true;
  }

  bool start_object(std::size_t) {
    if (in_ == In::nothing) {
      in_ = In::file;
    } else if (in_ == In::file && key_ == metadata_key) {
      once(has_metadata_), in_ = In::metadata;
    } else if (in_ == In::file) {
      header.entries.emplace_back().name = key_, in_ = In::tensor;
    } else {
      wrong("an object");
    }
    return true;
  }

  bool key(std::string& k) {
    key_ = k;
    if (in_ == In::tensor && k != "dtype" && k != "shape" && k != "data_offsets")
      fail("{}: a tensor has dtype, shape and data_offsets, found {}", subject(), in_quotes(k));
    return true;
  }

  bool end_object() {
    if (in_ == In::tensor) {
      const Entry& e = entry();
      const char* missing = !e.has_code ? "dtype" : !e.has_shape ? "shape" : !e.has_offsets ? "data_offsets" : nullptr;
      if (missing) fail("{}: {} is missing", subject(), missing);
    }
    in_ = In::file;
    return true;
  }

  bool start_array(std::size_t) {
    if (in_ == In::tensor && key_ == "shape") once(entry().has_shape), in_ = In::shape;
    else if (in_ == In::tensor && key_ == "data_offsets") once(entry().has_offsets), in_ = In::offsets, offsets_ = 0;
    else wrong("a list");
    return true;
  }

  bool end_array() {
    if (in_ == In::offsets && offsets_ != 2)
      fail("{}: data_offsets must be [begin, end], found {} numbers", subject(), offsets_);
    in_ = In::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
    fail("the header is not JSON: mistake at byte {} of it", position);
  }

 private:
  enum class In { nothing, file, metadata, tensor, shape, offsets };

  template <class... A>
  [[noreturn]] void fail(fmt::format_string<A...> message, A&&... a) const {
    task_.fail(message, std::forward<A>(a)...);
  }

  Entry& entry() { return header.entries.back(); }
  std::string subject() { return fmt::format("tensor {}", in_quotes(entry().name)); }

  [[noreturn]] void wrong(const std::string& found) {
    switch (in_) {
      case In::nothing: fail("the header must be a JSON object, found {}", found);
      case In::file:
        if (key_ == metadata_key) fail("{} must be an object of strings, found {}", metadata_key, found);
        fail("tensor {}: expected an object with dtype, shape and data_offsets, found {}", in_quotes(key_), found);
      case In::metadata: fail("{} in {} must be a string, found {}", in_quotes(key_), metadata_key, found);
      case In::tensor:
        fail("{}: {} must be {}, found {}", subject(), key_, key_ == "dtype" ? "a string" : "a list of whole numbers",
             found);
      case In::shape:
      case In::offsets: fail("{}: {} must hold whole numbers that are not negative, found {}", subject(), key_, found);
    }
    __builtin_unreachable();
  }

  void once(bool& seen) {
    if (std::exchange(seen, true))
      fail("{} appears twice{}", in_quotes(key_), in_ == In::tensor ? fmt::format(" in {}", subject()) : "");
  }

  void add_size(std::uint64_t n) {
    Shape& shape = entry().shape;
    if (shape.rank() == max_rank) fail("{}: more than {} axes", subject(), max_rank);
    if (n > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
      fail("{}: a size of {} in its shape", subject(), n);
    shape.push_back(static_cast<std::int64_t>(n));
  }

  void add_offset(std::uint64_t n) {
    if (offsets_ == 2) fail("{}: data_offsets must be [begin, end], found more", subject());
    entry().offsets[offsets_++] = n;
  }

  const FileTask& task_;
  In in_ = In::nothing;
  std::string key_;
  bool has_metadata_ = false;
  int offsets_ = 0;
};

// Bytes that the shape asks for. Sizes of zero count as one on the way, so that strides cannot overflow either.
std::uint64_t bytes_of(const FileTask& task, const Entry& e) {
  std::int64_t n = 1;
  bool overflow = false;
  for (auto size : e.shape) overflow |= __builtin_mul_overflow(n, std::max<std::int64_t>(size, 1), &n);
  overflow |= __builtin_mul_overflow(n, static_cast<std::int64_t>(size_of(e.dtype)), &n);
  if (overflow) task.fail("tensor {}: the shape {} has more elements than can be counted", in_quotes(e.name), e.shape);
  return e.shape.contains(0) ? 0 : static_cast<std::uint64_t>(n);
}

void check_entry(const FileTask& task, Entry& e, std::uint64_t data_size) {
  const auto* format = std::find_if(std::begin(formats), std::end(formats), [&](auto& f) { return f.code == e.code; });
  if (format == std::end(formats))
    task.fail("tensor {}: dtype must be F32, F64, I64 or BOOL, found {}", in_quotes(e.name), in_quotes(e.code));
  e.dtype = format->dtype;
  if (e.begin() > e.end() || e.end() > data_size)
    task.fail("tensor {}: offsets [{}, {}] in {} bytes of data", in_quotes(e.name), e.begin(), e.end(), data_size);
  if (e.begin() % size_of(e.dtype) != 0)
    task.fail("tensor {}: {} must begin at a multiple of {} bytes, found {}", in_quotes(e.name), e.code,
              size_of(e.dtype), e.begin());
  if (const auto bytes = bytes_of(task, e); bytes != e.end() - e.begin())
    task.fail("tensor {}: {} {} takes {} bytes, found {}", in_quotes(e.name), e.code, e.shape, bytes,
              e.end() - e.begin());
}

template <class Less>
std::vector<const Entry*> sorted(const std::vector<Entry>& entries, Less less) {
  std::vector<const Entry*> order(entries.size());
  std::transform(entries.begin(), entries.end(), order.begin(), [](auto& e) { return &e; });
  std::sort(order.begin(), order.end(), [&](auto* a, auto* b) { return less(*a, *b); });
  return order;
}

void check_names(const FileTask& task, const std::vector<Entry>& entries) {
  const auto order = sorted(entries, [](auto& a, auto& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->name == order[i - 1]->name) task.fail("tensor {} appears twice", in_quotes(order[i]->name));
}

// Every byte of the data belongs to exactly one tensor.
void check_cover(const FileTask& task, const std::vector<Entry>& entries, std::uint64_t data_size) {
  std::uint64_t covered = 0;
  const Entry* last = nullptr;
  for (const Entry* e : sorted(
           entries, [](auto& a, auto& b) { return std::pair(a.begin(), a.end()) < std::pair(b.begin(), b.end()); })) {
    if (e->begin() < covered)
      task.fail("tensors {} and {} overlap at byte {} of the data", in_quotes(last->name), in_quotes(e->name),
                e->begin());
    if (e->begin() > covered) task.fail("bytes {} to {} of the data belong to no tensor", covered, e->begin());
    covered = e->end(), last = e;
  }
  if (covered != data_size) task.fail("{} bytes follow the last tensor", data_size - covered);
}

Header read_header(const FileTask& task, const File& file) {
  std::uint64_t length = 0;
  if (file.size() < sizeof length) task.fail("{} bytes are too few for a safetensors file", file.size());
  file.read(0, &length, sizeof length);
  if (length > longest_header || length > file.size() - sizeof length)
    task.fail("a header of {} bytes in a file of {}: truncated, or no safetensors file", length, file.size());
  std::string text(length, '\0');
  file.read(sizeof length, text.data(), length);
  if (!text.starts_with('{')) task.fail("the header must be a JSON object; this is no safetensors file");

  HeaderReader reader(task);
  Json::sax_parse(text, &reader);
  Header header = std::move(reader.header);
  const auto data_size = file.size() - sizeof length - length;
  for (auto& entry : header.entries) check_entry(task, entry, data_size);
  check_names(task, header.entries);
  check_cover(task, header.entries, data_size);
  return header;
}

Tensor read_tensor(const FileTask& task, const File& file, const Entry& e, std::uint64_t data) {
  Tensor t = empty(e.shape, e.dtype);
  const auto bytes = static_cast<std::size_t>(e.end() - e.begin());
  auto* numbers = detail::fresh<unsigned char>(t);
  file.read(data + e.begin(), numbers, bytes);
  // A C++ bool of any other byte is undefined behaviour, so no such byte comes in.
  if (e.dtype == boolean)
    if (const auto* odd = std::find_if(numbers, numbers + bytes, [](auto b) { return b > 1; }); odd != numbers + bytes)
      task.fail("tensor {}: element {} is {}, but a BOOL is 0 or 1", in_quotes(e.name), odd - numbers, *odd);
  return t;
}

std::string json_text(std::string_view what, const std::string& text, const FileTask& task) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    fail<ValueError>(task.where, "{}: {} {} is not UTF-8", task.who, what, in_quotes(text));
  }
}

void check_to_save(const FileTask& task, const std::vector<NamedTensor>& tensors) {
  std::vector<std::string_view> names;
  for (auto& [name, tensor] : tensors) {
    if (name == metadata_key) fail<ValueError>(task.where, "{}: a tensor cannot be named {}", task.who, metadata_key);
    if (!tensor.defined()) fail<ValueError>(task.where, "{}: {} has no value; leave it out", task.who, in_quotes(name));
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    fail<ValueError>(task.where, "{}: the name {} is given twice", task.who, in_quotes(*twice));
}

// The widest numbers come first, so that all of them are aligned.
std::vector<std::size_t> order_of_data(const std::vector<NamedTensor>& tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  auto width = [&](std::size_t i) { return size_of(tensors[i].tensor.dtype()); };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return width(a) > width(b); });
  return order;
}

std::size_t bytes_of(const Tensor& t) { return static_cast<std::size_t>(t.numel()) * size_of(t.dtype()); }

std::string header_text(const std::vector<NamedTensor>& tensors, const std::vector<std::size_t>& order,
                        const Metadata& metadata, const FileTask& task) {
  std::vector<std::size_t> begin(tensors.size());
  std::size_t end = 0;
  for (auto i : order) begin[i] = std::exchange(end, end + bytes_of(tensors[i].tensor));

  std::vector<std::string> items;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (auto& [key, value] : metadata)
      pairs.push_back(json_text("metadata", key, task) + ":" + json_text("metadata", value, task));
    items.push_back(fmt::format("\"{}\":{{{}}}", metadata_key, fmt::join(pairs, ",")));
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, t] = tensors[i];
    const auto* format =
        std::find_if(std::begin(formats), std::end(formats), [&](auto& f) { return f.dtype == t.dtype(); });
    items.push_back(fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                                json_text("the name", name, task), format->code,
                                fmt::join(t.shape().begin(), t.shape().end(), ","), begin[i], begin[i] + bytes_of(t)));
  }
  std::string text = fmt::format("{{{}}}", fmt::join(items, ","));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

template <class T>
std::span<const std::byte> bytes(const T* from, std::size_t n) {
  return std::as_bytes(std::span(from, n));
}

TensorFile read_file(const FileTask& task) {
  const File file(task);
  Header header = read_header(task, file);
  std::uint64_t data = file.size();
  for (auto& e : header.entries) data -= e.end() - e.begin();

  TensorFile result{{}, std::move(header.metadata)};
  result.tensors.reserve(header.entries.size());
  for (auto& e : header.entries) {
    Tensor t = read_tensor(task, file, e, data);
    result.tensors.push_back({std::move(e.name), std::move(t)});
  }
  return result;
}

void write_file(const FileTask& task, const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  check_to_save(task, tensors);
  const auto order = order_of_data(tensors);
  const std::string header = header_text(tensors, order, metadata, task);
  const std::uint64_t length = header.size();
  if (length > longest_header)
    fail<ValueError>(task.where, "{}: names and metadata take {} bytes, at most {} fit", task.who, length,
                     longest_header);

  std::vector<std::span<const std::byte>> pieces{bytes(&length, 1), bytes(header.data(), header.size())};
  std::vector<Tensor> in_order;  // keeps the copies of strided tensors alive
  for (auto i : order) {
    const Tensor& t = in_order.emplace_back(contiguous(tensors[i].tensor.detach()));
    pieces.push_back(bytes(detail::data<std::byte>(t), bytes_of(t)));
  }
  detail::write_atomically(task, pieces);
}

}  // namespace

const Tensor& TensorFile::at(std::string_view name, Where where) const {
  for (auto& t : tensors)
    if (t.name == name) return t.tensor;
  fail<ValueError>(where, "at: no tensor is named {}; there are {}", in_quotes(name), tensors.size());
}

TensorFile load_tensors(const std::string& path, Where where) { return read_file({"load_tensors", path, where}); }

void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors, const Metadata& metadata,
                  Where where) {
  write_file({"save_tensors", path, where}, tensors, metadata);
}

namespace detail {

void save_model(const std::string& path, const std::vector<NamedTensor>& tensors, const Metadata& metadata,
                Where where) {
  write_file({"save", path, where}, tensors, metadata);
}

std::vector<Tensor> load_model(const std::string& path, const std::vector<NamedTensor>& model, Where where) {
  const FileTask task{"load", path, where};
  const TensorFile file = read_file(task);
  std::map<std::string_view, const Tensor*> unused;
  for (auto& t : file.tensors) unused.emplace(t.name, &t.tensor);

  std::vector<Tensor> values;
  for (auto& [name, t] : model) {
    const auto found = unused.find(name);
    if (found == unused.end()) task.fail("tensor {} of the model is not in the file", in_quotes(name));
    const Tensor& value = *found->second;
    if (value.dtype() != t.dtype() || !(value.shape() == t.shape()))
      task.fail("tensor {}: the model has {} {}, the file {} {}", in_quotes(name), t.dtype(), t.shape(), value.dtype(),
                value.shape());
    values.push_back(value);
    unused.erase(found);
  }
  if (!unused.empty()) task.fail("tensor {} of the file is not in the model", in_quotes(unused.begin()->first));
  return values;
}

}  // namespace detail
}  // namespace wengert
