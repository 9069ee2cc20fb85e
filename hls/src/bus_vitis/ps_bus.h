// The AXI4 master with explicit bursts, for Vitis HLS: hls::burst_maxi of its library.
// bus_plain/ps_bus.h has the same names over pointers; the sources are the same.
#ifndef PS_BUS_H
#define PS_BUS_H

#include <hls_burst_maxi.h>

#include <cstdint>

#include "ps_types.h"

namespace ps {

typedef hls::burst_maxi<beat_t> read_port_t;
typedef hls::burst_maxi<beat_t> write_port_t;

// The adapter keeps what was asked for.
struct Reads {};
struct Writes {};

inline void clear_reads(Reads&) {
#pragma HLS INLINE
}

// Asks for a burst of `beats` beats from beat `first` of the port's buffer on.
inline void ask(read_port_t port, Reads&, uint64_t first, uint32_t beats) {
#pragma HLS INLINE
  port.read_request(first, beats);
}

// The next beat of what was asked for.
inline beat_t take(read_port_t port, Reads&) {
#pragma HLS INLINE
  return port.read();
}

// Begins a burst of `beats` beats; as many `put` follow, and `end_write` there or later.
inline void begin_write(write_port_t port, Writes&, uint64_t first, uint32_t beats) {
#pragma HLS INLINE
  port.write_request(first, beats);
}

inline void put(write_port_t port, Writes&, beat_t beat) {
#pragma HLS INLINE
  port.write(beat);
}

// Waits for the response to the first burst that still lacks it.
inline void end_write(write_port_t port, Writes&) {
#pragma HLS INLINE
  port.write_response();
}

}  // namespace ps

#endif
