#include "ps_convolve.h"

#include "ps_array.h"
#include "ps_epilogue.h"
#include "ps_memory.h"
#include "ps_window.h"

namespace ps {
namespace {

Nest nest_of(const Descriptor& d, const Walk& walk, uint32_t pixels) {
#pragma HLS INLINE
  Nest n;
  n.n_in = walk.n_in;
  n.pixels = pixels;
  n.kernel = d.kernel;
  n.taps = uint8_t(row_taps(d.kernel, d.w_rows));
  n.alone = depthwise(d);
  n.by_channel = d.w_rows && !n.alone;
  plan_passes(d.split, n);
  return n;
}

Finish finish_of(const Descriptor& d) {
#pragma HLS INLINE
  Finish f;
  f.dst = d.dst;
  f.dst_stride = d.dst_stride;
  f.pool_base = d.pool_base;
  f.pool_en = d.pool_en;
  f.res_en = d.res_en;
  f.res_signed = d.res_signed;
  f.res_sat8 = d.res_sat8;
  f.by_table = by_table(d);
  f.clamp_lo = d.clamp_lo;
  f.clamp_hi = d.clamp_hi;
  return f;
}

// The loop nest moves on after a step: to the next tap, tile, pass or group.
void next_place(const Nest& n, const Geometry& g, bool last, Issue& at, Places& places) {
#pragma HLS INLINE
  next_step(n, last, at);
  if (!last) return;
  const uint32_t pixels = uint32_t(P_PX) << at.tile.mode;
  const bool pass_done = at.tile.last;
  if (!pass_done) {
    at.tile.last = tile_before_last(at.tile);
    at.tile.offset += pixels;
    at.tile.left -= pixels;
    at.tile.first = false;
  } else if (at.rows_behind != 0) {
    begin_pass(n, at.rows_behind, uint32_t(at.tile.lane) + at.tile.rows, at);
  }
  move_tile(g, pass_done, at.tile.mode, places);
}

}  // namespace

ConvWork convolve(const Descriptor& d, const Walk& walk, const Plan& next, read_port_t weights,
                  Reads& reads, const lists_t fetch_lists, const lists_t array_lists,
                  const runs_t runs, const scores_t scores, wbuf_t wbuf, Fetch& fetch,
                  const table_t table, fmem_t fmem, acc_t pool[POOL_DEPTH]) {
#pragma HLS INLINE off
  sums_t acc;
#pragma HLS ARRAY_PARTITION variable=acc complete dim=0
  sums_t shadow;
#pragma HLS ARRAY_PARTITION variable=shadow complete dim=0
  acc_t sums[P_OC];
#pragma HLS ARRAY_PARTITION variable=sums complete
  static byte_t old[P_OC][WB];
#pragma HLS ARRAY_PARTITION variable=old complete dim=2
#pragma HLS BIND_STORAGE variable=old type=ram_s2p impl=lutram
  static byte_t window[WB];
#pragma HLS ARRAY_PARTITION variable=window complete
  static pixel_t pixels[WB];
#pragma HLS ARRAY_PARTITION variable=pixels complete

  ConvWork work = {0, 0, 0, 0};
  const Plan plan = plan_of(d, walk);
  if (plan.groups == 0) return work;
  const Geometry geometry = geometry_of(d, walk.size);
  const Nest nest = nest_of(d, walk, geometry.pixels);
#pragma HLS ARRAY_PARTITION variable=nest.modes complete
#pragma HLS ARRAY_PARTITION variable=nest.rests complete
#pragma HLS ARRAY_PARTITION variable=nest.singles complete
  const Finish finish = finish_of(d);
  start_fetch(plan, fetch);
  Places places;
#pragma HLS ARRAY_PARTITION variable=places.place complete
#pragma HLS ARRAY_PARTITION variable=places.begins complete
  move_tile(geometry, true, 0, places);
  const Tile none = {0, 0, 0, 0, 0, 0, false, false, false};
  Issue at = {false, none, 0, 0, 0, 0, 0, 0, false, false, false, false};
  begin_tile(nest, at);
  Drain drain = {false, none, 0, 0, 0, false, false, false, 0};
  uint32_t begun = fetch.done;  // groups that the array began
  const uint32_t end = fetch.done + plan.groups;
  const uint32_t before = fetch.now;
  uint32_t beats = 0;

step_loop:
  while (fetch.done != end) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=1 max=589824
    // A write lands on its own channel's pixels, which no later iteration reads; old bytes of a
    // residual are read before theirs are written.
#pragma HLS DEPENDENCE variable=fmem type=inter false
    const bool refill = refilling(drain);
    const bool slice = drain.busy && !refill;
    const bool shadow_free = !drain.busy || (slice && last_slice(drain));
    const bool last = last_step(nest, at);
    const bool step = at.active && !refill && (!last || shadow_free);
    // The array has no more of the group: said by itself, not by what the step leaves behind.
    const bool ends = step && last && at.tile.last && at.rows_behind == 0;
    const bool idle = !at.active || ends;

    // Weights: one burst asked for, one beat taken.
    ask_next(plan, next, weights, reads, fetch_lists, runs, fetch);
    beats += take_next(plan, next, weights, reads, scores, wbuf, fetch);

    // The window: old bytes of a residual, or what the array steps on.
    uint8_t old_row = 0;
    const uint32_t old_address = refill_address(finish, drain, fetch.rows, old_row);
    const Tap tap = tap_of(geometry, at.kh, at.kw);
    const channel_t channel = nest.alone ? fetch.rows[at.tile.half][at.tile.lane % P_OC].channel
                                         : channel_at(array_lists, d.in_list, at.position);
    const uint32_t source = d.src + uint32_t(span(channel, d.src_stride)) + at.tile.offset + tap.offset;
    const uint32_t bytes = refill ? uint32_t(WB) : uint32_t(P_PX) << at.tile.mode;
    if (refill || step) read_window(fmem, refill ? old_address : source, bytes, window);

    // The tile before: one slice.  Behind the read of the same iteration, which would wait for it.
    if (slice) {
      drain_slice(finish, drain, fetch.rows, shadow, old, table, sums, fmem, pool);
      if (next_slice(drain)) {
        ++fetch.done;
        --fetch.held;
        fetch.full = false;
      }
    }
    if (refill) {
    keep_old:
      for (uint32_t i = 0; i < WB; ++i) {
#pragma HLS UNROLL
        old[old_row % P_OC][i] = window[i];
      }
      drain.filling = drain.refill != 1;
      --drain.refill;
    }
    if (step) {
      mask_window(geometry, places, tap, at.tile.offset, at.tile.mode, d.src_signed,
                  byte_t(d.pad_value), nest.n_in == 0, window, pixels);
      const uint32_t place = nest.by_channel ? uint32_t(span(channel, nest.taps)) : at.place;
      accumulate(at.tile, at.first, last, place + at.tap, wbuf, pixels, acc,
                 shadow);
      if (nest.n_in != 0) ++work.steps;
      if (last) {
        Tile tile = at.tile;
        tile.end = tile.last && at.rows_behind == 0;
        begin_drain(finish, tile, drain);
      }
      next_place(nest, geometry, last, at, places);
    } else if (!at.active && !drain.busy) {
      ++work.wait;
    }

    // The next group: as soon as its weights are there and the array is free.
    at.active = !idle;
    if (idle && begun != end && begun != fetch.taken) {
      const uint32_t half = begun % HALVES;
      begin_pass(nest, fetch.group_rows[half], 0, at);
      at.tile.half = uint8_t(half);
      at.active = true;
      ++begun;
    }
    ++fetch.now;
  }
  work.weight_bytes = beats * BEAT_BYTES;
  work.drain = fetch.now - before - work.steps - work.wait + T_SETUP + T_STEP_DEPTH + T_LOOP;
  return work;
}

}  // namespace ps
