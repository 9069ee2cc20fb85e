// Convolution: groups of surviving output channels, weights double buffered.
#ifndef PS_CONVOLVE_H
#define PS_CONVOLVE_H

#include "ps_fetch.h"

namespace ps {

// What a convolution moved and did, for the counters.
struct ConvWork {
  uint32_t weight_bytes;
  uint32_t steps;  // of the array
  uint32_t drain;  // iterations in which the array waits for its epilogue
  uint32_t wait;   // beats of weights that no computation hides
};

// `fetch_lists` and `array_lists` hold the same lists: fetch and array read them at the same time.
ConvWork convolve(const Descriptor& d, const Walk& walk, const beat_t* weights,
                  const channel_t fetch_lists[N_LISTS][MAX_CHANNELS],
                  const channel_t array_lists[N_LISTS][MAX_CHANNELS],
                  const byte_t scores[SCORE_DEPTH], byte_t fmem[FMEM_ROWS][FB],
                  acc_t pool[POOL_DEPTH]);

}  // namespace ps

#endif
