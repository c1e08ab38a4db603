#include "wengert/autodiff/files/npy.h"

#include "wengert/autodiff/base/zip.h"
#include "wengert/autodiff/ops.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

// "\x93NUMPY", the version, the length of the header, the header (a Python dict as text, padded), then the numbers.

namespace wengert {

using detail::Bytes;
using detail::File;
using detail::FileBytes;
using detail::FileTask;
using detail::in_quotes;
using detail::ZipDraft;
using detail::ZipMember;

namespace {

constexpr std::string_view magic{"\x93NUMPY", 6};
constexpr std::size_t longest_header = 1 << 16;  // eight axes take 200 bytes
constexpr std::string_view npy = ".npy";

// --- the header -----------------------------------------------------------------------------------------------------

struct Header {
  char kind = 0;  // b, i, u, f as in numpy
  std::size_t width = 0;
  bool swapped = false, fortran = false;
  Shape shape;

  DType dtype() const { return kind == 'b' ? boolean : kind != 'f' ? int64 : width == 8 ? float64 : float32; }
  bool is_ours() const { return !swapped && (kind == 'b' || width == 8 || (kind == 'f' && width == 4)) && kind != 'u'; }
};

// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, the keys in any order.
class HeaderReader {
 public:
  HeaderReader(const FileTask& task, const std::string& subject, std::string_view text)
      : task_(task), subject_(subject), text_(text) {}

  Header read() {
    Header h;
    bool has_descr = false, has_order = false, has_shape = false;
    demand('{');
    while (!take('}')) {
      const std::string_view key = quoted();
      demand(':');
      if (key == "descr") once(has_descr), read_type(h);
      else if (key == "fortran_order") once(has_order), h.fortran = truth();
      else if (key == "shape") once(has_shape), h.shape = shape();
      else fail("the header has an unknown entry {}", in_quotes(key));
      if (!take(',') && peek() != '}') broken();
    }
    if (peek() != 0 || !has_descr || !has_order || !has_shape) broken();
    return h;
  }

 private:
  template <class... A>
  [[noreturn]] void fail(fmt::format_string<A...> message, A&&... a) const {
    task_.fail("{}{}", subject_, fmt::format(message, std::forward<A>(a)...));
  }
  [[noreturn]] void broken() const { fail("the header is not what numpy writes, at {}", in_quotes(text_.substr(at_))); }

  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) { return peek() == c && (++at_, true); }
  void demand(char c) {
    if (!take(c)) broken();
  }
  void once(bool& seen) {
    if (std::exchange(seen, true)) broken();
  }

  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') broken();
    const auto begin = ++at_, end = text_.find(quote, begin);
    if (end == text_.npos) broken();
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }

  bool truth() {
    peek();
    for (const bool value : {true, false})
      if (const std::string_view word = value ? "True" : "False"; text_.substr(at_).starts_with(word))
        return at_ += word.size(), value;
    broken();
  }

  Shape shape() {
    Shape s;
    demand('(');
    while (!take(')')) {
      peek();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) broken();
      at_ = static_cast<std::size_t>(end - text_.data());
      take('L');  // Python 2 wrote long integers so
      if (s.rank() == max_rank) fail("more than {} axes", max_rank);
      s.push_back(size);
      if (!take(',') && peek() != ')') broken();
    }
    return s;
  }

  void read_type(Header& h) {
    if (peek() == '[') fail("arrays of records cannot be read; save their fields one by one");
    const std::string_view descr = quoted();
    constexpr std::string_view known[] = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"};
    const bool has_order = descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != descr.npos;
    if (!has_order || std::find(std::begin(known), std::end(known), descr.substr(1)) == std::end(known))
      fail("the type {} cannot be read; convert it to float32, float64, int64 or bool before it is saved",
           in_quotes(descr));
    h.kind = descr[1], h.width = static_cast<std::size_t>(descr[2] - '0');
    h.swapped = descr[0] == '>' && h.width > 1;
  }

  const FileTask& task_;
  const std::string& subject_;
  const std::string_view text_;
  std::size_t at_ = 0;
};

// Bytes that the shape asks for in a type of this width; zero axes count as one, so that strides cannot overflow.
std::uint64_t bytes_for(const FileTask& task, const std::string& subject, const Shape& shape, std::size_t width) {
  auto n = static_cast<std::int64_t>(width);
  bool overflow = false;
  for (auto size : shape) overflow |= __builtin_mul_overflow(n, std::max<std::int64_t>(size, 1), &n);
  if (overflow) task.fail("{}the shape {} has more elements than can be counted", subject, shape);
  return shape.contains(0) ? 0 : static_cast<std::uint64_t>(n);
}

