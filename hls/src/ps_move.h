// Transfers: LOAD, GLOAD, STORE, the counters of HALT, and COPY (rtl/ps_load_store.sv, ps_copy.sv).
#ifndef PS_MOVE_H
#define PS_MOVE_H

#include "ps_core.h"

namespace ps {

// Each returns the bytes it moved over the master; `base` is the first beat of the image.
uint32_t load(const Descriptor& d, const beat_t* input, uint64_t base, byte_t fmem[FMEM_ROWS][FB]);
uint32_t load_gates(const Descriptor& d, const beat_t* weights, beat_t gmem[GMEM_WORDS]);
uint32_t store(const Descriptor& d, const byte_t fmem[FMEM_ROWS][FB],
               const byte_t scores[SCORE_DEPTH], beat_t* output, uint64_t base);
void store_counters(const uint32_t counters[N_COUNTERS], beat_t* output, uint64_t base);

// COPY: linear to polyphase layout, FB pixels of a row at a time; the number of windows.
uint32_t copy_planes(const Descriptor& d, byte_t fmem[FMEM_ROWS][FB]);

}  // namespace ps

#endif
