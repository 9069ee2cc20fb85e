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
void deal(beat_t beat, uint32_t half, wbuf_t wbuf, Taker& t) {
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

// The asking half at the beginning of a convolution.
void begin_asking(const Plan& p, bool ahead, Asker& a) {
#pragma HLS INLINE
  a.ahead = ahead;
  a.idle = p.groups == 0;
  a.left = p.groups;
  a.out = 0;
  a.run = 0;
  a.row = 0;
  a.rows = p.first_rows;
  a.last_row = p.first_rows == 1;
  a.last_run = p.n_runs == 1;
  a.head = true;
  a.base = p.base;
}

// The taking half at the beginning of a convolution.
void begin_taking(const Plan& p, bool ahead, Taker& t) {
#pragma HLS INLINE
  t.ahead = ahead;
  t.idle = p.groups == 0;
  t.group = 0;
  t.left = p.n_out;
  t.row = 0;
  t.rows = p.first_rows;
  t.last_row = p.first_rows == 1;
  t.beat = 0;
  t.last_beat = (p.w_rows ? p.stride : p.group_beats) == 1;
  t.part = 0;
  t.filled = 0;
}

// A beat of what was asked for first, if one is due; the burst it belongs to is in hand then.
bool beat_is_due(uint32_t now, const Asker& a, Taker& t) {
#pragma HLS INLINE
  Burst come = a.line[ASK_STAGES - 1];
  come.last = come.beats == 1;
  if (come.valid) {
    t.queue[(t.first + t.count) % MAX_OUTSTANDING] = come;
    ++t.count;
  }
  if (!t.burst.valid && t.count != 0) {
    t.burst = t.queue[t.first % MAX_OUTSTANDING];
    t.first = (t.first + 1) % MAX_OUTSTANDING;
    --t.count;
  }
  return t.burst.valid && int32_t(now - t.burst.due) >= 0;
}

}  // namespace

void clear_fetch(Fetch& f) {
#pragma HLS INLINE
  f.now = 0;
  f.asked = 0;
  f.taken = 0;
  f.done = 0;
  f.held = 0;
  f.full = false;
  f.whole = false;
  begin_asking(no_plan(), false, f.asker);
  begin_taking(no_plan(), false, f.taker);
  f.asker.pending = 0;
  f.taker.first = 0;
  f.taker.count = 0;
  const Burst none = {false, false, 0, 0};
  f.taker.burst = none;
empty_line:
  for (int i = 0; i < ASK_STAGES; ++i) {
#pragma HLS UNROLL
    f.asker.line[i] = none;
  }
empty_words:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    f.taker.words[r] = 0;
  }
}

void start_fetch(const Plan& plan, Fetch& f) {
#pragma HLS INLINE
  if (!f.asker.ahead) begin_asking(plan, false, f.asker);
  if (!f.taker.ahead) begin_taking(plan, false, f.taker);
  f.asker.ahead = false;
  f.taker.ahead = false;
}

void ask_next(const Plan& plan, const Plan& next, read_port_t weights, Reads& reads,
              const lists_t lists, const runs_t runs, Fetch& f) {
#pragma HLS INLINE
  Asker& a = f.asker;
shift_line:
  for (int i = ASK_STAGES - 1; i > 0; --i) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=7 max=7
    a.line[i] = a.line[i - 1];
  }
  a.line[0].valid = false;
  if (a.idle && !a.ahead && next.groups != 0) begin_asking(next, true, a);
  const Plan& p = a.ahead ? next : plan;
  if (a.idle || f.full || a.pending >= MAX_OUTSTANDING) return;

  uint32_t first = a.base;
  uint32_t beats = p.stride;
  bool last = false;  // of the group
  if (p.w_rows) {
    const channel_t id = channel_at(lists, p.out_list, a.out);
    f.ids[f.asked % HALVES][a.row % P_OC] = id;
    first = p.base + uint32_t(span(id, p.stride));
    last = a.last_row;
    a.last_row = a.row + 2 == a.rows;
    ++a.row;
    ++a.out;
  } else if (a.head) {
    beats = p.whole ? p.group_beats : uint32_t(P_OC);
    last = p.one_burst;
    a.head = false;
  } else {
    const Run run = runs[p.in_list % N_LISTS][a.run % MAX_CHANNELS];
    first = a.base + P_OC + uint32_t(span(run.first, p.chunk));
    beats = uint32_t(span(run.count, p.chunk));
    last = a.last_run;
    a.last_run = a.run + 2 == p.n_runs;
    ++a.run;
  }
  ask(weights, reads, first, beats);
  a.line[0].valid = true;
  a.line[0].due = f.now + READ_LATENCY;
  a.line[0].beats = beats;
  ++a.pending;
  if (!last) return;
  ++f.asked;
  f.full = f.held + 1 == HALVES;
  ++f.held;
  a.idle = a.left == 1;
  --a.left;
  a.base += p.stride;
  a.row = 0;
  a.run = 0;
  a.head = true;
  const uint32_t left = uint32_t(p.n_out) - a.out;
  a.rows = rows_of_group(left, P_OC);
  a.last_row = left == 1;
  a.last_run = p.n_runs == 1;
}

