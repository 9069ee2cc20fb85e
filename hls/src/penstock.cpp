// Interfaces, memories and sequencer: runs descriptors in order (rtl/ps_sequencer.sv).
#include "penstock.h"

#include "ps_convolve.h"
#include "ps_core.h"
#include "ps_counters.h"
#include "ps_descriptors.h"
#include "ps_exit.h"
#include "ps_gate.h"
#include "ps_move.h"
#include "ps_pool.h"

namespace ps {
namespace {

// A list that may name a channel the descriptor does not have.
bool beyond(uint8_t list, uint16_t channels, const ListSize sizes[N_LISTS]) {
#pragma HLS INLINE
  return list != ALL_CHANNELS && sizes[list % N_LISTS].bound > channels;
}

// The channels a convolution walks; a skipped one walks no input.
Walk walk_of(const Descriptor& d, bool skip, const ListSize sizes[N_LISTS]) {
#pragma HLS INLINE
  Walk walk;
  walk.n_in = d.in_list == ALL_CHANNELS ? d.cin : sizes[d.in_list % N_LISTS].count;
  walk.n_runs = d.in_list == ALL_CHANNELS ? uint16_t(1) : sizes[d.in_list % N_LISTS].runs;
  if (depthwise(d)) walk.n_in = 1;
  if (skip) {
    walk.n_in = 0;
    walk.n_runs = 0;
  }
  walk.n_out = d.out_list == ALL_CHANNELS ? d.cout : sizes[d.out_list % N_LISTS].count;
  walk.size = out_size(d);
  return walk;
}

void clear_lists(ListSize sizes[N_LISTS]) {
#pragma HLS INLINE
clear_sizes:
  for (int i = 0; i < N_LISTS; ++i) {
#pragma HLS UNROLL
    sizes[i].count = 0;
    sizes[i].runs = 0;
    sizes[i].last = 0;
    sizes[i].bound = 0;
  }
}

// A predicate says that the descriptor does not run.
bool skips(const Descriptor& d, const scores_t scores) {
#pragma HLS INLINE
  return d.pred_en && (score_at(scores, d.pred_slot) == 0) != bool(d.pred_not);
}

// It is left out as a whole; a convolution may run on no input instead.
bool left_out(const Descriptor& d, bool skip) {
#pragma HLS INLINE
  return skip && !(d.op == OP_CONV && d.pred_empty);
}

// Why a descriptor may not run: an illegal field or range, a list longer than its map, a table that
// nothing has loaded.
uint32_t begin(const Ready& ready, bool skip, const ListSize sizes[N_LISTS], bool loaded) {
#pragma HLS INLINE
  const Descriptor& d = ready.d;
  const uint32_t code = ready.code;
  if (code != ERR_NONE || d.op != OP_CONV || (skip && !d.pred_empty)) return code;
  const bool bad_input = !skip && beyond(d.in_list, d.cin, sizes);
  const bool no_table = by_table(d) && !loaded;
  return bad_input || beyond(d.out_list, d.cout, sizes) || no_table ? ERR_BOUNDS : ERR_NONE;
}

// Where images and records are: beats from the beginning of their buffers.
struct Buffers {
  uint64_t in;
  uint64_t out;
};

// COPY or POOL; the cycles (an estimate), none for other operations.
uint32_t run_map(const Descriptor& d, fmem_t fmem) {
#pragma HLS INLINE off
  if (d.op == OP_COPY) return copy_planes(d, fmem);
  return d.op == OP_POOL ? pool_windows(d, fmem) : 0;
}

// What an operation knows of those behind it.
struct After {
  bool gate;     // a GATE that may run beside a COPY or POOL
  Descriptor d;  // the GATE
  Plan plan;     // of a convolution whose weights may be fetched: no groups if there is none
};

// What may run beside an operation of `d`: nothing that changes what `next` reads.
After after_of(const Descriptor& d, const Ready& next, bool known, const scores_t scores,
               const ListSize sizes[N_LISTS], bool loaded) {
#pragma HLS INLINE
  const bool skip = skips(next.d, scores);
  const bool runs = known && begin(next, skip, sizes, loaded) == ERR_NONE;
  After after = {false, next.d, no_plan()};
  after.gate = runs && next.d.op == OP_GATE && (d.op == OP_COPY || d.op == OP_POOL);
  if (runs && next.d.op == OP_CONV) after.plan = plan_of(next.d, walk_of(next.d, skip, sizes));
  return after;
}

// What ran beside a COPY or POOL.
struct Beside {
  uint32_t gate;  // cycles of a GATE or DENSE
  Ahead ahead;
};

// A GATE or DENSE, or the first weights of the convolution behind, never both.  One call, because it
// shares no memory with a COPY or POOL, as these two do with each other.
Beside run_beside(const Descriptor& d, bool gate, const Plan& next, read_port_t weights,
                  Reads& reads, const gmem_t gmem, scores_t scores, const acc_t pool[POOL_DEPTH],
                  lists_t fetch_lists, lists_t array_lists, runs_t runs, ListSize sizes[N_LISTS],
                  dense_t dense, wbuf_t wbuf, Fetch& fetch) {
#pragma HLS INLINE off
  Beside did = {0, {0, 0}};
  if (gate) {
    did.gate = run_gate(d, gmem, pool, scores, fetch_lists, array_lists, runs, sizes, dense);
  } else {
    did.ahead = fetch_ahead(next, weights, reads, fetch_lists, runs, scores, wbuf, fetch);
  }
  return did;
}

// Runs any operation but HALT, and what may run beside it; returns the cycles (an estimate).
// `taken`: an early exit.
uint32_t execute(const Descriptor& d, bool skip, const After& after, const Buffers& at,
                 read_port_t weights, read_port_t input, write_port_t output, Reads& reads,
                 fmem_t fmem, gmem_t gmem, scores_t scores, acc_t pool[POOL_DEPTH],
                 lists_t fetch_lists, lists_t array_lists, runs_t runs, ListSize sizes[N_LISTS],
                 table_t table, wbuf_t wbuf, Fetch& fetch, Answers& answers,
                 uint32_t counters[N_COUNTERS], bool& taken) {
#pragma HLS INLINE off
  static dense_t dense;
#pragma HLS BIND_STORAGE variable=dense type=ram_s2p impl=bram
  taken = false;
  switch (d.op) {
    case OP_LOAD: {
      uint32_t asking = 0;
      const uint32_t bytes = load(d, after.plan, input, weights, reads, at.in, fetch_lists, runs,
                                  fetch, fmem, asking);
      return count_move(bytes, read_cycles(bytes / BEAT_BYTES, asking), CNT_READ_BYTES, counters);
    }
    case OP_GLOAD: {
      const uint32_t bytes = loads_table(d) ? load_table(d, weights, reads, table)
                                            : load_gates(d, weights, reads, gmem);
      return count_move(bytes, read_cycles(bytes / BEAT_BYTES, 0), CNT_READ_BYTES, counters);
    }
    case OP_STORE: {
      const uint32_t wait = make_room(output, answers, fetch.now);
      const uint32_t bytes = store(d, fmem, scores, output, answers.bus, at.out);
      const uint32_t cycles = wait + write_cycles(bytes / BEAT_BYTES);
      expect_answer(answers, fetch.now + cycles);
      return count_move(bytes, cycles, CNT_WRITE_BYTES, counters);
    }
    case OP_CONV: {
      const Walk walk = walk_of(d, skip, sizes);
      fetch.now += T_SETUP;  // bursts on their way come nearer meanwhile
      const ConvWork work = convolve(d, walk, after.plan, weights, reads, fetch_lists, array_lists,
                                     runs, scores, wbuf, fetch, table, fmem, pool);
      return count_conv(d, walk, work, counters);
    }
    case OP_EXIT_IF:
      taken = exit_taken(d, gmem, fmem);
      return count_cycles(exit_cycles(d), CNT_GATE, counters);
    default: {  // COPY, POOL, GATE, DENSE
      // Two calls that share no memory: they run side by side.
      const bool gate = after.gate || d.op == OP_GATE || d.op == OP_DENSE;
      const Descriptor g = after.gate ? after.d : d;
      const uint32_t map_cycles = run_map(d, fmem);
      const Beside beside =
          run_beside(g, gate, after.plan, weights, reads, gmem, scores, pool, fetch_lists,
                     array_lists, runs, sizes, dense, wbuf, fetch);
      const uint32_t cycles = count_beside(map_cycles, beside.gate, beside.ahead, counters);
      if (d.op != OP_DENSE) return cycles;
      return cycles + count_cycles(store_dense(d, dense, fmem), CNT_GATE, counters);
    }
  }
}

}  // namespace
}  // namespace ps

