// The fetch controller and its buffer as they stand in ps_core.
module ps_weight_buffer_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
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
  output logic [1:0]            param_group_o,
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
  logic request_busy, response_busy;
  mem_request_t req;
  group_t group;
  row_t row;
  weight_write_t write;
  param_write_t param;
  fold_t fold;
  token_t token;

  assign busy_o = request_busy || response_busy;
  assign {req_valid_o, req_addr_o, req_beats_o} = req;
  assign group_valid_o = group.valid;
  assign {param_valid_o, param_group_o, param_row_o, param_channel_o, param_o} = param;
  assign {fold_o, fold_channel_o, fold_slot_o} = fold;
  assign {token_valid_o, token_rows_o, token_last_o} = token;

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
    .group_o      (group),
    .row_o        (row),
    .req_o        (req),
    .req_ready_i
  );

  ps_weight_response u_response (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .busy_o        (response_busy),
    .group_i       (group),
    .row_i         (row),
    .beat_valid_i,
    .beat_data_i,
    .weights_o     (write),
    .param_o       (param),
    .fold_o        (fold),
    .token_o       (token),
    .token_ready_i
  );

  ps_weight_buffer u_buffer (
    .clk_i,
    .write_i  (write),
    .rd_half_i,
    .rd_addr_i,
    .weights_o
  );
endmodule
