#include "wengert/autodiff/kernels/blocks.h"

#include "wengert/autodiff/base/cut.h"
#include "wengert/autodiff/base/parallel.h"
#include "wengert/autodiff/kernels/arch.h"
#include "wengert/autodiff/kernels/scratch.h"
#include "wengert/autodiff/kernels/stream.h"

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

// Calls run(offset, step, rows, stride, n) for pieces of [begin, begin + length): rows of n numbers.
template <class F>
void pieces(const Walk& w, std::int64_t begin, std::int64_t length, F&& run) {
  std::int64_t index[max_rank], offset = 0, at = begin;
  const int last = w.shape.rank() - 1;
  for (int i = last; i >= 0; --i) {
    index[i] = at % w.shape[i];
    at /= w.shape[i];
    offset += index[i] * w.strides[i];
  }
  const std::int64_t row = w.shape[last], stride = w.strides[last];
  while (length > 0) {
    int i = last;
    if (last > 0 && index[last] == 0 && length >= row) {
      i = last - 1;
      const std::int64_t rows = std::min(length / row, w.shape[i] - index[i]);
      run(offset, w.strides[i], rows, stride, row);
      length -= rows * row;
      index[i] += rows, offset += rows * w.strides[i];
    } else {
      const std::int64_t n = std::min(length, row - index[last]);
      run(offset, 0, 1, stride, n);
      length -= n;
      index[last] += n, offset += n * stride;
    }
    for (; i > 0 && index[i] == w.shape[i]; --i) {
      offset += w.strides[i - 1] - index[i] * w.strides[i];
      index[i] = 0, ++index[i - 1];
    }
  }
}

template <class T>
void gather_as(const T* from, const Walk& w, std::int64_t begin, std::int64_t length, T* to) {
  constexpr std::int64_t many = 16;  // from where on calls are worth it
  pieces(w, begin, length,
         [&](std::int64_t offset, std::int64_t step, std::int64_t rows, std::int64_t stride, std::int64_t n) {
           for (const T* p = from + offset; rows > 0; --rows, p += step, to += n) {
             if (stride == 1 && n >= many) std::memcpy(to, p, static_cast<std::size_t>(n) * sizeof(T));
             else if (stride == 0 && n >= many) std::fill_n(to, n, *p);
             else
               for (std::int64_t i = 0; i < n; ++i) to[i] = p[i * stride];
           }
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
void scatter_as(const T* from, T* to, const Walk& w, std::int64_t count) {
  pieces(w, 0, count,
         [&](std::int64_t offset, std::int64_t step, std::int64_t rows, std::int64_t stride, std::int64_t n) {
           for (T* p = to + offset; rows > 0; --rows, p += step, from += n) {
             if (stride == 1) std::copy_n(from, n, p);
             else
               for (std::int64_t i = 0; i < n; ++i) p[i * stride] = from[i];
           }
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
               std::int64_t length, std::byte* buffer, std::int64_t room, bool again, void* const* to) {
  const void* from[max_pointers];
  for (int k = 0; k < in_count; ++k) {
    if (!in[k].data) {
      from[k] = nullptr;
    } else if (in[k].contiguous) {
      from[k] = static_cast<const std::byte*>(in[k].data) + static_cast<std::size_t>(at) * in[k].element;
    } else {
      const Walk w(shape, in[k].strides);
      const bool is_one_number = w.shape.rank() == 1 && w.strides[0] == 0;
      if (!again || !is_one_number) gather(in[k], w, at, length, buffer);
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
  parallel_for(n, grain_elements, [&](std::int64_t begin, std::int64_t end) {
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
      run_block(loop, op, shape, in, in_count, at, length, held, block, at > begin, to);
      for (int k = 0; k < out_count; ++k)
        if (streams[k]) streams[k]->copy(place(k), to[k], static_cast<std::size_t>(length) * out_element[k]);
    }
    for (int k = 0; k < out_count; ++k)
      if (streams[k]) streams[k]->finish();
  });
}

}  // namespace wengert::kernels
