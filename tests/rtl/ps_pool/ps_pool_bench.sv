// The pool unit with each signal of its bundles a port of its own, for the bench.
module ps_pool_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  input  desc_t             desc_i,
  input  logic [9:0]        out_width_i,
  output logic              busy_o,
  output logic              rd_wide_o,
  output logic [FA_W-1:0]   rd_addr_o,
  input  logic [WB-1:0][7:0] rd_data_i,
  output logic [FA_W-1:0]   wr_addr_o,
  output logic [FB-1:0]     wr_mask_o,
  output logic [FB-1:0][7:0] wr_data_o
);
  access_t access;
  assign wr_addr_o = access.addr;
  assign wr_mask_o = access.mask;
  assign wr_data_o = access.data;

  ps_pool u_unit (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .out_width_i,
    .busy_o,
    .rd_wide_o,
    .rd_addr_o,
    .rd_data_i,
    .access_o(access)
  );
endmodule
