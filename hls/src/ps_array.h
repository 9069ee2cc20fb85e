// The PE array over one group: loop nest, window, products, epilogue (rtl/ps_conv_ctrl.sv,
// ps_conv_window.sv, ps_array.sv, ps_epilogue.sv).
#ifndef PS_ARRAY_H
#define PS_ARRAY_H

#include "ps_fetch.h"

namespace ps {

// Steps of the array with a product, and iterations in all.
struct ArrayWork {
  uint32_t steps;
  uint32_t iterations;
};

// Computes and writes the whole map of `n_rows` output channels.
ArrayWork compute_group(const Descriptor& d, const Walk& walk, uint32_t n_rows,
                        const beat_t wbuf[P_OC][WBUF_WORDS], const Row rows[P_OC],
                        const channel_t lists[N_LISTS][MAX_CHANNELS], byte_t fmem[FMEM_ROWS][FB],
                        acc_t pool[POOL_DEPTH]);

}  // namespace ps

#endif
