// Operands and array as they stand in ps_core, with packed ports for the bench.
module ps_array_bench
  import ps_cfg::*;
  import ps_types::*;
(
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   valid_i,
  input  logic                   first_i,
  input  logic                   last_i,
  input  logic [1:0]             mode_i,
  input  logic [ROW_W-2:0]       lane_i,
  input  logic                   signed_i,
  input  logic [7:0]             pad_i,
  input  logic [WB-1:0]          mask_i,
  input  logic [WB-1:0][7:0]     window_i,
  input  logic [P_OC-1:0][7:0]   weights_i,
  output logic                   loaded_o,
  input  logic                   shift_i,
  output logic [P_PX-1:0][31:0]  row_o
);
  logic valid, first, last;
  logic signed [7:0] weights [P_OC];
  logic signed [15:0] pixels [P_OC][P_PX];
  logic signed [31:0] row [P_PX];

  ps_operands u_operands (
    .clk_i,
    .rst_ni,
    .mac_i    ('{
      valid: valid_i, first: first_i, last: last_i, mode: mode_i, lane: lane_i, mask: mask_i
    }),
    .signed_i,
    .pad_i,
    .window_i,
    .weights_i,
    .valid_o  (valid),
    .first_o  (first),
    .last_o   (last),
    .weights_o(weights),
    .pixels_o (pixels)
  );

  ps_array u_array (
    .clk_i,
    .rst_ni,
    .valid_i  (valid),
    .first_i  (first),
    .last_i   (last),
    .weights_i(weights),
    .pixels_i (pixels),
    .loaded_o,
    .shift_i,
    .row_o    (row)
  );

  for (genvar p = 0; p < P_PX; p++) begin : gen_lane
    assign row_o[p] = row[p];
  end
endmodule
