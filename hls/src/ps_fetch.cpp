#include "ps_fetch.h"

namespace ps {
namespace {

// Parameters of output channel `channel`, its gate score folded in.
Row folded(const Plan& p, beat_t beat, uint32_t channel, const scores_t scores) {
#pragma HLS INLINE
  Row row = row_of(beat);
  row.channel = channel_t(channel);
  const uint32_t slot = p.fold_slot + (p.fold_channel ? channel : 0);
  if (p.fold_en) row.multiplier = fold(row.multiplier, score_at(scores, slot));
  return row;
}

// One beat of interleaved weights: the rows fill side by side, so a row's word is collected in a
// register and written again with each beat that adds to it.
void deal(beat_t beat, uint32_t half, beat_t wbuf[P_OC][HALVES * WBUF_WORDS], Taker& t) {
#pragma HLS INLINE
deal_rows:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    if (r / BEAT_ROWS == t.part) {
    taps:
      for (uint32_t i = 0; i < TAPS_PER_BEAT; ++i) {
#pragma HLS UNROLL
        const byte_t byte = get_byte(beat, i * BEAT_ROWS + r % BEAT_ROWS);
        set_byte(t.words[r], (t.filled + i) % BEAT_BYTES, byte);
      }
      wbuf[r][half * WBUF_WORDS + t.filled / BEAT_BYTES % WBUF_WORDS] = t.words[r];
    }
  }
  t.part = (t.part + 1) % TAP_BEATS;
  if (t.part == 0) t.filled += TAPS_PER_BEAT;
}

}  // namespace

void start_fetch(const Plan& p, Asker& a, Taker& t) {
#pragma HLS INLINE
  a.group = 0;
  a.out = 0;
  a.run = 0;
  a.row = 0;
  a.rows = p.first_rows;
  a.head = true;
  a.base = p.base;
  a.pending = 0;
  t.group = 0;
  t.left = p.n_out;
  t.row = 0;
  t.rows = p.first_rows;
  t.beat = 0;
  t.part = 0;
  t.filled = 0;
  t.beats = 0;
  t.first = 0;
  t.count = 0;
  t.burst.valid = false;
  t.burst.due = 0;
  t.burst.beats = 0;
empty_line:
  for (int i = 0; i < ASK_STAGES; ++i) {
#pragma HLS UNROLL
    a.line[i].valid = false;
    a.line[i].due = 0;
    a.line[i].beats = 0;
  }
empty_words:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    t.words[r] = 0;
  }
}

void ask_next(const Plan& p, uint32_t now, uint32_t done, read_port_t weights, Reads& reads,
              const lists_t lists, const runs_t runs, channel_t ids[HALVES][P_OC], Asker& a) {
#pragma HLS INLINE
shift_line:
  for (int i = ASK_STAGES - 1; i > 0; --i) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=3 max=3
    a.line[i] = a.line[i - 1];
  }
  a.line[0].valid = false;
  if (a.group >= p.groups || a.group >= done + HALVES || a.pending >= MAX_OUTSTANDING) return;

  uint32_t first = a.base;
  uint32_t beats = p.stride;
  bool last = false;  // of the group
  if (p.w_rows) {
    const channel_t id = channel_at(lists, p.out_list, a.out);
    ids[a.group % HALVES][a.row % P_OC] = id;
    first = p.base + uint32_t(span(id, p.stride));
    last = a.row + 1 == a.rows;
    ++a.row;
    ++a.out;
  } else if (a.head) {
    const bool whole = p.in_list == ALL_CHANNELS;  // the chunks follow the parameters
    beats = whole ? p.group_beats : uint32_t(P_OC);
    last = whole || p.n_runs == 0;
    a.head = false;
  } else {
    const Run run = runs[p.in_list % N_LISTS][a.run % MAX_CHANNELS];
    first = a.base + P_OC + uint32_t(span(run.first, p.chunk));
    beats = uint32_t(span(run.count, p.chunk));
    ++a.run;
    last = a.run == p.n_runs;
  }
  ask(weights, reads, first, beats);
  a.line[0].valid = true;
  a.line[0].due = now + READ_LATENCY;
  a.line[0].beats = beats;
  ++a.pending;
  if (!last) return;
  ++a.group;
  a.base += p.stride;
  a.row = 0;
  a.run = 0;
  a.head = true;
  const uint32_t left = uint32_t(p.n_out) - a.out;
  a.rows = rows_of_group(left, P_OC);
}

bool take_next(const Plan& p, uint32_t now, read_port_t weights, Reads& reads,
               const scores_t scores, const channel_t ids[HALVES][P_OC],
               beat_t wbuf[P_OC][HALVES * WBUF_WORDS], Row rows[HALVES][P_OC], Asker& a,
               Taker& t) {
#pragma HLS INLINE
  const Burst come = a.line[ASK_STAGES - 1];
  if (come.valid) {
    t.queue[(t.first + t.count) % MAX_OUTSTANDING] = come;
    ++t.count;
  }
  if (!t.burst.valid && t.count != 0) {
    t.burst = t.queue[t.first % MAX_OUTSTANDING];
    t.first = (t.first + 1) % MAX_OUTSTANDING;
    --t.count;
  }
  if (!t.burst.valid || now < t.burst.due) return false;

  const beat_t beat = take(weights, reads);
  ++t.beats;
  --t.burst.beats;
  if (t.burst.beats == 0) {
    t.burst.valid = false;
    --a.pending;
  }
  const uint32_t half = t.group % HALVES;
  const bool parameters = p.w_rows ? t.beat == 0 : t.beat < P_OC;
  const uint32_t row = p.w_rows ? uint32_t(t.row) : t.beat;
  const uint32_t channel = p.w_rows ? uint32_t(ids[half][row % P_OC]) : t.group * P_OC + row;
  if (parameters) {
    if (row < t.rows) rows[half][row % P_OC] = folded(p, beat, channel, scores);
  } else if (p.w_rows) {
  row_words:
    for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
      if (r == t.row) wbuf[r][half * WBUF_WORDS + (t.beat - 1) % WBUF_WORDS] = beat;
    }
  } else {
    deal(beat, half, wbuf, t);
  }
  ++t.beat;
  if (t.beat != (p.w_rows ? p.stride : p.group_beats)) return false;
  t.beat = 0;
  ++t.row;
  if (p.w_rows && t.row != t.rows) return false;
  ++t.group;
  t.left = uint16_t(t.left - t.rows);
  t.rows = rows_of_group(t.left, P_OC);
  t.row = 0;
  t.part = 0;
  t.filled = 0;
  return true;
}

}  // namespace ps
