// Fetch controller: the weights of the groups of surviving output channels, and only those of the
// surviving input channels (rtl/ps_weight_request.sv, ps_weight_response.sv, ps_params.sv).
//
// Two halves that work side by side: `ask_next` asks for one burst an iteration, `take_next` puts one
// beat an iteration into the weight buffer.  Both go on with the convolution after the present one,
// where that is known, so its weights arrive under the present one's steps (ps_convolve.cpp), or
// beside a COPY or POOL (`fetch_ahead`).
#ifndef PS_FETCH_H
#define PS_FETCH_H

#include "ps_arithmetic.h"
#include "ps_bus.h"
#include "ps_core.h"

namespace ps {

// What a convolution walks: surviving channels and the size of its output map.
struct Walk {
  uint16_t n_in;
  uint16_t n_out;
  uint16_t n_runs;  // of the input channels
  OutSize size;
};

// What the fetcher needs of a convolution.
struct Plan {
  bool w_rows;
  bool whole;           // interleaved: every channel's chunk follows the parameters
  bool one_burst;       // interleaved: a group is one, all of it or the parameters alone
  uint8_t in_list;
  uint8_t out_list;
  uint16_t n_out;
  uint16_t n_runs;
  uint16_t groups;
  uint8_t first_rows;   // of the first group
  uint32_t base;        // beats from the weights' beginning
  uint32_t stride;      // beats of a row, or from group to group
  uint32_t chunk;       // beats of an input channel
  uint32_t group_beats; // interleaved: parameters and chunks of a group
  bool fold_en;
  bool fold_channel;
  uint16_t fold_slot;
};

// Iterations from a request to the queue of what is to come: a run's length is read meanwhile.
constexpr int ASK_STAGES = 8;
// Iterations from a request to its first beat, as far as the loop counts on it.
constexpr uint32_t READ_LATENCY = T_MEMORY + T_ADAPTER;
static_assert(READ_LATENCY > ASK_STAGES, "a burst is in the queue before its first beat is due");

// A burst on its way.
struct Burst {
  bool valid;
  bool last;  // its next beat is its last
  uint32_t due;
  uint32_t beats;
};

// Where the asking half stands.
struct Asker {
  bool ahead;      // at the convolution after the present one
  bool idle;       // all groups of it are asked for
  uint16_t left;   // groups that are not
  uint16_t out;  // surviving output channel, row layout
  uint16_t run;  // of the input channels, interleaved layout
  bool last_run; // it is the last: known before it is asked for
  uint8_t row;   // of the group
  uint8_t rows;
  bool last_row;
  bool head;     // the parameters of an interleaved group come first
  uint32_t base; // of the group
  uint8_t pending;  // bursts asked for and not taken
  Burst line[ASK_STAGES];
};

// Where the taking half stands.
struct Taker {
  bool ahead;      // at the convolution after the present one
  bool idle;       // all of it is taken
  uint16_t group;
  uint16_t left;  // output channels that are not taken
  uint8_t row;
  uint8_t rows;    // of the group
  bool last_row;
  uint32_t beat;   // of the row, or of the group
  bool last_beat;  // it is the last of it
  uint32_t part;   // interleaved: which BEAT_ROWS rows the beat belongs to
  uint32_t filled; // bytes of every row so far
  beat_t words[P_OC];
  Burst queue[MAX_OUTSTANDING];
  uint8_t first;  // of the queue
  uint8_t count;
  Burst burst;    // in hand
};

// All of it: the weights, parameters and channels of the groups in the buffer's halves, and the two
// halves' state, which live on from convolution to convolution.  Groups count from the run's
// beginning; group g lies in half g % HALVES.
struct Fetch {
  Asker asker;
  Taker taker;
  uint32_t now;    // iterations, and cycles between loops
  uint32_t asked;  // groups that are asked for
  uint32_t taken;  // groups whose weights are in the buffer
  uint32_t done;   // groups that are written: their half is free again
  uint8_t held;    // halves that are not free: groups asked for, less those written
  bool full;       // all of them
  bool whole;      // a group came to its end since this was cleared
  Row rows[HALVES][P_OC];
  channel_t ids[HALVES][P_OC];
  uint8_t group_rows[HALVES];
};

typedef beat_t wbuf_t[P_OC][HALVES * WBUF_WORDS];

inline uint8_t rows_of_group(uint32_t left, uint32_t most) {
#pragma HLS INLINE
  return uint8_t(left < most ? left : most);
}

inline Plan plan_of(const Descriptor& d, const Walk& walk) {
#pragma HLS INLINE
  Plan p;
  const uint32_t mode = uint32_t(d.split) & 3;
  const uint32_t first = d.w_rows ? P_OC >> (mode < MODES ? mode : MODES - 1) : P_OC;
  p.w_rows = d.w_rows;
  p.whole = d.in_list == ALL_CHANNELS;
  p.one_burst = p.whole || walk.n_runs == 0;
  p.in_list = d.in_list;
  p.out_list = d.out_list;
  p.n_out = walk.n_out;
  p.n_runs = walk.n_runs;
  p.groups = walk.n_out == 0 ? uint16_t(0)
             : walk.n_out <= first
                 ? uint16_t(1)
                 : uint16_t(1 + (uint32_t(walk.n_out) - first + P_OC - 1) / P_OC);
  p.first_rows = rows_of_group(walk.n_out, first);
  p.base = d.w_addr / BEAT_BYTES;
  p.stride = d.w_stride / BEAT_BYTES;
  p.chunk = row_taps(d.kernel, false) * P_OC / BEAT_BYTES;
  p.group_beats = P_OC + uint32_t(span(walk.n_in, p.chunk));
  p.fold_en = d.fold_en;
  p.fold_channel = d.fold_channel;
  p.fold_slot = d.fold_slot;
  return p;
}

// Nothing is on its way: a run begins.
void clear_fetch(Fetch& f);

// The convolution of `plan` begins, the weights of which may be on their way or in the buffer.
void start_fetch(const Plan& plan, Fetch& f);

// Asks for the next burst of this convolution or the `next` one (no groups: not known), if there is
// one, its half of the buffer is free, and few enough are on their way.
void ask_next(const Plan& plan, const Plan& next, read_port_t weights, Reads& reads,
              const lists_t lists, const runs_t runs, Fetch& f);

// Takes the next beat, if it is due; returns how many it took.
uint32_t take_next(const Plan& plan, const Plan& next, read_port_t weights, Reads& reads,
                   const scores_t scores, wbuf_t wbuf, Fetch& f);

// What a fetch beside another operation did.
struct Ahead {
  uint32_t cycles;
  uint32_t beats;
};

// Fetches the first group of the convolution after a COPY or POOL.
Ahead fetch_ahead(const Plan& next, read_port_t weights, Reads& reads, const lists_t lists,
                  const runs_t runs, const scores_t scores, wbuf_t wbuf, Fetch& f);

// Requests that are made beside a LOAD: no more than are still in the line when it begins to move with
// the beats that are taken.
constexpr uint32_t ASK_AHEAD = ASK_STAGES - 1;

// Asks for the first weights of the convolution after a LOAD; returns the cycles (an estimate).
uint32_t ask_ahead(const Plan& next, read_port_t weights, Reads& reads, const lists_t lists,
                   const runs_t runs, Fetch& f);

// The plan of no convolution.
inline Plan no_plan() {
#pragma HLS INLINE
  const Plan none = {false, false, true, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, false, 0};
  return none;
}

}  // namespace ps

#endif
