// The AXI4 master as pointers: C simulation, and compilers that know no explicit bursts.
// bus_vitis/ps_bus.h has the same names over hls::burst_maxi; the sources are the same.
#ifndef PS_BUS_H
#define PS_BUS_H

#include <cstdint>

#include "ps_types.h"

namespace ps {

typedef const beat_t* read_port_t;
typedef beat_t* write_port_t;

// Bursts that were asked for and not yet taken, in order.  A power of two, more than any
// configuration has in flight.
constexpr uint32_t BUS_RING = 32;

struct Reads {
  uint64_t first[BUS_RING];
  uint32_t beats[BUS_RING];
  uint32_t asked;  // bursts
  uint32_t taken;
  uint32_t beat;  // of the burst in hand
};

struct Writes {
  uint64_t next;
};

inline void clear_reads(Reads& reads) {
#pragma HLS INLINE
  reads.asked = 0;
  reads.taken = 0;
  reads.beat = 0;
}

// Asks for a burst of `beats` beats from beat `first` of the port's buffer on.
inline void ask(read_port_t, Reads& reads, uint64_t first, uint32_t beats) {
#pragma HLS INLINE
  reads.first[reads.asked % BUS_RING] = first;
  reads.beats[reads.asked % BUS_RING] = beats;
  ++reads.asked;
}

// The next beat of what was asked for.
inline beat_t take(read_port_t port, Reads& reads) {
#pragma HLS INLINE
  const uint32_t burst = reads.taken % BUS_RING;
  const beat_t beat = port[reads.first[burst] + reads.beat];
  ++reads.beat;
  if (reads.beat == reads.beats[burst]) {
    reads.beat = 0;
    ++reads.taken;
  }
  return beat;
}

// Begins a burst of `beats` beats; as many `put` follow, and `end_write` there or later.
inline void begin_write(write_port_t, Writes& writes, uint64_t first, uint32_t) {
#pragma HLS INLINE
  writes.next = first;
}

inline void put(write_port_t port, Writes& writes, beat_t beat) {
#pragma HLS INLINE
  port[writes.next] = beat;
  ++writes.next;
}

// Waits for the response to the first burst that still lacks it.
inline void end_write(write_port_t, Writes&) {
#pragma HLS INLINE
}

}  // namespace ps

#endif
