// Gate unit: pooled sums -> 8-bit vector -> dense layer -> scores and survivor list (GATE), or
// bytes in feature memory (DENSE).  Its weights are resident in the gate memory.
//
// Its parts: ps_gate_passes says which output meets which word of the vector, ps_gate_vector makes
// the vector, ps_gate_dot multiplies, ps_gate_result writes.
//
// start_i latches the descriptor; busy_o until the last result is written.  A GATE may start while
// the convolution that makes its sums still runs (sums_busy_i): sums come in the order of their
// addresses, each is requantised when it is final, and sixteen of them make one pass over all
// outputs - one dot product a cycle, accumulators in a memory.  So what is left after the last sum
// is one pass.  The first pass only reads the outputs' parameters.  In the last pass results appear
// in order and the list is compacted; it waits until nobody else reads lists and scores, that of a
// DENSE until nobody else uses feature memory (score_hold_i, mem_hold_i).
//
// variant 1: outputs before list_from decide first.  If all their scores are 0, the others are 0
// without being computed.  With every sum final at the start they go ahead through all passes.
// variant 2: a score is an entry of SIGMOID_TABLE, a constant: logic, no memory.
// A vector that is still that of the GATE before (same sums, same parameters) is not made again.
//
// Gate memory, from w_addr on, in words of 16 bytes: parameters of the pool, then per output a word
// with its parameters and its weights (docs/program.md).  gmem_i writes it (GLOAD).  sum_i writes
// the pooled sums (epilogue), sums_begin_i before each convolution.  table_* lends the memory out.
module ps_gate_unit
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic              busy_o,

  input  logic              sums_begin_i,
  input  logic              sums_busy_i,   // a convolution that makes sums runs
  input  logic              score_hold_i,  // lists and scores are being read
  input  logic              mem_hold_i,    // feature memory is

  input  gate_write_t       gmem_i,
  input  logic              table_read_i,  // another reader, while this unit is idle
  input  logic [GA_W-2:0]   table_addr_i,
  output logic [8*GATE_WORD_BYTES-1:0] table_word_o,

  input  sum_write_t        sum_i,

  output score_write_t      score_o,
  output list_write_t       list_o,
  output access_t           access_o
);
  localparam int unsigned Lanes = GATE_WORD_BYTES;
  localparam int unsigned Requantize = 3;  // latency of ps_requantize
  localparam int unsigned Scale = Requantize + 1;  // its operands are registered
  localparam int unsigned Result = 5 + Scale + 1;  // cycles from the issue of an item to its result

  // ---- descriptor
  gate_job_t job_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      job_q.dense        <= desc_i.op == OP_DENSE;
      job_q.binary       <= desc_i.gate_kind;
      job_q.sigmoid      <= desc_i.variant == GATE_SIGMOID;
      job_q.src_signed   <= desc_i.src_signed;
      job_q.listed       <= desc_i.op == OP_GATE && desc_i.out_list != ALL_CHANNELS;
      job_q.stop         <= desc_i.op == OP_GATE && desc_i.variant == GATE_STOPS
                            && desc_i.list_from[CH_W:0] != desc_i.cout[CH_W:0];
      job_q.one          <= desc_i.cout[CH_W:0] == (CH_W+1)'(1);
      job_q.one_ahead    <= desc_i.list_from[CH_W:0] == (CH_W+1)'(1);
      job_q.one_rest     <= desc_i.list_from[CH_W:0] + (CH_W+1)'(1) == desc_i.cout[CH_W:0];
      job_q.list         <= desc_i.out_list[LI_W-1:0];
      job_q.cout         <= desc_i.cout[CH_W:0];
      job_q.from         <= desc_i.list_from[CH_W:0];
      job_q.cin          <= desc_i.cin[CH_W-1:0];
      job_q.last_element <= desc_i.cin[CH_W-1:0] - CH_W'(1);
      job_q.list_base    <= desc_i.src[CH_W-1:0];
      job_q.score_dst    <= desc_i.dst[SA_W-1:0];
      job_q.mem_dst      <= desc_i.dst[FA_W-1:0];
      job_q.lo           <= desc_i.clamp_lo;
      job_q.hi           <= desc_i.clamp_hi;
      job_q.pool_base    <= desc_i.pool_base[PA_W-1:0];
      job_q.last_pass    <= GATE_PASS_W'((desc_i.cin[CH_W-1:0] + CH_W'(Lanes - 1))
                                         >> $clog2(Lanes));
    end
  end

  // ---- passes
  gate_phase_t phase;
  gate_item_t item;
  logic hold, made_all, stopped, fill_end, drained;
  logic [GATE_PASS_W-1:0] words_made;
  logic [GATE_VECTOR_W-1:0] word;
  logic [GA_W-2:0] gmem_addr;

  assign hold = job_q.dense ? mem_hold_i : score_hold_i;

  ps_gate_passes #(.Latency(Result)) u_passes (
    .clk_i,
    .rst_ni,
    .start_i,
    .addr_i      (desc_i.w_addr[GA_W+2:4]),
    .job_i       (job_q),
    .sums_busy_i,
    .hold_i      (hold),
    .words_made_i(words_made),
    .made_all_i  (made_all),
    .stopped_i   (stopped),
    .fill_end_i  (fill_end),
    .busy_o,
    .phase_o     (phase),
    .drained_o   (drained),
    .item_o      (item),
    .gmem_addr_o (gmem_addr),
    .word_o      (word)
  );

  // ---- gate memory
  logic [8*Lanes-1:0] gmem_word;
  assign table_word_o = gmem_word;

  ps_ram #(.Width(8 * Lanes), .Depth(GATE_MEM_BYTES / Lanes)) u_gmem (
    .clk_i,
    .wr_en_i  ({{8{gmem_i.valid && gmem_i.addr[0]}}, {8{gmem_i.valid && !gmem_i.addr[0]}}}),
    .wr_addr_i(gmem_i.addr[GA_W-1:1]),
    .wr_data_i({2{gmem_i.data}}),
    .rd_addr_i(table_read_i ? table_addr_i : gmem_addr),
    .rd_data_o(gmem_word)
  );

  // ---- vector and dot products
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte, the bias and the upper bits of the shift
  param_t head;
  gate_item_t item_q5;                   // a parameter gives no result
  /* verilator lint_on UNUSEDSIGNAL */
  factor_t vector_factor, result_factor;
  logic raw_valid, done_q5;
  logic [31:0] raw;
  logic [8*Lanes-1:0] vector_word;
  logic signed [31:0] acc_q5;
  logic signed [16:0] scaled;

  assign head = gmem_word[63:0];

  ps_gate_vector #(.Scale(Scale)) u_vector (
    .clk_i,
    .rst_ni,
    .start_i,
    .desc_i,
    .job_i       (job_q),
    .phase_i     (phase),
    .sums_begin_i,
    .sums_busy_i,
    .sum_i,
    .factor_i    ('{shift: head.shift[5:0], multiplier: head.multiplier}),
    .raw_valid_o (raw_valid),
    .raw_o       (raw),
    .factor_o    (vector_factor),
    .scaled_i    (scaled),
    .words_made_o(words_made),
    .made_all_o  (made_all),
    .word_i      (word),
    .vector_o    (vector_word)
  );

  ps_gate_dot u_dot (
    .clk_i,
    .rst_ni,
    .stopped_i(stopped),
    .signed_i (job_q.src_signed),
    .item_i   (item),
    .gmem_i   (gmem_word),
    .vector_i (vector_word),
    .item_o   (item_q5),
    .acc_o    (acc_q5),
    .factor_o (result_factor)
  );

  // ---- one requantiser for the vector and for the results, behind a register of its operands
  logic scale_q;
  logic signed [31:0] operand_q;
  logic [15:0] multiplier_q;
  logic [17:0] triple_q;
  logic [46:0] half_q;
  logic [5:0] shift_q;

  assign done_q5 = item_q5.valid && item_q5.last;

  always_ff @(posedge clk_i) begin
    scale_q <= raw_valid || done_q5;
    if (raw_valid || done_q5) operand_q <= raw_valid ? $signed(raw) : acc_q5;
  end

  ps_scale u_result_scale (
    .clk_i,
    .enable_i    (raw_valid || done_q5),
    .multiplier_i(raw_valid ? vector_factor.multiplier : result_factor.multiplier),
    .shift_i     (raw_valid ? vector_factor.shift : result_factor.shift),
    .multiplier_o(multiplier_q),
    .triple_o    (triple_q),
    .half_o      (half_q),
    .shift_o     (shift_q)
  );

  ps_requantize u_requantize (
    .clk_i,
    .enable_i    (scale_q),
    .acc_i       (operand_q),
    .multiplier_i(multiplier_q),
    .triple_i    (triple_q),
    .half_i      (half_q),
    .shift_i     (shift_q),
    .result_o    (scaled)
  );

  // ---- results
  ps_gate_result #(.Scale(Scale)) u_result (
    .clk_i,
    .rst_ni,
    .start_i,
    .job_i     (job_q),
    .begins_i  (item.valid && item.last),
    .drained_i (drained),
    .fill_i    (phase.fill),
    .done_i    (done_q5),
    .out_i     (item_q5.out),
    .positive_i(acc_q5 > 32'sd0),
    .scaled_i  (scaled),
    .stopped_o (stopped),
    .fill_end_o(fill_end),
    .score_o,
    .list_o,
    .access_o
  );

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      u_result.result |-> !sums_busy_i && !hold && made_all)
    else $error("ps_gate_unit: a result before its sums are final");
  assert property (@(posedge clk_i) disable iff (!rst_ni) raw_valid |-> !done_q5)
    else $error("ps_gate_unit: vector and results meet in the requantiser");
  assert property (@(posedge clk_i) disable iff (!rst_ni) table_read_i |-> !busy_o)
    else $error("ps_gate_unit: the memory is lent out while in use");
`endif
endmodule
