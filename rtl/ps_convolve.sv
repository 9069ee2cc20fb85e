// Everything of a CONV: its weights, from their addresses to their buffer, and the way from
// feature memory through the array and back.
//
//   weight request -> (AXI) -> weight response -> weight buffer, parameters
//   conv control -> feature memory and weight buffer -> operands -> array -> epilogue
//
// fetch_start_i begins the weights of a convolution, start_i the convolution itself; both latch the
// descriptor and the numbers of surviving channels.  The next one's weights may come while this one
// runs (ps_interlock); ready groups are handed over as tokens.
module ps_convolve
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 fetch_start_i,
  input  logic                 start_i,
  input  desc_t                desc_i,
  input  logic [CH_W-1:0]      n_in_i,
  input  logic [CH_W-1:0]      n_out_i,
  input  logic [9:0]           out_width_i,
  input  logic [19:0]          out_pixels_i,
  input  logic [63:0]          weights_at_i,
  output logic                 fetch_busy_o,
  output logic                 busy_o,        // issues steps
  output logic                 drain_busy_o,
  output logic                 waiting_o,     // for weights
  output logic                 step_o,        // a step with a real product is issued

  output mem_request_t         req_o,
  input  logic                 req_ready_i,
  input  logic                 beat_valid_i,
  input  logic [63:0]          beat_data_i,

  output logic [LI_W+CH_W-2:0] fetch_list_addr_o,
  input  logic [CH_W-2:0]      fetch_list_data_i,
  output logic [LI_W+CH_W-2:0] list_addr_o,
  input  logic [CH_W-2:0]      list_data_i,
  output logic [SA_W-1:0]      score_addr_o,
  input  logic [7:0]           score_i,

  output window_t              window_o,
  input  logic [WB-1:0][7:0]   window_i,
  output access_t              access_o,
  input  logic [P_PX-1:0][7:0] mem_rdata_i,
  input  table_write_t         table_i,
  output sum_write_t           sum_o
);
  // ---- weights
  logic request_busy, response_busy, release_half;
  group_t group;
  row_t row;
  weight_write_t weight_write;
  param_write_t param_write;
  fold_t fold;
  token_t token;
  logic token_ready;

  assign fetch_busy_o = request_busy || response_busy;

  ps_weight_request u_weight_request (
    .clk_i,
    .rst_ni,
    .start_i    (fetch_start_i),
    .desc_i,
    .n_in_i,
    .n_out_i,
    .weights_i  (weights_at_i),
    .release_i  (release_half),
    .busy_o     (request_busy),
    .list_addr_o(fetch_list_addr_o),
    .list_data_i(fetch_list_data_i),
    .group_o    (group),
    .row_o      (row),
    .req_o,
    .req_ready_i
  );

  ps_weight_response u_weight_response (
    .clk_i,
    .rst_ni,
    .start_i      (fetch_start_i),
    .desc_i,
    .busy_o       (response_busy),
    .group_i      (group),
    .row_i        (row),
    .beat_valid_i,
    .beat_data_i,
    .weights_o    (weight_write),
    .param_o      (param_write),
    .fold_o       (fold),
    .token_o      (token),
    .token_ready_i(token_ready)
  );

  logic weight_half;
  logic [WA_W-1:0] weight_addr;
  logic [P_OC-1:0][7:0] weights;

  ps_weight_buffer u_weight_buffer (
    .clk_i,
    .write_i  (weight_write),
    .rd_half_i(weight_half),
    .rd_addr_i(weight_addr),
    .weights_o(weights)
  );

  place_t place;
  scale_t scale;

  ps_params u_params (
    .clk_i,
    .write_i     (param_write),
    .fold_i      (fold),
    .score_addr_o,
    .score_i,
    .place_i     (place),
    .scale_o     (scale)
  );

  // ---- the loop nest
  logic shadow_free;
  mac_t mac;
  tile_t tile;
  window_t window, residual;

  // Without inputs the array needs no windows: the old bytes come in their place.
  assign window_o = residual.read ? residual : window;

  ps_conv_ctrl u_conv_ctrl (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .n_in_i,
    .n_out_i,
    .out_width_i,
    .out_pixels_i,
    .busy_o,
    .waiting_o,
    .list_addr_o,
    .list_data_i,
    .group_i      (token),
    .group_ready_o(token_ready),
    .window_o     (window),
    .weight_half_o(weight_half),
    .release_o    (release_half),
    .weight_addr_o(weight_addr),
    .mac_o        (mac),
    .step_o,
    .shadow_free_i(shadow_free),
    .tile_o       (tile)
  );

  // ---- the array
  logic src_signed_q, op_valid, op_first, op_last, array_loaded, array_shift;
  logic signed [15:0] op_pixels [P_OC][P_PX];
  logic signed [7:0] op_weights [P_OC];
  logic signed [31:0] array_row [P_PX];
  logic [7:0] pad_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      src_signed_q <= desc_i.src_signed;
      pad_q        <= n_in_i == '0 ? '0 : desc_i.pad_value;  // without inputs every sum is 0
    end
  end

  ps_operands u_operands (
    .clk_i,
    .rst_ni,
    .mac_i    (mac),
    .signed_i (src_signed_q),
    .pad_i    (pad_q),
    .window_i,
    .weights_i(weights),
    .valid_o  (op_valid),
    .first_o  (op_first),
    .last_o   (op_last),
    .weights_o(op_weights),
    .pixels_o (op_pixels)
  );

  ps_array u_array (
    .clk_i,
    .rst_ni,
    .valid_i  (op_valid),
    .first_i  (op_first),
    .last_i   (op_last),
    .weights_i(op_weights),
    .pixels_i (op_pixels),
    .loaded_o (array_loaded),
    .shift_i  (array_shift),
    .row_o    (array_row)
  );

  ps_epilogue u_epilogue (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .empty_i       (n_in_i == '0),
    .busy_o        (drain_busy_o),
    .tile_i        (tile),
    .shadow_free_o (shadow_free),
    .array_loaded_i(array_loaded),
    .array_shift_o (array_shift),
    .array_row_i   (array_row),
    .place_o       (place),
    .scale_i       (scale),
    .residual_o    (residual),
    .residual_i    (window_i[P_PX-1:0]),
    .access_o,
    .mem_rdata_i,
    .table_i,
    .sum_o
  );

`ifndef SYNTHESIS
  // What ps_interlock promises of the table of activations.
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      table_i.valid |-> !start_i && !busy_o && !drain_busy_o)
    else $error("ps_convolve: a GLOAD writes the table under a CONV");
  // A half is free with its group's last step, which reads it three cycles later: no beat is faster.
  for (genvar k = 0; k < 4; k++) begin : gen_late
    assert property (@(posedge clk_i) disable iff (!rst_ni)
        $past(weight_write.rows != '0, 3) && $past(step_o, 3 + k)
            |-> $past(weight_half, 1 + k) != $past(weight_write.half, 3))
      else $error("ps_convolve: weights are written over those of a step");
  end
`endif
endmodule
