#include "wengert/data/data.h"
#include "wengert/data/input.h"

#include <algorithm>
#include <bit>
#include <vector>

// An idx file: two zero bytes, the type, the number of axes, one 32-bit size for each, then the elements; all
// big-endian.

namespace wengert::data {

using detail::FileTask;

namespace {

struct IdxHeader {
  unsigned char type = 0;
  std::size_t width = 0;  // bytes of one element
  Shape shape;
  std::size_t bytes = 0;  // bytes of all elements
};

std::size_t width_of(const FileTask& task, unsigned char type) {
  switch (type) {
    case 0x08:
    case 0x09: return 1;
    case 0x0B: return 2;
    case 0x0C:
    case 0x0D: return 4;
    case 0x0E: return 8;
  }
  task.fail("the type must be 0x08, 0x09 or 0x0B to 0x0E, found {:#04x}", type);
}

IdxHeader read_header(const FileTask& task, Input& input) {
  unsigned char magic[4];
  if (input.read(magic, 4) < 4) task.fail("too short for an idx file");
  if (magic[0] != 0 || magic[1] != 0)
    task.fail("an idx file begins with two zero bytes, found {:#04x} {:#04x}", magic[0], magic[1]);
  const int rank = magic[3];
  if (rank < 1 || rank > max_rank) task.fail("expected 1 to {} axes, found {}", max_rank, rank);

  IdxHeader h{magic[2], width_of(task, magic[2]), {}, 0};
  auto bytes = static_cast<std::int64_t>(h.width);
  bool overflow = false;
  for (int i = 0; i < rank; ++i) {
    unsigned char size[4];
    if (input.read(size, 4) < 4) task.fail("truncated in the size of axis {}", i);
    h.shape.push_back(std::int64_t{size[0]} << 24 | size[1] << 16 | size[2] << 8 | size[3]);
    // A size of zero counts as one, so that strides cannot overflow either.
    overflow |= __builtin_mul_overflow(bytes, std::max<std::int64_t>(h.shape[i], 1), &bytes);
  }
  if (overflow) task.fail("the shape {} has more elements than can be counted", h.shape);
  h.bytes = h.shape.contains(0) ? 0 : static_cast<std::size_t>(bytes);
  return h;
}

// Memory grows with the bytes that were read, not with the sizes in the header.
std::vector<unsigned char> read_numbers(const FileTask& task, Input& input, const IdxHeader& h) {
  std::vector<unsigned char> bytes;
  while (bytes.size() < h.bytes) {
    const auto old = bytes.size();
    bytes.resize(std::min(h.bytes, std::max<std::size_t>(2 * old, 1 << 16)));
    const auto got = input.read(bytes.data() + old, bytes.size() - old);
    if (got < bytes.size() - old)
      task.fail("truncated: the shape {} takes {} bytes, found {}", h.shape, h.bytes, old + got);
  }
  unsigned char extra;
  if (input.read(&extra, 1)) task.fail("bytes follow the {} that the shape {} takes", h.bytes, h.shape);
  return bytes;
}

template <class Bits>
Bits big_endian(const unsigned char* p) {
  Bits bits = 0;
  for (std::size_t i = 0; i < sizeof bits; ++i) bits = static_cast<Bits>(bits << 8 | p[i]);
  return bits;
}

template <class Source, class Bits, class T>
void convert(const std::vector<unsigned char>& from, T* to, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<T>(
        std::bit_cast<Source>(big_endian<Bits>(from.data() + static_cast<std::size_t>(i) * sizeof(Bits))));
}

template <class T>
Tensor to_tensor(const IdxHeader& h, const std::vector<unsigned char>& bytes) {
  Tensor t = empty(h.shape, dtype_of<T>);
  T* to = detail::fresh<T>(t);
  const auto n = t.numel();
  switch (h.type) {
    case 0x08: convert<std::uint8_t, std::uint8_t>(bytes, to, n); break;
    case 0x09: convert<std::int8_t, std::uint8_t>(bytes, to, n); break;
    case 0x0B: convert<std::int16_t, std::uint16_t>(bytes, to, n); break;
    case 0x0C: convert<std::int32_t, std::uint32_t>(bytes, to, n); break;
    case 0x0D: convert<float, std::uint32_t>(bytes, to, n); break;
    case 0x0E: convert<double, std::uint64_t>(bytes, to, n); break;
  }
  return t;
}

}  // namespace

Tensor read_idx(const std::string& path, DType dtype, Where where) {
  const FileTask task{"read_idx", path, where};
  if (dtype == boolean) fail<TypeError>(where, "read_idx: dtype must be float32, float64 or int64, got bool");
  Input input(task);
  const IdxHeader header = read_header(task, input);
  if (dtype == int64 && header.type >= 0x0D)
    fail<TypeError>(where, "read_idx: {} holds floats; read them as float32 or float64", path);
  const auto bytes = read_numbers(task, input, header);
  if (dtype == int64) return to_tensor<std::int64_t>(header, bytes);
  return dtype == float32 ? to_tensor<float>(header, bytes) : to_tensor<double>(header, bytes);
}

}  // namespace wengert::data
