// Feature memory: FB byte-wide banks, word-interleaved, so that any FB consecutive bytes are one
// access: each bank is addressed by itself and the bytes are rotated (rtl/ps_feature_mem.sv).
#ifndef PS_MEMORY_H
#define PS_MEMORY_H

#include "ps_core.h"

namespace ps {

// The FB bytes from `address` on; addresses wrap.
inline void read_window(const byte_t fmem[FMEM_ROWS][FB], uint32_t address, byte_t window[FB]) {
#pragma HLS INLINE
  const uint32_t first = address % FB;
  const uint32_t row = address / FB;
  byte_t bytes[FB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
read_banks:
  for (uint32_t bank = 0; bank < FB; ++bank) {
#pragma HLS UNROLL
    bytes[bank] = fmem[(row + (bank < first ? 1 : 0)) % FMEM_ROWS][bank];
  }
rotate:
  for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
    window[i] = bytes[(first + i) % FB];
  }
}

// Writes the first `count` bytes of `window` from `address` on.
inline void write_window(byte_t fmem[FMEM_ROWS][FB], uint32_t address, const byte_t window[FB],
                         uint32_t count) {
#pragma HLS INLINE
  const uint32_t first = address % FB;
  const uint32_t row = address / FB;
write_banks:
  for (uint32_t bank = 0; bank < FB; ++bank) {
#pragma HLS UNROLL
    const uint32_t i = (bank - first) % FB;
    if (i < count) fmem[(row + (bank < first ? 1 : 0)) % FMEM_ROWS][bank] = window[i];
  }
}

}  // namespace ps

#endif
