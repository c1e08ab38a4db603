#pragma once

// Elementwise loops over operands of any strides. A loop sees contiguous numbers only: where an operand is not
// contiguous, blocks of it are gathered into the cache first. So there is one loop for each function and dtype, and its
// bits do not depend on the strides.

#include "wengert/autodiff/base/shape.h"

#include <cstddef>

namespace wengert::kernels {

inline constexpr int max_operands = 16;  // of the library's own loops
inline constexpr int max_pointers = 64;  // of any

/// n numbers of each operand in, n of each result out (null where a result is not wanted); op is the function's own
/// attributes.
using Loop = void (*)(const void* op, const void* const* in, void* const* out, std::int64_t n);

/// An operand laid over the result's shape: stride 0 where it is broadcast.
struct Operand {
  const void* data = nullptr;  // null: absent, and so in the loop
  std::size_t element = 4;
  bool contiguous = true;  // over the result's whole shape
  Shape strides;           // in elements; read when not contiguous
};

/// Runs the loop over every element of `shape`, in parallel. Results are row-major.
void run_blocks(Loop, const void* op, const Shape& shape, const Operand* in, int in_count, void* const* out,
                const std::size_t* out_element, int out_count);

/// One block of them, elements [at, at + length): buffer has room for `room` numbers of every strided operand; `again`:
/// and holds what the call before left there, which was no shorter.
void run_block(Loop, const void* op, const Shape& shape, const Operand* in, int in_count, std::int64_t at,
               std::int64_t length, std::byte* buffer, std::int64_t room, bool again, void* const* to);
int strided_count(const Operand* in, int in_count);

/// Copies `length` elements of a strided operand, from linear index `begin` of `shape` on.
void gather(const Operand&, const Shape& shape, std::int64_t begin, std::int64_t length, void* to);

/// Writes a row-major array to a strided one of the same shape.
void scatter(const void* from, void* to, std::size_t element, const Shape& shape, const Shape& strides);

}  // namespace wengert::kernels
