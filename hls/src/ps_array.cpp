#include "ps_array.h"

#include "ps_arithmetic.h"
#include "ps_memory.h"

namespace ps {
namespace {

// Output pixel of a lane.
struct Lane {
  uint16_t row;
  uint16_t col;
};

// Where the loop nest stands: tile, surviving input channel, tap.
struct Step {
  uint32_t tile;         // of the group, first to last
  uint32_t tile_offset;  // its first pixel
  uint8_t row;           // depthwise: the row of the group whose tile it is, else 0
  uint16_t position;     // in the list of input channels
  uint8_t kh;
  uint8_t kw;
  uint8_t tap;
};

// The tile in the shadow accumulators.
struct Drain {
  uint32_t offset;
  uint8_t row;  // the first of its rows within the group
  bool first;
};

// When, within the period of a tile, the array steps and the shadow drains.  A residual is read
// through the window's port, so its rows drain between two tiles; other tiles drain under the next.
struct Timing {
  uint32_t steps;       // of a tile
  uint32_t period;      // iterations of a tile
  uint32_t step_from;   // first iteration with a step
  uint32_t drain_from;  // first iteration that drains
  uint32_t total;       // iterations of the group
};

// `n_rows`: rows that a tile drains.
Timing timing_of(const Descriptor& d, const Walk& walk, uint32_t n_rows, uint32_t tiles) {
#pragma HLS INLINE
  Timing t;
  t.steps = walk.n_in == 0 ? 1 : uint32_t(walk.n_in) * d.kernel * d.kernel;
  t.period = d.res_en ? t.steps + n_rows : (t.steps > n_rows ? t.steps : n_rows);
  t.step_from = d.res_en ? 0 : t.period - t.steps;
  t.drain_from = d.res_en ? t.steps : 0;
  t.total = tiles * t.period + (d.res_en ? 0 : n_rows);
  return t;
}

// The lanes on the first pixels of the map.
void place_lanes(uint32_t width, Lane lanes[P_PX]) {
#pragma HLS INLINE
  Lane next = {0, 0};
place:
  for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS PIPELINE II=1
    lanes[i] = next;
    ++next.col;
    if (next.col == width) {
      next.col = 0;
      ++next.row;
    }
  }
}

// The lanes one tile on; `by` is P_PX pixels as rows and columns.
void move_lanes(uint32_t width, const Lane& by, Lane lanes[P_PX]) {
#pragma HLS INLINE
move:
  for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
    const uint32_t col = uint32_t(lanes[i].col) + by.col;
    const bool wraps = col >= width;
    lanes[i].col = uint16_t(wraps ? col - width : col);
    lanes[i].row = uint16_t(lanes[i].row + by.row + (wraps ? 1 : 0));
  }
}

// Byte offset of the window of a tap from the first output pixel.  With stride 2 the rows of parity
// `dh & 1` lie in planes of their own, row 2 r + dh of the image in row r + (dh >> 1) of its plane.
uint32_t tap_offset(const Descriptor& d, uint32_t out_width, int dh, int dw) {
#pragma HLS INLINE
  if (!d.polyphase) return uint32_t(dh * int(d.width) + dw);
  const uint32_t plane = uint32_t((dh & 1) * 2 + (dw & 1));
  return plane * d.phase_stride + uint32_t((dh >> 1) * int(out_width) + (dw >> 1));
}

// The window as pixels, zero where a lane falls off the map.
void mask_window(const Descriptor& d, bool empty, int dh, int dw, const Lane lanes[P_PX],
                 const byte_t window[FB], pixel_t pixels[P_PX]) {
#pragma HLS INLINE
mask:
  for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
    const int row = (d.polyphase ? 2 * lanes[i].row : lanes[i].row) + dh;
    const int col = (d.polyphase ? 2 * lanes[i].col : lanes[i].col) + dw;
    const bool inside = row >= 0 && row < d.height && col >= 0 && col < d.width;
    pixels[i] = inside && !empty ? pixel_of(window[i], d.src_signed) : pixel_t(0);
  }
}

