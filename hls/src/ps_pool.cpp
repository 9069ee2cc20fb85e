#include "ps_pool.h"

#include "ps_arithmetic.h"
#include "ps_memory.h"

namespace ps {
namespace {

constexpr uint32_t LANES = FB / 2;  // pixels of one tile: stride 2 uses every other byte of a window

// A tile: up to LANES neighbouring pixels of one output row of one channel.
struct Tile {
  uint32_t source;  // address of the channel
  int32_t top;      // row and column of the map where the first window begins; padding is below 0
  int32_t left;
};

// One tap joins the sums or maxima of the lanes that are on the map.
void accumulate(const Descriptor& d, const byte_t window[FB], int32_t row, int32_t column,
                bool first, acc_t sums[LANES]) {
#pragma HLS INLINE
  const int32_t step = d.stride2 ? 2 : 1;
  const acc_t least = d.average || !d.src_signed ? 0 : -128;
lanes:
  for (uint32_t i = 0; i < LANES; ++i) {
#pragma HLS UNROLL
    const int32_t col = column + int32_t(i) * step;
    const bool on_map = row >= 0 && row < d.height && col >= 0 && col < d.width;
    const acc_t pixel = acc_t(pixel_of(window[d.stride2 ? 2 * i : i], d.src_signed));
    const acc_t old = first ? least : sums[i];
    const acc_t joined = d.average ? acc_t(old + pixel) : pixel > old ? pixel : old;
    sums[i] = on_map ? joined : old;
  }
}

void pool_tile(const Descriptor& d, const Tile& tile, const byte_t fmem[FMEM_ROWS][FB],
               acc_t sums[LANES]) {
#pragma HLS INLINE
  uint32_t kh = 0;
  uint32_t kw = 0;
taps:
  for (uint32_t tap = 0; tap < uint32_t(d.kernel) * d.kernel; ++tap) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=49
    const int32_t row = tile.top + int32_t(kh);
    const int32_t column = tile.left + int32_t(kw);
    // Padding before the map wraps to some address; its lanes are masked.
    const uint32_t address = tile.source + uint32_t(row * int32_t(d.width) + column);
    byte_t window[FB];
#pragma HLS ARRAY_PARTITION variable=window complete
    read_window(fmem, address % FMEM_BYTES, window);
    accumulate(d, window, row, column, tap == 0, sums);
    kw = kw + 1 == d.kernel ? 0 : kw + 1;
    kh = kw == 0 ? kh + 1 : kh;
  }
}

byte_t result_of(const Descriptor& d, acc_t sum) {
#pragma HLS INLINE
  if (!d.average) return byte_t(uint32_t(sum) & 0xFF);
  const multiplier_t multiplier = multiplier_t(d.w_addr & 0xFFFF);
  const result_t scaled = requantize(sum, multiplier, shift_t((d.w_addr >> 16) & 0x3F));
  return byte_t(uint32_t(int(clamp(scaled, d.clamp_lo, d.clamp_hi))) & 0xFF);
}

}  // namespace

uint32_t pool_windows(const Descriptor& d, byte_t fmem[FMEM_ROWS][FB]) {
#pragma HLS INLINE off
  const OutSize size = out_size(d);
  const int32_t step = d.stride2 ? 2 : 1;
  acc_t sums[LANES];
#pragma HLS ARRAY_PARTITION variable=sums complete
pool_channels:
  for (uint32_t channel = 0; channel < d.cout; ++channel) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=1024
  pool_rows:
    for (uint32_t row = 0; row < size.height; ++row) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=1023
    pool_tiles:
      for (uint32_t col = 0; col < size.width; col += LANES) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=128
        const Tile tile = {d.src + channel * d.src_stride, int32_t(row) * step - int32_t(d.pad),
                           int32_t(col) * step - int32_t(d.pad)};
        pool_tile(d, tile, fmem, sums);
        byte_t bytes[FB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
      results:
        for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
          bytes[i] = i < LANES ? result_of(d, sums[i % LANES]) : byte_t(0);
        }
        const uint32_t left = size.width - col;
        const uint32_t target = d.dst + channel * d.dst_stride + row * size.width + col;
        write_window(fmem, target, bytes, left < LANES ? left : LANES);
      }
    }
  }
  const uint32_t tiles = (uint32_t(size.width) + LANES - 1) / LANES;
  return uint32_t(d.cout) * size.height * tiles * d.kernel * d.kernel;
}

}  // namespace ps
