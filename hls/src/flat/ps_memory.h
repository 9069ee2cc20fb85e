// Feature memory as one array: the fast C simulation.  banks/ps_memory.h has the same functions as
// they are synthesised; the bytes are the same.
#ifndef PS_MEMORY_H
#define PS_MEMORY_H

#include <cstring>

#include "ps_core.h"

namespace ps {

// The first `bytes` bytes from `address` on; addresses wrap.  What lies behind them is undefined.
inline void read_window(const fmem_t fmem, uint32_t address, uint32_t bytes, byte_t window[WB]) {
  const byte_t* const flat = fmem[0];
  const uint32_t first = address % FMEM_BYTES;
  if (first + WB <= FMEM_BYTES) {
    std::memcpy(window, flat + first, WB);
    return;
  }
  for (uint32_t i = 0; i < bytes && i < WB; ++i) window[i] = flat[(first + i) % FMEM_BYTES];
}

// Writes the first `count` bytes (up to FB) of `bytes` from `address` on.
inline void write_bytes(fmem_t fmem, uint32_t address, const byte_t bytes[FB], uint32_t count) {
  byte_t* const flat = fmem[0];
  const uint32_t first = address % FMEM_BYTES;
  if (count == FB && first + FB <= FMEM_BYTES) {
    std::memcpy(flat + first, bytes, FB);
    return;
  }
  for (uint32_t i = 0; i < count; ++i) flat[(first + i) % FMEM_BYTES] = bytes[i];
}

}  // namespace ps

#endif
