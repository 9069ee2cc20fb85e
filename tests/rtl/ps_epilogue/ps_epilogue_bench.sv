// The epilogue with packed sums and parameters for the bench; a tile is announced as the
// controller does, in a cycle in which the shadow is free.
module ps_epilogue_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
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
  input  logic [1:0] tile_group_i,
  input  logic [ROW_W-1:0] tile_rows_i,
  input  logic [ROW_W-2:0] tile_lane_i,
  input  logic [1:0] tile_mode_i,
  output logic shadow_free_o,
  input  logic array_loaded_i,
  output logic array_shift_o,
  input  logic [P_PX-1:0][31:0] array_row_i,
  input  param_t [3:0][P_OC-1:0] params_i,  // of four groups
  input  logic [3:0][P_OC-1:0][CH_W-1:0] channels_i,
  output logic [FA_W-1:0] mem_addr_o,
  output logic mem_read_o,
  output logic mem_a_read_o,
  output logic [FA_W-1:0] mem_a_addr_o,
  input  logic [P_PX-1:0][7:0] mem_a_rdata_i,
  output logic [P_PX-1:0] mem_mask_o,
  output logic [P_PX-1:0][7:0] mem_wdata_o,
  input  logic [P_PX-1:0][7:0] mem_rdata_i,
  input  logic table_we_i,
  input  logic [4:0] table_word_i,
  input  logic [63:0] table_data_i,
  output logic pool_we_o,
  output logic [PA_W-1:0] pool_addr_o,
  output logic signed [31:0] pool_data_o
);
  logic signed [31:0] row [P_PX];
  place_t place;
  param_t param;
  window_t residual;
  access_t access;
  sum_write_t sum;

  assign tile_valid_o = tile_wanted_i && shadow_free_o;
  scale_t scale_q;
  assign param = params_i[place.group][place.row];
  always_ff @(posedge clk_i) scale_q <= '{
    bias: param.bias, multiplier: param.multiplier, shift: param.shift[5:0],
    channel: channels_i[place.group][place.row]
  };
  assign {mem_a_read_o, mem_a_addr_o} = {residual.read, residual.addr};
  assign {mem_read_o, mem_addr_o} = {access.read, access.addr};
  assign mem_mask_o = access.mask[P_PX-1:0];
  assign mem_wdata_o = access.data[P_PX-1:0];
  assign {pool_we_o, pool_addr_o, pool_data_o} = sum;

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
    .tile_i       ('{
      valid: tile_valid_o, offset: tile_offset_i, pixels: tile_pixels_i, first: tile_first_i,
      last: tile_last_i, group: tile_group_i, rows: tile_rows_i,
      lane: tile_lane_i, mode: tile_mode_i
    }),
    .shadow_free_o,
    .array_loaded_i,
    .array_shift_o,
    .array_row_i  (row),
    .place_o      (place),
    .scale_i      (scale_q),
    .residual_o   (residual),
    .residual_i   (mem_a_rdata_i),
    .access_o     (access),
    .mem_rdata_i,
    .table_i      ('{valid: table_we_i, word: table_word_i, data: table_data_i}),
    .sum_o        (sum)
  );
endmodule
