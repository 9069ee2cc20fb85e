// Descriptors on chip: read in blocks, decoded and checked ahead (rtl/ps_desc_fetch.sv).
#ifndef PS_DESCRIPTORS_H
#define PS_DESCRIPTORS_H

#include "ps_bus.h"
#include "ps_core.h"

namespace ps {

// Descriptors on chip: blocks of neighbouring ones, read in one burst when one of them is needed.
constexpr uint32_t BLOCK = 16;
constexpr uint32_t CACHED = 16;
constexpr uint32_t DESCRIPTOR_BEATS = DESCRIPTOR_WORDS / 2;

struct Cache {
  beat_t beats[CACHED * BLOCK][DESCRIPTOR_BEATS];
  uint32_t block[CACHED];
  bool valid[CACHED];
};

inline void clear_cache(Cache& cache) {
#pragma HLS INLINE
clear_blocks:
  for (uint32_t i = 0; i < CACHED; ++i) {
#pragma HLS UNROLL
    cache.valid[i] = false;
    cache.block[i] = 0;
  }
}

inline bool cached(const Cache& cache, uint32_t index) {
#pragma HLS INLINE
  const uint32_t block = index / BLOCK;
  return cache.valid[block % CACHED] && cache.block[block % CACHED] == block;
}

// A descriptor that is decoded and checked.
struct Ready {
  bool valid;
  uint32_t index;
  ErrorCode code;
  Descriptor d;
};

// Descriptor `index` is known.
inline bool is_ready(const Ready& ready, uint32_t index) {
#pragma HLS INLINE
  return ready.valid && ready.index == index;
}

// Reads the block of descriptor `index`; returns its beats.
uint32_t read_block(read_port_t program, Reads& reads, uint32_t index, uint32_t count,
                    Cache& cache);

// Descriptor `index`, if its block is on chip.
Ready prepare(const Cache& cache, uint32_t index, const Limits& limits);

// Descriptor `index`, which may be the one in `next`, and the one behind it; returns how many were
// prepared.  It touches nothing that an operation touches, so that one may run meanwhile.
uint32_t prepare_two(const Cache& cache, uint32_t index, const Limits& limits, Ready& ready,
                     Ready& next);

}  // namespace ps

#endif
