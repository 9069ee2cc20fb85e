// EXIT_IF: the softmax confidence of a classifier head against a bound (rtl/ps_exit.sv).
#ifndef PS_EXIT_H
#define PS_EXIT_H

#include "ps_core.h"

namespace ps {

// Cycles of an EXIT_IF (an estimate): every byte of the logits twice.
inline uint32_t exit_cycles(const Descriptor& d) {
#pragma HLS INLINE
  return 2 * (numbers_bytes(d, uint32_t(d.cin)) + T_EXIT_DEPTH + T_LOOP);
}

// Whether the program goes on at the later descriptor.
bool exit_taken(const Descriptor& d, const gmem_t gmem, const fmem_t fmem);

}  // namespace ps

#endif
