#include "ps_exit.h"

#include "ps_arithmetic.h"

namespace ps {
namespace {

// The bytes of the logits one after the other: of int16 the lower one first.
struct Cursor {
  uint32_t address;
  bool second;  // of two
  byte_t low;
};

// One byte; true with the last of a logit, which then is `value`.
bool next_logit(const Descriptor& d, bool wide, const fmem_t fmem, Cursor& at, int& value) {
#pragma HLS INLINE
  const uint32_t address = at.second ? at.address + 1 : at.address;
  const byte_t byte = fmem[address / WB % FMEM_ROWS][address % WB];
  const bool last = !wide || at.second;
  const uint32_t both = uint32_t(byte) << 8 | uint32_t(at.low);
  value = wide ? int(int16_t(both)) : int(pixel_of(byte, d.src_signed));
  at.low = byte;
  at.second = !last;
  if (last) at.address += d.src_stride;
  return last;
}

// The entry of the table for a distance from the largest: of int16 the nearest of every 64.
uint32_t nearest(bool wide, uint32_t distance) {
#pragma HLS INLINE
  if (!wide) return distance;
  const uint32_t at = (distance + (1u << EXIT_WIDE_SHIFT >> 1)) >> EXIT_WIDE_SHIFT;
  return at < uint32_t(EXIT_ENTRIES) ? at : uint32_t(EXIT_ENTRIES - 1);
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
  const bool wide = number_bytes(d) == 2;
  const uint32_t bytes = uint32_t(d.cin) << (wide ? 1 : 0);
  int largest = -32768;
  uint32_t sum = 0;
  int value = 0;
  Cursor first = {d.src, false, 0};
exit_largest:
  for (uint32_t i = 0; i < bytes; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=2048
    if (next_logit(d, wide, fmem, first, value) && value > largest) largest = value;
  }
  Cursor second = {d.src, false, 0};
exit_sum:
  for (uint32_t i = 0; i < bytes; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=2048
    if (!next_logit(d, wide, fmem, second, value)) continue;
    sum += entry(d, gmem, nearest(wide, uint32_t(largest - value)));
  }
  return sum <= d.w_stride;
}

}  // namespace ps
