// The AXI4 master for the static proof: a burst is a pointer that moves on by one beat, and what is
// asked for is noted.  It shows what an HLS compiler sees of a loop that reads or writes one burst;
// it has no bursts in flight, so nothing runs with it.  The names are those of bus_plain/ps_bus.h.
#ifndef PS_BUS_H
#define PS_BUS_H

#include <cstdint>

#include "ps_types.h"

namespace ps {

typedef const beat_t* read_port_t;
typedef beat_t* write_port_t;

struct Reads {
  const beat_t* next;
};

struct Writes {
  beat_t* next;
};

inline void clear_reads(Reads& reads) {
#pragma HLS INLINE
  reads.next = nullptr;
}

inline void ask(read_port_t port, Reads& reads, uint64_t first, uint32_t beats) {
#pragma HLS INLINE
  asm volatile("# ask" ::"r"(beats));
  reads.next = port + first;
}

inline beat_t take(read_port_t, Reads& reads) {
#pragma HLS INLINE
  asm volatile("# take");
  const beat_t beat = *reads.next;
  ++reads.next;
  return beat;
}

inline void begin_write(write_port_t port, Writes& writes, uint64_t first, uint32_t beats) {
#pragma HLS INLINE
  asm volatile("# ask" ::"r"(beats));
  writes.next = port + first;
}

inline void put(write_port_t, Writes& writes, beat_t beat) {
#pragma HLS INLINE
  asm volatile("# put");
  *writes.next = beat;
  ++writes.next;
}

inline void end_write(write_port_t, Writes&) {
#pragma HLS INLINE
}

}  // namespace ps

#endif
