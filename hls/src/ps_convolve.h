// Convolution: one loop in which weights are asked for and taken, the array steps, and the epilogue
// drains, each once an iteration.
#ifndef PS_CONVOLVE_H
#define PS_CONVOLVE_H

#include "ps_bus.h"
#include "ps_core.h"
#include "ps_fetch.h"

namespace ps {

// What a convolution moved and did, for the counters.
struct ConvWork {
  uint32_t weight_bytes;
  uint32_t steps;  // iterations with a product
  uint32_t wait;   // iterations without weights
  uint32_t drain;  // other iterations, and the loop's set-up and stages
};

// `next`: the convolution that follows, if that is known: its first weights are fetched here.
// `fetch_lists` and `array_lists` hold the same lists: fetcher and array read them side by side.
ConvWork convolve(const Descriptor& d, const Walk& walk, const Plan& next, read_port_t weights,
                  Reads& reads, const lists_t fetch_lists, const lists_t array_lists,
                  const runs_t runs, const scores_t scores, wbuf_t wbuf, Fetch& fetch,
                  const table_t table, fmem_t fmem, acc_t pool[POOL_DEPTH]);

}  // namespace ps

#endif
