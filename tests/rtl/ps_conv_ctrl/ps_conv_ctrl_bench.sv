// The loop nest with each signal of its bundles a port of its own, for the bench.
module ps_conv_ctrl_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  input  desc_t             desc_i,
  input  logic [CH_W-1:0]   n_in_i,
  input  logic [CH_W-1:0]   n_out_i,
  input  logic [9:0]        out_width_i,
  input  logic [19:0]       out_pixels_i,
  output logic              busy_o,
  output logic              waiting_o,
  output logic [LI_W+CH_W-2:0] list_addr_o,
  input  logic [CH_W-2:0]   list_data_i,
  input  logic              group_valid_i,
  output logic              group_ready_o,
  input  logic [ROW_W-1:0]  group_rows_i,
  input  logic              group_last_i,
  output logic [FA_W-1:0]   window_addr_o,
  output logic [1:0]        window_mode_o,
  output logic              weight_half_o,
  output logic              release_o,
  output logic [WA_W-1:0]   weight_addr_o,
  output logic              pending_o,
  output logic              mac_valid_o,
  output logic              mac_first_o,
  output logic              mac_last_o,
  output logic [WB-1:0]     mac_mask_o,
  output logic [1:0]        mac_mode_o,
  output logic [ROW_W-2:0]  mac_lane_o,
  output logic              step_o,
  input  logic              shadow_free_i,
  output logic              tile_valid_o,
  output logic [FA_W-1:0]   tile_offset_o,
  output logic [PX_W-1:0]   tile_pixels_o,
  output logic              tile_first_o,
  output logic              tile_last_o,
  output logic [1:0]        tile_group_o,
  output logic [ROW_W-1:0]  tile_rows_o,
  output logic [ROW_W-2:0]  tile_lane_o,
  output logic [1:0]        tile_mode_o
);
  window_t window;
  mac_t mac;
  tile_t tile;
  assign pending_o = window.read;
  assign window_mode_o = window.mode;
  assign window_addr_o = window.addr;
  assign mac_valid_o = mac.valid;
  assign mac_first_o = mac.first;
  assign mac_last_o = mac.last;
  assign mac_mask_o = mac.mask;
  assign mac_mode_o = mac.mode;
  assign mac_lane_o = mac.lane;
  assign tile_valid_o = tile.valid;
  assign tile_offset_o = tile.offset;
  assign tile_pixels_o = tile.pixels;
  assign tile_first_o = tile.first;
  assign tile_last_o = tile.last;
  assign tile_group_o = tile.group;
  assign tile_rows_o = tile.rows;
  assign tile_lane_o = tile.lane;
  assign tile_mode_o = tile.mode;

  ps_conv_ctrl u_unit (
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
    .group_ready_o,
    .weight_half_o,
    .release_o,
    .weight_addr_o,
    .step_o,
    .shadow_free_i,
    .group_i ('{valid: group_valid_i, rows: group_rows_i, last: group_last_i}),
    .window_o(window),
    .mac_o   (mac),
    .tile_o  (tile)
  );
endmodule