// subject: "" or "member "w": ", for messages.
Header read_header(const FileTask& task, const std::string& subject, Bytes& in) {
  unsigned char start[12];
  const std::size_t prefix = magic.size() + 4;
  if (in.left() < prefix) task.fail("{}{} bytes are too few for an array of numpy", subject, in.left());
  in.read(start, prefix);
  if (std::memcmp(start, magic.data(), magic.size()) != 0) task.fail("{}this is no array of numpy", subject);
  const int version = start[6];
  if (version < 1 || version > 3)
    task.fail("{}format version {}.{}; versions 1 to 3 are known", subject, version, start[7]);
  std::size_t length = start[8] | std::size_t{start[9]} << 8;
  if (version > 1) {
    if (in.left() < 2) task.fail("{}truncated in the header", subject);
    in.read(start + prefix, 2);
    length |= std::size_t{start[10]} << 16 | std::size_t{start[11]} << 24;
  }
  if (length > in.left() || length > longest_header)
    task.fail("{}a header of {} bytes, of which {} are there: truncated, or no array of numpy", subject, length,
              in.left());
  std::string text(length, '\0');
  in.read(text.data(), length);
  Header h = HeaderReader(task, subject, text).read();
  bytes_for(task, subject, h.shape, size_of(h.dtype()));
  if (const auto bytes = bytes_for(task, subject, h.shape, h.width); bytes != in.left())
    task.fail("{}the shape {} takes {} bytes, found {}", subject, h.shape, bytes, in.left());
  return h;
}

// --- numbers --------------------------------------------------------------------------------------------------------

struct Half {
  std::uint16_t bits;
};
float widened(Half h) {
  const int exponent = h.bits >> 10 & 31, mantissa = h.bits & 1023;
  const std::uint32_t sign = std::uint32_t{h.bits} >> 15 << 31;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | static_cast<std::uint32_t>(mantissa) << 13);
  const float size = exponent ? std::ldexp(static_cast<float>(mantissa | 1024), exponent - 25)
                              : std::ldexp(static_cast<float>(mantissa), -24);
  return sign ? -size : size;
}

