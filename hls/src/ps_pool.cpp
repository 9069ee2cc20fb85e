#include "ps_pool.h"

#include "ps_arithmetic.h"
#include "ps_memory.h"

namespace ps {
namespace {

// Pixels of a row that one window gives: stride 2 uses every other byte of it.
constexpr uint32_t HALF_WINDOW = WB / 2 < FB ? WB / 2 : FB;
// Averages leave in so many parts, each requantised in an iteration of the next tile's taps: a
// window of an average has four taps at least (ps_check.cpp).  Maxima leave at once.
constexpr uint32_t PARTS = 4;
constexpr uint32_t PART = FB / PARTS;
static_assert(PARTS * PART == FB, "parts of a tile");

// Where the loop stands: a tile is some neighbouring pixels of one output row of one channel.
struct Place {
  uint32_t channel;  // address of its map
  uint32_t target;   // address of the output row
  uint16_t row;
  uint16_t col;
  uint8_t kh;
  uint8_t kw;
};

// A tile whose taps are done.
struct Finished {
  uint32_t target;
  uint32_t count;
  uint8_t part;  // the next to leave; PARTS: nothing is left
};

// One tap joins the sums or maxima of the lanes that are on the map.
void accumulate(const Descriptor& d, const byte_t window[WB], int row, int column, bool first,
                acc_t sums[FB]) {
#pragma HLS INLINE
  const int step = d.stride2 ? 2 : 1;
  const acc_t least = d.average || !d.src_signed ? 0 : -128;
lanes:
  for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
    const int col = column + int(i) * step;
    const bool on_map = row >= 0 && row < d.height && col >= 0 && col < d.width;
    const byte_t byte = d.stride2 ? window[2 * i % WB] : window[i];
    const acc_t pixel = acc_t(pixel_of(byte, d.src_signed));
    const acc_t old = first ? least : sums[i];
    const acc_t joined = d.average ? acc_t(old + pixel) : pixel > old ? pixel : old;
    sums[i] = on_map ? joined : old;
  }
}

byte_t average_of(const Descriptor& d, acc_t sum) {
#pragma HLS INLINE
  const multiplier_t multiplier = multiplier_t(d.w_addr & 0xFFFF);
  const result_t scaled = requantize(sum, multiplier, shift_t((d.w_addr >> 16) & 0x3F));
  return byte_t(uint32_t(int(clamp(scaled, d.clamp_lo, d.clamp_hi))) & 0xFF);
}

// Part `f.part` of a finished tile, or all of it.
void write_part(const Descriptor& d, const acc_t done[FB], Finished& f, fmem_t fmem) {
#pragma HLS INLINE
  byte_t bytes[FB];
#pragma HLS ARRAY_PARTITION variable=bytes complete
results:
  for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
    const byte_t largest = byte_t(uint32_t(done[i]) & 0xFF);
    const byte_t average = i < PART ? average_of(d, done[(f.part * PART + i) % FB]) : byte_t(0);
    bytes[i] = d.average ? average : largest;
  }
  const uint32_t begin = f.part * PART;
  const uint32_t left = f.count > begin ? f.count - begin : 0;
  const uint32_t most = d.average ? PART : uint32_t(FB);
  write_bytes(fmem, f.target + begin, bytes, left < most ? left : most);
  ++f.part;
}

}  // namespace

uint32_t pool_windows(const Descriptor& d, fmem_t fmem) {
#pragma HLS INLINE off
  static byte_t window[WB];
#pragma HLS ARRAY_PARTITION variable=window complete
  acc_t sums[FB];
#pragma HLS ARRAY_PARTITION variable=sums complete
  acc_t done[FB];
#pragma HLS ARRAY_PARTITION variable=done complete
clear_sums:
  for (uint32_t i = 0; i < FB; ++i) {
#pragma HLS UNROLL
    sums[i] = 0;
    done[i] = 0;
  }
  const OutSize size = out_size(d);
  const uint32_t lanes = d.stride2 ? HALF_WINDOW : uint32_t(FB);
  const uint32_t tiles = d.stride2 ? (uint32_t(size.width) + HALF_WINDOW - 1) / HALF_WINDOW
                                   : (uint32_t(size.width) + FB - 1) / FB;
  const uint8_t taps = uint8_t(square(d.kernel));
  const uint32_t parts = d.average ? PARTS : 1;
  const uint64_t windows = span(size.height, tiles);  // of a channel
  const uint32_t total =
      uint32_t(span(uint32_t(span(d.cout, taps)), uint32_t(windows))) + parts;
  Place at = {d.src, d.dst, 0, 0, 0, 0};
  uint32_t base = d.dst;  // of the channel's output
  Finished finished = {0, 0, PARTS};
  uint8_t tap = 0;
pool_taps:
  for (uint32_t i = 0; i < total; ++i) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=5 max=1048576
    // Source and destination do not overlap (docs/program.md).
#pragma HLS DEPENDENCE variable=fmem type=inter false
    const int row = (int(at.row) << int(d.stride2)) - int(d.pad) + at.kh;
    const int column = (int(at.col) << int(d.stride2)) - int(d.pad) + at.kw;
    // Padding before the map wraps to some address; its lanes are masked.
    const uint32_t address = at.channel + uint32_t(int16_t(row) * int16_t(d.width) + column);
    read_window(fmem, address % FMEM_BYTES, d.stride2 ? 2u * FB : uint32_t(FB), window);
    // Behind the read: what follows a write in the same iteration would wait for it.
    if (finished.part < parts) write_part(d, done, finished, fmem);
    accumulate(d, window, row, column, tap == 0, sums);
    at.kw = at.kw + 1 == d.kernel ? 0 : at.kw + 1;
    if (at.kw == 0) ++at.kh;
    ++tap;
    if (tap != taps) continue;
    tap = 0;
    at.kh = 0;
    at.kw = 0;
  finish_lanes:
    for (uint32_t lane = 0; lane < FB; ++lane) {
#pragma HLS UNROLL
      done[lane] = sums[lane];
    }
    const uint32_t left = uint32_t(size.width) - at.col;
    finished.target = at.target + at.col;
    finished.count = left < lanes ? left : lanes;
    finished.part = uint8_t(i + parts < total ? 0 : PARTS);
    if (left > lanes) {
      at.col = uint16_t(at.col + lanes);
      continue;
    }
    at.col = 0;
    at.target += size.width;
    ++at.row;
    if (at.row == size.height) {
      at.row = 0;
      at.channel += d.src_stride;
      base += d.dst_stride;
      at.target = base;
    }
  }
  return total + T_POOL_DEPTH + T_LOOP;
}

}  // namespace ps
