// Gate scores and survivor lists, written by the gate unit, read by everyone else.
//
// Scores: one byte an address.  Read port A gives the 64-bit word of a score and, in the same
// cycle, the score itself; port B gives a score.  Lists: entries of list l at {l, position};
// two read ports (fetch controller, compute).  All reads take one cycle.
// A list is begun (its count cleared), appended to and closed with the number of channels it may
// name; counts and bounds are zero after reset.
module ps_gate_store
  import ps_cfg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,

  /* verilator lint_off UNUSEDSIGNAL */  // the mask says which bytes of the word
  input  score_write_t      score_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [SA_W-1:0]   score_a_addr_i,
  output logic [63:0]       score_a_word_o,
  output logic [7:0]        score_a_o,
  input  logic [SA_W-1:0]   score_b_addr_i,
  output logic [7:0]        score_b_o,

  input  list_write_t       list_i,
  output logic [N_LISTS-1:0][CH_W-1:0] list_count_o,
  output logic [N_LISTS-1:0][CH_W-1:0] list_bound_o,
  input  logic [LI_W+CH_W-2:0] list_a_addr_i,
  output logic [CH_W-2:0]   list_a_data_o,
  input  logic [LI_W+CH_W-2:0] list_b_addr_i,
  output logic [CH_W-2:0]   list_b_data_o
);
  // ---- scores, one copy a read port
  logic [63:0] score_b_word;
  logic [2:0] sel_a_q, sel_b_q;

  assign score_a_o = score_a_word_o[8*sel_a_q+:8];
  assign score_b_o = score_b_word[8*sel_b_q+:8];

  always_ff @(posedge clk_i) begin
    sel_a_q <= score_a_addr_i[2:0];
    sel_b_q <= score_b_addr_i[2:0];
  end

  ps_ram #(.Width(64), .Depth(SCORE_DEPTH / 8)) u_scores_a (
    .clk_i,
    .wr_en_i  (score_i.mask),
    .wr_addr_i(score_i.addr[SA_W-1:3]),
    .wr_data_i({8{score_i.data}}),
    .rd_addr_i(score_a_addr_i[SA_W-1:3]),
    .rd_data_o(score_a_word_o)
  );

  ps_ram #(.Width(64), .Depth(SCORE_DEPTH / 8)) u_scores_b (
    .clk_i,
    .wr_en_i  (score_i.mask),
    .wr_addr_i(score_i.addr[SA_W-1:3]),
    .wr_data_i({8{score_i.data}}),
    .rd_addr_i(score_b_addr_i[SA_W-1:3]),
    .rd_data_o(score_b_word)
  );

  // ---- lists, one copy a read port
  localparam int unsigned ListBytes = (CH_W - 1 + 7) / 8;
  logic [ListBytes-1:0] list_we;
  logic [LI_W+CH_W-2:0] list_addr;

  assign list_we = {ListBytes{list_i.append}};
  assign list_addr = {list_i.list, list_count_o[list_i.list][CH_W-2:0]};

  ps_ram #(.Width(CH_W - 1), .Depth(N_LISTS * MAX_CHANNELS)) u_list_a (
    .clk_i,
    .wr_en_i  (list_we),
    .wr_addr_i(list_addr),
    .wr_data_i(list_i.id),
    .rd_addr_i(list_a_addr_i),
    .rd_data_o(list_a_data_o)
  );

  ps_ram #(.Width(CH_W - 1), .Depth(N_LISTS * MAX_CHANNELS)) u_list_b (
    .clk_i,
    .wr_en_i  (list_we),
    .wr_addr_i(list_addr),
    .wr_data_i(list_i.id),
    .rd_addr_i(list_b_addr_i),
    .rd_data_o(list_b_data_o)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      list_count_o <= '0;
      list_bound_o <= '0;
    end else begin
      if (list_i.begins) list_count_o[list_i.list] <= '0;
      else if (list_i.append) list_count_o[list_i.list] <= list_count_o[list_i.list] + CH_W'(1);
      if (list_i.closes) list_bound_o[list_i.list] <= list_i.bound;
    end
  end
endmodule
