// The arithmetic of requantisation, once for convolutions, gates and classifiers.
#ifndef PS_ARITHMETIC_H
#define PS_ARITHMETIC_H

#include "ps_core.h"

namespace ps {

// (acc * m + 2^(r-1)) >> r, round half up; saturated to 17 bits, beyond any clamp of a descriptor.
inline result_t requantize(acc_t acc, multiplier_t multiplier, shift_t shift) {
#pragma HLS INLINE
  const scaled_t limit = 1 << 16;
  const scaled_t half = (scaled_t(1) << shift) >> 1;
  const scaled_t product = scaled_t(acc) * multiplier;
  const scaled_t scaled = (product + half) >> shift;
  if (scaled < -limit) return result_t(-limit);
  if (scaled > limit - 1) return result_t(limit - 1);
  return result_t(scaled);
}

inline result_t clamp(result_t value, result_t low, result_t high) {
#pragma HLS INLINE
  const result_t raised = value < low ? low : value;
  return raised > high ? high : raised;
}

// Gate fold: m' = (m * s + 64) >> 7, s in 0..128.
inline multiplier_t fold(multiplier_t multiplier, byte_t score) {
#pragma HLS INLINE
  return multiplier_t((uint32_t(multiplier) * uint32_t(score) + 64) >> 7);
}

// A stored byte as the number it stands for.
inline pixel_t pixel_of(byte_t byte, bool is_signed) {
#pragma HLS INLINE
  const int value = int(byte);
  return pixel_t(is_signed && value >= 128 ? value - 256 : value);
}

inline weight_t weight_of(byte_t byte) {
#pragma HLS INLINE
  return weight_t(pixel_of(byte, true));
}

// Parameters of an output channel (docs/program.md, "Layouts").
inline Row row_of(beat_t beat) {
#pragma HLS INLINE
  Row row;
  row.bias = acc_t(int32_t(get_word(beat, 0)));
  // A shift past MAX_SHIFT leaves nothing of any product.
  const uint32_t shift = (get_word(beat, 1) >> 16) & 0x3F;
  row.multiplier = multiplier_t(shift > MAX_SHIFT ? 0 : get_word(beat, 1) & 0xFFFF);
  row.shift = shift_t(shift > MAX_SHIFT ? MAX_SHIFT : shift);
  row.channel = 0;
  return row;
}

}  // namespace ps

#endif