uint32_t take_next(const Plan& plan, const Plan& next, read_port_t weights, Reads& reads,
                   const scores_t scores, wbuf_t wbuf, Fetch& f) {
#pragma HLS INLINE
  Taker& t = f.taker;
  if (!beat_is_due(f.now, f.asker, t)) return 0;
  if (t.idle && !t.ahead) begin_taking(next, true, t);
  const Plan& p = t.ahead ? next : plan;
  const beat_t beat = take(weights, reads);
  if (t.burst.last) {
    t.burst.valid = false;
    --f.asker.pending;
  }
  t.burst.last = t.burst.beats == 2;
  --t.burst.beats;
  const uint32_t half = f.taken % HALVES;
  const bool parameters = p.w_rows ? t.beat == 0 : t.beat < P_OC;
  const uint32_t row = p.w_rows ? uint32_t(t.row) : t.beat;
  const uint32_t channel = p.w_rows ? uint32_t(f.ids[half][row % P_OC]) : t.group * P_OC + row;
  if (parameters) {
    if (row < t.rows) f.rows[half][row % P_OC] = folded(p, beat, channel, scores);
  } else if (p.w_rows) {
  row_words:
    for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
      if (r == t.row) wbuf[r][half * WBUF_WORDS + (t.beat - 1) % WBUF_WORDS] = beat;
    }
  } else {
    deal(beat, half, wbuf, t);
  }
  const uint32_t beats = p.w_rows ? p.stride : p.group_beats;
  const bool done = t.last_beat;
  t.last_beat = t.beat + 2 == beats;
  ++t.beat;
  if (!done) return 1;
  t.beat = 0;
  t.last_beat = beats == 1;
  const bool group_done = !p.w_rows || t.last_row;
  t.last_row = t.row + 2 == t.rows;
  ++t.row;
  if (!group_done) return 1;
  f.group_rows[half] = t.rows;
  ++f.taken;
  f.whole = true;
  ++t.group;
  t.idle = t.left == t.rows;
  t.left = uint16_t(t.left - t.rows);
  t.rows = rows_of_group(t.left, P_OC);
  t.last_row = t.left == 1;
  t.row = 0;
  t.part = 0;
  t.filled = 0;
  return 1;
}

uint32_t ask_ahead(const Plan& next, read_port_t weights, Reads& reads, const lists_t lists,
                   const runs_t runs, Fetch& f) {
#pragma HLS INLINE off
  if (next.groups == 0) return 0;
  const Plan none = no_plan();
  begin_asking(next, true, f.asker);
  begin_taking(next, true, f.taker);
ask_loop:
  for (uint32_t i = 0; i < ASK_AHEAD; ++i) {
#pragma HLS PIPELINE II=1
    ask_next(none, next, weights, reads, lists, runs, f);
    ++f.now;
  }
  return ASK_AHEAD + T_FETCH_DEPTH + T_LOOP;
}

Ahead fetch_ahead(const Plan& next, read_port_t weights, Reads& reads, const lists_t lists,
                  const runs_t runs, const scores_t scores, wbuf_t wbuf, Fetch& f) {
#pragma HLS INLINE off
  const Plan none = no_plan();
  const uint32_t before = f.now;
  Ahead did = {0, 0};
  if (next.groups == 0) return did;
  if (!f.asker.ahead) begin_asking(next, true, f.asker);
  if (!f.taker.ahead) begin_taking(next, true, f.taker);
  f.whole = f.taken != f.done;
fetch_loop:
  while (!f.whole) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=8192
    ask_next(none, next, weights, reads, lists, runs, f);
    did.beats += take_next(none, next, weights, reads, scores, wbuf, f);
    ++f.now;
  }
  did.cycles = f.now - before + T_FETCH_DEPTH + T_LOOP;
  return did;
}

}  // namespace ps
