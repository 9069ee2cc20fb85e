// Per-image counters (program/core/counters.py): what each cycle was spent on, and what moved.
//
// clear ends an image: counters_o takes the values up to and including this cycle, and counting
// starts again at zero.  Each cycle belongs to exactly one
// class, the first that applies: mac, weight_wait, drain, copy, gate, io, overhead.
module ps_counters
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic        clk_i,
  input  events_t     events_i,
  output logic [N_COUNTERS-1:0][31:0] counters_o
);
  logic [N_COUNTERS-1:0][31:0] count_q, add;

  always_comb begin
    add = '0;
    add[CNT_CYCLES] = 32'(events_i.running);
    if (events_i.mac) add[CNT_MAC] = 32'd1;
    else if (events_i.weight_wait) add[CNT_WEIGHT_WAIT] = 32'd1;
    else if (events_i.conv) add[CNT_DRAIN] = 32'd1;
    else if (events_i.copy) add[CNT_COPY] = 32'd1;
    else if (events_i.gate) add[CNT_GATE] = 32'd1;
    else if (events_i.io) add[CNT_IO] = 32'd1;
    else add[CNT_OVERHEAD] = 32'(events_i.running);
    add[CNT_WEIGHT_BYTES] = events_i.weight_beat ? 32'd8 : 32'd0;
    add[CNT_READ_BYTES] = events_i.read_beat ? 32'd8 : 32'd0;
    add[CNT_WRITE_BYTES] = events_i.write_beat ? 32'd8 : 32'd0;
    add[CNT_EXECUTED] = 32'(events_i.outcome.executed);
    add[CNT_SKIPPED] = 32'(events_i.outcome.skipped);
    if (events_i.outcome.executed || events_i.outcome.skipped) begin
      add[CNT_CHANNELS_EXECUTED] = 32'(events_i.outcome.channels_executed);
      add[CNT_CHANNELS_SKIPPED] = 32'(events_i.outcome.channels_skipped);
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < N_COUNTERS; i++) begin
      count_q[i] <= events_i.clear ? '0 : count_q[i] + add[i];
      if (events_i.clear) counters_o[i] <= count_q[i] + add[i];
    end
    if (events_i.clear) counters_o[CNT_EXIT] <= events_i.index;
  end
endmodule
