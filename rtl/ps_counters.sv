// Per-image counters (program/counters.py): what each cycle was spent on, and what moved.
//
// clear_i ends an image: counters_o takes the values up to and including this cycle, and counting
// starts again at zero.  Each cycle belongs to exactly one
// class, the first that applies: mac, weight_wait, drain, copy, gate, io, overhead.
module ps_counters
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic        clk_i,
  input  logic        clear_i,
  input  logic        running_i,
  input  logic        mac_i,
  input  logic        weight_wait_i,
  input  logic        conv_i,         // a convolution is at work
  input  logic        gate_i,
  input  logic        copy_i,
  input  logic        io_i,
  input  logic        weight_beat_i,
  input  logic        read_beat_i,
  input  logic        write_beat_i,
  input  logic        executed_i,
  input  logic        skipped_i,
  input  logic [CH_W-1:0] channels_executed_i,  // with executed_i or skipped_i
  input  logic [CH_W-1:0] channels_skipped_i,
  input  logic [31:0] exit_i,
  output logic [N_COUNTERS-1:0][31:0] counters_o
);
  logic [N_COUNTERS-1:0][31:0] count_q, add;

  always_comb begin
    add = '0;
    add[CNT_CYCLES] = 32'(running_i);
    if (mac_i) add[CNT_MAC] = 32'd1;
    else if (weight_wait_i) add[CNT_WEIGHT_WAIT] = 32'd1;
    else if (conv_i) add[CNT_DRAIN] = 32'd1;
    else if (copy_i) add[CNT_COPY] = 32'd1;
    else if (gate_i) add[CNT_GATE] = 32'd1;
    else if (io_i) add[CNT_IO] = 32'd1;
    else add[CNT_OVERHEAD] = 32'(running_i);
    add[CNT_WEIGHT_BYTES] = weight_beat_i ? 32'd8 : 32'd0;
    add[CNT_READ_BYTES] = read_beat_i ? 32'd8 : 32'd0;
    add[CNT_WRITE_BYTES] = write_beat_i ? 32'd8 : 32'd0;
    add[CNT_EXECUTED] = 32'(executed_i);
    add[CNT_SKIPPED] = 32'(skipped_i);
    if (executed_i || skipped_i) begin
      add[CNT_CHANNELS_EXECUTED] = 32'(channels_executed_i);
      add[CNT_CHANNELS_SKIPPED] = 32'(channels_skipped_i);
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < N_COUNTERS; i++) begin
      count_q[i] <= clear_i ? '0 : count_q[i] + add[i];
      if (clear_i) counters_o[i] <= count_q[i] + add[i];
    end
    if (clear_i) counters_o[CNT_EXIT] <= exit_i;
  end
endmodule
