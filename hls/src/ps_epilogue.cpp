#include "ps_epilogue.h"

#include "ps_memory.h"

namespace ps {

void drain_slice(const Finish& f, const Drain& drain, const Row rows[HALVES][P_OC],
                 const sums_t shadow, const byte_t old[P_OC][WB], const table_t table,
                 acc_t sums[P_OC], fmem_t fmem, acc_t pool[POOL_DEPTH]) {
#pragma HLS INLINE
  const Tile& tile = drain.tile;
  const uint32_t lane = (tile.lane + drain.row) % P_OC;
  const uint32_t slice = ((drain.block * uint32_t(P_OC) >> tile.mode) + drain.row) % P_OC;
  const uint32_t offset = tile.offset + drain.block * P_PX;
  const uint32_t left = tile.left - drain.block * P_PX;
  const uint32_t count = left < P_PX ? left : uint32_t(P_PX);
  const Row row = rows[tile.half][lane];
  const uint32_t block = offset / P_PX % BLOCKS;  // of the window with the old bytes
  byte_t bytes[FB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
  acc_t sum = 0;
drain_lanes:
  for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
    result_t y = requantize(acc_t(shadow[slice][i] + row.bias), row.multiplier, row.shift);
    if (f.res_sat8) y = clamp(y, -128, 127);
    if (f.res_en) y = result_t(y + pixel_of(old[drain.row % P_OC][block * P_PX + i], f.res_signed));
    y = clamp(y, f.clamp_lo, f.clamp_hi);
    if (f.by_table) {  // int8 where the clamped bytes are
      const byte_t entry = entry_at(table[i], uint32_t(int(y)) & 0xFF);
      y = pixel_of(entry, f.clamp_lo < 0);
    }
    if (i < count) sum = acc_t(sum + y);
    bytes[i] = byte_t(uint32_t(int(y)) & 0xFF);
  }
idle_lanes:
  for (uint32_t i = P_PX; i < FB; ++i) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=0 max=4
    bytes[i] = 0;
  }
  const acc_t before = tile.first && drain.block == 0 ? acc_t(0) : sums[lane];
  const acc_t total = acc_t(before + sum);
  sums[lane] = total;
  if (f.pool_en) pool[(f.pool_base + uint32_t(row.channel)) % POOL_DEPTH] = total;
  write_bytes(fmem, f.dst + uint32_t(span(row.channel, f.dst_stride)) + offset, bytes, count);
}

}  // namespace ps