template <class From, class T>
void convert(const FileTask& task, const std::string& subject, Bytes& in, bool swapped, T* to, std::int64_t n) {
  constexpr std::int64_t at_once = 4096;
  unsigned char buffer[at_once * sizeof(From)];
  for (std::int64_t done = 0; done < n;) {
    const auto count = std::min(at_once, n - done);
    in.read(buffer, static_cast<std::size_t>(count) * sizeof(From));
    for (std::int64_t i = 0; i < count; ++i) {
      unsigned char* p = buffer + static_cast<std::size_t>(i) * sizeof(From);
      if (swapped) std::reverse(p, p + sizeof(From));
      From x;
      std::memcpy(&x, p, sizeof x);
      if constexpr (std::is_same_v<From, Half>) {
        to[done + i] = widened(x);
      } else {
        if constexpr (std::is_same_v<From, std::uint64_t>)
          if (x > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
            task.fail("{}element {} is {}, too large for an int64", subject, done + i, x);
        to[done + i] = static_cast<T>(x);
      }
    }
    done += count;
  }
}

void convert_integers(const FileTask& task, const std::string& subject, Bytes& in, const Header& h, std::int64_t* to,
                      std::int64_t n) {
  const bool s = h.swapped;
  const bool is_signed = h.kind == 'i';
  switch (h.width) {
    case 1:
      return is_signed ? convert<std::int8_t>(task, subject, in, s, to, n)
                       : convert<std::uint8_t>(task, subject, in, s, to, n);
    case 2:
      return is_signed ? convert<std::int16_t>(task, subject, in, s, to, n)
                       : convert<std::uint16_t>(task, subject, in, s, to, n);
    case 4:
      return is_signed ? convert<std::int32_t>(task, subject, in, s, to, n)
                       : convert<std::uint32_t>(task, subject, in, s, to, n);
    default:
      return is_signed ? convert<std::int64_t>(task, subject, in, s, to, n)
                       : convert<std::uint64_t>(task, subject, in, s, to, n);
  }
}

Tensor read_array(const FileTask& task, const std::string& subject, Bytes& in) {
  const Header h = read_header(task, subject, in);
  Shape in_file = h.shape;
  if (h.fortran) std::reverse(in_file.begin(), in_file.end());
  Tensor t = empty(in_file, h.dtype());
  const auto n = t.numel();
  if (h.is_ours()) {
    auto* bytes = detail::fresh<unsigned char>(t);
    const auto count = static_cast<std::size_t>(n) * h.width;
    if (count > 0) in.read(bytes, count);
    // A C++ bool of any other byte is undefined behaviour, so no such byte comes in.
    if (h.kind == 'b')
      if (const auto* odd = std::find_if(bytes, bytes + count, [](auto b) { return b > 1; }); odd != bytes + count)
        task.fail("{}element {} is {}, but a bool is 0 or 1", subject, odd - bytes, *odd);
  } else if (h.kind != 'f') {
    convert_integers(task, subject, in, h, detail::fresh<std::int64_t>(t), n);
  } else if (h.width == 2) {
    convert<Half>(task, subject, in, h.swapped, detail::fresh<float>(t), n);
  } else if (h.width == 4) {
    convert<float>(task, subject, in, h.swapped, detail::fresh<float>(t), n);
  } else {
    convert<double>(task, subject, in, h.swapped, detail::fresh<double>(t), n);
  }
  if (!h.fortran || t.rank() < 2) return t;
  Shape backwards;
  for (int i = t.rank(); i-- > 0;) backwards.push_back(i);
  return contiguous(permute(t, backwards));
}

// --- writing --------------------------------------------------------------------------------------------------------

std::string header_text(const Tensor& t) {
  const char* type = t.dtype() == float32 ? "<f4" : t.dtype() == float64 ? "<f8" : t.dtype() == int64 ? "<i8" : "|b1";
  std::string shape;
  for (auto size : t.shape()) shape += fmt::format("{}, ", size);
  if (t.rank() > 1) shape.resize(shape.size() - 2);
  if (t.rank() == 1) shape.resize(shape.size() - 1);  // (3,)
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  const std::size_t prefix = magic.size() + 4;
  text.resize((prefix + text.size() + 1 + 63) / 64 * 64 - prefix - 1, ' ');  // the numbers begin at a multiple of 64
  text += '\n';
  return std::string(magic) + '\1' + '\0' + static_cast<char>(text.size() & 255) + static_cast<char>(text.size() >> 8) +
         text;
}

// Header and numbers of one array, for as long as it lives.
struct Array {
  Array(const FileTask& task, std::string_view name, const Tensor& t) {
    if (!t.defined()) fail<ValueError>(task.where, "{}: {} has no value; leave it out", task.who, name);
    numbers = contiguous(t.detach());
    header = header_text(numbers);
  }
  std::vector<std::span<const std::byte>> pieces() const {
    return {std::as_bytes(std::span(header)),
            {detail::data<std::byte>(numbers), static_cast<std::size_t>(numbers.numel()) * size_of(numbers.dtype())}};
  }
  std::string header;
  Tensor numbers;
};

void check_names(const FileTask& task, const std::vector<NamedTensor>& tensors) {
  std::vector<std::string_view> names;
  for (auto& [name, tensor] : tensors) {
    if (name.empty() || name.size() > 60'000 || name.find('\0') != name.npos)
      fail<ValueError>(task.where, "{}: {} cannot be the name of an array", task.who, in_quotes(name));
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    fail<ValueError>(task.where, "{}: the name {} is given twice", task.who, in_quotes(*twice));
}

}  // namespace

Tensor load_npy(const std::string& path, Where where) {
  const FileTask task{"load_npy", path, where};
  const File file(task);
  FileBytes bytes(file);
  return read_array(task, "", bytes);
}

void save_npy(const std::string& path, const Tensor& t, Where where) {
  const FileTask task{"save_npy", path, where};
  const Array array(task, "the tensor", t);
  detail::write_atomically(task, array.pieces());
}

TensorFile load_npz(const std::string& path, Where where) {
  const FileTask task{"load_npz", path, where};
  const File file(task);
  TensorFile result;
  for (auto& entry : detail::list_zip(task, file)) {
    const std::string subject = fmt::format("member {}: ", in_quotes(entry.name));
    if (!entry.name.ends_with(npy))
      task.fail(
          "{}not an array; an npz file holds .npy files only (a file of torch.save is no npz: export its "
          "state_dict as arrays)",
          subject);
    ZipMember member(task, file, entry);
    Tensor t = read_array(task, subject, member);
    member.finish();
    result.tensors.push_back({entry.name.substr(0, entry.name.size() - npy.size()), std::move(t)});
  }
  return result;
}

void save_npz(const std::string& path, const std::vector<NamedTensor>& tensors, NpzOptions options, Where where) {
  const FileTask task{"save_npz", path, where};
  check_names(task, tensors);
  std::vector<Array> arrays;
  arrays.reserve(tensors.size());  // pieces refer to them
  ZipDraft draft(options.compress);
  for (auto& [name, tensor] : tensors)
    draft.add(name + std::string(npy), arrays.emplace_back(task, in_quotes(name), tensor).pieces());
  detail::write_atomically(task, draft.pieces());
}

}  // namespace wengert