// One outer product: a weight of every row times a pixel of every lane.  The first row takes the
// weight of row `row` of the group: in a depthwise convolution it alone counts.
void accumulate(bool first, bool last, uint32_t address, uint32_t row,
                const beat_t wbuf[P_OC][WBUF_WORDS], const pixel_t pixels[P_PX],
                acc_t acc[P_OC][P_PX], acc_t shadow[P_OC][P_PX]) {
#pragma HLS INLINE
  beat_t words[P_OC];
#pragma HLS ARRAY_PARTITION variable=words complete
weight_rows:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    words[r] = wbuf[r][address / BEAT_BYTES % WBUF_WORDS];
  }
product_rows:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
    const beat_t word = r == 0 ? words[row % P_OC] : words[r];
    const weight_t weight = weight_of(get_byte(word, int(address % BEAT_BYTES)));
  product_lanes:
    for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
      const acc_t sum = acc_t((first ? acc_t(0) : acc[r][i]) + weight * pixels[i]);
      acc[r][i] = sum;
      if (last) shadow[r][i] = sum;
    }
  }
}

// The shadow's first row, requantised into `window` (which holds the old bytes); its pixels' sum.
acc_t drain_row(const Descriptor& d, const Row& row, uint32_t pixels, acc_t shadow[P_OC][P_PX],
                byte_t window[FB]) {
#pragma HLS INLINE
  acc_t sum = 0;
drain_lanes:
  for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
    result_t y = requantize(acc_t(shadow[0][i] + row.bias), row.multiplier, row.shift);
    if (d.res_sat8) y = clamp(y, -128, 127);
    if (d.res_en) y = result_t(y + pixel_of(window[i], d.res_signed));
    y = clamp(y, d.clamp_lo, d.clamp_hi);
    if (i < pixels) sum = acc_t(sum + y);
    window[i] = byte_t(uint32_t(int(y)) & 0xFF);
  }
shift_rows:
  for (uint32_t r = 0; r + 1 < P_OC; ++r) {
#pragma HLS UNROLL
  shift_lanes:
    for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
      shadow[r][i] = shadow[r + 1][i];
    }
  }
  return sum;
}

// The next tap of the tile; true after its last.
bool next_tap(const Descriptor& d, const Walk& walk, Step& step) {
#pragma HLS INLINE
  ++step.tap;
  if (++step.kw < d.kernel && walk.n_in != 0) return false;
  step.kw = 0;
  if (++step.kh < d.kernel && walk.n_in != 0) return false;
  step.kh = 0;
  step.tap = 0;
  if (++step.position < walk.n_in) return false;
  step.position = 0;
  return true;
}

}  // namespace

ArrayWork compute_group(const Descriptor& d, const Walk& walk, uint32_t n_rows,
                        const beat_t wbuf[P_OC][WBUF_WORDS], const Row rows[P_OC],
                        const channel_t lists[N_LISTS][MAX_CHANNELS], byte_t fmem[FMEM_ROWS][FB],
                        acc_t pool[POOL_DEPTH]) {
#pragma HLS INLINE off
  acc_t acc[P_OC][P_PX];
#pragma HLS ARRAY_PARTITION variable=acc complete dim=0
  acc_t shadow[P_OC][P_PX];
#pragma HLS ARRAY_PARTITION variable=shadow complete dim=0
  acc_t sums[P_OC];
#pragma HLS ARRAY_PARTITION variable=sums complete
  Lane lanes[P_PX];
#pragma HLS ARRAY_PARTITION variable=lanes complete
  Lane first_lanes[P_PX];
#pragma HLS ARRAY_PARTITION variable=first_lanes complete
  byte_t window[FB];
#pragma HLS ARRAY_PARTITION variable=window complete
  pixel_t pixels[P_PX];
#pragma HLS ARRAY_PARTITION variable=pixels complete

  const uint32_t out_pixels = uint32_t(walk.out_height) * walk.out_width;
  // A depthwise group is one row after the other, each with every tile of the map.
  const bool alone = depthwise(d);
  const uint32_t tiles = (out_pixels + P_PX - 1) / P_PX * (alone ? n_rows : 1);
  const uint32_t drained = alone ? 1 : n_rows;
  const Timing timing = timing_of(d, walk, drained, tiles);
  const Lane by = {uint16_t(P_PX / walk.out_width), uint16_t(P_PX % walk.out_width)};
  const uint32_t taps = row_taps(d.kernel, d.w_rows);
  const int pad = d.kernel / 2;
  place_lanes(walk.out_width, lanes);
  place_lanes(walk.out_width, first_lanes);
clear:
  for (uint32_t r = 0; r < P_OC; ++r) {
#pragma HLS UNROLL
  clear_lanes:
    for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
      acc[r][i] = 0;
      shadow[r][i] = 0;
    }
    sums[r] = 0;
  }

  Step step = {0, 0, 0, 0, 0, 0, 0};
  Drain drain = {0, 0, true};
  uint32_t phase = 0;  // of the tile's period
