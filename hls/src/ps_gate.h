// Gate unit: pooled sums -> 8-bit vector -> dense layer -> scores and survivor list, or bytes
// (rtl/ps_gate_unit.sv).
#ifndef PS_GATE_H
#define PS_GATE_H

#include "ps_core.h"

namespace ps {

// Words of the gate memory that hold `inputs` weights.
inline uint32_t gate_words(uint32_t inputs) {
#pragma HLS INLINE
  return (inputs + GATE_WORD_BYTES - 1) / GATE_WORD_BYTES;
}

// Numbers of a DENSE, before they are in feature memory.
typedef number_t dense_t[2 * MAX_CHANNELS];

// GATE: scores, and the survivor list in both copies, and its runs.  DENSE: bytes.  It touches no
// feature memory, so that it may run beside a COPY or POOL.  Returns the cycles (an estimate).
uint32_t run_gate(const Descriptor& d, const gmem_t gmem, const acc_t pool[POOL_DEPTH],
                  scores_t scores, lists_t fetch_lists, lists_t array_lists, runs_t runs,
                  ListSize sizes[N_LISTS], dense_t dense);

// The numbers of a DENSE, a byte each or two, into feature memory.  Returns the cycles (an estimate).
uint32_t store_dense(const Descriptor& d, const dense_t dense, fmem_t fmem);

}  // namespace ps

#endif