void penstock(ps::read_port_t program, ps::read_port_t weights, ps::read_port_t input,
              ps::write_port_t output, uint32_t n_descriptors, uint32_t n_images, uint32_t input_stride,
              uint32_t output_stride, uint32_t weight_bytes, uint32_t config_hash, uint32_t* error,
              uint32_t* position, uint32_t* image) {
  using namespace ps;
#pragma HLS INTERFACE m_axi port=program offset=slave bundle=gmem depth=PROGRAM_BEATS max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=MAX_OUTSTANDING num_write_outstanding=WRITES_AHEAD
#pragma HLS INTERFACE m_axi port=weights offset=slave bundle=gmem depth=WEIGHTS_BEATS max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=MAX_OUTSTANDING num_write_outstanding=WRITES_AHEAD
#pragma HLS INTERFACE m_axi port=input offset=slave bundle=gmem depth=INPUT_BEATS max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=MAX_OUTSTANDING num_write_outstanding=WRITES_AHEAD
#pragma HLS INTERFACE m_axi port=output offset=slave bundle=gmem depth=OUTPUT_BEATS max_read_burst_length=16 max_write_burst_length=16 num_read_outstanding=MAX_OUTSTANDING num_write_outstanding=WRITES_AHEAD
#pragma HLS INTERFACE s_axilite port=program bundle=control
#pragma HLS INTERFACE s_axilite port=weights bundle=control
#pragma HLS INTERFACE s_axilite port=input bundle=control
#pragma HLS INTERFACE s_axilite port=output bundle=control
#pragma HLS INTERFACE s_axilite port=n_descriptors bundle=control
#pragma HLS INTERFACE s_axilite port=n_images bundle=control
#pragma HLS INTERFACE s_axilite port=input_stride bundle=control
#pragma HLS INTERFACE s_axilite port=output_stride bundle=control
#pragma HLS INTERFACE s_axilite port=weight_bytes bundle=control
#pragma HLS INTERFACE s_axilite port=config_hash bundle=control
#pragma HLS INTERFACE s_axilite port=error bundle=control
#pragma HLS INTERFACE s_axilite port=position bundle=control
#pragma HLS INTERFACE s_axilite port=image bundle=control
#pragma HLS INTERFACE s_axilite port=return bundle=control
  static fmem_t fmem;
#pragma HLS ARRAY_PARTITION variable=fmem complete dim=2
#pragma HLS BIND_STORAGE variable=fmem type=ram_s2p impl=bram
  static gmem_t gmem;
#pragma HLS ARRAY_PARTITION variable=gmem complete dim=2
#pragma HLS BIND_STORAGE variable=gmem type=ram_s2p impl=bram
  static scores_t scores;
#pragma HLS ARRAY_PARTITION variable=scores complete dim=2
#pragma HLS BIND_STORAGE variable=scores type=ram_s2p impl=bram
  static acc_t pool[POOL_DEPTH];
#pragma HLS BIND_STORAGE variable=pool type=ram_s2p impl=bram
  static table_t table;
#pragma HLS ARRAY_PARTITION variable=table complete dim=1
#pragma HLS BIND_STORAGE variable=table type=ram_s2p impl=lutram
  static lists_t fetch_lists;
#pragma HLS BIND_STORAGE variable=fetch_lists type=ram_s2p impl=bram
  static lists_t array_lists;
#pragma HLS BIND_STORAGE variable=array_lists type=ram_s2p impl=bram
  static runs_t runs;
#pragma HLS BIND_STORAGE variable=runs type=ram_s2p impl=bram
  static Cache cache;
#pragma HLS ARRAY_PARTITION variable=cache.block complete
#pragma HLS ARRAY_PARTITION variable=cache.valid complete
#pragma HLS ARRAY_PARTITION variable=cache.beats complete dim=2
#pragma HLS BIND_STORAGE variable=cache.beats type=ram_s2p impl=bram
  static wbuf_t wbuf;
#pragma HLS ARRAY_PARTITION variable=wbuf complete dim=1
#pragma HLS BIND_STORAGE variable=wbuf type=ram_s2p impl=bram
  static Fetch fetch;
#pragma HLS ARRAY_PARTITION variable=fetch.rows complete dim=0
#pragma HLS ARRAY_PARTITION variable=fetch.ids complete dim=0
#pragma HLS ARRAY_PARTITION variable=fetch.group_rows complete
#pragma HLS ARRAY_PARTITION variable=fetch.asker.line complete
#pragma HLS ARRAY_PARTITION variable=fetch.taker.words complete
#pragma HLS ARRAY_PARTITION variable=fetch.taker.queue complete
  Reads reads;
  Answers answers;
#pragma HLS ARRAY_PARTITION variable=answers.due complete
  ListSize sizes[N_LISTS];
#pragma HLS ARRAY_PARTITION variable=sizes complete
  uint32_t counters[N_COUNTERS];
#pragma HLS ARRAY_PARTITION variable=counters complete

  const Limits limits = {n_descriptors, input_stride, output_stride, weight_bytes};
  uint32_t at = 0;  // image
  Buffers buffers = {0, 0};
  uint32_t pc = 0;
  uint32_t code = ERR_NONE;
  bool running = true;
  bool loaded = false;  // a table of activations
  clear_counters(counters);
  clear_lists(sizes);
  clear_cache(cache);
  clear_reads(reads);
  clear_answers(answers);
  clear_fetch(fetch);
  if (config_hash != CONFIG_HASH) {
    code = ERR_CONFIG;
  } else if (n_images == 0 || input_stride % BEAT_BYTES != 0 || output_stride % BEAT_BYTES != 0) {
    code = ERR_FIELD;
  }

  Ready ready = Ready();  // the descriptor in turn
  Ready ahead[AHEAD];     // those behind it, as far as they are known
#pragma HLS ARRAY_PARTITION variable=ahead complete
clear_ahead:
  for (uint32_t i = 0; i < AHEAD; ++i) {
#pragma HLS UNROLL
    ahead[i] = Ready();
  }

each_descriptor:
  while (running && code == ERR_NONE) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=4096
    if (pc >= n_descriptors) {
      code = ERR_PROGRAM_END;
      break;
    }
    ready = ahead[0];
    move_ahead(ahead);
    if (!is_ready(ready, pc)) {
      if (!cached(cache, pc)) {
        const uint32_t beats = read_block(program, reads, pc, n_descriptors, cache);
        counters[CNT_READ_BYTES] += beats * BEAT_BYTES;
        counters[CNT_OVERHEAD] += read_cycles(beats, 0);
      }
      ready = prepare(cache, pc, limits);
      counters[CNT_OVERHEAD] += T_DESCRIPTOR;
    }
    const Descriptor d = ready.d;
    const bool skip = skips(d, scores);
    code = begin(ready, skip, sizes, loaded);
    counters[CNT_OVERHEAD] += T_DISPATCH;
    if (code != ERR_NONE) break;
    if (left_out(d, skip)) {
      count_skipped(d, counters);
      ++pc;
      continue;
    }
    ++counters[CNT_EXECUTED];
    if (loads_table(d)) loaded = true;
    if (d.op == OP_HALT) {
      counters[CNT_EXIT] = pc;
      sum_cycles(counters);
      running = at + 1 != n_images;
      pc = running ? d.length : pc;
      const uint32_t wait = make_room(output, answers, fetch.now);
      store_counters(counters, output, answers.bus, buffers.out);
      clear_counters(counters);
      // The record is written after its counters are taken: its time is the next image's.
      counters[CNT_IO] = wait + write_cycles(N_COUNTERS / 2);
      fetch.now += counters[CNT_IO] + T_DISPATCH;
      expect_answer(answers, fetch.now);
      if (running) {
        ++at;
        buffers.in += input_stride / BEAT_BYTES;
        buffers.out += output_stride / BEAT_BYTES;
      }
      continue;
    }
    // Where scores stay as they are, what is left out behind the operation is known before it.
    const bool steady =
        d.op == OP_CONV || d.op == OP_COPY || d.op == OP_POOL || d.op == OP_LOAD;
    uint32_t following = pc + 1;
  look_ahead:
    while (steady && is_ready(ahead[0], following) && ahead[0].code == ERR_NONE &&
           left_out(ahead[0].d, skips(ahead[0].d, scores))) {
#pragma HLS LOOP_TRIPCOUNT min=0 max=5
      count_skipped(ahead[0].d, counters);
      ++following;
      counters[CNT_OVERHEAD] += T_DISPATCH;
      move_ahead(ahead);
    }
    const bool known = is_ready(ahead[0], following);
    const After after = after_of(d, ahead[0], steady && known, scores, sizes, loaded);
    if (after.gate) {
      ++counters[CNT_EXECUTED];
      ++following;
      move_ahead(ahead);
    }
    // The two calls share no memory: they run side by side.
    const uint32_t before = fetch.now;
    bool taken = false;
    const uint32_t prepared =
        prepare_ahead(cache, following, limits, most_prepared(d, known), ahead);
    const uint32_t cycles =
        execute(d, skip, after, buffers, weights, input, output, reads, fmem, gmem, scores, pool,
                fetch_lists, array_lists, runs, sizes, table, wbuf, fetch, answers, counters,
                taken);
    counters[CNT_OVERHEAD] += exposed(prepared, cycles);
    fetch.now = before + cycles + T_DISPATCH;
    pc = taken ? d.length : following;
  }
  take_answers(output, answers);
  *error = code;
  *position = pc;
  *image = at;
}
