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

// The one that comes behind a descriptor: behind HALT the next image's first.
inline uint32_t behind(const Ready& ready) {
#pragma HLS INLINE
  return ready.d.op == OP_HALT ? ready.d.length : ready.index + 1;
}

// So many behind the one in turn are decoded and checked.
constexpr uint32_t AHEAD = 5;
// As many new ones as an operation prepares; a brief one: none, if one is ready.
constexpr uint32_t MOST_PREPARED = 3;

// The first of those behind is taken.
inline void move_ahead(Ready ahead[AHEAD]) {
#pragma HLS INLINE
shift_ahead:
  for (uint32_t i = 0; i + 1 < AHEAD; ++i) {
#pragma HLS UNROLL
    ahead[i] = ahead[i + 1];
  }
  ahead[AHEAD - 1].valid = false;
}

// How many new ones may be prepared beside an operation, so that it hides them.
inline uint32_t most_prepared(const Descriptor& d, bool known) {
#pragma HLS INLINE
  if (d.op != OP_STORE && d.op != OP_EXIT_IF) return MOST_PREPARED;
  return known ? 0 : 1;
}

// Descriptor `index` and those behind it, which are in `ahead` already or not; prepares at most `most`
// and returns how many.  It touches nothing that an operation touches, so that one may run meanwhile.
uint32_t prepare_ahead(const Cache& cache, uint32_t index, const Limits& limits, uint32_t most,
                       Ready ahead[AHEAD]);

}  // namespace ps

#endif
