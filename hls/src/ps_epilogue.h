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
  result_t clamp_lo;
  result_t clamp_hi;
};

// Where it stands.  A residual is read through the window's port, all bytes of a window at a time:
// a refill, for each row of the tile, in front of the slices whose old bytes the window holds.
struct Drain {
  bool busy;
  Tile tile;
  uint8_t row;     // of the tile
  uint8_t block;   // of the tile
  uint8_t refill;  // rows whose old bytes are to be read
};

inline bool refilling(const Drain& drain) {
#pragma HLS INLINE
  return drain.busy && drain.refill != 0;
}

// The slice in hand is the last of its tile.
inline bool last_slice(const Drain& drain) {
#pragma HLS INLINE
  const uint32_t next = drain.block + 1u;
  const bool last_block = next == 1u << drain.tile.mode || next * P_PX >= drain.tile.left;
  return last_block && drain.row + 1 == drain.tile.rows;
}

// The tile that was finished in this iteration is the next to drain.
inline void begin_drain(const Finish& f, const Tile& tile, Drain& drain) {
#pragma HLS INLINE
  drain.busy = true;
  drain.tile = tile;
  drain.row = 0;
  drain.block = 0;
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
                 const sums_t shadow, const byte_t old[P_OC][WB], acc_t sums[P_OC], fmem_t fmem,
                 acc_t pool[POOL_DEPTH]);

// The next slice; true after the last of a group.
inline bool next_slice(Drain& drain) {
#pragma HLS INLINE
  if (last_slice(drain)) {
    drain.busy = false;
    return drain.tile.end;
  }
  if (drain.row + 1 == drain.tile.rows) {
    drain.row = 0;
    ++drain.block;
  } else {
    ++drain.row;
  }
  return false;
}

}  // namespace ps

#endif
