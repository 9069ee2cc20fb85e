// EXIT_IF: the softmax confidence of a classifier head against a bound (rtl/ps_exit.sv).
#ifndef PS_EXIT_H
#define PS_EXIT_H

#include "ps_core.h"

namespace ps {

// Iterations of an EXIT_IF, for the counters: every logit twice.
inline uint32_t exit_work(const Descriptor& d) {
#pragma HLS INLINE
  return 2 * uint32_t(d.cin);
}

// Whether the program goes on at the later descriptor.
bool exit_taken(const Descriptor& d, const beat_t gmem[GMEM_WORDS],
                const byte_t fmem[FMEM_ROWS][FB]);

}  // namespace ps

#endif