step_loop:
  for (uint32_t iteration = 0; iteration < timing.total; ++iteration) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=589824
    // A write lands on its own channel's pixels, which no later iteration reads.
#pragma HLS DEPENDENCE variable=fmem type=inter false
    const bool stepping = step.tile < tiles && phase >= timing.step_from &&
                          phase - timing.step_from < timing.steps;
    const bool draining = phase >= timing.drain_from && phase - timing.drain_from < drained &&
                          (d.res_en || step.tile != 0);
    const uint32_t lane_row = drain.row + phase - timing.drain_from;
    const Row row = rows[lane_row % P_OC];
    const channel_t channel = alone ? rows[step.row % P_OC].channel
                                    : channel_at(lists, d.in_list, step.position);
    const int dh = step.kh - pad;
    const int dw = step.kw - pad;
    const uint32_t source = d.src + uint32_t(channel) * d.src_stride + step.tile_offset +
                            tap_offset(d, walk.out_width, dh, dw);
    const uint32_t target = d.dst + uint32_t(row.channel) * d.dst_stride + drain.offset;
    read_window(fmem, stepping ? source : target, window);

    if (stepping) mask_window(d, walk.n_in == 0, dh, dw, lanes, window, pixels);
    if (draining) {
      const uint32_t left = out_pixels - drain.offset;
      const uint32_t count = left < P_PX ? left : uint32_t(P_PX);
      const acc_t sum = drain_row(d, row, count, shadow, window);
      const acc_t before = drain.first ? acc_t(0) : sums[lane_row % P_OC];
      const acc_t total = acc_t(before + sum);
      sums[lane_row % P_OC] = total;
      if (d.pool_en) pool[(d.pool_base + uint32_t(row.channel)) % POOL_DEPTH] = total;
      write_window(fmem, target, window, count);
    }
    if (stepping) {
      const bool first = step.position == 0 && step.tap == 0;
      const uint32_t place = d.w_rows && !alone ? uint32_t(channel) : step.position;
      const uint32_t address = place * taps + step.tap;
      const bool last = next_tap(d, walk, step);
      accumulate(first, last, address, step.row, wbuf, pixels, acc, shadow);
      if (last) {
        drain.offset = step.tile_offset;
        drain.row = step.row;
        drain.first = step.tile_offset == 0;
      }
    }
    if (++phase == timing.period) {
      phase = 0;
      ++step.tile;
      step.tile_offset += P_PX;
      move_lanes(walk.out_width, by, lanes);
      if (alone && step.tile_offset >= out_pixels) {
        step.tile_offset = 0;
        ++step.row;
      first_tile:
        for (uint32_t i = 0; i < P_PX; ++i) {
#pragma HLS UNROLL
          lanes[i] = first_lanes[i];
        }
      }
    }
  }
  const ArrayWork work = {walk.n_in == 0 ? 0 : tiles * timing.steps, timing.total};
  return work;
}

}  // namespace ps
