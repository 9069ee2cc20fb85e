// Gate unit: pooled sums -> 8-bit vector -> dense layer -> scores and survivor list (GATE), or
// bytes in feature memory (DENSE).  Its weights are resident in the gate memory.
//
// start_i latches the descriptor; busy_o until the last result is written.  About
// cin + cout * ceil((8 + cin) / 16) cycles: the vector is requantised one element a cycle, then up
// to sixteen products a cycle.  Results come in order, so the survivor list is compacted as they
// appear.
//
// Gate memory, from w_addr on, in words of 16 bytes: parameters of the pool, then per output its
// parameters and its weights (docs/program.md): the first word of an output carries eight weights.
// gmem_* writes it (GLOAD).  pool_* writes the pooled sums (epilogue).
module ps_gate_unit
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic              busy_o,

  input  logic              gmem_we_i,
  input  logic [GA_W-1:0]   gmem_addr_i,
  input  logic [63:0]       gmem_data_i,

  input  logic              pool_we_i,
  input  logic [PA_W-1:0]   pool_addr_i,
  input  logic [31:0]       pool_data_i,

  output logic              score_we_o,
  output logic [SA_W-1:0]   score_addr_o,
  output logic [7:0]        score_data_o,

  output logic              list_begin_o,
  output logic              list_append_o,
  output logic              list_close_o,
  output logic [LI_W-1:0]   list_o,
  output logic [CH_W-2:0]   list_id_o,
  output logic [CH_W-1:0]   list_bound_o,

  output logic              mem_we_o,
  output logic [FA_W-1:0]   mem_addr_o,
  output logic [7:0]        mem_data_o
);
  localparam int unsigned Lanes = GATE_WORD_BYTES;
  localparam int unsigned ParamLanes = 8;  // of an output's first word: its parameters
  localparam int unsigned VecWords = MAX_CHANNELS / Lanes + 1;
  localparam int unsigned VecAddr = $clog2(VecWords);
  localparam int unsigned Requantize = 3;  // latency of ps_requantize

  typedef enum logic [2:0] {Idle, Head, HeadData, Vector, VectorEnd, Outputs, Finish} state_e;
  state_e state_q;

  // ---- descriptor
  logic dense_q, binary_q, src_signed_q, listed_q;
  logic [LI_W-1:0] list_q;
  logic [CH_W:0] cout_q, from_q;
  logic [CH_W-1:0] cin_q;
  logic [CH_W-1:0] list_base_q;  // channel of the list's first output here: 0 begins it
  logic [SA_W-1:0] score_dst_q;
  logic [FA_W-1:0] mem_dst_q;
  logic signed [15:0] lo_q, hi_q;
  logic [PA_W-1:0] pool_base_q;
  logic [VecAddr-1:0] last_word_q;  // of an output

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      dense_q      <= desc_i.op == OP_DENSE;
      binary_q     <= desc_i.gate_kind;
      src_signed_q <= desc_i.src_signed;
      listed_q     <= desc_i.op == OP_GATE && desc_i.out_list != ALL_CHANNELS;
      list_q       <= desc_i.out_list[LI_W-1:0];
      cout_q       <= desc_i.cout[CH_W:0];
      from_q       <= desc_i.list_from[CH_W:0];
      cin_q        <= desc_i.cin[CH_W-1:0];
      list_base_q  <= desc_i.src[CH_W-1:0];
      score_dst_q  <= desc_i.dst[SA_W-1:0];
      mem_dst_q    <= desc_i.dst[FA_W-1:0];
      lo_q         <= desc_i.clamp_lo;
      hi_q         <= desc_i.clamp_hi;
      pool_base_q  <= desc_i.pool_base[PA_W-1:0];
      last_word_q  <= VecAddr'((desc_i.cin[CH_W-1:0] + CH_W'(ParamLanes - 1)) >> $clog2(Lanes));
    end
  end

  // ---- control
  logic [CH_W-1:0] index_q;      // element of the vector
  logic [VecAddr-1:0] word_q;    // of the output; the first one has its parameters
  logic [CH_W:0] out_q;
  logic [GA_W-2:0] gmem_rd_q;
  logic [2:0] wait_q;
  logic word_end, out_end, active_d;
  logic [Requantize+4:0] active_q;

  assign word_end = word_q == last_word_q;
  assign out_end = out_q == cout_q - (CH_W+1)'(1);
  assign busy_o = state_q != Idle;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle:      if (start_i) state_q <= Head;
        Head:      state_q <= HeadData;
        HeadData:  state_q <= Vector;
        Vector:    if (index_q == cin_q - CH_W'(1)) state_q <= VectorEnd;
        VectorEnd: if (wait_q == 3'd5) state_q <= Outputs;
        Outputs:   if (word_end && out_end) state_q <= Finish;
        Finish:    if (active_q == '0) state_q <= Idle;
        default:   state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      index_q   <= '0;
      word_q    <= '0;
      out_q     <= '0;
      gmem_rd_q <= desc_i.w_addr[GA_W+2:4];
    end else begin
      if (state_q == Vector) index_q <= index_q + CH_W'(1);
      if (state_q == Head || state_q == Outputs) gmem_rd_q <= gmem_rd_q + (GA_W-1)'(1);
      if (state_q == Outputs) begin
        word_q <= word_end ? '0 : word_q + VecAddr'(1);
        if (word_end) out_q <= out_q + (CH_W+1)'(1);
      end
    end
    wait_q <= (state_q == VectorEnd) ? wait_q + 3'd1 : '0;
  end

  // ---- memories
  logic [8*Lanes-1:0] gmem_word, vec_word;
  logic [31:0] pool_sum;
  logic [Lanes-1:0] vec_we;
  logic [VecAddr-1:0] vec_wr_addr;
  logic [7:0] vec_byte;

  ps_ram #(.Width(8 * Lanes), .Depth(GATE_MEM_BYTES / Lanes)) u_gmem (
    .clk_i,
    .wr_en_i  ({{8{gmem_we_i && gmem_addr_i[0]}}, {8{gmem_we_i && !gmem_addr_i[0]}}}),
    .wr_addr_i(gmem_addr_i[GA_W-1:1]),
    .wr_data_i({2{gmem_data_i}}),
    .rd_addr_i(gmem_rd_q),
    .rd_data_o(gmem_word)
  );

  ps_ram #(.Width(32), .Depth(POOL_DEPTH)) u_pool (
    .clk_i,
    .wr_en_i  ({4{pool_we_i}}),
    .wr_addr_i(pool_addr_i),
    .wr_data_i(pool_data_i),
    .rd_addr_i(pool_base_q + PA_W'(index_q)),
    .rd_data_o(pool_sum)
  );

  // Element i stands in lane i + ParamLanes, beside its weight.
  ps_ram #(.Width(8 * Lanes), .Depth(VecWords)) u_vector (
    .clk_i,
    .wr_en_i  (vec_we),
    .wr_addr_i(vec_wr_addr),
    .wr_data_i({Lanes{vec_byte}}),
    .rd_addr_i(word_q),
    .rd_data_o(vec_word)
  );

  // ---- dense layer: operands (1), products (2), their sum (3), accumulator (4)
  logic valid_q1, first_q1, last_q1, first_q2, last_q2, first_q3, last_q3, valid_q2;
  logic valid_q3, last_q4;
  logic [CH_W:0] out_q1, out_q2, out_q3, out_q4;
  param_t param;
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte and the upper bits of the shift
  param_t head_q, param_q2, param_q3, param_q4;
  /* verilator lint_on UNUSEDSIGNAL */
  logic signed [Lanes-1:0][16:0] product_q2;
  logic signed [31:0] sum_q3, acc_q4;

  assign param = gmem_word[63:0];

  always_ff @(posedge clk_i) begin
    logic signed [31:0] sum;
    valid_q1 <= state_q == Outputs;
    first_q1 <= word_q == '0;
    last_q1  <= word_end;
    out_q1   <= out_q;
    if (state_q == HeadData) head_q <= param;

    valid_q2 <= valid_q1;
    first_q2 <= first_q1;
    last_q2  <= last_q1;
    out_q2   <= out_q1;
    if (first_q1) param_q2 <= param;
    if (valid_q1) begin
      for (int k = 0; k < Lanes; k++) begin
        product_q2[k] <= (first_q1 && k < ParamLanes) ? 17'sd0 : 17'($signed(gmem_word[8*k+:8]))
            * 17'($signed({src_signed_q && vec_word[8*k+7], vec_word[8*k+:8]}));
      end
    end

    if (valid_q2) begin
      sum = '0;
      for (int k = 0; k < Lanes; k++) sum = sum + 32'($signed(product_q2[k]));
      sum_q3 <= sum;
    end
    valid_q3 <= valid_q2;
    first_q3 <= first_q2;
    last_q3  <= last_q2;
    out_q3   <= out_q2;
    param_q3 <= param_q2;

    if (valid_q3) acc_q4 <= (first_q3 ? param_q3.bias : acc_q4) + sum_q3;
    last_q4  <= valid_q3 && last_q3;
    out_q4   <= out_q3;
    param_q4 <= param_q3;
  end

  // ---- one requantiser for the vector and for the results
  logic vector_q1;
  logic [CH_W-1:0] index_q1;
  logic [Requantize:1] vec_valid_q, res_valid_q, res_positive_q;
  logic [Requantize:1][CH_W-1:0] vec_index_q;
  logic [Requantize:1][CH_W:0] res_out_q;
  logic signed [16:0] scaled;

  ps_requantize u_requantize (
    .clk_i,
    .enable_i    (vector_q1 || last_q4),
    .acc_i       (vector_q1 ? $signed(pool_sum) : acc_q4),
    .multiplier_i(vector_q1 ? head_q.multiplier : param_q4.multiplier),
    .shift_i     (vector_q1 ? head_q.shift[5:0] : param_q4.shift[5:0]),
    .result_o    (scaled)
  );

  always_ff @(posedge clk_i) begin
    vector_q1      <= state_q == Vector;
    index_q1       <= index_q;
    vec_valid_q    <= {vec_valid_q[Requantize-1:1], vector_q1};
    vec_index_q    <= {vec_index_q[Requantize-1:1], index_q1};
    res_valid_q    <= {res_valid_q[Requantize-1:1], last_q4};
    res_out_q      <= {res_out_q[Requantize-1:1], out_q4};
    res_positive_q <= {res_positive_q[Requantize-1:1], acc_q4 > 32'sd0};
    active_q       <= rst_ni ? {active_q[Requantize+3:0], active_d} : '0;
  end

  assign active_d = state_q == Outputs;

  // Vector element, clamped to its 8-bit type.
  always_comb begin
    logic signed [16:0] low, high;
    logic [CH_W-1:0] lane;
    low = src_signed_q ? -17'sd128 : 17'sd0;
    high = src_signed_q ? 17'sd127 : 17'sd255;
    vec_byte = (scaled < low) ? low[7:0] : (scaled > high) ? high[7:0] : scaled[7:0];
    lane = vec_index_q[Requantize] + CH_W'(ParamLanes);
    vec_we = vec_valid_q[Requantize] ? Lanes'(1) << lane[$clog2(Lanes)-1:0] : '0;
    vec_wr_addr = VecAddr'(lane >> $clog2(Lanes));
  end

  // ---- results
  logic result;
  logic [CH_W:0] out;
  logic [7:0] score;

  assign result = res_valid_q[Requantize];
  assign out = res_out_q[Requantize];

  always_comb begin
    if (binary_q) score = res_positive_q[Requantize] ? 8'd128 : 8'd0;
    else if (scaled < 17'sd0) score = 8'd0;
    else if (scaled > 17'sd128) score = 8'd128;
    else score = scaled[7:0];
  end

  assign score_we_o   = result && !dense_q;
  assign score_addr_o = score_dst_q + SA_W'(out);
  assign score_data_o = score;

  assign list_o        = list_q;
  assign list_begin_o  = state_q == Head && listed_q && list_base_q == '0;
  assign list_append_o = result && listed_q && out >= from_q && score != '0;
  assign list_id_o     = (CH_W-1)'(out - from_q) + list_base_q[CH_W-2:0];
  assign list_close_o  = state_q == Finish && active_q == '0 && listed_q;
  assign list_bound_o  = CH_W'(cout_q - from_q) + list_base_q;

  assign mem_we_o   = result && dense_q;
  assign mem_addr_o = mem_dst_q + FA_W'(out);
  always_comb begin
    if (scaled < 17'(lo_q)) mem_data_o = lo_q[7:0];
    else if (scaled > 17'(hi_q)) mem_data_o = hi_q[7:0];
    else mem_data_o = scaled[7:0];
  end
endmodule
