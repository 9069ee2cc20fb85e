// Gate unit and store as they stand in ps_core.
module ps_gate_unit_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  start_i,
  input  desc_t                 desc_i,
  output logic                  busy_o,
  input  logic                  sums_begin_i,
  input  logic                  sums_busy_i,
  input  logic                  score_hold_i,
  input  logic                  mem_hold_i,
  input  logic                  gmem_we_i,
  input  logic [GA_W-1:0]       gmem_addr_i,
  input  logic [63:0]           gmem_data_i,
  input  logic                  pool_we_i,
  input  logic [PA_W-1:0]       pool_addr_i,
  input  logic [31:0]           pool_data_i,
  output logic [1:0]            mem_we_o,
  output logic [FA_W-1:0]       mem_addr_o,
  output logic [15:0]           mem_data_o,
  output logic [7:0]            score_mask_o,
  output logic                  list_append_o,

  input  logic [SA_W-1:0]       score_a_addr_i,
  output logic [63:0]           score_a_word_o,
  output logic [7:0]            score_a_o,
  input  logic [SA_W-1:0]       score_b_addr_i,
  output logic [7:0]            score_b_o,
  output logic [N_LISTS-1:0][CH_W-1:0] list_count_o,
  output logic [N_LISTS-1:0][CH_W-1:0] list_bound_o,
  input  logic [LI_W+CH_W-2:0]  list_a_addr_i,
  output logic [CH_W-2:0]       list_a_data_o,
  input  logic [LI_W+CH_W-2:0]  list_b_addr_i,
  output logic [CH_W-2:0]       list_b_data_o
);
  score_write_t score;
  list_write_t list;
  access_t access;

  assign score_mask_o = score.mask;
  assign list_append_o = list.append;
  assign {mem_we_o, mem_addr_o, mem_data_o} = {access.mask[1:0], access.addr, access.data[1:0]};

  ps_gate_unit u_unit (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .busy_o,
    .sums_begin_i,
    .sums_busy_i,
    .score_hold_i,
    .mem_hold_i,
    .gmem_i       ('{valid: gmem_we_i, addr: gmem_addr_i, data: gmem_data_i}),
    .table_read_i (1'b0),
    .table_addr_i ('0),
    .table_word_o (),
    .sum_i        ('{valid: pool_we_i, addr: pool_addr_i, data: pool_data_i}),
    .score_o      (score),
    .list_o       (list),
    .access_o     (access)
  );

  ps_gate_store u_store (
    .clk_i,
    .rst_ni,
    .score_i      (score),
    .score_a_addr_i,
    .score_a_word_o,
    .score_a_o,
    .score_b_addr_i,
    .score_b_o,
    .list_i       (list),
    .list_count_o,
    .list_bound_o,
    .list_a_addr_i,
    .list_a_data_o,
    .list_b_addr_i,
    .list_b_data_o
  );
endmodule
