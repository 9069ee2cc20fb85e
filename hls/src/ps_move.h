// Data movement: LOAD, GLOAD, STORE, the counter record (rtl/ps_load_store.sv) and COPY
// (rtl/ps_copy.sv).  Every function returns the bytes moved, COPY its iterations.
#ifndef PS_MOVE_H
#define PS_MOVE_H

#include "ps_bus.h"
#include "ps_core.h"

namespace ps {

// `base`: beats to the image's buffer, or to its record.
uint32_t load(const Descriptor& d, read_port_t input, Reads& reads, uint64_t base, fmem_t fmem);
uint32_t load_gates(const Descriptor& d, read_port_t weights, Reads& reads, gmem_t gmem);
uint32_t store(const Descriptor& d, const fmem_t fmem, const scores_t scores, write_port_t output,
               uint64_t base);
void store_counters(const uint32_t counters[N_COUNTERS], write_port_t output, uint64_t base);
uint32_t copy_planes(const Descriptor& d, fmem_t fmem);

// Cycles of a LOAD or GLOAD, and of a STORE or the record, of so many beats (estimates).
inline uint32_t read_cycles(uint32_t beats) {
#pragma HLS INLINE
  return beats + T_MEMORY + T_ADAPTER + T_LOAD_DEPTH + T_LOOP;
}

inline uint32_t write_cycles(uint32_t beats) {
#pragma HLS INLINE
  return beats + T_MEMORY + T_ADAPTER + T_STORE_DEPTH + T_LOOP;
}

}  // namespace ps

#endif
