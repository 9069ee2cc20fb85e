// Feature memory: WB byte-wide banks, word-interleaved, so that any WB consecutive bytes are one
// access: each bank is addressed by itself and the bytes are rotated (rtl/ps_feature_mem.sv).
// Banks come in sections of FB; those that an access does not need stay still.
#ifndef PS_MEMORY_H
#define PS_MEMORY_H

#include "ps_core.h"

namespace ps {

// window[i] = bytes[(i + by) % WB]: a multiplexer for each bit of `by`.
inline void rotate_window(uint32_t by, byte_t window[WB]) {
#pragma HLS INLINE
rotate_stages:
  for (uint32_t step = 1; step < WB; step *= 2) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=1 max=7
    byte_t bytes[WB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
  rotate_from:
    for (uint32_t i = 0; i < WB; ++i) {
#pragma HLS UNROLL
      bytes[i] = window[i];
    }
    if ((by & step) != 0) {
    rotate_low:
      for (uint32_t i = 0; i < WB - step; ++i) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=1 max=128
        window[i] = bytes[i + step];
      }
    rotate_high:
      for (uint32_t i = 0; i < step; ++i) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=1 max=64
        window[WB - step + i] = bytes[i];
      }
    }
  }
}

// The first `bytes` bytes from `address` on; addresses wrap.  What lies behind them is undefined.
inline void read_window(const fmem_t fmem, uint32_t address, uint32_t bytes, byte_t window[WB]) {
#pragma HLS INLINE
  const uint32_t first = address % WB;
  const uint32_t row = address / WB;
read_sections:
  for (uint32_t s = 0; s < SECTIONS; ++s) {
#pragma HLS UNROLL
    // The first section may be entered anywhere, so one more than the bytes fill.
    if ((s - first / FB) % SECTIONS <= (bytes + FB - 1) / FB) {
    read_banks:
      for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
        const uint32_t bank = s * FB + i;
        window[bank] = fmem[(row + (bank < first ? 1 : 0)) % FMEM_ROWS][bank];
      }
    } else {
      // Not what the window held before: nothing is carried from one access to the next.
    clear_banks:
      for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
        window[s * FB + i] = 0;
      }
    }
  }
  rotate_window(first, window);
}

// Writes the first `count` bytes (up to FB) of `bytes` from `address` on.
inline void write_bytes(fmem_t fmem, uint32_t address, const byte_t bytes[FB], uint32_t count) {
#pragma HLS INLINE
  const uint32_t first = address % WB;
  const uint32_t row = address / WB;
  byte_t placed[FB];
#pragma HLS ARRAY_PARTITION variable=placed complete
place:
  for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
    placed[i] = bytes[(i - first) % FB];
  }
write_sections:
  for (uint32_t s = 0; s < SECTIONS; ++s) {
#pragma HLS UNROLL
    if ((s - first / FB) % SECTIONS <= 1) {
    write_banks:
      for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
        const uint32_t bank = s * FB + i;
        if ((bank - first) % WB < count) {
          fmem[(row + (bank < first ? 1 : 0)) % FMEM_ROWS][bank] = placed[i];
        }
      }
    }
  }
}

}  // namespace ps

#endif
