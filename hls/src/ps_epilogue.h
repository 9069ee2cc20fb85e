// The epilogue: drains a tile from the shadow accumulators, one slice of P_px sums an iteration
// (rtl/ps_epilogue.sv).
#ifndef PS_EPILOGUE_H
#define PS_EPILOGUE_H

#include "ps_array.h"

namespace ps {

// What the epilogue needs of a convolution.
struct Finish {
  uint32_t dst;
  uint32_t dst_stride;
  uint32_t pool_base;
  bool pool_en;
  bool res_en;
  bool res_signed;
  bool res_sat8;
  bool by_table;
  result_t clamp_lo;
  result_t clamp_hi;
};

// Where it stands.  A residual is read through the window's port, all bytes of a window at a time:
// a refill, for each row of the tile, in front of the slices whose old bytes the window holds.
struct Drain {
  bool busy;
  Tile tile;
  uint8_t row;      // of the tile
  uint8_t block;    // of the tile
  uint8_t blocks;   // that it has
  bool last_row;    // of the block; known before the slice, as in an Issue (ps_array.h)
  bool last_block;  // of the tile
  bool filling;     // old bytes are to be read
  uint8_t refill;   // of so many rows
};

inline bool refilling(const Drain& drain) {
#pragma HLS INLINE
  return drain.busy && drain.filling;
}

// The slice in hand is the last of its tile.
inline bool last_slice(const Drain& drain) {
#pragma HLS INLINE
  return drain.last_block && drain.last_row;
}

// The tile that was finished in this iteration is the next to drain.
inline void begin_drain(const Finish& f, const Tile& tile, Drain& drain) {
#pragma HLS INLINE
  drain.busy = true;
  drain.tile = tile;
  drain.row = 0;
  drain.block = 0;
  const uint32_t held = (tile.left + P_PX - 1) / P_PX;
  const uint32_t most = 1u << tile.mode;
  drain.blocks = uint8_t(held < most ? held : most);
  drain.last_row = tile.rows == 1;
  drain.last_block = tile.mode == 0 || tile.left <= P_PX;
  drain.filling = f.res_en && tile.offset % WB == 0;
  drain.refill = f.res_en && tile.offset % WB == 0 ? tile.rows : uint8_t(0);
}

// The row whose old bytes are read, and the address of its window.
inline uint32_t refill_address(const Finish& f, const Drain& drain,
                               const Row rows[HALVES][P_OC], uint8_t& row) {
#pragma HLS INLINE
  row = uint8_t(drain.tile.rows - drain.refill);
  const Row& filled = rows[drain.tile.half][(drain.tile.lane + row) % P_OC];
  return f.dst + uint32_t(span(filled.channel, f.dst_stride)) + drain.tile.offset;
}

// One slice: requantised, written, and its pixels summed.
void drain_slice(const Finish& f, const Drain& drain, const Row rows[HALVES][P_OC],
                 const sums_t shadow, const byte_t old[P_OC][WB], const table_t table,
                 acc_t sums[P_OC], fmem_t fmem, acc_t pool[POOL_DEPTH]);

// The next slice; true after the last of a group.
inline bool next_slice(Drain& drain) {
#pragma HLS INLINE
  if (last_slice(drain)) {
    drain.busy = false;
    return drain.tile.end;
  }
  const bool row_before_last = drain.row + 2 == drain.tile.rows;
  const bool block_before_last = drain.block + 2 == drain.blocks;
  if (drain.last_row) {
    drain.row = 0;
    drain.last_row = drain.tile.rows == 1;
    ++drain.block;
    drain.last_block = block_before_last;
  } else {
    ++drain.row;
    drain.last_row = row_before_last;
  }
  return false;
}

}  // namespace ps

#endif
