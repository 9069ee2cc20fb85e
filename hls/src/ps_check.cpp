#include "ps_check.h"

#include "ps_gate.h"

namespace ps {
namespace {

constexpr uint32_t MAX_W_STRIDE = 1u << 20;

bool unaligned(uint32_t value) { return value % BEAT_BYTES != 0; }

bool bad_length(const Descriptor& d) { return d.length == 0 || d.length > uint32_t(MAX_LENGTH); }

bool bad_list(uint8_t list) { return list != ALL_CHANNELS && list >= N_LISTS; }

bool bad_map(const Descriptor& d) {
  return d.height == 0 || d.height > MAX_SIDE || d.width == 0 || d.width > MAX_SIDE;
}

// What the sizes of a descriptor come to: products of two of its numbers, as the operation wants them.
enum Product {
  PIXELS,   // of the source map
  OUT,      // pixels of the map that is written, or of one of its planes
  PLANES,   // from the first polyphase plane to the last
  SOURCE,   // from the first source channel to the last
  TARGET,   // from the first destination channel to the last
  ROW,      // CONV: weights of one row of the buffer
  WEIGHTS,  // CONV: from the first group or row to the last; GATE, DENSE: words of all outputs
  PRODUCTS
};

struct Extent {
  uint64_t of[PRODUCTS];
};

uint32_t before_last(uint32_t count) {
#pragma HLS INLINE
  return count == 0 ? 0 : count - 1;
}

// One multiplier makes them all, one after the other: however often a synthesiser puts the checks
// into the core, the array has the DSP slices.
void multiply(const Descriptor& d, Extent& e) {
#pragma HLS INLINE
  const OutSize size = out_size(d);
  const bool conv = d.op == OP_CONV;
  const uint32_t read = conv || d.op == OP_EXIT_IF ? uint32_t(d.cin) : uint32_t(d.cout);
  const uint32_t groups = d.w_rows ? uint32_t(d.cout) : (uint32_t(d.cout) + P_OC - 1) / P_OC;
  const uint32_t counts[PRODUCTS] = {
      d.height, size.height, 3, before_last(read), before_last(d.cout), row_inputs(d),
      conv ? before_last(groups) : uint32_t(d.cout)};
#pragma HLS ARRAY_PARTITION variable=counts complete
  const uint32_t strides[PRODUCTS] = {
      d.width, size.width, d.phase_stride, d.src_stride, d.dst_stride,
      row_taps(d.kernel, d.w_rows), conv ? uint32_t(d.w_stride) : 1 + gate_words(d.cin)};
#pragma HLS ARRAY_PARTITION variable=strides complete
each_product:
  for (uint32_t i = 0; i < PRODUCTS; ++i) {
#pragma HLS PIPELINE II=1
    e.of[i] = span(counts[i], strides[i]);
  }
}

// Planes to a linear map: they may lie anywhere.
bool interleaves(const Descriptor& d) { return d.op == OP_COPY && d.variant == COPY_INTERLEAVE; }

bool bad_phase(const Descriptor& d, const Extent& e) {
  return d.phase_stride >= FMEM_BYTES ||
         (!interleaves(d) && (d.phase_stride < e.of[OUT] || d.phase_stride % FB != FB / 2));
}

// Bytes of `base` .. `base + size` lie beyond `limit`.
bool too_far(uint64_t base, uint64_t size, uint64_t limit) { return base + size > limit; }

// Of four polyphase planes.
uint64_t planes(const Extent& e) { return e.of[PLANES] + e.of[OUT]; }

uint64_t row_bytes(const Extent& e) { return BEAT_BYTES + whole_beats(e.of[ROW]); }

bool conv_field(const Descriptor& d, const Extent& e) {
  return d.kernel % 2 == 0 || d.kernel > MAX_KERNEL || d.cin > MAX_CHANNELS || d.cout == 0 ||
         d.cout > MAX_CHANNELS || bad_map(d) || bad_list(d.in_list) || bad_list(d.out_list) ||
         d.variant > CONV_DEPTHWISE || (d.length != 0 && d.length != TABLE_BYTES) ||
         (depthwise(d) && (d.cin != d.cout || d.in_list != ALL_CHANNELS)) ||
         (!d.w_rows && d.out_list != ALL_CHANNELS) || unaligned(d.w_addr) ||
         unaligned(d.w_stride) || d.w_stride >= MAX_W_STRIDE || e.of[ROW] > WBUF_BYTES ||
         (d.w_rows && d.w_stride != row_bytes(e)) || (d.polyphase && bad_phase(d, e));
}

bool conv_bounds(const Descriptor& d, const Extent& e, const Limits& limits) {
  const uint64_t plane = d.polyphase ? planes(e) : e.of[PIXELS];
  const uint64_t group = d.w_rows ? row_bytes(e) : BEAT_BYTES * P_OC + e.of[ROW] * P_OC;
  return d.src_stride >= FMEM_BYTES || d.dst_stride >= FMEM_BYTES ||
         (d.fold_en && too_far(d.fold_slot, d.fold_channel ? d.cout : 1, SCORE_DEPTH)) ||
         (d.pool_en && too_far(d.pool_base, d.cout, POOL_DEPTH)) ||
         (d.cin != 0 && too_far(d.src, e.of[SOURCE] + plane, FMEM_BYTES)) ||
         too_far(d.dst, e.of[TARGET] + e.of[OUT], FMEM_BYTES) ||
         too_far(d.w_addr, e.of[WEIGHTS] + group, limits.weight_bytes);
}

bool bad_clamp(const Descriptor& d) { return d.clamp_lo > d.clamp_hi; }

bool dense_field(const Descriptor& d) {
  return (d.op == OP_DENSE && bad_clamp(d)) || d.cin == 0 || d.cin > MAX_CHANNELS || d.cout == 0 ||
         d.cout > 2 * MAX_CHANNELS - 1 ||
         d.list_from > d.cout || bad_list(d.out_list) ||
         uint64_t(d.cout - d.list_from) + (d.op == OP_GATE ? d.src : 0) > MAX_CHANNELS ||
         d.w_addr % GATE_WORD_BYTES != 0 ||
         d.variant > (d.op == OP_GATE ? GATE_SIGMOID : DENSE_WIDE) ||
         (d.variant == GATE_STOPS && d.list_from == 0) ||
         (d.op == OP_GATE && d.variant == GATE_SIGMOID && d.gate_kind);
}

bool dense_bounds(const Descriptor& d, const Extent& e) {
  const uint64_t size = GATE_WORD_BYTES + e.of[WEIGHTS] * GATE_WORD_BYTES;
  return too_far(d.pool_base, d.cin, POOL_DEPTH) || too_far(d.w_addr, size, GATE_MEM_BYTES) ||
         too_far(d.dst, numbers_bytes(d, uint32_t(d.cout)), d.op == OP_GATE ? SCORE_DEPTH : FMEM_BYTES);
}

// COPY and POOL: bytes that are `read` and `written` from the first byte of the last channel on.
bool map_bounds(const Descriptor& d, const Extent& e, uint64_t read, uint64_t written) {
  return d.src_stride >= FMEM_BYTES || d.dst_stride >= FMEM_BYTES ||
         too_far(d.src, e.of[SOURCE] + read, FMEM_BYTES) ||
         too_far(d.dst, e.of[TARGET] + written, FMEM_BYTES);
}

bool pool_field(const Descriptor& d) {
  const uint32_t shift = d.w_addr >> 16;
  const uint32_t padding = 2 * uint32_t(d.pad);
  return d.cout == 0 || d.cout > MAX_CHANNELS || bad_map(d) || bad_clamp(d) || d.kernel == 0 ||
         d.kernel > MAX_KERNEL || padding >= d.kernel || d.kernel > d.height + padding ||
         d.kernel > d.width + padding ||
         (d.average && (d.kernel == 1 || shift == 0 || shift > MAX_SHIFT));
}

bool exit_field(const Descriptor& d, const Limits& limits, uint32_t index) {
  return d.cin == 0 || d.cin > MAX_CHANNELS || d.w_addr % GATE_WORD_BYTES != 0 ||
         d.variant > EXIT_WIDE || d.length <= index || d.length >= limits.n_descriptors;
}

bool exit_bounds(const Descriptor& d, const Extent& e) {
  return d.src_stride >= FMEM_BYTES || too_far(d.src, e.of[SOURCE] + number_bytes(d), FMEM_BYTES) ||
         too_far(d.w_addr, EXIT_TABLE_BYTES, GATE_MEM_BYTES);
}

bool bad_field(const Descriptor& d, const Extent& e, const Limits& limits, uint32_t index) {
  switch (d.op) {
    case OP_LOAD:
      return bad_length(d) || unaligned(d.ddr);
    case OP_GLOAD:
      return bad_length(d) || unaligned(d.length) || unaligned(d.dst) || unaligned(d.w_addr) ||
             d.variant > GLOAD_TABLE || (d.variant == GLOAD_TABLE && d.length != TABLE_BYTES);
    case OP_STORE:
      return bad_length(d) || unaligned(d.ddr) || (d.from_scores && unaligned(d.src));
    case OP_CONV:
      return conv_field(d, e) || bad_clamp(d);
    case OP_COPY:
      return d.cout == 0 || d.cout > MAX_CHANNELS || bad_map(d) || bad_phase(d, e) ||
             (d.variant == COPY_ODD && d.height == 1);
    case OP_POOL:
      return pool_field(d);
    case OP_HALT:
      return d.length >= limits.n_descriptors;
    case OP_EXIT_IF:
      return exit_field(d, limits, index);
    default:
      return dense_field(d);
  }
}

bool bad_bounds(const Descriptor& d, const Extent& e, const Limits& limits) {
  const uint64_t beats = whole_beats(d.length);
  switch (d.op) {
    case OP_LOAD:
      return too_far(d.ddr, beats, limits.input_stride) || too_far(d.dst, d.length, FMEM_BYTES);
    case OP_GLOAD:
      return too_far(d.w_addr, d.length, limits.weight_bytes) ||
             too_far(d.dst, d.length, GATE_MEM_BYTES);
    case OP_STORE:
      return too_far(d.ddr, beats, limits.output_stride) ||
             too_far(d.src, d.length, d.from_scores ? SCORE_DEPTH : FMEM_BYTES);
    case OP_CONV:
      return conv_bounds(d, e, limits);
    case OP_COPY:
      return interleaves(d) ? map_bounds(d, e, planes(e), e.of[PIXELS])
                            : map_bounds(d, e, e.of[PIXELS], planes(e));
    case OP_POOL:
      return map_bounds(d, e, e.of[PIXELS], e.of[OUT]);
    case OP_HALT:
      return limits.output_stride < 4 * N_COUNTERS;
    case OP_EXIT_IF:
      return exit_bounds(d, e);
    default:
      return dense_bounds(d, e);
  }
}

}  // namespace

ErrorCode check(const Descriptor& d, const Limits& limits, uint32_t index) {
  if (d.op < OP_LOAD || d.op > OP_EXIT_IF) return ERR_OPCODE;
  Extent e;
#pragma HLS ARRAY_PARTITION variable=e.of complete
  multiply(d, e);
  if (bad_field(d, e, limits, index)) return ERR_FIELD;
  if ((d.pred_en && d.pred_slot >= SCORE_DEPTH) || bad_bounds(d, e, limits)) return ERR_BOUNDS;
  return ERR_NONE;
}

}  // namespace ps
