// Fetch controller: the weights of one group of surviving output channels, and only those of the
// surviving input channels (rtl/ps_weight_request.sv, ps_weight_response.sv, ps_params.sv).
#ifndef PS_FETCH_H
#define PS_FETCH_H

#include "ps_core.h"

namespace ps {

// What a convolution walks: surviving channels and the size of its output map.
struct Walk {
  uint16_t n_in;
  uint16_t n_out;
  uint16_t out_height;
  uint16_t out_width;
};

// Surviving output channels of group `group`: P_OC, or what is left.
inline uint32_t group_rows(const Walk& walk, uint32_t group) {
#pragma HLS INLINE
  const uint32_t left = walk.n_out - group * P_OC;
  return left < P_OC ? left : uint32_t(P_OC);
}

// Fills one half of the weight buffer; returns the bytes read.
uint32_t load_group(const Descriptor& d, const Walk& walk, uint32_t group, const beat_t* weights,
                    const channel_t lists[N_LISTS][MAX_CHANNELS], const byte_t scores[SCORE_DEPTH],
                    beat_t wbuf[P_OC][WBUF_WORDS], Row rows[P_OC]);

}  // namespace ps

#endif
