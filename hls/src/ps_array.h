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
  uint16_t split;
  bool alone;         // depthwise: a pass is one row, in the widest shape
  bool by_channel;    // weights lie by the channel's number, not by its position
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
  bool end;         // last of its group
};

// Where the loop nest stands.
struct Issue {
  bool active;
  Tile tile;
  uint8_t rows_left;  // of the group, this pass included
  uint16_t position;  // in the list of input channels
  uint32_t place;     // of the channel's weights, by position
  uint8_t kh;
  uint8_t kw;
  uint8_t tap;
};

// Shape of the next pass when `rows` rows of the group are left (docs/program.md, "Passes").
inline uint8_t mode_of(uint32_t rows, uint16_t split) {
#pragma HLS INLINE
  constexpr uint32_t most = P_OC > 8 ? P_OC : 8;
  const uint32_t index = (rows * 8 + P_OC - 1) / most;
  const uint32_t mode = rows == P_OC ? 0 : uint32_t(split) >> (2 * index) & 3;
  return uint8_t(mode < MODES ? mode : MODES - 1);
}

// The next pass begins, on `rows` rows of the group from row `lane` on.
inline void begin_pass(const Nest& n, uint32_t rows, uint32_t lane, Issue& at) {
#pragma HLS INLINE
  const uint8_t mode = n.alone ? uint8_t(MODES - 1) : mode_of(rows, n.split);
  const uint32_t most = n.alone ? 1 : P_OC >> mode;
  at.rows_left = uint8_t(rows);
  at.tile.offset = 0;
  at.tile.left = n.pixels;
  at.tile.mode = mode;
  at.tile.rows = uint8_t(rows < most ? rows : most);
  at.tile.lane = uint8_t(lane);
  at.tile.first = true;
  at.tile.end = false;
}

// The step in hand is the last of its tile.
inline bool last_step(const Nest& n, const Issue& at) {
#pragma HLS INLINE
  const bool last_tap = at.kh + 1 == n.kernel && at.kw + 1 == n.kernel;
  return n.n_in == 0 || (last_tap && at.position + 1 == n.n_in);
}

// The next step of the same tile; its first one after the last.
inline void next_step(const Nest& n, bool last, Issue& at) {
#pragma HLS INLINE
  const bool row_done = at.kw + 1 == n.kernel;
  const bool channel_done = row_done && at.kh + 1 == n.kernel;
  ++at.tap;
  at.kw = row_done ? 0 : at.kw + 1;
  if (row_done) at.kh = at.kh + 1;
  if (channel_done) {
    at.kh = 0;
    at.tap = 0;
    ++at.position;
    at.place += n.taps;
  }
  if (last) {
    at.kh = 0;
    at.kw = 0;
    at.tap = 0;
    at.position = 0;
    at.place = 0;
  }
}

typedef acc_t sums_t[P_OC][P_PX];

// One step: a weight of every row times the pixels that the row works on in this shape.
void accumulate(const Tile& tile, bool first, bool last, uint32_t address,
                const beat_t wbuf[P_OC][HALVES * WBUF_WORDS], const pixel_t pixels[WB], sums_t acc,
                sums_t shadow);

}  // namespace ps

#endif
