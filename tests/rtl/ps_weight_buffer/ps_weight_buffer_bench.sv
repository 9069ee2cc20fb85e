// The fetch controller and its buffer as they stand in ps_core.
module ps_weight_buffer_bench
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  start_i,
  input  desc_t                 desc_i,
  input  logic [CH_W-1:0]       n_in_i,
  input  logic [CH_W-1:0]       n_out_i,
  input  logic [63:0]           weights_i,
  input  logic                  release_i,
  output logic                  busy_o,

  output logic [LI_W+CH_W-2:0]  list_addr_o,
  input  logic [CH_W-2:0]       list_data_i,

  output logic                  req_valid_o,
  output logic [63:0]           req_addr_o,
  output logic [15:0]           req_beats_o,
  input  logic                  req_ready_i,
  input  logic                  beat_valid_i,
  input  logic [63:0]           beat_data_i,

  output logic                  group_valid_o,
  output logic                  param_valid_o,
  output logic                  param_half_o,
  output logic [ROW_W-2:0]      param_row_o,
  output logic [CH_W-1:0]       param_channel_o,
  output logic [63:0]           param_o,
  output logic                  fold_o,
  output logic                  fold_channel_o,
  output logic [SA_W-1:0]       fold_slot_o,

  output logic                  token_valid_o,
  input  logic                  token_ready_i,
  output logic [ROW_W-1:0]      token_rows_o,
  output logic                  token_last_o,

  input  logic                  rd_half_i,
  input  logic [WA_W-1:0]       rd_addr_i,
  output logic [P_OC-1:0][7:0]  weights_o
);
  logic request_busy, response_busy, group_last, row_valid, wr_half;
  logic [ROW_W-1:0] group_rows;
  logic [15:0] group_beats;
  logic [CH_W-1:0] row_channel;
  logic [P_OC-1:0] wr_rows;
  logic [WA_W-4:0] wr_word;
  logic [7:0] wr_bytes;
  logic [P_OC-1:0][63:0] wr_data;

  assign busy_o = request_busy || response_busy;

  ps_weight_request u_request (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .n_in_i,
    .n_out_i,
    .weights_i,
    .release_i,
    .busy_o       (request_busy),
    .list_addr_o,
    .list_data_i,
    .group_valid_o,
    .group_rows_o (group_rows),
    .group_last_o (group_last),
    .group_beats_o(group_beats),
    .row_valid_o  (row_valid),
    .row_channel_o(row_channel),
    .req_valid_o,
    .req_addr_o,
    .req_beats_o,
    .req_ready_i
  );

  ps_weight_response u_response (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .busy_o        (response_busy),
    .group_valid_i (group_valid_o),
    .group_rows_i  (group_rows),
    .group_last_i  (group_last),
    .group_beats_i (group_beats),
    .row_valid_i   (row_valid),
    .row_channel_i (row_channel),
    .beat_valid_i,
    .beat_data_i,
    .wr_rows_o     (wr_rows),
    .wr_half_o     (wr_half),
    .wr_word_o     (wr_word),
    .wr_bytes_o    (wr_bytes),
    .wr_data_o     (wr_data),
    .param_valid_o,
    .param_half_o,
    .param_row_o,
    .param_channel_o,
    .param_o,
    .fold_o,
    .fold_channel_o,
    .fold_slot_o,
    .token_valid_o,
    .token_ready_i,
    .token_rows_o,
    .token_last_o
  );

  ps_weight_buffer u_buffer (
    .clk_i,
    .wr_rows_i (wr_rows),
    .wr_half_i (wr_half),
    .wr_word_i (wr_word),
    .wr_bytes_i(wr_bytes),
    .wr_data_i (wr_data),
    .rd_half_i,
    .rd_addr_i,
    .weights_o
  );
endmodule
