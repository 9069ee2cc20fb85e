// Vector of the gate unit: pooled sums -> 8-bit inputs of the dense layer.
//
// sum_i writes the pooled sums, in the order of their addresses; sums_begin_i comes before those of
// each convolution.  From the head of a job on its sums leave one a cycle (raw_o) as they become
// final: all below the mark, or all when no convolution makes any (sums_busy_i).  They come back
// requantised Scale cycles later (scaled_i), are clamped and stored.
//
// A vector that is still that of the job before (same sums, same parameters) is not made again.
module ps_gate_vector
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
#(
  parameter int unsigned Scale = 4
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each part uses its own fields
  input  desc_t                    desc_i,
  input  gate_job_t                job_i,        // of the job before, with start_i
  input  gate_phase_t              phase_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic                     sums_begin_i,
  input  logic                     sums_busy_i,
  input  sum_write_t               sum_i,
  input  factor_t                  factor_i,     // in the head: what makes this vector

  output logic                     raw_valid_o,
  output logic [31:0]              raw_o,
  output factor_t                  factor_o,
  input  logic signed [16:0]       scaled_i,

  output logic [GATE_PASS_W-1:0]   words_made_o, // whole words
  output logic                     made_all_o,
  input  logic [GATE_VECTOR_W-1:0] word_i,
  output logic [8*GATE_WORD_BYTES-1:0] vector_o  // a cycle later
);
  localparam int unsigned Lanes = GATE_WORD_BYTES;
  localparam int unsigned LaneBits = $clog2(Lanes);
  localparam int unsigned Words = MAX_CHANNELS / Lanes;

  // ---- sums that are final
  logic [PA_W:0] mark_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || sums_begin_i) mark_q <= '0;
    else if (sum_i.valid) mark_q <= (PA_W+1)'(sum_i.addr) + (PA_W+1)'(1);
  end

  // ---- one element a cycle
  factor_t factor_q;
  logic [CH_W-1:0] index_q, made_q;  // elements asked for, and written
  logic element, known_q, made_all_q, same_q;
  logic head_q, known_head_q, known;  // the cycle behind the head; known then
  logic valid_q1;
  logic [CH_W-1:0] index_q1;
  logic [Scale:1] valid_q;
  logic [Scale:1][CH_W-1:0] place_q;

  assign element = phase_i.run && index_q != job_i.cin
      && (!sums_busy_i || (PA_W+1)'(job_i.pool_base) + (PA_W+1)'(index_q) < mark_q);
  // The vector of the job before: nothing it was made from has changed.  That is compared in the head,
  // where the parameters come out of their memory, and taken a cycle later: an element that was asked
  // for in between is dropped, and no pass needs the vector before.
  assign known = head_q && known_head_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      same_q <= desc_i.cin[CH_W-1:0] == job_i.cin
                && desc_i.pool_base[PA_W-1:0] == job_i.pool_base
                && desc_i.src_signed == job_i.src_signed;
    end
    if (!rst_ni || sum_i.valid || sums_begin_i || (start_i && sums_busy_i)) known_q <= 1'b0;
    else if (phase_i.drain) known_q <= !sums_busy_i;
    head_q       <= rst_ni && phase_i.head;
    known_head_q <= known_q && same_q && !sums_busy_i && factor_q == factor_i;
    if (phase_i.head) begin
      factor_q   <= factor_i;
      index_q    <= '0;
      made_q     <= '0;
      made_all_q <= 1'b0;
    end else if (known) begin
      index_q    <= job_i.cin;
      made_q     <= job_i.cin;
      made_all_q <= 1'b1;
    end else begin
      if (element) index_q <= index_q + CH_W'(1);
      if (valid_q[Scale]) begin
        made_q     <= made_q + CH_W'(1);
        made_all_q <= made_q == job_i.last_element;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    valid_q1 <= rst_ni && element && !known;
    index_q1 <= index_q;
    valid_q  <= rst_ni ? {valid_q[Scale-1:1], valid_q1} : '0;
    place_q  <= {place_q[Scale-1:1], index_q1};
  end

  assign raw_valid_o = valid_q1;
  assign factor_o = factor_q;
  assign words_made_o = GATE_PASS_W'(made_q >> LaneBits);
  assign made_all_o = made_all_q;

  // ---- clamped to its 8-bit type
  logic [Lanes-1:0] we;
  logic [GATE_VECTOR_W-1:0] wr_addr;
  logic [7:0] clamped;

  always_comb begin
    logic signed [16:0] low, high;
    logic [CH_W-1:0] lane;
    low = job_i.src_signed ? -17'sd128 : 17'sd0;
    high = job_i.src_signed ? 17'sd127 : 17'sd255;
    clamped = (scaled_i < low) ? low[7:0] : (scaled_i > high) ? high[7:0] : scaled_i[7:0];
    lane = place_q[Scale];
    we = valid_q[Scale] ? Lanes'(1) << lane[LaneBits-1:0] : '0;
    wr_addr = GATE_VECTOR_W'(lane >> LaneBits);
  end

  // ---- memories
  ps_ram #(.Width(32), .Depth(POOL_DEPTH)) u_pool (
    .clk_i,
    .wr_en_i  ({4{sum_i.valid}}),
    .wr_addr_i(sum_i.addr),
    .wr_data_i(sum_i.data),
    .rd_addr_i(job_i.pool_base + PA_W'(index_q)),
    .rd_data_o(raw_o)
  );

  ps_ram #(.Width(8 * Lanes), .Depth(Words)) u_vector (
    .clk_i,
    .wr_en_i  (we),
    .wr_addr_i(wr_addr),
    .wr_data_i({Lanes{clamped}}),
    .rd_addr_i(word_i),
    .rd_data_o(vector_o)
  );

`ifndef SYNTHESIS
  logic at_work;
  assign at_work = phase_i.run || phase_i.drain || phase_i.fill;
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      sum_i.valid && !sums_begin_i |-> (PA_W+1)'(sum_i.addr) >= mark_q)
    else $error("ps_gate_vector: pooled sums out of order");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      sum_i.valid && at_work
      |-> sum_i.addr < job_i.pool_base
          || (PA_W+1)'(sum_i.addr) >= (PA_W+1)'(job_i.pool_base) + (PA_W+1)'(index_q))
    else $error("ps_gate_vector: a sum is written that was read before");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      at_work && made_all_q |-> made_q == job_i.cin)
    else $error("ps_gate_vector: a vector is whole that is not");
`endif
endmodule
