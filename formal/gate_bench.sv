// List compaction: the gate unit with the store that it writes, and any numbers.
//
// One GATE of up to Inputs x Outputs runs.  What the dense layer computes is left to the solver (the outputs of
// the requantiser and the accumulator are cut): the list must be right for any scores.  One output
// is chosen; when the gate is done, the list has exactly the outputs from list_from on whose
// score, as written, is not zero: the chosen one at the place that as many before it survive, if
// it survives, and as many entries in all as survivors.  Entries are read through both ports.
module gate_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
#(
  parameter int unsigned Inputs = 1,
  parameter int unsigned Outputs = 3,
  parameter int unsigned Place = 6  // of the first score: two words of scores are written
) (
  input logic clk_i,
  input logic rst_ni
);
  typedef logic [CH_W:0] count_t;

  // Registers without a first value that keep what they have: the solver's choice.
  logic [CH_W-1:0] cin_q;
  count_t cout_q, from_q, chosen_q;
  logic [SA_W-1:0] dst_q;
  logic [LI_W-1:0] list_q;
  logic binary_q, listed_q, early_q;  // early: variant 1
  always_ff @(posedge clk_i) begin
    cin_q    <= cin_q;
    cout_q   <= cout_q;
    from_q   <= from_q;
    chosen_q <= chosen_q;
    dst_q    <= dst_q;
    list_q   <= list_q;
    binary_q <= binary_q;
    listed_q <= listed_q;
    early_q  <= early_q;
  end

  desc_t desc;
  always_comb begin
    desc = '0;
    desc.op = OP_GATE;
    desc.cin = 16'(cin_q);
    desc.cout = 16'(cout_q);
    desc.list_from = 16'(from_q);
    desc.dst = 32'(dst_q);
    desc.out_list = listed_q ? 8'(list_q) : ALL_CHANNELS;
    desc.gate_kind = binary_q;
    desc.variant = early_q ? GATE_STOPS : '0;
  end

  logic begun_q = 1'b0, ran_q, ended_q, ended_qq, start, busy;
  score_write_t score_write;
  list_write_t list_write;
  access_t access;
  logic [7:0] mask, score;
  logic list_begin, list_append, mem_we;
  logic [SA_W-1:0] score_addr;
  logic [LI_W-1:0] list;
  logic [CH_W-2:0] list_id, entry_a, entry_b;
  logic [N_LISTS-1:0][CH_W-1:0] list_count, list_bound;
  logic [LI_W+CH_W-2:0] list_addr;

  assign start = begun_q && rst_ni && !ran_q;
  assign {mask, score_addr, score} = score_write;
  assign list_begin = list_write.begins;
  assign list_append = list_write.append;
  assign list = list_write.list;
  assign list_id = list_write.id;
  assign mem_we = access.mask != '0;

  ps_gate_unit u_gate (
    .clk_i,
    .rst_ni,
    .start_i      (start),
    .desc_i       (desc),
    .busy_o       (busy),
    .sums_begin_i (1'b0),
    .sums_busy_i  (1'b0),
    .score_hold_i (1'b0),
    .mem_hold_i   (1'b0),
    .gmem_i       ('0),
    .table_read_i (1'b0),
    .table_addr_i ('0),
    .table_word_o (),
    .sum_i        ('0),
    .score_o      (score_write),
    .list_o       (list_write),
    .access_o     (access)
  );

  ps_gate_store u_store (
    .clk_i,
    .rst_ni,
    .score_i       (score_write),
    .score_a_addr_i('0),
    .score_a_word_o(),
    .score_a_o     (),
    .score_b_addr_i('0),
    .score_b_o     (),
    .list_i        (list_write),
    .list_count_o  (list_count),
    .list_bound_o  (list_bound),
    .list_a_addr_i (list_addr),
    .list_a_data_o (entry_a),
    .list_b_addr_i (list_addr),
    .list_b_data_o (entry_b)
  );

  // ---- what the scores say
  count_t written_q, survivors_q, before_q, next_q, index, bytes;
  logic chosen_survives_q, hit;
  logic [1:0] times_q;
  logic [SA_W-1:0] place;  // of the chosen output

  assign index = count_t'(score_addr - dst_q);
  assign place = dst_q + SA_W'(chosen_q);
  assign hit = mask[place[2:0]] && score_addr[SA_W-1:3] == place[SA_W-1:3];
  always_comb begin
    bytes = '0;
    for (int unsigned i = 0; i < 8; i++) bytes = bytes + count_t'(mask[i]);
  end

  always_comb begin
    assume (rst_ni == begun_q);
    assume (cin_q != '0 && 32'(cin_q) <= Inputs);
    assume (cout_q != '0 && 32'(cout_q) <= Outputs);
    assume (from_q <= cout_q && 32'(cout_q - from_q) <= MAX_CHANNELS);
    assume (32'(dst_q) == Place);
    assume (!early_q || from_q != '0);  // ps_check
    assume (chosen_q >= from_q && chosen_q < cout_q);
  end

  assign list_addr = {list_q, before_q[CH_W-2:0]};

  always_ff @(posedge clk_i) begin
    begun_q  <= 1'b1;
    ended_q  <= rst_ni && ran_q && !busy;
    ended_qq <= rst_ni && ended_q;
    if (!rst_ni) begin
      ran_q <= 1'b0;
      written_q <= '0;
      next_q <= '0;
      times_q <= '0;
      survivors_q <= '0;
      before_q <= '0;
      chosen_survives_q <= 1'b0;
    end else begin
      if (start) ran_q <= 1'b1;
      written_q <= written_q + bytes;
      if (mask != '0 && score != '0) begin
        next_q <= index + count_t'(1);
        if (index >= from_q) begin
          survivors_q <= survivors_q + count_t'(1);
          if (index < chosen_q) before_q <= before_q + count_t'(1);
          if (index == chosen_q) chosen_survives_q <= 1'b1;
        end
      end
      if (hit) times_q <= times_q + 2'd1;
    end
  end

  always_comb if (begun_q && rst_ni) begin
    if (mask != '0) a_range: assert (ran_q && score <= 8'd128);
    // A score that is not zero is written alone, in order; zeros may come a word at a time.
    if (mask != '0 && score != '0) begin
      a_order: assert ($onehot(mask) && mask[score_addr[2:0]] && index >= next_q
          && index < cout_q);
    end
    if (hit) a_once: assert (times_q == '0);
    a_append: assert (list_append == (listed_q && mask != '0 && score != '0 && index >= from_q));
    if (list_append) a_id: assert (count_t'(list_id) == index - from_q && list == list_q);
    a_dense: assert (!mem_we);
    if (ended_q) begin
      a_all_written: assert (written_q == cout_q && times_q == 2'd1);
      a_count: assert (count_t'(list_count[list_q]) == (listed_q ? survivors_q : '0));
      a_bound: assert (count_t'(list_bound[list_q]) == (listed_q ? cout_q - from_q : '0));
      a_other: assert (N_LISTS == 1 || list_count[!list_q] == '0);
    end
    if (ended_qq && listed_q && chosen_survives_q) begin
      a_entry: assert (count_t'(entry_a) == chosen_q - from_q && entry_b == entry_a);
    end
    if (ended_q && !busy) a_quiet: assert (mask == '0 && !list_append && !list_begin);
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_some: cover (ended_qq && listed_q && chosen_survives_q && survivors_q == count_t'(2)
        && before_q == count_t'(1) && from_q != '0 && 32'(cout_q) == Outputs);
    c_none: cover (ended_qq && listed_q && survivors_q == '0 && !binary_q);
    c_binary: cover (ended_qq && listed_q && binary_q && survivors_q != '0);
    c_early: cover (ended_qq && listed_q && early_q && survivors_q == '0 && from_q < cout_q);
    c_unlisted: cover (ended_qq && !listed_q);
  end
endmodule
