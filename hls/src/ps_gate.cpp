#include "ps_gate.h"

#include "ps_arithmetic.h"

namespace ps {
namespace {

constexpr int VECTOR_WORDS = MAX_CHANNELS / GATE_WORD_BYTES > 0 ? MAX_CHANNELS / GATE_WORD_BYTES : 1;
// The pooled sums as an 8-bit vector, in words like those of the weights.
typedef byte_t vector_t[VECTOR_WORDS][GATE_WORD_BYTES];

void pool_vector(const Descriptor& d, const Row& head, const acc_t pool[POOL_DEPTH],
                 vector_t vector) {
#pragma HLS INLINE
  const result_t low = d.src_signed ? -128 : 0;
  const result_t high = d.src_signed ? 127 : 255;
  const uint32_t inputs = d.cin;
pool_elements:
  for (uint32_t i = 0; i < inputs; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=1024
    const acc_t sum = pool[(d.pool_base + i) % POOL_DEPTH];
    const result_t y = clamp(requantize(sum, head.multiplier, head.shift), low, high);
    vector[i / GATE_WORD_BYTES % VECTOR_WORDS][i % GATE_WORD_BYTES] =
        byte_t(uint32_t(int(y)) & 0xFF);
  }
}

// One word of products.  Elements behind the last input count as 0.
acc_t dot(bool is_signed, uint32_t left, const beat_t weights[GATE_BEATS],
          const byte_t elements[GATE_WORD_BYTES]) {
#pragma HLS INLINE
  acc_t sum = 0;
dot_lanes:
  for (uint32_t i = 0; i < GATE_WORD_BYTES; ++i) {
#pragma HLS UNROLL
    const byte_t byte = get_byte(weights[i / BEAT_BYTES], int(i % BEAT_BYTES));
    const pixel_t element = i < left ? pixel_of(elements[i], is_signed) : pixel_t(0);
    const product_t gate_product = product_t(weight_of(byte) * element);
#pragma HLS BIND_OP variable=gate_product op=mul impl=fabric
    sum = acc_t(sum + gate_product);
  }
  return sum;
}

// Score of a GATE or byte of a DENSE.
byte_t output_of(const Descriptor& d, const Row& row) {
#pragma HLS INLINE
  const bool dense = d.op == OP_DENSE;
  const bool sigmoid = !dense && d.variant == GATE_SIGMOID;
  const result_t low = dense ? result_t(d.clamp_lo) : result_t(sigmoid ? -128 : 0);
  const result_t high = dense ? result_t(d.clamp_hi) : result_t(sigmoid ? 127 : 128);
  const result_t y = clamp(requantize(row.bias, row.multiplier, row.shift), low, high);
  const uint32_t byte = uint32_t(int(y)) & 0xFF;
  if (!dense && d.gate_kind) return row.bias > 0 ? byte_t(128) : byte_t(0);
  return sigmoid ? byte_t(SIGMOID_TABLE[byte]) : byte_t(byte);
}

// Where a dense layer stands: its outputs one after the other, a word each iteration.
struct Output {
  uint32_t out;
  uint32_t word;  // of the gate memory
  uint32_t at;    // words of the output so far: 0 is its parameters
  uint32_t left;  // inputs from there on
  Row row;
};

// One word of one output; true after its last.
bool next_word(const Descriptor& d, const gmem_t gmem, const vector_t vector, Output& o) {
#pragma HLS INLINE
  beat_t word[GATE_BEATS];
#pragma HLS ARRAY_PARTITION variable=word complete
read_word:
  for (uint32_t b = 0; b < GATE_BEATS; ++b) {
#pragma HLS UNROLL
    word[b] = gmem[o.word % GMEM_WORDS][b];
  }
  ++o.word;
  if (o.at == 0) {
    o.row = row_of(word[0]);
    o.left = d.cin;
    o.at = 1;
    return false;
  }
  o.row.bias = acc_t(o.row.bias +
                     dot(d.src_signed, o.left, word, vector[(o.at - 1) % VECTOR_WORDS]));
  ++o.at;
  const bool last = o.left <= GATE_WORD_BYTES;
  o.left -= GATE_WORD_BYTES;
  if (last) o.at = 0;
  return last;
}

// A survivor joins the list, and the last run of it if it follows.
void append(uint32_t list, uint32_t channel, lists_t fetch_lists, lists_t array_lists, runs_t runs,
            Run& run, ListSize& size) {
#pragma HLS INLINE
  // Parts that do not follow each other could fill it (docs/program.md, "Checks").
  if (size.count == MAX_CHANNELS) return;
  fetch_lists[list][size.count % MAX_CHANNELS] = channel_t(channel);
  array_lists[list][size.count % MAX_CHANNELS] = channel_t(channel);
  if (size.count != 0 && channel == uint32_t(size.last) + 1) {
    ++run.count;
  } else {
    run.first = uint16_t(channel);
    run.count = 1;
    ++size.runs;
  }
  runs[list][(size.runs - 1u) % MAX_CHANNELS] = run;
  ++size.count;
  size.last = uint16_t(channel);
}

// Outputs `from` .. `to` - 1: scores of a GATE, bytes of a DENSE; true if a score is not 0.  Adds
// its cycles (an estimate).  One instance serves all calls.
bool make_outputs(const Descriptor& d, uint32_t from, uint32_t to, const gmem_t gmem,
                  const vector_t vector, scores_t scores, lists_t fetch_lists, lists_t array_lists,
                  runs_t runs, Run& run, ListSize& size, dense_t dense, uint32_t& cycles) {
#pragma HLS INLINE off
  const uint32_t words = 1 + gate_words(d.cin);
  const uint32_t total = uint32_t(span(to - from, words));
  const uint32_t list = d.out_list % N_LISTS;
  bool open = false;
  Output o = {from, d.w_addr / GATE_WORD_BYTES + 1 + uint32_t(span(from, words)), 0, 0, {0, 0, 0, 0}};
output_words:
  for (uint32_t i = 0; i < total; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=131072
    if (!next_word(d, gmem, vector, o)) continue;
    const byte_t byte = output_of(d, o.row);
    if (d.op == OP_DENSE) {
      dense[o.out % (2 * MAX_CHANNELS)] = byte;
    } else {
      set_score(scores, d.dst + o.out, byte);
      if (byte != 0) {
        open = true;
        if (d.out_list != ALL_CHANNELS && o.out >= d.list_from) {
          append(list, d.src + o.out - d.list_from, fetch_lists, array_lists, runs, run, size);
        }
      }
    }
    ++o.out;
  }
  cycles += total + T_DENSE_DEPTH + T_LOOP;
  return open;
}

// Scores of outputs from `from` on are 0.
void close_outputs(const Descriptor& d, uint32_t from, scores_t scores) {
#pragma HLS INLINE
  const uint32_t outputs = d.cout;
close_scores:
  for (uint32_t out = from; out < outputs; ++out) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=2047
    set_score(scores, d.dst + out, 0);
  }
}

}  // namespace

