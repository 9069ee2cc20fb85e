// Gate unit: pooled sums -> 8-bit vector -> dense layer -> scores and survivor list (GATE), or
// bytes in feature memory (DENSE).  Its weights are resident in the gate memory.
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
  localparam int unsigned LaneBits = $clog2(Lanes);
  localparam int unsigned VecWords = MAX_CHANNELS / Lanes;
  localparam int unsigned VecAddr = (VecWords > 1) ? $clog2(VecWords) : 1;
  localparam int unsigned PassW = VecAddr + 1;  // passes: parameters, then a word each
  localparam int unsigned Requantize = 3;  // latency of ps_requantize
  localparam int unsigned Scale = Requantize + 1;  // its operands are registered
  localparam int unsigned Result = 5 + Scale + 1;  // cycles from the issue of an item to its result

  typedef enum logic [2:0] {Idle, Head, HeadData, Passes, Drain, Fill} state_e;
  state_e state_q;

  // ---- descriptor
  logic dense_q, binary_q, sigmoid_q, src_signed_q, listed_q, stop_q;
  logic [LI_W-1:0] list_q;
  logic [CH_W:0] cout_q, from_q;
  logic one_q, one_ahead_q, one_rest_q;  // a single output: of all, before list_from, from there on
  logic [CH_W-1:0] cin_q, last_element_q;
  logic [CH_W-1:0] list_base_q;  // channel of the list's first output here: 0 begins it
  logic [SA_W-1:0] score_dst_q;
  logic [FA_W-1:0] mem_dst_q;
  logic signed [15:0] lo_q, hi_q;
  logic [PA_W-1:0] pool_base_q;
  logic [PassW-1:0] last_pass_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      dense_q      <= desc_i.op == OP_DENSE;
      binary_q     <= desc_i.gate_kind;
      sigmoid_q    <= desc_i.variant == 2'd2;
      src_signed_q <= desc_i.src_signed;
      listed_q     <= desc_i.op == OP_GATE && desc_i.out_list != ALL_CHANNELS;
      stop_q       <= desc_i.op == OP_GATE && desc_i.variant == 2'd1
                      && desc_i.list_from[CH_W:0] != desc_i.cout[CH_W:0];
      list_q       <= desc_i.out_list[LI_W-1:0];
      cout_q       <= desc_i.cout[CH_W:0];
      from_q       <= desc_i.list_from[CH_W:0];
      one_q        <= desc_i.cout[CH_W:0] == (CH_W+1)'(1);
      one_ahead_q  <= desc_i.list_from[CH_W:0] == (CH_W+1)'(1);
      one_rest_q   <= desc_i.list_from[CH_W:0] + (CH_W+1)'(1) == desc_i.cout[CH_W:0];
      cin_q        <= desc_i.cin[CH_W-1:0];
      last_element_q <= desc_i.cin[CH_W-1:0] - CH_W'(1);
      list_base_q  <= desc_i.src[CH_W-1:0];
      score_dst_q  <= desc_i.dst[SA_W-1:0];
      mem_dst_q    <= desc_i.dst[FA_W-1:0];
      lo_q         <= desc_i.clamp_lo;
      hi_q         <= desc_i.clamp_hi;
      pool_base_q  <= desc_i.pool_base[PA_W-1:0];
      last_pass_q  <= PassW'((desc_i.cin[CH_W-1:0] + CH_W'(Lanes - 1)) >> LaneBits);
    end
  end

  // ---- sums that are final: all below the mark, or all when no convolution makes any
  logic [PA_W:0] mark_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || sums_begin_i) mark_q <= '0;
    else if (sum_i.valid) mark_q <= (PA_W+1)'(sum_i.addr) + (PA_W+1)'(1);
  end

  // ---- vector: one element a cycle as its sum becomes final
  param_t param;
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte, the bias and the upper bits of the shift
  param_t head_q;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [CH_W-1:0] index_q, made_q;  // elements asked for, and written
  logic element, known_q, known, made_all_q;
  logic vector_q1;
  logic [Scale:1] vec_valid_q;
  logic same_q, same_head;

  assign element = (state_q == Passes) && index_q != cin_q
      && (!sums_busy_i || (PA_W+1)'(pool_base_q) + (PA_W+1)'(index_q) < mark_q);
  // The vector of the GATE before: nothing it was made from has changed.
  assign same_head = head_q.multiplier == param.multiplier
      && head_q.shift[5:0] == param.shift[5:0];
  assign known = known_q && same_q && same_head;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      same_q <= desc_i.cin[CH_W-1:0] == cin_q && desc_i.pool_base[PA_W-1:0] == pool_base_q
                && desc_i.src_signed == src_signed_q;
    end
    if (!rst_ni || sum_i.valid || sums_begin_i || (start_i && sums_busy_i)) known_q <= 1'b0;
    else if (state_q == Drain) known_q <= !sums_busy_i;
    if (state_q == HeadData) begin
      head_q  <= param;
      index_q    <= (known && !sums_busy_i) ? cin_q : '0;
      made_q     <= (known && !sums_busy_i) ? cin_q : '0;
      made_all_q <= known && !sums_busy_i;
    end else begin
      if (element) index_q <= index_q + CH_W'(1);
      if (vec_valid_q[Scale]) begin
        made_q     <= made_q + CH_W'(1);
        made_all_q <= made_q == last_element_q;
      end
    end
  end

  // ---- passes
  logic [PassW-1:0] pass_q;
  logic [CH_W:0] out_q, first_q, last_q;  // outputs of this sweep
  logic ahead_q;                          // the outputs before list_from go ahead
  logic [GA_W-2:0] gmem_rd_q, pass_rd_q, row_words, sweep_rd_q;
  // The output is the first, the last of its pass, or both; the pass is the last: registers.
  logic out_first, out_end, single_q, pass_end;
  logic issue, pass_ready, hold, stopped;
  logic [PassW-1:0] words_made;           // whole words of the vector
  logic [Result-1:0] active_q;

  assign hold = dense_q ? mem_hold_i : score_hold_i;
  assign row_words = (GA_W-1)'(last_pass_q) + (GA_W-1)'(1);
  assign words_made = PassW'(made_q >> LaneBits);
  assign pass_ready = pass_end ? made_all_q && !hold : made_all_q || words_made >= pass_q;
  assign issue = state_q == Passes && (!out_first || pass_ready);
  assign busy_o = state_q != Idle;

  logic fill_end;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle:     if (start_i) state_q <= Head;
        Head:     state_q <= HeadData;
        HeadData: state_q <= Passes;
        Passes:   if (stopped) state_q <= Fill;
                  else if (issue && out_end && pass_end && !ahead_q) state_q <= Drain;
        Drain:    if (stopped) state_q <= Fill;
                  else if (active_q == '0) state_q <= Idle;
        Fill:     if (fill_end) state_q <= Drain;
        default:  state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == Head) begin
      gmem_rd_q  <= gmem_rd_q + (GA_W-1)'(1);
      pass_rd_q  <= gmem_rd_q + (GA_W-1)'(1);
      ahead_q    <= stop_q && !sums_busy_i;
      last_q     <= ((stop_q && !sums_busy_i) ? from_q : cout_q) - (CH_W+1)'(1);
      first_q    <= '0;
      out_q      <= '0;
      out_first  <= 1'b1;
      out_end    <= (stop_q && !sums_busy_i) ? one_ahead_q : one_q;
      single_q   <= (stop_q && !sums_busy_i) ? one_ahead_q : one_q;
      pass_q     <= '0;
      pass_end   <= last_pass_q == '0;
    end else if (issue) begin
      if (!out_end) begin
        out_q     <= out_q + (CH_W+1)'(1);
        out_first <= 1'b0;
        out_end   <= out_q + (CH_W+1)'(1) == last_q;
        gmem_rd_q <= gmem_rd_q + row_words;
      end else if (!pass_end) begin
        pass_q    <= pass_q + PassW'(1);
        pass_end  <= pass_q + PassW'(1) == last_pass_q;
        out_q     <= first_q;
        out_first <= 1'b1;
        out_end   <= single_q;
        gmem_rd_q <= pass_rd_q + (GA_W-1)'(1);
        pass_rd_q <= pass_rd_q + (GA_W-1)'(1);
      end else if (ahead_q) begin  // the other outputs
        ahead_q   <= 1'b0;
        first_q   <= from_q;
        out_q     <= from_q;
        out_first <= 1'b1;
        out_end   <= one_rest_q;
        single_q  <= one_rest_q;
        last_q    <= cout_q - (CH_W+1)'(1);
        pass_q    <= '0;
        pass_end  <= last_pass_q == '0;
        gmem_rd_q <= sweep_rd_q;
        pass_rd_q <= sweep_rd_q;
      end
    end
    if (start_i) gmem_rd_q <= desc_i.w_addr[GA_W+2:4];
    // The row after the last one that was read.
    if (issue && pass_q == '0) sweep_rd_q <= gmem_rd_q + row_words;
    active_q <= rst_ni ? {active_q[Result-2:0], issue} : '0;
  end

  // ---- memories
  logic [8*Lanes-1:0] gmem_word, vec_word;
  logic [31:0] pool_sum;
  logic [Lanes-1:0] vec_we;
  logic [VecAddr-1:0] vec_wr_addr;
  logic [7:0] vec_byte;

  ps_ram #(.Width(8 * Lanes), .Depth(GATE_MEM_BYTES / Lanes)) u_gmem (
    .clk_i,
    .wr_en_i  ({{8{gmem_i.valid && gmem_i.addr[0]}}, {8{gmem_i.valid && !gmem_i.addr[0]}}}),
    .wr_addr_i(gmem_i.addr[GA_W-1:1]),
    .wr_data_i({2{gmem_i.data}}),
    .rd_addr_i(table_read_i ? table_addr_i : gmem_rd_q),
    .rd_data_o(gmem_word)
  );

  ps_ram #(.Width(32), .Depth(POOL_DEPTH)) u_pool (
    .clk_i,
    .wr_en_i  ({4{sum_i.valid}}),
    .wr_addr_i(sum_i.addr),
    .wr_data_i(sum_i.data),
    .rd_addr_i(pool_base_q + PA_W'(index_q)),
    .rd_data_o(pool_sum)
  );

  ps_ram #(.Width(8 * Lanes), .Depth(VecWords)) u_vector (
    .clk_i,
    .wr_en_i  (vec_we),
    .wr_addr_i(vec_wr_addr),
    .wr_data_i({Lanes{vec_byte}}),
    .rd_addr_i(VecAddr'(pass_q - PassW'(1))),
    .rd_data_o(vec_word)
  );

  // ---- dense layer: operands (1), products (2), sums of two (3), their sum (4), accumulator (5)
  typedef struct packed {
    logic          valid;
    logic          param;  // pass of the parameters
    logic          last;
    logic [CH_W:0] out;
  } item_t;

  item_t item_q1, item_q2, item_q3, item_q4;
  /* verilator lint_off UNUSEDSIGNAL */  // a parameter gives no result
  item_t item_q5;
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte and the upper bits of the shift
  param_t param_q2, param_q3, param_q4;
  /* verilator lint_on UNUSEDSIGNAL */
  logic signed [Lanes-1:0][16:0] product_q2;
  logic signed [Lanes/2-1:0][17:0] pair_q3;
  logic signed [31:0] sum_q4, acc_q5, base, acc, stored;
  logic [21:0] scale_q5;

  assign param = gmem_word[63:0];
  assign table_word_o = gmem_word;

  // A tree: in each round term k takes term k + width.
  function automatic logic signed [31:0] total(logic signed [Lanes/2-1:0][17:0] pairs);
    logic signed [Lanes/2-1:0][20:0] terms;
    for (int k = 0; k < Lanes / 2; k++) terms[k] = 21'($signed(pairs[k]));
    for (int width = Lanes / 4; width > 0; width = width / 2) begin
      for (int k = 0; k < width; k++) terms[k] = terms[k] + terms[k+width];
    end
    return 32'($signed(terms[0]));
  endfunction

  always_ff @(posedge clk_i) begin
    item_q1 <= '{valid: issue, param: pass_q == '0, last: pass_end, out: out_q};
    item_q2 <= item_q1;
    item_q3 <= item_q2;
    item_q4 <= item_q3;
    item_q5 <= item_q4;
    if (item_q1.valid && item_q1.param) param_q2 <= param;
    if (item_q1.valid && !item_q1.param) begin
      for (int k = 0; k < Lanes; k++) begin
        product_q2[k] <= 17'($signed(gmem_word[8*k+:8]))
            * 17'($signed({src_signed_q && vec_word[8*k+7], vec_word[8*k+:8]}));
      end
    end
    if (item_q2.valid) begin
      for (int k = 0; k < Lanes / 2; k++) begin
        pair_q3[k] <= 18'($signed(product_q2[2*k])) + 18'($signed(product_q2[2*k+1]));
      end
    end
    param_q3 <= param_q2;
    // The parameters' pass begins a sum with the bias.
    if (item_q3.valid) sum_q4 <= item_q3.param ? param_q3.bias : total(pair_q3);
    param_q4 <= param_q3;
    if (item_q4.valid) acc_q5 <= acc;
    if (!rst_ni || stopped) begin
      item_q1.valid <= 1'b0;
      item_q2.valid <= 1'b0;
      item_q3.valid <= 1'b0;
      item_q4.valid <= 1'b0;
      item_q5.valid <= 1'b0;
    end
  end

  // The accumulator of the item before is not in the memory yet.
  logic behind_q4;  // this item is of the same output
  always_ff @(posedge clk_i) begin
    behind_q4 <= item_q4.valid && item_q4.out == item_q3.out && !stopped;
  end

  always_comb begin
    if (item_q4.param) base = '0;
    else base = behind_q4 ? acc_q5 : stored;
    acc = base + sum_q4;
  end

  ps_ram #(.Width(32), .Depth(2 * MAX_CHANNELS)) u_acc (
    .clk_i,
    .wr_en_i  ({4{item_q4.valid}}),
    .wr_addr_i(item_q4.out[CH_W-1:0]),
    .wr_data_i(acc),
    .rd_addr_i(item_q3.out[CH_W-1:0]),
    .rd_data_o(stored)
  );

  ps_ram #(.Width(22), .Depth(2 * MAX_CHANNELS)) u_scale (
    .clk_i,
    .wr_en_i  ({3{item_q4.valid && item_q4.param}}),
    .wr_addr_i(item_q4.out[CH_W-1:0]),
    .wr_data_i({param_q4.shift[5:0], param_q4.multiplier}),
    .rd_addr_i(item_q4.out[CH_W-1:0]),
    .rd_data_o(scale_q5)
  );

  // ---- one requantiser for the vector and for the results, behind a register of its operands
  logic done_q5, scale_q;
  logic signed [31:0] operand_q;
  logic [15:0] multiplier_q;
  logic [17:0] triple_q;
  logic [46:0] half_q;
  logic [5:0] shift_q;
  logic [CH_W-1:0] index_q1;
  logic [Scale:1] res_valid_q, res_positive_q;
  logic [Scale:1][CH_W-1:0] vec_index_q;
  logic [Scale:1][CH_W:0] res_out_q;
  logic signed [16:0] scaled;

  assign done_q5 = item_q5.valid && item_q5.last;

  always_ff @(posedge clk_i) begin
    scale_q <= vector_q1 || done_q5;
    if (vector_q1 || done_q5) begin
      operand_q <= vector_q1 ? $signed(pool_sum) : acc_q5;
    end
  end

  ps_scale u_result_scale (
    .clk_i,
    .enable_i    (vector_q1 || done_q5),
    .multiplier_i(vector_q1 ? head_q.multiplier : scale_q5[15:0]),
    .shift_i     (vector_q1 ? head_q.shift[5:0] : scale_q5[21:16]),
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

  always_ff @(posedge clk_i) begin
    vector_q1      <= rst_ni && element;
    index_q1       <= index_q;
    vec_valid_q    <= rst_ni ? {vec_valid_q[Scale-1:1], vector_q1} : '0;
    vec_index_q    <= {vec_index_q[Scale-1:1], index_q1};
    res_valid_q    <= (rst_ni && !stopped) ? {res_valid_q[Scale-1:1], done_q5} : '0;
    res_out_q      <= {res_out_q[Scale-1:1], item_q5.out};
    res_positive_q <= {res_positive_q[Scale-1:1], acc_q5 > 32'sd0};
  end

  // Vector element, clamped to its 8-bit type.
  always_comb begin
    logic signed [16:0] low, high;
    logic [CH_W-1:0] lane;
    low = src_signed_q ? -17'sd128 : 17'sd0;
    high = src_signed_q ? 17'sd127 : 17'sd255;
    vec_byte = (scaled < low) ? low[7:0] : (scaled > high) ? high[7:0] : scaled[7:0];
    lane = vec_index_q[Scale];
    vec_we = vec_valid_q[Scale] ? Lanes'(1) << lane[LaneBits-1:0] : '0;
    vec_wr_addr = VecAddr'(lane >> LaneBits);
  end

  // ---- results: a score and a byte of each, registered
  logic result, open_q, begun_q, deciding_q, mem_we_q;
  logic [CH_W:0] out;
  logic [7:0] score, score_d, mem_data_d, mem_data_q, entry;
  logic [FA_W-1:0] mem_addr_q;

  // The table's entry of the result saturated to int8.  (Its index is no register: a synthesiser
  // would move that behind the table, to the end of the requantiser's longest path.)
  always_comb begin
    logic [7:0] index;
    index = {scaled[16], {7{!scaled[16]}}};
    if (scaled[16:7] == '0 || scaled[16:7] == '1) index = scaled[7:0];
    entry = SIGMOID_TABLE[index];
  end

  always_comb begin
    if (binary_q) score_d = res_positive_q[Scale] ? 8'd128 : 8'd0;
    else if (sigmoid_q) score_d = entry;
    else if (scaled < 17'sd0) score_d = 8'd0;
    else if (scaled > 17'sd128) score_d = 8'd128;
    else score_d = scaled[7:0];
  end

  always_comb begin
    if (scaled < 17'(lo_q)) mem_data_d = lo_q[7:0];
    else if (scaled > 17'(hi_q)) mem_data_d = hi_q[7:0];
    else mem_data_d = scaled[7:0];
  end

  always_ff @(posedge clk_i) begin
    result     <= rst_ni && !stopped && res_valid_q[Scale];
    out        <= res_out_q[Scale];
    score      <= score_d;
    mem_we_q   <= rst_ni && !stopped && res_valid_q[Scale] && dense_q;
    mem_addr_q <= mem_dst_q + FA_W'(res_out_q[Scale]);
    mem_data_q <= mem_data_d;
    deciding_q <= stop_q && res_out_q[Scale] == from_q - (CH_W+1)'(1);
  end

  // The last output before list_from: were all of them zero?
  assign stopped = result && deciding_q && !open_q && score == '0;

  always_ff @(posedge clk_i) begin
    if (start_i) open_q <= 1'b0;
    else if (result && score != '0) open_q <= 1'b1;
    if (start_i) begun_q <= 1'b0;
    else if (issue && pass_end) begun_q <= 1'b1;
  end

  // ---- zeros instead of the others: a word of scores a cycle
  logic [SA_W-1:0] fill_from, fill_last;
  logic [SA_W-4:0] fill_q;
  logic [7:0] fill_mask;

  assign fill_end = fill_q == fill_last[SA_W-1:3];

  always_comb begin
    fill_mask = 8'hFF;
    if (fill_q == fill_from[SA_W-1:3]) fill_mask = fill_mask & (8'hFF << fill_from[2:0]);
    if (fill_end) fill_mask = fill_mask & (8'hFF >> (3'd7 - fill_last[2:0]));
  end

  always_ff @(posedge clk_i) begin
    fill_from <= score_dst_q + SA_W'(from_q);
    fill_last <= score_dst_q + SA_W'(cout_q) - SA_W'(1);
    fill_q <= (state_q == Fill) ? fill_q + (SA_W-3)'(1) : fill_from[SA_W-1:3];
  end

  logic [SA_W-1:0] score_addr;
  assign score_addr = score_dst_q + SA_W'(out);

  always_comb begin
    if (state_q == Fill) score_o = '{mask: fill_mask, addr: {fill_q, 3'd0}, data: 8'd0};
    else score_o = '{mask: (result && !dense_q) ? 8'h01 << score_addr[2:0] : 8'h00,
                     addr: score_addr, data: score};
  end

  assign list_o = '{begins: listed_q && issue && pass_end && !begun_q && list_base_q == '0,
                    append: result && listed_q && out >= from_q && score != '0,
                    closes: state_q == Drain && active_q == '0 && !stopped && listed_q,
                    list: list_q, id: (CH_W-1)'(out - from_q) + list_base_q[CH_W-2:0],
                    bound: CH_W'(cout_q - from_q) + list_base_q};
  assign access_o = '{read: 1'b0, addr: mem_addr_q, mask: FB'(mem_we_q),
                      data: (8*FB)'(mem_data_q)};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      state_q == Passes |-> out_first == (out_q == first_q) && out_end == (out_q == last_q)
          && single_q == (first_q == last_q) && pass_end == (pass_q == last_pass_q))
    else $error("ps_gate_unit: the place in a pass is not what its flags say");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      sum_i.valid && !sums_begin_i |-> (PA_W+1)'(sum_i.addr) >= mark_q)
    else $error("ps_gate_unit: pooled sums out of order");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      result |-> !sums_busy_i && !hold && made_q == cin_q && made_all_q)
    else $error("ps_gate_unit: a result before its sums are final");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      sum_i.valid && state_q != Idle && state_q != Head && state_q != HeadData
      |-> sum_i.addr < pool_base_q
          || (PA_W+1)'(sum_i.addr) >= (PA_W+1)'(pool_base_q) + (PA_W+1)'(index_q))
    else $error("ps_gate_unit: a sum is written that was read before");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      vector_q1 |-> !done_q5)
    else $error("ps_gate_unit: vector and results meet in the requantiser");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      start_i |-> state_q == Idle)
    else $error("ps_gate_unit: started while busy");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      table_read_i |-> state_q == Idle)
    else $error("ps_gate_unit: the memory is lent out while in use");
`endif
endmodule
