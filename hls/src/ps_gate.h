// Gate unit: pooled sums -> 8-bit vector -> dense layer -> scores and survivor list, or bytes
// (rtl/ps_gate_unit.sv).
#ifndef PS_GATE_H
#define PS_GATE_H

#include "ps_core.h"

namespace ps {

// GATE: scores, and the survivor list in both copies.
void run_gate(const Descriptor& d, const beat_t gmem[GMEM_WORDS], const acc_t pool[POOL_DEPTH],
              byte_t scores[SCORE_DEPTH], channel_t fetch_lists[N_LISTS][MAX_CHANNELS],
              channel_t array_lists[N_LISTS][MAX_CHANNELS], ListSize sizes[N_LISTS]);

// DENSE: bytes in feature memory.
void run_dense(const Descriptor& d, const beat_t gmem[GMEM_WORDS], const acc_t pool[POOL_DEPTH],
               byte_t fmem[FMEM_ROWS][FB]);

}  // namespace ps

#endif