uint32_t run_gate(const Descriptor& d, const gmem_t gmem, const acc_t pool[POOL_DEPTH],
                  scores_t scores, lists_t fetch_lists, lists_t array_lists, runs_t runs,
                  ListSize sizes[N_LISTS], dense_t dense) {
#pragma HLS INLINE off
  static vector_t vector;
#pragma HLS ARRAY_PARTITION variable=vector complete dim=2
#pragma HLS BIND_STORAGE variable=vector type=ram_s2p impl=lutram
  const uint32_t list = d.out_list % N_LISTS;
  const ListSize none = {0, 0, 0, 0};
  ListSize size = d.src == 0 ? none : sizes[list];
  Run run = runs[list][(size.runs - 1u) % MAX_CHANNELS];
  uint32_t cycles = d.cin + T_VECTOR_DEPTH + T_LOOP;
  pool_vector(d, row_of(gmem[d.w_addr / GATE_WORD_BYTES % GMEM_WORDS][0]), pool, vector);
  // Outputs before list_from may close the others, so they go first.
  uint32_t from = 0;
  bool open = true;
  if (d.op == OP_GATE && d.variant == GATE_STOPS) {
    from = d.list_from;
    open = make_outputs(d, 0, from, gmem, vector, scores, fetch_lists, array_lists, runs, run, size,
                        dense, cycles);
  }
  if (open) {
    make_outputs(d, from, d.cout, gmem, vector, scores, fetch_lists, array_lists, runs, run, size,
                 dense, cycles);
  } else {
    close_outputs(d, from, scores);
    cycles += d.cout - from + T_LOOP;
  }
  if (d.op == OP_GATE && d.out_list != ALL_CHANNELS) {
    size.bound = uint16_t(d.src + d.cout - d.list_from);
    sizes[list] = size;
  }
  return cycles;
}

uint32_t store_dense(const Descriptor& d, const dense_t dense, fmem_t fmem) {
#pragma HLS INLINE off
  const uint32_t outputs = d.cout;
dense_bytes:
  for (uint32_t i = 0; i < outputs; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=2047
    const uint32_t address = d.dst + i;
    fmem[address / WB % FMEM_ROWS][address % WB] = dense[i % (2 * MAX_CHANNELS)];
  }
  return d.cout + T_LOAD_DEPTH + T_LOOP;
}

}  // namespace ps
