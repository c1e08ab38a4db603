#pragma once

#include "wengert/autodiff/base/shape.h"
#include "wengert/autodiff/kernels/arch.h"

namespace wengert::kernels {

/// How a state follows from W x + b and U h. Gates stand one after the other, `hidden` numbers each: lstm i, f, g, o;
/// gru r, z, n.
enum class Cell { tanh, relu, gru, lstm };
constexpr int gates_of(Cell c) { return c == Cell::lstm ? 4 : c == Cell::gru ? 3 : 1; }

/// One layer over a whole sequence: n sequences side by side, row t n + i is step t of sequence i. Sequence i has
/// lengths[i] steps; at the others its state stays, and its output is zero.
struct Recurrent {
  DType dtype = float32;
  Cell cell = Cell::lstm;
  std::int64_t steps = 0, n = 0, hidden = 0;
  bool reverse = false;
  const std::int64_t* lengths = nullptr;  // null: all have all steps
  const void* weight = nullptr;           // U [gates hidden, hidden]
  const void* bias = nullptr;             // of U h [gates hidden], or null
  const void* first_h = nullptr;          // [n, hidden]; null: zeros
  const void* first_c = nullptr;
  void* gates = nullptr;   // [steps n, gates hidden]: W x + b; forward puts there what the gates make of it
  void* kept = nullptr;    // [steps n, hidden]: lstm tanh(c), gru U_n h + b
  void* cells = nullptr;   // lstm: c
  void* states = nullptr;  // h
  void* output = nullptr;  // h, where the sequence has a step, else zero; without lengths it is `states`

  // The way back.
  const void* output_bar = nullptr;
  void* h_bar = nullptr;  // [n, hidden]: cotangents of the last state, then of the first
  void* c_bar = nullptr;
  void* gates_bar = nullptr;    // of W x + b
  void* product_bar = nullptr;  // gru: of U h + b, which for the others is the same
};

/// Sequences are shared by threads sixteen at a time; the bits depend on shapes only.
void recurrent_forward(const Recurrent&);
void recurrent_backward(const Recurrent&);

/// What one step of one sequence reads and writes.
template <class T>
struct RecurrentStep {
  T* gates;          // forward: W x + b, then what became of it
  const T* product;  // forward: U h
  T* kept;
  const T *h_before, *c_before;
  T *h, *c;
  const T* y_bar;    // backward: cotangent of the output
  T *h_bar, *c_bar;  // backward: of h and c; then of those before, without what comes through U
  T *gates_bar, *product_bar;
};

template <class T>
struct RecurrentLoops {
  using Loop = void (*)(std::int64_t hidden, const RecurrentStep<T>&);
  Loop forward[4], backward[4];  // by cell
};

template <class T, class Arch>
struct RecurrentLoopsOf {
  static const RecurrentLoops<T> table;
};

}  // namespace wengert::kernels
