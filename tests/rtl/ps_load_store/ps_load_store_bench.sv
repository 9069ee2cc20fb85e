// Loads and stores with each signal of its bundles a port of its own, for the bench.
module ps_load_store_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  input  logic              record_i,
  input  desc_t             desc_i,
  input  logic [63:0]       input_i,
  input  logic [63:0]       output_i,
  input  logic [63:0]       weights_i,
  input  logic [N_COUNTERS-1:0][31:0] counters_i,
  output logic              busy_o,
  output logic              store_beat_o,
  output logic              rd_req_valid_o,
  output logic [63:0]       rd_req_addr_o,
  output logic [15:0]       rd_req_beats_o,
  input  logic              rd_req_ready_i,
  input  logic              rd_valid_i,
  input  logic [63:0]       rd_data_i,
  output logic              wr_req_valid_o,
  output logic [63:0]       wr_req_addr_o,
  output logic [15:0]       wr_req_beats_o,
  input  logic              wr_req_ready_i,
  output logic              wr_valid_o,
  output logic [63:0]       wr_data_o,
  input  logic              wr_ready_i,
  input  logic              wr_busy_i,
  output logic              gmem_we_o,
  output logic [GA_W-1:0]   gmem_addr_o,
  output logic [63:0]       gmem_data_o,
  output logic              table_we_o,
  output logic [4:0]        table_word_o,
  output logic [63:0]       table_data_o,
  output logic [7:0]        mem_mask_o,
  output logic [FA_W-1:0]   mem_addr_o,
  output logic [7:0][7:0]   mem_data_o,
  output logic [FA_W-1:0]   mem_rd_addr_o,
  input  logic [7:0][7:0]   mem_rd_data_i,
  output logic [SA_W-1:0]   score_addr_o,
  input  logic [63:0]       score_word_i
);
  mem_request_t rd_req, wr_req;
  gate_write_t gmem;
  table_write_t activations;
  access_t access;
  assign rd_req_valid_o = rd_req.valid;
  assign rd_req_addr_o = rd_req.addr;
  assign rd_req_beats_o = rd_req.beats;
  assign wr_req_valid_o = wr_req.valid;
  assign wr_req_addr_o = wr_req.addr;
  assign wr_req_beats_o = wr_req.beats;
  assign gmem_we_o = gmem.valid;
  assign gmem_addr_o = gmem.addr;
  assign gmem_data_o = gmem.data;
  assign {table_we_o, table_word_o, table_data_o} = activations;
  assign mem_mask_o = access.mask[7:0];
  assign mem_addr_o = access.addr;
  assign mem_data_o = access.data[7:0];

  ps_load_store u_unit (
    .clk_i,
    .rst_ni,
    .start_i,
    .record_i,
    .desc_i,
    .input_i,
    .output_i,
    .weights_i,
    .counters_i,
    .busy_o,
    .store_beat_o,
    .storing_o       (),
    .rd_req_ready_i,
    .rd_valid_i,
    .rd_data_i,
    .wr_req_ready_i,
    .wr_valid_o,
    .wr_data_o,
    .wr_ready_i,
    .wr_busy_i,
    .mem_rd_addr_o,
    .mem_rd_data_i,
    .score_addr_o,
    .score_word_i,
    .rd_req_o(rd_req),
    .wr_req_o(wr_req),
    .gmem_o  (gmem),
    .table_o (activations),
    .access_o(access)
  );
endmodule
