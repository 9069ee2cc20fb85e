// Element types as plain integers: the fast C simulation.  types_ap/ps_types.h has the same names
// with exact widths; the sources are the same.
#ifndef PS_TYPES_H
#define PS_TYPES_H

#include <cstdint>

namespace ps {

typedef uint64_t beat_t;        // one beat of the AXI4 master
typedef uint8_t byte_t;         // a stored activation, or a score
typedef int8_t weight_t;        // a weight
typedef int16_t pixel_t;        // an activation: int8 or uint8 in 9 bits
typedef int32_t acc_t;          // an accumulator or a pooled sum, wraps
typedef uint16_t multiplier_t;  // of the requantisation
typedef uint8_t shift_t;        // of the requantisation, 6 bits
typedef int64_t scaled_t;       // accumulator times multiplier plus half: 49 bits
typedef int32_t result_t;       // a requantised value, saturated to 18 bits
typedef uint16_t number_t;      // an output of a DENSE: 8 or 16 bits
typedef uint16_t channel_t;     // a channel's number
typedef uint64_t count_t;       // how many: 17 bits
typedef uint64_t stride_t;      // bytes or beats from one to the next: 24 bits
typedef int16_t product_t;      // of a weight and a pixel
typedef int32_t pair_t;         // two weights, 16 bits apart: 25 bits
typedef int32_t pair_product_t; // of both with a pixel

// The lower of a pair's two products.
inline product_t low_half(pair_product_t pair) { return product_t(uint32_t(pair) & 0xFFFF); }

// Byte `index` of a beat, little endian.
inline byte_t get_byte(beat_t beat, int index) { return byte_t(beat >> (8 * index)); }

inline void set_byte(beat_t& beat, int index, byte_t value) {
  beat &= ~(beat_t(0xFF) << (8 * index));
  beat |= beat_t(value) << (8 * index);
}

// 32-bit word `index` of a beat.
inline uint32_t get_word(beat_t beat, int index) { return uint32_t(beat >> (32 * index)); }

inline beat_t two_words(uint32_t low, uint32_t high) { return beat_t(high) << 32 | low; }

}  // namespace ps

#endif
