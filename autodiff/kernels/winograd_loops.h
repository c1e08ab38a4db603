#pragma once

#include "wengert/autodiff/kernels/arch.h"

#include <cstdint>

namespace wengert::kernels {

/// The transformations of Winograd's filtering, compiled for each instruction set: F(4x4, 3x3) or F(2x2, 5x5), that is
/// `step` by `step` results of 6 by 6 places. A register holds one place of an image for as many channels: places
/// follow each other in a line, lines are `line` places apart. Of what a tile is brought to, number e of 36 is at e *
/// entry.
struct WinogradLoops {
  std::int64_t lanes, step;

  // A row of tiles: V = B^T x B for what they see, 6 by 6 places, and M_bar = A y_bar A^T for their results.
  using Enter = void (*)(const float* x, std::int64_t line, std::int64_t tiles, float* v, std::int64_t tile,
                         std::int64_t entry);
  Enter enter, enter_cotangent;
  // y = A^T M A + start, for a row of tiles.
  void (*leave)(const float* m, std::int64_t tile, std::int64_t entry, std::int64_t tiles, const float* start, float* y,
                std::int64_t line);

  // U = G w G^T for a window, and w_bar = G^T U_bar G.
  void (*enter_window)(const float* w, float* u, std::int64_t entry);
  void (*leave_window)(const float* u_bar, std::int64_t entry, float* w_bar);
};

/// For windows of 3 x 3 or 5 x 5.
template <class Arch>
const WinogradLoops& winograd_loops(std::int64_t window);

}  // namespace wengert::kernels
