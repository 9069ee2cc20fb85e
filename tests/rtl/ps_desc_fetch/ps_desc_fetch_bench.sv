// The descriptor fetch with each signal of its bundles a port of its own, for the bench.
module ps_desc_fetch_bench
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  input  logic [31:0] index_i,
  input  logic [63:0] program_i,
  input  logic [31:0] count_i,
  output logic        req_valid_o,
  output logic [63:0] req_addr_o,
  output logic [15:0] req_beats_o,
  input  logic        req_ready_i,
  input  logic        rsp_valid_i,
  input  logic [63:0] rsp_data_i,
  output logic        valid_o,
  input  logic        ready_i,
  output desc_t       desc_o,
  output logic [3:0]  beats_o,
  output logic        at_end_o
);
  mem_request_t req;
  assign req_valid_o = req.valid;
  assign req_addr_o = req.addr;
  assign req_beats_o = req.beats;

  ps_desc_fetch u_unit (
    .clk_i,
    .rst_ni,
    .start_i,
    .index_i,
    .program_i,
    .count_i,
    .req_ready_i,
    .rsp_valid_i,
    .rsp_data_i,
    .valid_o,
    .ready_i,
    .desc_o,
    .beats_o,
    .at_end_o,
    .req_o(req)
  );
endmodule
