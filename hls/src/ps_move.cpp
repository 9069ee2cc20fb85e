#include "ps_move.h"

#include "ps_memory.h"

namespace ps {
namespace {

// Bytes of beat `i` of a transfer of `length` bytes.
uint32_t bytes_of_beat(uint32_t length, uint32_t i) {
#pragma HLS INLINE
  const uint32_t left = length - i * BEAT_BYTES;
  return left < BEAT_BYTES ? left : uint32_t(BEAT_BYTES);
}

// Splits a row segment by column parity: even columns to `address`, odd columns one plane further.
// The two halves never meet in a bank, because phase_stride = FB / 2 modulo FB (ps_check.cpp).
void write_halves(byte_t fmem[FMEM_ROWS][FB], uint32_t address, uint32_t phase_stride,
                  const byte_t window[FB], uint32_t count) {
#pragma HLS INLINE
  const uint32_t first = address % FB;
copy_banks:
  for (uint32_t bank = 0; bank < FB; ++bank) {
#pragma HLS UNROLL
    const uint32_t lane = (bank - first) % FB;
    const bool odd = lane >= FB / 2;
    const uint32_t pixel = odd ? 2 * (lane - FB / 2) + 1 : 2 * lane;
    const uint32_t target = odd ? address + phase_stride + (lane - FB / 2) : address + lane;
    if (pixel < count) fmem[target / FB % FMEM_ROWS][bank] = window[pixel];
  }
}

}  // namespace

uint32_t load(const Descriptor& d, const beat_t* input, uint64_t base, byte_t fmem[FMEM_ROWS][FB]) {
#pragma HLS INLINE off
  const uint32_t beats = uint32_t(whole_beats(d.length) / BEAT_BYTES);
  const uint64_t first = base + d.ddr / BEAT_BYTES;
load_burst:
  for (uint32_t i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=32768
#pragma HLS DEPENDENCE variable=fmem type=inter false
    const beat_t beat = input[first + i];
    byte_t window[FB];
#pragma HLS ARRAY_PARTITION variable=window complete
  load_bytes:
    for (int b = 0; b < FB; ++b) {
#pragma HLS UNROLL
      window[b] = get_byte(beat, b % BEAT_BYTES);
    }
    write_window(fmem, d.dst + i * BEAT_BYTES, window, bytes_of_beat(d.length, i));
  }
  return beats * BEAT_BYTES;
}

uint32_t load_gates(const Descriptor& d, const beat_t* weights, beat_t gmem[GMEM_WORDS]) {
#pragma HLS INLINE off
gload_burst:
  for (uint32_t i = 0; i < d.length / BEAT_BYTES; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=4096
    gmem[(d.dst / BEAT_BYTES + i) % GMEM_WORDS] = weights[d.w_addr / BEAT_BYTES + i];
  }
  return d.length;
}

uint32_t store(const Descriptor& d, const byte_t fmem[FMEM_ROWS][FB],
               const byte_t scores[SCORE_DEPTH], beat_t* output, uint64_t base) {
#pragma HLS INLINE off
  const uint32_t beats = uint32_t(whole_beats(d.length) / BEAT_BYTES);
  const uint64_t first = base + d.ddr / BEAT_BYTES;
store_burst:
  for (uint32_t i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=512
    const uint32_t source = d.src + i * BEAT_BYTES;
    const uint32_t count = bytes_of_beat(d.length, i);
    byte_t window[FB];
#pragma HLS ARRAY_PARTITION variable=window complete
    read_window(fmem, source, window);
    beat_t beat = 0;
  store_bytes:
    for (uint32_t b = 0; b < BEAT_BYTES; ++b) {
#pragma HLS UNROLL
      const byte_t byte = d.from_scores ? scores[(source + b) % SCORE_DEPTH] : window[b];
      if (b < count) set_byte(beat, int(b), byte);
    }
    output[first + i] = beat;
  }
  return beats * BEAT_BYTES;
}

void store_counters(const uint32_t counters[N_COUNTERS], beat_t* output, uint64_t base) {
#pragma HLS INLINE off
record_burst:
  for (int i = 0; i < N_COUNTERS / 2; ++i) {
#pragma HLS PIPELINE II=1
    output[base + i] = two_words(counters[2 * i], counters[2 * i + 1]);
  }
}

uint32_t copy_planes(const Descriptor& d, byte_t fmem[FMEM_ROWS][FB]) {
#pragma HLS INLINE off
  const uint32_t out_width = out_size(d).width;
  const uint32_t first = d.variant == 2 ? 1 : 0;
  const uint32_t step = d.variant == 0 ? 1 : 2;
copy_channels:
  for (uint32_t channel = 0; channel < d.cout; ++channel) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=1024
  copy_rows:
    for (uint32_t row = first; row < d.height; row += step) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=1023
      const uint32_t source = d.src + channel * d.src_stride + row * d.width;
      const uint32_t target = d.dst + channel * d.dst_stride + row % 2 * 2 * d.phase_stride +
                              row / 2 * out_width;
    copy_windows:
      for (uint32_t col = 0; col < d.width; col += FB) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=64
        // Source and destination do not overlap (docs/program.md).
#pragma HLS DEPENDENCE variable=fmem type=inter false
        byte_t window[FB];
#pragma HLS ARRAY_PARTITION variable=window complete
        read_window(fmem, source + col, window);
        write_halves(fmem, target + col / 2, d.phase_stride, window, d.width - col);
      }
    }
  }
  const uint32_t rows = (d.height - first + step - 1) / step;
  return uint32_t(d.cout) * rows * ((uint32_t(d.width) + FB - 1) / FB);
}

}  // namespace ps
