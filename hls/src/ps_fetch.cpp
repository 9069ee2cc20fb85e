#include "ps_fetch.h"

#include "ps_arithmetic.h"

namespace ps {
namespace {

// Parameters of output channel `channel`, its gate score folded in.
Row folded(const Descriptor& d, beat_t beat, uint32_t channel, const byte_t scores[SCORE_DEPTH]) {
#pragma HLS INLINE
  Row row = row_of(beat);
  row.channel = channel_t(channel);
  const uint32_t slot = d.fold_slot + (d.fold_channel ? channel : 0);
  if (d.fold_en) row.multiplier = fold(row.multiplier, scores[slot % SCORE_DEPTH]);
  return row;
}

// Row layout: one burst a surviving output channel.
uint32_t load_rows(const Descriptor& d, const Walk& walk, uint32_t group, const beat_t* weights,
                   const channel_t lists[N_LISTS][MAX_CHANNELS], const byte_t scores[SCORE_DEPTH],
                   beat_t wbuf[P_OC][WBUF_WORDS], Row rows[P_OC]) {
#pragma HLS INLINE
  const uint32_t count = group_rows(walk, group);
  const uint32_t words = d.w_stride / BEAT_BYTES - 1;
each_row:
  for (uint32_t r = 0; r < count; ++r) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=8
    const uint32_t channel = channel_at(lists, d.out_list, group * P_OC + r);
    const uint32_t first = (d.w_addr + channel * d.w_stride) / BEAT_BYTES;
  row_burst:
    for (uint32_t i = 0; i <= words; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=577
      const beat_t beat = weights[first + i];
      if (i == 0) {
        rows[r] = folded(d, beat, channel, scores);
      } else {
        wbuf[r][(i - 1) % WBUF_WORDS] = beat;
      }
    }
  }
  return count * d.w_stride;
}

// The parameters at the head of an interleaved group.
void load_heads(const Descriptor& d, const Walk& walk, uint32_t group, const beat_t* weights,
                uint32_t first, const byte_t scores[SCORE_DEPTH], Row rows[P_OC]) {
#pragma HLS INLINE
  const uint32_t count = group_rows(walk, group);
head_burst:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS PIPELINE II=1
    const beat_t beat = weights[first + r];
    if (r < count) rows[r] = folded(d, beat, group * P_OC + r, scores);
  }
}

// Surviving input channels from `position` on whose numbers are consecutive: one burst.
uint32_t run_length(const Descriptor& d, const Walk& walk, uint32_t position,
                    const channel_t lists[N_LISTS][MAX_CHANNELS]) {
#pragma HLS INLINE
  if (d.in_list == ALL_CHANNELS) return walk.n_in - position;
  uint32_t last = channel_at(lists, d.in_list, position);
  uint32_t count = 1;
merge_run:
  for (uint32_t i = position + 1; i < walk.n_in; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=0 max=1023
    const uint32_t next = channel_at(lists, d.in_list, i);
    if (next != last + 1) break;
    last = next;
    ++count;
  }
  return count;
}

// Interleaved layout: the rows fill side by side, one byte of each at a time, so a row's word is
// collected in a register and written again with each beat that adds to it.
uint32_t load_interleaved(const Descriptor& d, const Walk& walk, uint32_t group,
                          const beat_t* weights, const channel_t lists[N_LISTS][MAX_CHANNELS],
                          const byte_t scores[SCORE_DEPTH], beat_t wbuf[P_OC][WBUF_WORDS],
                          Row rows[P_OC]) {
#pragma HLS INLINE
  const uint32_t chunk = row_taps(d.kernel, false) * P_OC / BEAT_BYTES;  // beats a channel
  const uint32_t base = (d.w_addr + group * d.w_stride) / BEAT_BYTES;
  load_heads(d, walk, group, weights, base, scores, rows);
  beat_t words[P_OC];
#pragma HLS ARRAY_PARTITION variable=words complete
clear_words:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    words[r] = 0;
  }
  uint32_t filled = 0;  // bytes of every row so far
  uint32_t part = 0;    // which BEAT_ROWS rows the beat belongs to
  uint32_t position = 0;
each_run:
  while (position < walk.n_in) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=512
    const uint32_t count = run_length(d, walk, position, lists);
    const uint32_t first = base + P_OC + channel_at(lists, d.in_list, position) * chunk;
  run_burst:
    for (uint32_t i = 0; i < count * chunk; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=4608
      const beat_t beat = weights[first + i];
    deal:
      for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
        if (r / BEAT_ROWS == part) {
        taps:
          for (uint32_t t = 0; t < TAPS_PER_BEAT; ++t) {
#pragma HLS UNROLL
            const byte_t byte = get_byte(beat, t * BEAT_ROWS + r % BEAT_ROWS);
            set_byte(words[r], (filled + t) % BEAT_BYTES, byte);
          }
          wbuf[r][filled / BEAT_BYTES % WBUF_WORDS] = words[r];
        }
      }
      part = (part + 1) % TAP_BEATS;
      if (part == 0) filled += TAPS_PER_BEAT;
    }
    position += count;
  }
  return (P_OC + walk.n_in * chunk) * BEAT_BYTES;
}

}  // namespace

uint32_t load_group(const Descriptor& d, const Walk& walk, uint32_t group, const beat_t* weights,
                    const channel_t lists[N_LISTS][MAX_CHANNELS], const byte_t scores[SCORE_DEPTH],
                    beat_t wbuf[P_OC][WBUF_WORDS], Row rows[P_OC]) {
#pragma HLS INLINE off
  if (d.w_rows) return load_rows(d, walk, group, weights, lists, scores, wbuf, rows);
  return load_interleaved(d, walk, group, weights, lists, scores, wbuf, rows);
}

}  // namespace ps
