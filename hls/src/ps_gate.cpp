#include "ps_gate.h"

#include "ps_arithmetic.h"

namespace ps {
namespace {

// The pooled sums as an 8-bit vector, eight to a word; `head` are the pool's parameters.
void pool_vector(const Descriptor& d, const Row& head, const acc_t pool[POOL_DEPTH],
                 beat_t vector[MAX_CHANNELS / BEAT_BYTES]) {
#pragma HLS INLINE
  const result_t low = d.src_signed ? -128 : 0;
  const result_t high = d.src_signed ? 127 : 255;
  beat_t word = 0;
pool_elements:
  for (uint32_t i = 0; i < d.cin; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=1024
    const acc_t sum = pool[(d.pool_base + i) % POOL_DEPTH];
    const result_t y = clamp(requantize(sum, head.multiplier, head.shift), low, high);
    if (i % BEAT_BYTES == 0) word = 0;
    set_byte(word, int(i % BEAT_BYTES), byte_t(uint32_t(int(y)) & 0xFF));
    vector[i / BEAT_BYTES % (MAX_CHANNELS / BEAT_BYTES)] = word;
  }
}

// Eight products.  Weights beyond `cin` are zero, and so are the elements.
acc_t dot(bool is_signed, beat_t weights, beat_t elements) {
#pragma HLS INLINE
  acc_t sum = 0;
dot_lanes:
  for (int i = 0; i < BEAT_BYTES; ++i) {
#pragma HLS UNROLL
    sum = acc_t(sum + weight_of(get_byte(weights, i)) * pixel_of(get_byte(elements, i), is_signed));
  }
  return sum;
}

// Accumulator and parameters of output `out`, whose weights begin at word `first`.
Row dense_output(const Descriptor& d, uint32_t first, uint32_t words,
                 const beat_t gmem[GMEM_WORDS],
                 const beat_t vector[MAX_CHANNELS / BEAT_BYTES]) {
#pragma HLS INLINE
  Row row;
dense_words:
  for (uint32_t i = 0; i <= words; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=2 max=129
    const uint32_t at = i == 0 ? first : first + GATE_HEAD_BEATS + i - 1;
    const beat_t word = gmem[at % GMEM_WORDS];
    if (i == 0) {
      row = row_of(word);
    } else {
      const beat_t elements = vector[(i - 1) % (MAX_CHANNELS / BEAT_BYTES)];
      row.bias = acc_t(row.bias + dot(d.src_signed, word, elements));
    }
  }
  return row;
}

byte_t score_of(const Descriptor& d, const Row& row) {
#pragma HLS INLINE
  if (d.gate_kind) return row.bias > 0 ? byte_t(128) : byte_t(0);
  if (d.variant == SIGMOID) {
    const result_t z = clamp(requantize(row.bias, row.multiplier, row.shift), -128, 127);
    return byte_t(SIGMOID_TABLE[uint32_t(int(z)) & 0xFF]);
  }
  return byte_t(uint32_t(int(clamp(requantize(row.bias, row.multiplier, row.shift), 0, 128))));
}

}  // namespace

void run_gate(const Descriptor& d, const beat_t gmem[GMEM_WORDS], const acc_t pool[POOL_DEPTH],
              byte_t scores[SCORE_DEPTH], channel_t fetch_lists[N_LISTS][MAX_CHANNELS],
              channel_t array_lists[N_LISTS][MAX_CHANNELS], ListSize sizes[N_LISTS]) {
#pragma HLS INLINE off
  static beat_t vector[MAX_CHANNELS / BEAT_BYTES];
  const uint32_t head = d.w_addr / BEAT_BYTES;
  const uint32_t words = (uint32_t(d.cin) + BEAT_BYTES - 1) / BEAT_BYTES;
  const uint32_t list = d.out_list % N_LISTS;
  uint16_t count = d.src == 0 ? uint16_t(0) : sizes[list].count;
  bool open = false;
  pool_vector(d, row_of(gmem[head % GMEM_WORDS]), pool, vector);
gate_outputs:
  for (uint32_t out = 0; out < d.cout; ++out) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=2047
    const uint32_t first = head + GATE_HEAD_BEATS + out * gate_row_beats(d.cin);
    // Outputs before list_from may close the others.
    const bool closed = d.variant == STOPS && out >= d.list_from && !open;
    byte_t score = 0;
    if (!closed) score = score_of(d, dense_output(d, first, words, gmem, vector));
    if (out < d.list_from && score != 0) open = true;
    scores[(d.dst + out) % SCORE_DEPTH] = score;
    if (d.out_list != ALL_CHANNELS && out >= d.list_from && score != 0) {
      fetch_lists[list][count % MAX_CHANNELS] = channel_t(d.src + out - d.list_from);
      array_lists[list][count % MAX_CHANNELS] = channel_t(d.src + out - d.list_from);
      ++count;
    }
  }
  if (d.out_list != ALL_CHANNELS) {
    sizes[list].count = count;
    sizes[list].bound = uint16_t(d.src + d.cout - d.list_from);
  }
}

void run_dense(const Descriptor& d, const beat_t gmem[GMEM_WORDS], const acc_t pool[POOL_DEPTH],
               byte_t fmem[FMEM_ROWS][FB]) {
#pragma HLS INLINE off
  static beat_t vector[MAX_CHANNELS / BEAT_BYTES];
  const uint32_t head = d.w_addr / BEAT_BYTES;
  const uint32_t words = (uint32_t(d.cin) + BEAT_BYTES - 1) / BEAT_BYTES;
  pool_vector(d, row_of(gmem[head % GMEM_WORDS]), pool, vector);
dense_outputs:
  for (uint32_t out = 0; out < d.cout; ++out) {
#pragma HLS LOOP_TRIPCOUNT min=1 max=2047
    const uint32_t first = head + GATE_HEAD_BEATS + out * gate_row_beats(d.cin);
    const Row row = dense_output(d, first, words, gmem, vector);
    const result_t y =
        clamp(requantize(row.bias, row.multiplier, row.shift), d.clamp_lo, d.clamp_hi);
    const uint32_t address = d.dst + out;
    fmem[address / FB % FMEM_ROWS][address % FB] = byte_t(uint32_t(int(y)) & 0xFF);
  }
}

}  // namespace ps
