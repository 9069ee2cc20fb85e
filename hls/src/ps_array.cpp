#include "ps_array.h"

namespace ps {
namespace {

// Physical row s works as row s % R of the pass on block s / R of the window, R = P_oc >> mode.  In
// each shape both are constants of s: a multiplexer has as many inputs as there are shapes.
void operands(const Tile& tile, const weight_t group[P_OC], const pixel_t pixels[WB],
              weight_t weights[P_OC], pixel_t lanes[P_OC][P_PX]) {
#pragma HLS INLINE
shapes:
  for (uint32_t mode = 0; mode < MODES; ++mode) {
#pragma HLS UNROLL
    if (tile.mode != mode) continue;
  shape_rows:
    for (uint32_t s = 0; s < P_OC; ++s) {
#pragma HLS UNROLL
      const uint32_t block = (s << mode) / P_OC;
      weights[s] = group[(tile.lane + (s & ((P_OC >> mode) - 1))) % P_OC];
    shape_lanes:
      for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
        lanes[s][i] = pixels[block * P_PX + i];
      }
    }
  }
}

// A product of each of two weights with one pixel, in one multiplier.
void pair_products(weight_t low, weight_t high, pixel_t pixel, product_t& low_product,
                   product_t& high_product) {
#pragma HLS INLINE
  const pair_t both = pair_t(pair_t(high) * 65536 + low);
  const pair_product_t pair_product = pair_product_t(both * pixel);
#pragma HLS BIND_OP variable=pair_product op=mul impl=dsp
  low_product = low_half(pair_product);
  high_product = product_t((pair_product - low_product) >> 16);
}

}  // namespace

void accumulate(const Tile& tile, bool first, bool last, uint32_t address,
                const beat_t wbuf[P_OC][HALVES * WBUF_WORDS], const pixel_t pixels[WB], sums_t acc,
                sums_t shadow) {
#pragma HLS INLINE
  const uint32_t word = tile.half * WBUF_WORDS + address / BEAT_BYTES % WBUF_WORDS;
  weight_t group[P_OC];
#pragma HLS ARRAY_PARTITION variable=group complete
  weight_t weights[P_OC];
#pragma HLS ARRAY_PARTITION variable=weights complete
  pixel_t lanes[P_OC][P_PX];
#pragma HLS ARRAY_PARTITION variable=lanes complete dim=0
weight_rows:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    group[r] = weight_of(get_byte(wbuf[r][word], int(address % BEAT_BYTES)));
  }
  operands(tile, group, pixels, weights, lanes);
array_rows:
  for (uint32_t s = 0; s < P_OC; s += MACS_PER_DSP) {
#pragma HLS UNROLL
    // Rows of a pair work on the same block: a pass has two rows at least where they are packed.
    product_t products[MACS_PER_DSP][P_PX];
#pragma HLS ARRAY_PARTITION variable=products complete dim=0
  multiply:
    for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
      if (MACS_PER_DSP == 2) {
        const uint32_t last_of_pair = (s + 1) % P_OC;
        pair_products(weights[s], weights[last_of_pair], lanes[s][i], products[0][i],
                      products[MACS_PER_DSP - 1][i]);
      } else {
        const product_t array_product = product_t(weights[s] * lanes[s][i]);
#pragma HLS BIND_OP variable=array_product op=mul impl=dsp
        products[0][i] = array_product;
      }
    }
  sum_rows:
    for (uint32_t k = 0; k < MACS_PER_DSP; ++k) {
#pragma HLS UNROLL
    sum_lanes:
      for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
        const acc_t before = first ? acc_t(0) : acc[s + k][i];
        acc[s + k][i] = acc_t(before + products[k][i]);
      }
    }
  }
  if (!last) return;
shadow_rows:
  for (uint32_t s = 0; s < P_OC; ++s) {
#pragma HLS UNROLL
  shadow_lanes:
    for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
      shadow[s][i] = acc[s][i];
    }
  }
}

}  // namespace ps
