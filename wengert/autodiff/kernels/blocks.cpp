#include "wengert/autodiff/kernels/blocks.h"

#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/kernels/cut.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/stream.h"
#include "wengert/autodiff/parallel.h"

#include <algorithm>
#include <cstring>

namespace wengert::kernels {
namespace {

constexpr std::int64_t block = 512;  // of float64: 4 KiB for each operand stays in the first cache

// Axes that one stride can walk are joined; axes of size one vanish.
struct Walk {
  Shape shape, strides;
  Walk(const Shape& s, const Shape& by) {
    for (int i = 0; i < s.rank(); ++i) {
      if (s[i] == 1) continue;
      if (shape.rank() && strides.back() == s[i] * by[i]) {
        shape[shape.rank() - 1] *= s[i];
        strides[strides.rank() - 1] = by[i];
      } else {
        shape.push_back(s[i]);
        strides.push_back(by[i]);
      }
    }
    if (!shape.rank()) shape.push_back(1), strides.push_back(0);
  }
};

// Calls run(offset, stride, length) for each straight piece of [begin, begin + length).
template <class F>
void pieces(const Walk& w, std::int64_t begin, std::int64_t length, F&& run) {
  std::int64_t index[max_rank], offset = 0, rest = begin;
  const int last = w.shape.rank() - 1;
  for (int i = last; i >= 0; --i) {
    index[i] = rest % w.shape[i];
    rest /= w.shape[i];
    offset += index[i] * w.strides[i];
  }
  while (length > 0) {
    const std::int64_t n = std::min(length, w.shape[last] - index[last]);
    run(offset, w.strides[last], n);
    length -= n;
    index[last] += n, offset += n * w.strides[last];
    for (int i = last; i > 0 && index[i] == w.shape[i]; --i) {
      offset += w.strides[i - 1] - index[i] * w.strides[i];
      index[i] = 0, ++index[i - 1];
    }
  }
}

template <class T>
void gather_as(const T* from, const Walk& w, std::int64_t begin, std::int64_t length, T* to) {
  pieces(w, begin, length, [&](std::int64_t offset, std::int64_t stride, std::int64_t n) {
    const T* p = from + offset;
    if (stride == 1) std::memcpy(to, p, static_cast<std::size_t>(n) * sizeof(T));
    else if (stride == 0) std::fill_n(to, n, *p);
    else
      for (std::int64_t i = 0; i < n; ++i) to[i] = p[i * stride];
    to += n;
  });
}

void gather(const Operand& o, const Walk& w, std::int64_t begin, std::int64_t length, void* to) {
  if (o.element == 4)
    gather_as(static_cast<const std::uint32_t*>(o.data), w, begin, length, static_cast<std::uint32_t*>(to));
  else if (o.element == 8)
    gather_as(static_cast<const std::uint64_t*>(o.data), w, begin, length, static_cast<std::uint64_t*>(to));
  else gather_as(static_cast<const std::uint8_t*>(o.data), w, begin, length, static_cast<std::uint8_t*>(to));
}

template <class T>
void scatter_as(const T* from, T* to, const Walk& w, std::int64_t n) {
  pieces(w, 0, n, [&](std::int64_t offset, std::int64_t stride, std::int64_t length) {
    if (stride == 1) std::copy_n(from, length, to + offset);
    else
      for (std::int64_t i = 0; i < length; ++i) to[offset + i * stride] = from[i];
    from += length;
  });
}

}  // namespace

void gather(const Operand& o, const Shape& shape, std::int64_t begin, std::int64_t length, void* to) {
  gather(o, Walk(shape, o.strides), begin, length, to);
}

void scatter(const void* from, void* to, std::size_t element, const Shape& shape, const Shape& strides) {
  const Walk w(shape, strides);
  if (element == 4)
    scatter_as(static_cast<const std::uint32_t*>(from), static_cast<std::uint32_t*>(to), w, shape.numel());
  else if (element == 8)
    scatter_as(static_cast<const std::uint64_t*>(from), static_cast<std::uint64_t*>(to), w, shape.numel());
  else scatter_as(static_cast<const std::uint8_t*>(from), static_cast<std::uint8_t*>(to), w, shape.numel());
}

void run_block(Loop loop, const void* op, const Shape& shape, const Operand* in, int in_count, std::int64_t at,
               std::int64_t length, std::byte* buffer, std::int64_t room, void* const* to) {
  const void* from[max_pointers];
  for (int k = 0; k < in_count; ++k) {
    if (!in[k].data) {
      from[k] = nullptr;
    } else if (in[k].contiguous) {
      from[k] = static_cast<const std::byte*>(in[k].data) + static_cast<std::size_t>(at) * in[k].element;
    } else {
      gather(in[k], Walk(shape, in[k].strides), at, length, buffer);
      from[k] = buffer;
      buffer += room * 8;
    }
  }
  loop(op, from, to, length);
}

int strided_count(const Operand* in, int in_count) {
  return static_cast<int>(std::count_if(in, in + in_count, [](const Operand& o) { return o.data && !o.contiguous; }));
}

namespace {

// How a result is written past the caches; null where it is better written through them, as one is that overwrites an
// operand.
const Stream* stream_for(void* out, std::size_t bytes, const Operand* in, int in_count) {
  if (bytes < beyond_caches || !out) return nullptr;
  if (std::any_of(in, in + in_count, [out](const Operand& o) { return o.data == out; })) return nullptr;
  return dispatch([]<class Arch>() { return stream_loops<Arch>(); });
}

}  // namespace

void run_blocks(Loop loop, const void* op, const Shape& shape, const Operand* in, int in_count, void* const* out,
                const std::size_t* out_element, int out_count) {
  const std::int64_t n = shape.numel();
  const int strided = strided_count(in, in_count);
  const Stream* streams[max_pointers];
  int streamed = 0;
  for (int k = 0; k < out_count; ++k) {
    streams[k] = stream_for(out[k], static_cast<std::size_t>(n) * out_element[k], in, in_count);
    streamed += streams[k] != nullptr;
  }
  // Pieces of nearly equal size, in whole blocks, so that threads finish together.
  const std::int64_t pieces = std::max<std::int64_t>(1, parts(n, grain_elements));
  parallel_for(n, parts(parts(n, pieces), block) * block, [&](std::int64_t begin, std::int64_t end) {
    void* to[max_pointers];
    const Scratch<std::byte> buffers((strided + streamed) * block * 8);
    // Memory is read and written by turns that are short beside what the processor looks ahead.
    const std::int64_t step = strided ? block : streamed ? block / 4 : end - begin;
    for (std::int64_t at = begin; at < end; at += step) {
      const std::int64_t length = std::min(step, end - at);
      const auto place = [&](int k) {
        return static_cast<std::byte*>(out[k]) + static_cast<std::size_t>(at) * out_element[k];
      };
      std::byte* held = buffers;
      for (int k = 0; k < out_count; ++k) {
        to[k] = out[k] ? place(k) : nullptr;
        if (streams[k]) to[k] = held, held += block * 8;
      }
      run_block(loop, op, shape, in, in_count, at, length, held, block, to);
      for (int k = 0; k < out_count; ++k)
        if (streams[k]) streams[k]->copy(place(k), to[k], static_cast<std::size_t>(length) * out_element[k]);
    }
    for (int k = 0; k < out_count; ++k)
      if (streams[k]) streams[k]->finish();
  });
}

}  // namespace wengert::kernels
