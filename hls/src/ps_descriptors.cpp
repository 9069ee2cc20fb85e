#include "ps_descriptors.h"

#include "ps_check.h"

namespace ps {

uint32_t read_block(read_port_t program, Reads& reads, uint32_t index, uint32_t count,
                    Cache& cache) {
#pragma HLS INLINE off
  const uint32_t block = index / BLOCK;
  const uint32_t at = block % CACHED;
  const uint32_t left = count - block * BLOCK;
  const uint32_t beats = (left < BLOCK ? left : BLOCK) * DESCRIPTOR_BEATS;
  ask(program, reads, uint64_t(block) * BLOCK * DESCRIPTOR_BEATS, beats);
fetch_block:
  for (uint32_t i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=8 max=128
    cache.beats[at * BLOCK + i / DESCRIPTOR_BEATS][i % DESCRIPTOR_BEATS] = take(program, reads);
  }
  cache.valid[at] = true;
  cache.block[at] = block;
  return beats;
}

Ready prepare(const Cache& cache, uint32_t index, const Limits& limits) {
#pragma HLS INLINE off
  uint32_t words[DESCRIPTOR_WORDS];
#pragma HLS ARRAY_PARTITION variable=words complete
fetch_words:
  for (uint32_t i = 0; i < DESCRIPTOR_BEATS; ++i) {
#pragma HLS UNROLL
    const beat_t beat = cache.beats[index % (CACHED * BLOCK)][i];
    words[2 * i] = get_word(beat, 0);
    words[2 * i + 1] = get_word(beat, 1);
  }
  Ready ready;
  ready.valid = index < limits.n_descriptors && cached(cache, index);
  ready.index = index;
  ready.d = decode(words);
  ready.code = check(ready.d, limits, index);
  return ready;
}

uint32_t prepare_two(const Cache& cache, uint32_t index, const Limits& limits, Ready& ready,
                     Ready& next) {
#pragma HLS INLINE off
  const bool known = is_ready(next, index);
  ready = known ? next : prepare(cache, index, limits);
  next = prepare(cache, index + 1, limits);
  return known ? 1 : 2;
}

}  // namespace ps
