// Geometry of a convolution: for a tap of the current tile, the byte offset of the window from the
// first output pixel, and which lanes fall on the map (rtl/ps_conv_window.sv).
//
// A tap leaves the map on one side: by n rows at the top or the bottom, by n columns on the left or
// the right (n <= 3).  Rows: the lanes from, or up to, one pixel.  Columns: the lanes near those in
// which a row begins.  So all that is kept of a lane is one bit, and no step divides.
#ifndef PS_WINDOW_H
#define PS_WINDOW_H

#include "ps_arithmetic.h"
#include "ps_core.h"

namespace ps {

constexpr uint32_t LEFT_LANES = 2;  // a block keeps lanes -LEFT .. P_px + RIGHT - 1
constexpr uint32_t RIGHT_LANES = 3;
constexpr uint32_t KEPT_LANES = LEFT_LANES + P_PX + RIGHT_LANES;
static_assert(KEPT_LANES <= KEPT_POWER && KEPT_LANES <= 64, "a block's lanes fit a word");
static_assert(P_PX <= 32, "a block's own lanes fit half of it");
constexpr uint32_t STEPS = 4;  // of P_px << m pixels, m = 0 ..
static_assert(BLOCKS <= 1 << STEPS && MODES <= int(STEPS), "steps of the widest window");

// What a convolution decides: sizes, and where rows begin in the blocks of its first tile.
struct Geometry {
  uint16_t width;   // of the output map
  uint32_t pixels;  // of it
  bool polyphase;
  bool odd_height;  // of the source map
  bool odd_width;
  uint8_t pad;
  uint32_t phase_stride;
  uint64_t starts;          // lanes in which rows begin, one of them in the first
  uint16_t step[STEPS];     // P_px << m pixels modulo the width
  uint16_t back[STEPS];     // the width less the step
  uint16_t place[BLOCKS];   // lanes up to the first row that begins in a block, first tile
};

// The tile: places of its blocks, and the lanes in which rows begin.
struct Places {
  uint16_t place[BLOCKS];
  uint64_t begins[BLOCKS];
};

// The tap: offset of its window; rows and columns by which it leaves the map.
struct Tap {
  uint32_t offset;
  bool top;
  bool left;
  uint32_t rows_pixels;  // of the rows by which it leaves
  uint8_t columns;
};

// A place `by` pixels further on (both below the width); `back`: the width less `by`, so that both
// results are there when the comparison is.
inline uint16_t advance(uint16_t from, uint16_t by, uint16_t back) {
#pragma HLS INLINE
  const uint16_t within = uint16_t(from - by);
  const uint16_t across = uint16_t(from + back);
  return from >= by ? within : across;
}

inline Geometry geometry_of(const Descriptor& d, const OutSize& size) {
#pragma HLS INLINE
  Geometry g;
  g.width = size.width;
  g.pixels = uint32_t(size.height) * size.width;
  g.polyphase = d.polyphase;
  g.odd_height = d.height % 2 != 0;
  g.odd_width = d.width % 2 != 0;
  g.pad = d.kernel / 2;
  g.phase_stride = d.phase_stride;
  const bool narrow = size.width < KEPT_LANES;
  g.starts = narrow ? ROW_STARTS[size.width % KEPT_POWER] : uint64_t(1);
  g.step[0] = narrow ? uint16_t(ROW_STEP[size.width % KEPT_POWER]) : uint16_t(P_PX);
  g.place[0] = size.width > LEFT_LANES ? uint16_t(LEFT_LANES) : uint16_t(0);
double_steps:
  for (uint32_t m = 0; m < STEPS; ++m) {
#pragma HLS UNROLL
    if (m > 0) g.step[m] = advance(g.step[m - 1], g.back[m - 1], g.step[m - 1]);
    g.back[m] = uint16_t(g.width - g.step[m]);
  first_places:
    for (uint32_t b = 0; b < (1u << m) && b + (1u << m) < uint32_t(BLOCKS); ++b) {
#pragma HLS UNROLL
#pragma HLS LOOP_TRIPCOUNT min=0 max=8
      g.place[b + (1u << m)] = advance(g.place[b], g.step[m], g.back[m]);
    }
  }
  return g;
}

// The tile at the beginning of the map, or one tile of mode `mode` further on.
inline void move_tile(const Geometry& g, bool start, uint32_t mode, Places& p) {
#pragma HLS INLINE
move_blocks:
  for (uint32_t b = 0; b < BLOCKS; ++b) {
#pragma HLS UNROLL
    const uint16_t further = advance(p.place[b], g.step[mode % STEPS], g.back[mode % STEPS]);
    p.place[b] = start ? g.place[b] : further;
    p.begins[b] = p.place[b] < KEPT_LANES ? g.starts << p.place[b] : 0;
  }
}

// Rows or columns by which a tap leaves the map; the plane of an odd tap may be one shorter.
inline uint8_t outside(int delta, bool shorter) {
#pragma HLS INLINE
  return uint8_t(delta < 0 ? -delta : delta + (shorter ? 1 : 0));
}

// Up to three rows, in pixels, without a multiplier.
inline uint32_t few_rows(uint32_t rows, uint32_t width) {
#pragma HLS INLINE
  return (rows & 1 ? width : 0) + (rows & 2 ? 2 * width : 0);
}

// With stride 2 the rows of parity `a & 1` lie in planes of their own, and row 2 r + a of the image
// is row r + (a >> 1) of that plane; the same for columns.
inline Tap tap_of(const Geometry& g, uint32_t kh, uint32_t kw) {
#pragma HLS INLINE
  const int a = int(kh) - g.pad;
  const int b = int(kw) - g.pad;
  const bool odd_row = g.polyphase && (a & 1) != 0;
  const bool odd_column = g.polyphase && (b & 1) != 0;
  const int rows = g.polyphase ? a >> 1 : a;
  const int columns = g.polyphase ? b >> 1 : b;
  Tap tap;
  const uint32_t way = few_rows(uint32_t(rows < 0 ? -rows : rows), g.width);
  tap.offset = (rows < 0 ? 0 - way : way) + uint32_t(columns) + (odd_row ? 2 * g.phase_stride : 0) +
               (odd_column ? g.phase_stride : 0);
  tap.top = a < 0;
  tap.left = b < 0;
  tap.rows_pixels = few_rows(outside(rows, odd_row && g.odd_height), g.width);
  tap.columns = outside(columns, odd_column && g.odd_width);
  return tap;
}

// The window as pixels, `pad` where a lane falls off the map, zero for an empty input list.
inline void mask_window(const Geometry& g, const Places& p, const Tap& tap, uint32_t tile_offset,
                        uint32_t mode, bool is_signed, byte_t pad, bool empty,
                        const byte_t window[WB], pixel_t pixels[WB]) {
#pragma HLS INLINE
  const int edge = tap.top ? int(tap.rows_pixels) - int(tile_offset)
                           : int(g.pixels) - int(tile_offset) - int(tap.rows_pixels);
  const int16_t bound = int16_t(edge < 0 || empty ? 0 : edge > WB ? WB : edge);
  const bool from = tap.top && !empty;
  const int sign = is_signed ? 128 : 0;  // the bit that counts as -128, not 128
  const int outer = empty ? 0 : int(pad);
mask_blocks:
  for (uint32_t b = 0; b < BLOCKS; ++b) {
#pragma HLS UNROLL
    if ((b >> mode) != 0) continue;
    const uint64_t near = p.begins[b] >> (tap.left ? 0 : tap.columns);
    const uint64_t off = (tap.columns >= 1 ? near >> LEFT_LANES : 0) |
                         (tap.columns >= 2 ? near >> (LEFT_LANES - 1) : 0) |
                         (tap.columns >= 3 ? near >> (LEFT_LANES - 2) : 0);
    // A bit a lane: the lanes below the bound, or those from it on, less those beside the map.
    const int below = bound - int(b * P_PX);
    const uint64_t under = below <= 0 ? 0 : below >= P_PX ? ~uint64_t(0) : (uint64_t(1) << below) - 1;
    const uint32_t inside = uint32_t((from ? ~under : under) & ~off);
  mask_lanes:
    for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
      const int byte = int(window[b * P_PX + i]);
      const int value = (inside >> i & 1) != 0 ? byte : outer;
      pixels[b * P_PX + i] = pixel_t(value - ((value & sign) << 1));
    }
  }
}

}  // namespace ps

#endif
