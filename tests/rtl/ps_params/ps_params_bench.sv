// The parameters with each signal of its bundles a port of its own, for the bench.
module ps_params_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              wr_valid_i,
  input  logic [1:0]        wr_group_i,
  input  logic [ROW_W-2:0]  wr_row_i,
  input  logic [CH_W-1:0]   wr_channel_i,
  input  param_t            wr_param_i,
  input  logic              fold_i,
  input  logic              fold_channel_i,
  input  logic [SA_W-1:0]   fold_slot_i,
  output logic [SA_W-1:0]   score_addr_o,
  input  logic [7:0]        score_i,
  input  logic [1:0]        rd_group_i,
  input  logic [ROW_W-2:0]  rd_row_i,
  output logic signed [31:0] rd_bias_o,
  output logic [15:0]       rd_multiplier_o,
  output logic [5:0]        rd_shift_o,
  output logic [CH_W-1:0]   rd_channel_o
);
  scale_t scale;
  assign rd_bias_o = scale.bias;
  assign rd_multiplier_o = scale.multiplier;
  assign rd_shift_o = scale.shift;
  assign rd_channel_o = scale.channel;

  ps_params u_unit (
    .clk_i,
    .score_addr_o,
    .score_i,
    .write_i('{
      valid: wr_valid_i, place: '{group: wr_group_i, row: wr_row_i}, channel: wr_channel_i,
      param: wr_param_i
    }),
    .fold_i ('{enable: fold_i, by_channel: fold_channel_i, slot: fold_slot_i}),
    .place_i('{group: rd_group_i, row: rd_row_i}),
    .scale_o(scale)
  );
endmodule
