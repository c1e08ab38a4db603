#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// The transformations of Winograd's filtering F(4x4, 3x3), compiled for each instruction set. A register holds one
/// place of an image for as many channels: places follow each other in a line, lines are `line` places apart. Of what
/// a tile is brought to, number e of 36 is at e * entry.
struct WinogradLoops {
  std::int64_t lanes;

  // A row of tiles, four places apart: V = B^T x B for 6 by 6 places, and M_bar = A y_bar A^T for 4 by 4.
  using Enter = void (*)(const float* x, std::int64_t line, std::int64_t tiles, float* v, std::int64_t tile,
                         std::int64_t entry);
  Enter enter, enter_cotangent;
  // y = A^T M A + start: 4 by 4 places for each tile.
  void (*leave)(const float* m, std::int64_t tile, std::int64_t entry, std::int64_t tiles, const float* start, float* y,
                std::int64_t line);

  // U = G w G^T for a window of 3 by 3 places, and w_bar = G^T U_bar G.
  void (*enter_window)(const float* w, float* u, std::int64_t entry);
  void (*leave_window)(const float* u_bar, std::int64_t entry, float* w_bar);
};

template <class Arch>
struct WinogradLoopsOf {
  static const WinogradLoops table;
};

/// Those for this machine.
inline const WinogradLoops& winograd_loops() {
  return *dispatch([]<class Arch>() { return &WinogradLoopsOf<Arch>::table; });
}

}  // namespace wengert::kernels
