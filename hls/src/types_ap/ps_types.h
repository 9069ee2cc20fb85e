// Element types with exact widths: what is synthesised.  types_plain/ps_types.h has the same names
// as plain integers; the sources are the same.
#ifndef PS_TYPES_H
#define PS_TYPES_H

#include <ap_int.h>

#include <cstdint>

namespace ps {

typedef ap_uint<64> beat_t;        // one beat of the AXI4 master
typedef ap_uint<8> byte_t;         // a stored activation, or a score
typedef ap_int<8> weight_t;        // a weight
typedef ap_int<9> pixel_t;         // an activation: int8 or uint8 in 9 bits
typedef ap_int<32> acc_t;          // an accumulator or a pooled sum, wraps
typedef ap_uint<16> multiplier_t;  // of the requantisation
typedef ap_uint<6> shift_t;        // of the requantisation
typedef ap_int<49> scaled_t;       // accumulator times multiplier plus half
typedef ap_int<18> result_t;       // a requantised value, saturated
typedef ap_uint<16> number_t;      // an output of a DENSE: 8 or 16 bits
typedef ap_uint<16> channel_t;     // a channel's number
typedef ap_uint<17> count_t;       // how many
typedef ap_uint<24> stride_t;      // bytes or beats from one to the next
typedef ap_int<16> product_t;      // of a weight and a pixel
typedef ap_int<25> pair_t;         // two weights, 16 bits apart
typedef ap_int<32> pair_product_t; // of both with a pixel

// The lower of a pair's two products.
inline product_t low_half(pair_product_t pair) {
#pragma HLS INLINE
  return product_t(pair);
}

// Byte `index` of a beat, little endian.
inline byte_t get_byte(beat_t beat, int index) {
#pragma HLS INLINE
  return byte_t(beat.range(8 * index + 7, 8 * index));
}

inline void set_byte(beat_t& beat, int index, byte_t value) {
#pragma HLS INLINE
  beat.range(8 * index + 7, 8 * index) = value;
}

// 32-bit word `index` of a beat.
inline uint32_t get_word(beat_t beat, int index) {
#pragma HLS INLINE
  return uint32_t(beat.range(32 * index + 31, 32 * index));
}

inline beat_t two_words(uint32_t low, uint32_t high) {
#pragma HLS INLINE
  beat_t beat = low;
  beat.range(63, 32) = high;
  return beat;
}

}  // namespace ps

#endif
