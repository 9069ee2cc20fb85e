// The PE array: its loop nest, products and shadow accumulators (rtl/ps_conv_ctrl.sv,
// ps_operands.sv, ps_array.sv, ps_pair_sums.sv).
#ifndef PS_ARRAY_H
#define PS_ARRAY_H

#include "ps_arithmetic.h"
#include "ps_core.h"

namespace ps {

// What the array needs of a convolution.
struct Nest {
  uint16_t n_in;      // surviving input channels; depthwise: 1
  uint32_t pixels;    // of the output map
  uint8_t kernel;
  uint8_t taps;       // of a channel in the weight buffer
  bool alone;         // depthwise: a pass is one row, in the widest shape
  bool by_channel;    // weights lie by the channel's number, not by its position
  // Of the pass that begins when so many rows of the group, less one, are left: its shape, the rows
  // behind it, and whether it is one tile.  Known before the loop, so that what follows a pass is one
  // look-up.
  uint8_t modes[P_OC];
  uint8_t rests[P_OC];
  bool singles[P_OC];
};

// A tile of a pass: P_oc >> mode rows of P_px << mode pixels, or what is left of them.
struct Tile {
  uint32_t offset;  // its first pixel
  uint32_t left;    // pixels from there to the end of the map
  uint8_t mode;
  uint8_t rows;
  uint8_t lane;     // its first row within the group
  uint8_t half;     // of the weight buffer
  bool first;       // of its pass
  bool last;        // of its pass
  bool end;         // last of its group
};

// Where the loop nest stands.
struct Issue {
  bool active;
  Tile tile;
  uint8_t rows_behind;  // of the group, behind this pass
  uint16_t position;  // in the list of input channels
  uint32_t place;     // of the channel's weights, by position
  uint8_t kh;
  uint8_t kw;
  uint8_t tap;
  // Of the step in hand, known before it begins: what is next would wait for a sum and a comparison.
  bool first;         // of its tile
  bool last_column;   // of the kernel
  bool last_row;      // of the kernel
  bool last_channel;  // of the list
};

// Shape of the next pass when `rows` rows of the group are left (docs/program.md, "Passes").
inline uint8_t mode_of(uint32_t rows, uint16_t split) {
#pragma HLS INLINE
  constexpr uint32_t most = P_OC > 8 ? P_OC : 8;
  const uint32_t index = (rows * 8 + P_OC - 1) / most;
  const uint32_t mode = rows == P_OC ? 0 : uint32_t(split) >> (2 * index) & 3;
  return uint8_t(mode < MODES ? mode : MODES - 1);
}

// Every pass of a convolution.
inline void plan_passes(uint16_t split, Nest& n) {
#pragma HLS INLINE
plan_rows:
  for (uint32_t rows = 1; rows <= P_OC; ++rows) {
#pragma HLS UNROLL
    const uint8_t mode = n.alone ? uint8_t(MODES - 1) : mode_of(rows, split);
    const uint32_t most = n.alone ? 1 : P_OC >> mode;
    n.modes[rows - 1] = mode;
    n.rests[rows - 1] = uint8_t(rows < most ? 0 : rows - most);
    n.singles[rows - 1] = n.pixels <= uint32_t(P_PX) << mode;
  }
}

// The next pass begins, on `rows` rows of the group from row `lane` on.
inline void begin_pass(const Nest& n, uint32_t rows, uint32_t lane, Issue& at) {
#pragma HLS INLINE
  const uint32_t place = (rows - 1) % P_OC;
  at.rows_behind = n.rests[place];
  at.tile.offset = 0;
  at.tile.left = n.pixels;
  at.tile.mode = n.modes[place];
  at.tile.rows = uint8_t(rows - n.rests[place]);
  at.tile.lane = uint8_t(lane);
  at.tile.first = true;
  at.tile.last = n.singles[place];
  at.tile.end = false;
}

// The tile behind this one is the last of its pass.
inline bool tile_before_last(const Tile& tile) {
#pragma HLS INLINE
  bool last = false;
tile_shapes:
  for (uint32_t mode = 0; mode < MODES; ++mode) {
#pragma HLS UNROLL
    if (tile.mode == mode) last = tile.left <= 2 * uint32_t(P_PX) << mode;
  }
  return last;
}

// The first step of a tile.
inline void begin_tile(const Nest& n, Issue& at) {
#pragma HLS INLINE
  at.kh = 0;
  at.kw = 0;
  at.tap = 0;
  at.position = 0;
  at.place = 0;
  at.first = true;
  at.last_column = n.kernel == 1;
  at.last_row = n.kernel == 1;
  at.last_channel = n.n_in == 1;
}

// The step in hand is the last of its tile.
inline bool last_step(const Nest& n, const Issue& at) {
#pragma HLS INLINE
  return n.n_in == 0 || (at.last_column && at.last_row && at.last_channel);
}

// The next step of the same tile; the first of the next one after the last.
inline void next_step(const Nest& n, bool last, Issue& at) {
#pragma HLS INLINE
  const bool row_done = at.last_column;
  const bool channel_done = row_done && at.last_row;
  const bool column_before_last = at.kw + 2 == n.kernel;
  const bool row_before_last = at.kh + 2 == n.kernel;
  const bool channel_before_last = at.position + 2 == n.n_in;
  at.first = false;
  at.last_column = row_done ? n.kernel == 1 : column_before_last;
  ++at.tap;
  at.kw = row_done ? 0 : at.kw + 1;
  if (row_done) {
    at.kh = at.kh + 1;
    at.last_row = row_before_last;
  }
  if (channel_done) {
    at.kh = 0;
    at.tap = 0;
    at.last_row = n.kernel == 1;
    at.last_channel = channel_before_last;
    ++at.position;
    at.place += n.taps;
  }
  if (last) begin_tile(n, at);
}

typedef acc_t sums_t[P_OC][P_PX];

// One step: a weight of every row times the pixels that the row works on in this shape.
void accumulate(const Tile& tile, bool first, bool last, uint32_t address,
                const beat_t wbuf[P_OC][HALVES * WBUF_WORDS], const pixel_t pixels[WB], sums_t acc,
                sums_t shadow);

}  // namespace ps

#endif
