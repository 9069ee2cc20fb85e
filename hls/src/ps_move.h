// Data movement: LOAD, GLOAD, STORE, the counter record (rtl/ps_load_store.sv) and COPY
// (rtl/ps_copy.sv).  Every function returns the bytes moved, COPY its iterations.
#ifndef PS_MOVE_H
#define PS_MOVE_H

#include "ps_bus.h"
#include "ps_core.h"
#include "ps_fetch.h"

namespace ps {

// Writes whose answers may be on their way.
constexpr uint32_t WRITES_AHEAD = 4;

// A write does not wait for its answer: what runs behind it reads nothing that was written.  Answers
// are taken when so many are on their way, and at the end of the run.
struct Answers {
  Writes bus;
  uint32_t begun;               // writes
  uint32_t taken;               // answers
  uint32_t due[WRITES_AHEAD];   // cycle of each (an estimate)
};

inline void clear_answers(Answers& answers) {
#pragma HLS INLINE
  answers.begun = 0;
  answers.taken = 0;
}

// Makes room for one more write; the cycles that takes from cycle `now` on (an estimate).
inline uint32_t make_room(write_port_t output, Answers& answers, uint32_t now) {
#pragma HLS INLINE
  if (answers.begun - answers.taken < WRITES_AHEAD) return 0;
  end_write(output, answers.bus);
  const uint32_t wait = answers.due[answers.taken % WRITES_AHEAD] - now;
  ++answers.taken;
  return int32_t(wait) > 0 ? wait : 0;
}

// A write has ended in cycle `now`: its answer is on its way.
inline void expect_answer(Answers& answers, uint32_t now) {
#pragma HLS INLINE
  answers.due[answers.begun % WRITES_AHEAD] = now + T_MEMORY + T_ADAPTER;
  ++answers.begun;
}

// Waits for every answer.
inline void take_answers(write_port_t output, Answers& answers) {
#pragma HLS INLINE
last_answers:
  for (uint32_t i = 0; i < WRITES_AHEAD; ++i) {
#pragma HLS PIPELINE II=1
    if (answers.begun != answers.taken) {
      end_write(output, answers.bus);
      ++answers.taken;
    }
  }
}

// `base`: beats to the image's buffer, or to its record.  While the first beat is on its way, the first
// weights of the convolution behind (`next`) are asked for; `asking`: the cycles of that.
uint32_t load(const Descriptor& d, const Plan& next, read_port_t input, read_port_t weights,
              Reads& reads, uint64_t base, const lists_t fetch_lists, const runs_t runs,
              Fetch& fetch, fmem_t fmem, uint32_t& asking);
uint32_t load_gates(const Descriptor& d, read_port_t weights, Reads& reads, gmem_t gmem);
uint32_t load_table(const Descriptor& d, read_port_t weights, Reads& reads, table_t table);
uint32_t store(const Descriptor& d, const fmem_t fmem, const scores_t scores, write_port_t output,
               Writes& writes, uint64_t base);
void store_counters(const uint32_t counters[N_COUNTERS], write_port_t output, Writes& writes,
                    uint64_t base);
uint32_t copy_planes(const Descriptor& d, fmem_t fmem);

// Cycles of a LOAD or GLOAD, and of a STORE or the record, of so many beats (estimates).
inline uint32_t read_cycles(uint32_t beats, uint32_t asking) {
#pragma HLS INLINE
  return beats + (asking > READ_LATENCY ? asking : READ_LATENCY) + T_LOAD_DEPTH + T_LOOP;
}

inline uint32_t write_cycles(uint32_t beats) {
#pragma HLS INLINE
  return beats + T_STORE_DEPTH + T_LOOP;
}

}  // namespace ps

#endif
