// The epilogue with packed sums and parameters for the bench; a tile is announced as the
// controller does, in a cycle in which the shadow is free.
module ps_epilogue_bench
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic start_i,
  input  logic empty_i,
  input  desc_t desc_i,
  output logic busy_o,
  input  logic tile_wanted_i,
  output logic tile_valid_o,
  input  logic [FA_W-1:0] tile_offset_i,
  input  logic [PX_W-1:0] tile_pixels_i,
  input  logic tile_first_i,
  input  logic tile_last_i,
  input  logic tile_end_i,
  input  logic tile_half_i,
  input  logic [ROW_W-1:0] tile_rows_i,
  input  logic [ROW_W-2:0] tile_lane_i,
  input  logic [1:0] tile_mode_i,
  output logic shadow_free_o,
  output logic release_o,
  input  logic array_loaded_i,
  output logic array_shift_o,
  input  logic [P_PX-1:0][31:0] array_row_i,
  input  param_t [1:0][P_OC-1:0] params_i,  // of both halves
  input  logic [1:0][P_OC-1:0][CH_W-1:0] channels_i,
  output logic [FA_W-1:0] mem_addr_o,
  output logic mem_read_o,
  output logic mem_a_read_o,
  output logic [FA_W-1:0] mem_a_addr_o,
  input  logic [P_PX-1:0][7:0] mem_a_rdata_i,
  output logic [P_PX-1:0] mem_mask_o,
  output logic [P_PX-1:0][7:0] mem_wdata_o,
  input  logic [P_PX-1:0][7:0] mem_rdata_i,
  output logic pool_we_o,
  output logic [PA_W-1:0] pool_addr_o,
  output logic signed [31:0] pool_data_o
);
  logic signed [31:0] row [P_PX];
  logic half;
  logic [ROW_W-2:0] param_row;
  param_t param;

  assign tile_valid_o = tile_wanted_i && shadow_free_o;
  assign param = params_i[half][param_row];

  for (genvar p = 0; p < P_PX; p++) begin : gen_lane
    assign row[p] = array_row_i[p];
  end

  ps_epilogue u_epilogue (
    .clk_i,
    .rst_ni,
    .start_i,
    .empty_i,
    .desc_i,
    .busy_o,
    .tile_valid_i (tile_valid_o),
    .tile_offset_i,
    .tile_pixels_i,
    .tile_first_i,
    .tile_last_i,
    .tile_end_i,
    .tile_half_i,
    .tile_rows_i,
    .tile_lane_i,
    .tile_mode_i,
    .shadow_free_o,
    .release_o,
    .array_loaded_i,
    .array_shift_o,
    .array_row_i  (row),
    .param_half_o (half),
    .param_row_o  (param_row),
    .param_bias_i (param.bias),
    .param_multiplier_i(param.multiplier),
    .param_shift_i(param.shift[5:0]),
    .param_channel_i(channels_i[half][param_row]),
    .mem_addr_o,
    .mem_read_o,
    .mem_a_read_o,
    .mem_a_addr_o,
    .mem_a_rdata_i,
    .mem_mask_o,
    .mem_wdata_o,
    .mem_rdata_i,
    .pool_we_o,
    .pool_addr_o,
    .pool_data_o
  );
endmodule
