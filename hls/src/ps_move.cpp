#include "ps_move.h"

#include "ps_memory.h"

namespace ps {
namespace {

// Bytes of beat `i` of a transfer of `length` bytes.
uint32_t bytes_of_beat(uint32_t length, uint32_t i) {
#pragma HLS INLINE
  const uint32_t left = length - i * BEAT_BYTES;
  return left < BEAT_BYTES ? left : uint32_t(BEAT_BYTES);
}

// Splits FB bytes by parity: the first of every two to `even`, the others to `odd`, FB / 2 each.
// The two never meet in a bank, because phase_stride = FB / 2 modulo FB (ps_check.cpp).
void write_halves(fmem_t fmem, uint32_t even, uint32_t odd, const byte_t window[WB],
                  uint32_t count) {
#pragma HLS INLINE
  const uint32_t evens = (count + 1) / 2;
  const uint32_t odds = count / 2;
copy_banks:
  for (uint32_t bank = 0; bank < WB; ++bank) {
#pragma HLS UNROLL
    const uint32_t even_lane = (bank - even) % WB;
    const uint32_t odd_lane = (bank - odd) % WB;
    const bool is_even = even_lane < FB / 2 && even_lane < evens;
    const bool is_odd = odd_lane < FB / 2 && odd_lane < odds;
    const uint32_t target = is_even ? even + even_lane : odd + odd_lane;
    // Banks of one parity take their bytes in the order of a section.
    const uint32_t lane = is_even ? 2 * ((bank - even) % (FB / 2)) : 2 * ((bank - odd) % (FB / 2)) + 1;
    const byte_t byte = window[lane];
    if (is_even || is_odd) fmem[target / WB % FMEM_ROWS][bank] = byte;
  }
}

}  // namespace

uint32_t load(const Descriptor& d, const Plan& next, read_port_t input, read_port_t weights,
              Reads& reads, uint64_t base, const lists_t fetch_lists, const runs_t runs,
              Fetch& fetch, fmem_t fmem, uint32_t& asking) {
#pragma HLS INLINE off
  const uint32_t beats = uint32_t(whole_beats(d.length) / BEAT_BYTES);
  ask(input, reads, base + d.ddr / BEAT_BYTES, beats);
  // Behind the image's own burst: the bus answers in that order.
  asking = ask_ahead(next, weights, reads, fetch_lists, runs, fetch);
load_burst:
  for (uint32_t i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=32768
#pragma HLS DEPENDENCE variable=fmem type=inter false
    const beat_t beat = take(input, reads);
    byte_t bytes[FB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
  load_bytes:
    for (int b = 0; b < FB; ++b) {
#pragma HLS UNROLL
      bytes[b] = get_byte(beat, b % BEAT_BYTES);
    }
    write_bytes(fmem, d.dst + i * BEAT_BYTES, bytes, bytes_of_beat(d.length, i));
  }
  return beats * BEAT_BYTES;
}

uint32_t load_gates(const Descriptor& d, read_port_t weights, Reads& reads, gmem_t gmem) {
#pragma HLS INLINE off
  const uint32_t beats = d.length / BEAT_BYTES;
  ask(weights, reads, d.w_addr / BEAT_BYTES, beats);
gload_burst:
  for (uint32_t i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=4096
    const uint32_t at = d.dst / BEAT_BYTES + i;
    gmem[at / GATE_BEATS % GMEM_WORDS][at % GATE_BEATS] = take(weights, reads);
  }
  return d.length;
}

uint32_t load_table(const Descriptor& d, read_port_t weights, Reads& reads, table_t table) {
#pragma HLS INLINE off
  ask(weights, reads, d.w_addr / BEAT_BYTES, TABLE_WORDS);
table_burst:
  for (uint32_t i = 0; i < TABLE_WORDS; ++i) {
#pragma HLS PIPELINE II=1
    const beat_t beat = take(weights, reads);
  table_lanes:
    for (uint32_t lane = 0; lane < P_PX; ++lane) {
#pragma HLS UNROLL
      table[lane][i] = beat;
    }
  }
  return TABLE_BYTES;
}

uint32_t store(const Descriptor& d, const fmem_t fmem, const scores_t scores, write_port_t output,
               Writes& writes, uint64_t base) {
#pragma HLS INLINE off
  static byte_t window[WB];
#pragma HLS ARRAY_PARTITION variable=window complete
  const uint32_t beats = uint32_t(whole_beats(d.length) / BEAT_BYTES);
  begin_write(output, writes, base + d.ddr / BEAT_BYTES, beats);
store_burst:
  for (uint32_t i = 0; i < beats; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=512
    const uint32_t source = d.src + i * BEAT_BYTES;
    const uint32_t count = bytes_of_beat(d.length, i);
    read_window(fmem, source, BEAT_BYTES, window);
    beat_t beat = 0;
  store_bytes:
    for (uint32_t b = 0; b < BEAT_BYTES; ++b) {
#pragma HLS UNROLL
      // Scores come in whole rows: their source is a multiple of eight (ps_check.cpp).
      const byte_t score = scores[source / BEAT_BYTES % SCORE_ROWS][b];
      if (b < count) set_byte(beat, int(b), d.from_scores ? score : window[b]);
    }
    put(output, writes, beat);
  }
  return beats * BEAT_BYTES;
}

void store_counters(const uint32_t counters[N_COUNTERS], write_port_t output, Writes& writes,
                    uint64_t base) {
#pragma HLS INLINE off
  begin_write(output, writes, base, N_COUNTERS / 2);
record_burst:
  for (int i = 0; i < N_COUNTERS / 2; ++i) {
#pragma HLS PIPELINE II=1
    put(output, writes, two_words(counters[2 * i], counters[2 * i + 1]));
  }
}

// COPY_INTERLEAVE.  FB bytes of the plane of a row's even columns, then FB of that of its odd ones, are
// two windows of the row; each is written beside the read after its own.
static uint32_t interleave_planes(const Descriptor& d, uint32_t total, fmem_t fmem) {
#pragma HLS INLINE off
  static byte_t window[WB];
#pragma HLS ARRAY_PARTITION variable=window complete
  static byte_t early[FB];  // the read before, and the upper half of the one before that
#pragma HLS ARRAY_PARTITION variable=early complete
  static byte_t earlier[FB / 2];
#pragma HLS ARRAY_PARTITION variable=earlier complete
  const uint32_t out_width = out_size(d).width;
  // Where the loop stands: the channel's addresses, the row's offset in map and planes, the window.
  uint32_t source = d.src;
  uint32_t target = d.dst;
  uint32_t row = 0;
  uint32_t row_from = 0;
  uint32_t row_to = 0;
  uint32_t col = 0;
  bool second = false;
  // Of the window whose bytes are there: where it goes, its columns, whether it is a second one.
  uint32_t to = 0;
  uint32_t count = 0;
  bool upper = false;
interleave_windows:
  for (uint32_t i = 0; i <= total; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=65536
    // Source and destination do not overlap (docs/program.md).
#pragma HLS DEPENDENCE variable=fmem type=inter false
    read_window(fmem, source + row_from + (second ? d.phase_stride + (col - FB) / 2 : col / 2), FB,
                window);
    byte_t bytes[FB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
  interleave_columns:
    for (uint32_t c = 0; c < FB / 2; ++c) {
#pragma HLS UNROLL
      bytes[2 * c] = upper ? earlier[c] : early[c];
      bytes[2 * c + 1] = upper ? early[FB / 2 + c] : window[c];
    }
    write_bytes(fmem, to, bytes, count);
  shift_reads:
    for (uint32_t c = 0; c < FB; ++c) {
#pragma HLS UNROLL
      if (c < FB / 2) earlier[c] = early[FB / 2 + c];
      early[c] = window[c];
    }
    const uint32_t left = col < d.width ? d.width - col : 0;
    to = target + row_to + col;
    count = left < FB ? left : uint32_t(FB);
    upper = second;
    col += FB;
    second = !second;
    if (upper && left <= FB) {
      col = 0;
      // An odd row is two planes away, the row after it one further down.
      row_from += row % 2 != 0 ? out_width - 2 * d.phase_stride : 2 * d.phase_stride;
      row_to += d.width;
      ++row;
      if (row == d.height) {
        row = 0;
        row_from = 0;
        row_to = 0;
        source += d.src_stride;
        target += d.dst_stride;
      }
    }
  }
  return total + 1 + T_COPY_DEPTH + T_LOOP;
}

uint32_t copy_planes(const Descriptor& d, fmem_t fmem) {
#pragma HLS INLINE off
  static byte_t window[WB];
#pragma HLS ARRAY_PARTITION variable=window complete
  const uint32_t out_width = out_size(d).width;
  const uint32_t first = d.variant == COPY_ODD ? 1 : 0;
  const bool back = d.variant == COPY_INTERLEAVE;
  const uint32_t step = d.variant == 0 || back ? 1 : 2;
  const uint32_t rows = step == 1 ? d.height : (uint32_t(d.height) - first + 1) / 2;
  const uint32_t pairs = (uint32_t(d.width) + 2 * FB - 1) / (2 * FB);
  const uint32_t windows = back ? 2 * pairs : (uint32_t(d.width) + FB - 1) / FB;
  const uint32_t total = uint32_t(span(d.cout, uint32_t(span(rows, windows))));
  if (back) return interleave_planes(d, total, fmem);
  const uint32_t first_from = first == 1 ? uint32_t(d.width) : 0;
  const uint32_t first_to = first == 1 ? 2 * uint32_t(d.phase_stride) : 0;
  const uint32_t next_from = step == 1 ? uint32_t(d.width) : 2 * uint32_t(d.width);
  // Where the loop stands: the channel's addresses, the row's offset in source and plane.
  uint32_t source = d.src;
  uint32_t target = d.dst;
  uint32_t row = first;
  uint32_t row_from = first_from;
  uint32_t row_to = first_to;
  uint32_t col = 0;
copy_windows:
  for (uint32_t i = 0; i < total; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=65536
    // Source and destination do not overlap (docs/program.md).
#pragma HLS DEPENDENCE variable=fmem type=inter false
    const uint32_t left = d.width - col;
    const uint32_t even = target + row_to + col / 2;
    read_window(fmem, source + row_from + col, FB, window);
    write_halves(fmem, even, even + d.phase_stride, window, left < FB ? left : uint32_t(FB));
    if (left > FB) {
      col += FB;
      continue;
    }
    col = 0;
    // The next row of the plane: a row of the other parity is two planes away.
    const bool odd = row % 2 != 0;
    row += step;
    row_from += next_from;
    if (step == 1) row_to += odd ? out_width - 2 * d.phase_stride : 2 * d.phase_stride;
    if (step == 2) row_to += out_width;
    if (row >= d.height) {
      row = first;
      row_from = first_from;
      row_to = first_to;
      source += d.src_stride;
      target += d.dst_stride;
    }
  }
  return total + T_COPY_DEPTH + T_LOOP;
}

}  // namespace ps
