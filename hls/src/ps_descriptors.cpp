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

namespace {

// Where prepare_ahead stands.
struct Filling {
  uint32_t index;     // the next descriptor
  bool known;         // those before it are
  uint32_t prepared;
};

void fill(const Cache& cache, const Limits& limits, uint32_t most, Filling& filling, Ready& ready) {
#pragma HLS INLINE
  if (filling.known && !is_ready(ready, filling.index) && filling.prepared < most) {
    ready = prepare(cache, filling.index, limits);
    ++filling.prepared;
  }
  filling.known = filling.known && is_ready(ready, filling.index);
  filling.index = behind(ready);
}

}  // namespace

uint32_t prepare_ahead(const Cache& cache, uint32_t index, const Limits& limits, uint32_t most,
                       Ready ahead[AHEAD]) {
#pragma HLS INLINE off
  Filling filling = {index, true, 0};
  // One by one: each is a call that may get multipliers of its own (hls/multiplications.py).
  static_assert(AHEAD == 5, "as many calls");
  fill(cache, limits, most, filling, ahead[0]);
  fill(cache, limits, most, filling, ahead[1]);
  fill(cache, limits, most, filling, ahead[2]);
  fill(cache, limits, most, filling, ahead[3]);
  fill(cache, limits, most, filling, ahead[4]);
  return filling.prepared;
}

}  // namespace ps
