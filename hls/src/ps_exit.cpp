#include "ps_exit.h"

#include "ps_arithmetic.h"

namespace ps {
namespace {

pixel_t logit(const Descriptor& d, const fmem_t fmem, uint32_t address) {
#pragma HLS INLINE
  return pixel_of(fmem[address / WB % FMEM_ROWS][address % WB], d.src_signed);
}

// Entry `distance` (0 .. 255) of the table: four to a beat.
uint32_t entry(const Descriptor& d, const gmem_t gmem, uint32_t distance) {
#pragma HLS INLINE
  const uint32_t at = d.w_addr / BEAT_BYTES + distance / 4;
  const beat_t beat = gmem[at / GATE_BEATS % GMEM_WORDS][at % GATE_BEATS];
  const uint32_t pair = get_word(beat, int(distance / 2 % 2));
  return distance % 2 != 0 ? pair >> 16 : pair & 0xFFFF;
}

}  // namespace

bool exit_taken(const Descriptor& d, const gmem_t gmem, const fmem_t fmem) {
#pragma HLS INLINE off
  const uint32_t logits = d.cin;
  int largest = -128;
  uint32_t sum = 0;
  uint32_t address = d.src;
exit_largest:
  for (uint32_t i = 0; i < logits; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=1024
    const int value = int(logit(d, fmem, address));
    if (value > largest) largest = value;
    address += d.src_stride;
  }
  address = d.src;
exit_sum:
  for (uint32_t i = 0; i < logits; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=1024
    sum += entry(d, gmem, uint32_t(largest - int(logit(d, fmem, address))));
    address += d.src_stride;
  }
  return sum <= d.w_stride;
}

}  // namespace ps
