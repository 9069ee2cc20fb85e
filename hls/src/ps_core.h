// What the units share: sizes derived from the configuration, and the small structures between them.
#ifndef PS_CORE_H
#define PS_CORE_H

#include <cstdint>

#include "ps_config.h"
#include "ps_types.h"

namespace ps {

constexpr bool power_of_two(int value) { return value > 0 && (value & (value - 1)) == 0; }

static_assert(power_of_two(P_OC) && power_of_two(P_PX), "the array's sides are powers of two");
static_assert(P_OC <= 2 * BEAT_BYTES, "a tap's weights come in at most two beats");
static_assert(BEAT_BYTES == 8 && sizeof(beat_t) == 8, "the master is 64 bits wide");

static_assert(power_of_two(FB) && FB >= P_PX && FB >= BEAT_BYTES, "banks hold a window or a beat");
static_assert(power_of_two(WB) && WB % FB == 0 && WB >= P_PX << (MODES - 1), "the widest window");
constexpr int FMEM_ROWS = FMEM_BYTES / WB;  // bytes of a bank
constexpr int SECTIONS = WB / FB;           // of FB banks
constexpr int BLOCKS = WB / P_PX;           // of P_PX lanes, in the widest window
static_assert(power_of_two(FMEM_ROWS) && FMEM_ROWS > 1, "feature memory");

static_assert(WBUF_BYTES % BEAT_BYTES == 0, "a row holds whole beats");

static_assert(power_of_two(WBUF_WORDS) && WBUF_WORDS * BEAT_BYTES >= WBUF_BYTES, "weight buffer");
constexpr int HALVES = 2;

constexpr int GMEM_WORDS = GATE_MEM_BYTES / GATE_WORD_BYTES;
constexpr int GATE_BEATS = GATE_WORD_BYTES / BEAT_BYTES;  // of a word of the gate memory
static_assert(power_of_two(GMEM_WORDS) && power_of_two(GATE_BEATS), "gate memory");
constexpr int SCORE_ROWS = SCORE_DEPTH / BEAT_BYTES;  // of eight scores
static_assert(power_of_two(SCORE_DEPTH) && SCORE_DEPTH >= BEAT_BYTES, "score memory");
static_assert(power_of_two(MAX_CHANNELS) && MAX_CHANNELS <= 1 << 11, "taps of all fit a count_t");

// Interleaved weights: a tap of all rows takes TAP_BEATS beats, or TAPS_PER_BEAT taps share one.
constexpr int TAPS_PER_BEAT = P_OC < BEAT_BYTES ? BEAT_BYTES / P_OC : 1;
constexpr int TAP_BEATS = P_OC < BEAT_BYTES ? 1 : P_OC / BEAT_BYTES;
constexpr int BEAT_ROWS = P_OC < BEAT_BYTES ? P_OC : BEAT_BYTES;  // rows of one beat
static_assert(BEAT_ROWS * TAPS_PER_BEAT == BEAT_BYTES && BEAT_ROWS * TAP_BEATS == P_OC, "layout");

constexpr int MAX_KERNEL = 7;
constexpr int MAX_SIDE = 1023;
constexpr int MAX_SHIFT = 47;

// The square of a number of three bits, without a multiplier.
inline uint32_t square(uint32_t value) {
#pragma HLS INLINE
  return (value & 1 ? value : 0) + (value & 2 ? 2 * value : 0) + (value & 4 ? 4 * value : 0);
}

// Taps of one input channel in the weight buffer (docs/program.md, "Layouts").
inline uint32_t row_taps(uint32_t kernel, bool w_rows) {
#pragma HLS INLINE
  const uint32_t taps = square(kernel);
  return w_rows ? taps : (taps + TAPS_PER_BEAT - 1) / TAPS_PER_BEAT * TAPS_PER_BEAT;
}

// Bytes rounded up to whole beats.
inline uint64_t whole_beats(uint64_t bytes) {
#pragma HLS INLINE
  return (bytes + BEAT_BYTES - 1) / BEAT_BYTES * BEAT_BYTES;
}

// `count` times `stride`, in one multiplier of a DSP slice (18 x 25 bits, signed): a stride past 24 bits
// is refused (ps_check.cpp).
inline uint64_t span(uint32_t count, uint32_t stride) {
#pragma HLS INLINE
  return uint64_t(count_t(count) * stride_t(stride));
}

// Rows and columns of the map a CONV or POOL writes, or of one polyphase plane of a COPY.
struct OutSize {
  uint16_t height;
  uint16_t width;
};

inline OutSize out_size(const Descriptor& d) {
#pragma HLS INLINE
  OutSize size = {d.height, d.width};
  if (d.op == OP_COPY || d.polyphase) {
    size.height = uint16_t((uint32_t(d.height) + 1) / 2);
    size.width = uint16_t((uint32_t(d.width) + 1) / 2);
  } else if (d.op == OP_POOL) {
    const uint32_t lost = uint32_t(d.kernel) - 2 * d.pad;
    size.height = uint16_t(((uint32_t(d.height) - lost) >> int(d.stride2)) + 1);
    size.width = uint16_t(((uint32_t(d.width) - lost) >> int(d.stride2)) + 1);
  }
  return size;
}

// A CONV whose output channel oc reads input channel oc alone.
inline bool depthwise(const Descriptor& d) {
#pragma HLS INLINE
  return d.op == OP_CONV && d.variant == CONV_DEPTHWISE;
}

// Bytes of a number that a DENSE writes or an EXIT_IF reads.
inline uint32_t number_bytes(const Descriptor& d) {
#pragma HLS INLINE
  const bool wide = d.op == OP_DENSE ? d.variant == DENSE_WIDE
                                     : d.op == OP_EXIT_IF && d.variant == EXIT_WIDE;
  return wide ? 2 : 1;
}

// Of `count` of them: a shift, no multiplier.
inline uint32_t numbers_bytes(const Descriptor& d, uint32_t count) {
#pragma HLS INLINE
  return number_bytes(d) == 2 ? count << 1 : count;
}

// CONV: input channels that an output channel has weights for.
inline uint32_t row_inputs(const Descriptor& d) {
#pragma HLS INLINE
  return depthwise(d) ? 1 : uint32_t(d.cin);
}

// How many channels a list selects, in how many runs of consecutive ones, the last of them, and a
// bound all of them are below.
struct ListSize {
  uint16_t count;
  uint16_t runs;
  uint16_t last;
  uint16_t bound;
};

// Consecutive surviving channels: one burst of interleaved weights.
struct Run {
  uint16_t first;
  uint16_t count;
};

// Survivor lists, by position; one copy for the fetcher and one for the array, which read them at
// the same time.  And their runs, for the fetcher.
typedef channel_t lists_t[N_LISTS][MAX_CHANNELS];
typedef Run runs_t[N_LISTS][MAX_CHANNELS];

typedef byte_t fmem_t[FMEM_ROWS][WB];
typedef beat_t gmem_t[GMEM_WORDS][GATE_BEATS];
typedef byte_t scores_t[SCORE_ROWS][BEAT_BYTES];

// Activations by table: a copy for each lane of the epilogue, as all of them read at once.  A beat of
// entries is a word, so that a beat is one write.
constexpr int TABLE_WORDS = TABLE_BYTES / BEAT_BYTES;
static_assert(power_of_two(TABLE_WORDS) && TABLE_BYTES == 256, "an entry for each byte");
typedef beat_t table_t[P_PX][TABLE_WORDS];

// The entry of a byte in the copy of one lane.
inline byte_t entry_at(const beat_t words[TABLE_WORDS], uint32_t index) {
#pragma HLS INLINE
  return get_byte(words[index / BEAT_BYTES % TABLE_WORDS], int(index % BEAT_BYTES));
}

// A GLOAD of that table, not of the gate memory.
inline bool loads_table(const Descriptor& d) {
#pragma HLS INLINE
  return d.op == OP_GLOAD && d.variant == GLOAD_TABLE;
}

// A CONV whose results go through it.
inline bool by_table(const Descriptor& d) {
#pragma HLS INLINE
  return d.op == OP_CONV && d.length != 0;
}

// One score.
inline byte_t score_at(const scores_t scores, uint32_t slot) {
#pragma HLS INLINE
  return scores[slot / BEAT_BYTES % SCORE_ROWS][slot % BEAT_BYTES];
}

inline void set_score(scores_t scores, uint32_t slot, byte_t score) {
#pragma HLS INLINE
  scores[slot / BEAT_BYTES % SCORE_ROWS][slot % BEAT_BYTES] = score;
}

// One output channel of the group in the array.
struct Row {
  acc_t bias;
  multiplier_t multiplier;  // gate score folded in
  shift_t shift;
  channel_t channel;
};

// The arguments of a run the checks need.
struct Limits {
  uint32_t n_descriptors;
  uint32_t input_stride;
  uint32_t output_stride;
  uint32_t weight_bytes;
};

// Input channel `position` of a convolution.
inline channel_t channel_at(const lists_t lists, uint8_t list, uint32_t position) {
#pragma HLS INLINE
  return list == ALL_CHANNELS ? channel_t(position)
                              : lists[list % N_LISTS][position % MAX_CHANNELS];
}

}  // namespace ps

#endif
