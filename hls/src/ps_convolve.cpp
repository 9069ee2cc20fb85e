#include "ps_convolve.h"

#include "ps_array.h"

namespace ps {

ConvWork convolve(const Descriptor& d, const Walk& walk, const beat_t* weights,
                  const channel_t fetch_lists[N_LISTS][MAX_CHANNELS],
                  const channel_t array_lists[N_LISTS][MAX_CHANNELS],
                  const byte_t scores[SCORE_DEPTH], byte_t fmem[FMEM_ROWS][FB],
                  acc_t pool[POOL_DEPTH]) {
#pragma HLS INLINE off
  // The two calls of a branch share no memory, so they run side by side; a limit of one instance
  // keeps the two branches from having an array each.
#pragma HLS ALLOCATION function instances=load_group limit=1
#pragma HLS ALLOCATION function instances=compute_group limit=1
  static beat_t even_wbuf[P_OC][WBUF_WORDS];
#pragma HLS ARRAY_PARTITION variable=even_wbuf complete dim=1
#pragma HLS BIND_STORAGE variable=even_wbuf type=ram_s2p impl=bram
  static beat_t odd_wbuf[P_OC][WBUF_WORDS];
#pragma HLS ARRAY_PARTITION variable=odd_wbuf complete dim=1
#pragma HLS BIND_STORAGE variable=odd_wbuf type=ram_s2p impl=bram
  Row even_rows[P_OC];
#pragma HLS ARRAY_PARTITION variable=even_rows complete
  Row odd_rows[P_OC];
#pragma HLS ARRAY_PARTITION variable=odd_rows complete

  ConvWork work = {0, 0, 0, 0};
  const uint32_t groups = (uint32_t(walk.n_out) + P_OC - 1) / P_OC;
  if (groups == 0) return work;
  work.weight_bytes = load_group(d, walk, 0, weights, fetch_lists, scores, even_wbuf, even_rows);
  work.wait = work.weight_bytes / BEAT_BYTES;
each_group:
  for (uint32_t group = 0; group < groups; ++group) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=128
    const uint32_t next = group + 1;
    const uint32_t rows = group_rows(walk, group);
    uint32_t loaded = 0;
    ArrayWork done;
    if (group % 2 == 0) {
      if (next < groups) {
        loaded = load_group(d, walk, next, weights, fetch_lists, scores, odd_wbuf, odd_rows);
      }
      done = compute_group(d, walk, rows, even_wbuf, even_rows, array_lists, fmem, pool);
    } else {
      if (next < groups) {
        loaded = load_group(d, walk, next, weights, fetch_lists, scores, even_wbuf, even_rows);
      }
      done = compute_group(d, walk, rows, odd_wbuf, odd_rows, array_lists, fmem, pool);
    }
    const uint32_t beats = loaded / BEAT_BYTES;
    work.weight_bytes += loaded;
    work.steps += done.steps;
    work.drain += done.iterations - done.steps;
    if (beats > done.iterations) work.wait += beats - done.iterations;
  }
  return work;
}

}  // namespace ps
