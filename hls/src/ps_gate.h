// Gate unit: pooled sums -> 8-bit vector -> dense layer -> scores and survivor list, or bytes
// (rtl/ps_gate_unit.sv).
#ifndef PS_GATE_H
#define PS_GATE_H

#include "ps_core.h"

namespace ps {

// Gate memory is in words of GATE_WORD_BYTES; the pool's parameters take one, so do those of every
// output, in front of its weights.
constexpr uint32_t GATE_HEAD_BEATS = GATE_WORD_BYTES / BEAT_BYTES;

inline uint32_t gate_row_beats(uint32_t inputs) {
#pragma HLS INLINE
  return (1 + (inputs + GATE_WORD_BYTES - 1) / GATE_WORD_BYTES) * GATE_HEAD_BEATS;
}

// Iterations of a GATE or DENSE, for the counters: a pooled sum each, then a word of weights each.
inline uint32_t dense_work(const Descriptor& d) {
#pragma HLS INLINE
  const uint32_t words = (uint32_t(d.cin) + BEAT_BYTES - 1) / BEAT_BYTES;
  return d.cin + d.cout * (words + 1);
}

// GATE: scores, and the survivor list in both copies.
void run_gate(const Descriptor& d, const beat_t gmem[GMEM_WORDS], const acc_t pool[POOL_DEPTH],
              byte_t scores[SCORE_DEPTH], channel_t fetch_lists[N_LISTS][MAX_CHANNELS],
              channel_t array_lists[N_LISTS][MAX_CHANNELS], ListSize sizes[N_LISTS]);

// DENSE: bytes in feature memory.
void run_dense(const Descriptor& d, const beat_t gmem[GMEM_WORDS], const acc_t pool[POOL_DEPTH],
               byte_t fmem[FMEM_ROWS][FB]);

}  // namespace ps

#endif
