// The counters of an image, cycles among them as the model has them (docs/hls.md, "Counters").
#ifndef PS_COUNTERS_H
#define PS_COUNTERS_H

#include "ps_convolve.h"
#include "ps_move.h"

namespace ps {

inline void clear_counters(uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
clear_each:
  for (int i = 0; i < N_COUNTERS; ++i) {
#pragma HLS UNROLL
    counters[i] = 0;
  }
}

// The classes of iterations add up to the estimate of the cycles (docs/hls.md, "Counters").
inline void sum_cycles(uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
  counters[CNT_CYCLES] = counters[CNT_MAC] + counters[CNT_WEIGHT_WAIT] + counters[CNT_DRAIN] +
                         counters[CNT_GATE] + counters[CNT_COPY] + counters[CNT_IO] +
                         counters[CNT_OVERHEAD];
}

// Each adds an operation's work to the counters and returns its cycles.
inline uint32_t count_conv(const Descriptor& d, const Walk& walk, const ConvWork& work,
                           uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
  counters[CNT_MAC] += work.steps;
  counters[CNT_DRAIN] += work.drain;
  counters[CNT_WEIGHT_WAIT] += work.wait;
  counters[CNT_WEIGHT_BYTES] += work.weight_bytes;
  counters[CNT_READ_BYTES] += work.weight_bytes;
  counters[CNT_CHANNELS_EXECUTED] += walk.n_out;
  counters[CNT_CHANNELS_SKIPPED] += uint32_t(d.cout) - walk.n_out;
  return work.steps + work.drain + work.wait;
}

inline uint32_t count_move(uint32_t bytes, uint32_t cycles, Counter direction,
                           uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
  counters[direction] += bytes;
  counters[CNT_IO] += cycles;
  return cycles;
}

inline uint32_t count_cycles(uint32_t cycles, Counter of, uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
  counters[of] += cycles;
  return cycles;
}

// What of preparing so many descriptors an operation of so many cycles does not hide.
inline uint32_t exposed(uint32_t descriptors, uint32_t cycles) {
#pragma HLS INLINE
  const uint32_t needed = descriptors * T_DESCRIPTOR;
  return cycles < needed ? needed - cycles : 0;
}

inline void count_skipped(const Descriptor& d, uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
  ++counters[CNT_SKIPPED];
  if (d.op == OP_CONV) counters[CNT_CHANNELS_SKIPPED] += d.cout;
}

// The longest of what runs side by side, by class.
inline uint32_t count_beside(uint32_t map, uint32_t gate, const Ahead& ahead,
                             uint32_t counters[N_COUNTERS]) {
#pragma HLS INLINE
  const uint32_t two = map > gate ? map : gate;
  const uint32_t all = two > ahead.cycles ? two : ahead.cycles;
  counters[CNT_COPY] += map;
  counters[CNT_GATE] += two - map;
  counters[CNT_WEIGHT_WAIT] += all - two;
  counters[CNT_WEIGHT_BYTES] += ahead.beats * BEAT_BYTES;
  counters[CNT_READ_BYTES] += ahead.beats * BEAT_BYTES;
  return all;
}

}  // namespace ps

#endif
