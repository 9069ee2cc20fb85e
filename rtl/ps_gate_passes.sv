// Passes of the gate unit: which output meets which word of the vector, in which cycle.
//
// start_i begins a descriptor: its parameters are read (head), then one pass over the outputs reads
// theirs and one for each word of the vector follows, an item a cycle, as soon as that word is made.
// The last pass gives the results; it waits while hold_i.  stopped_i ends the passes: the other
// scores are filled with zeros (fill) until fill_end_i.
//
// With every sum final at the start, the outputs before `from` of a job that may stop go ahead
// through all passes, then come the others.
(* keep_hierarchy = "yes" *)  // mapped by itself: docs/timing.md, "Wires"
module ps_gate_passes
  import ps_cfg::*;
  import ps_types::*;
#(
  parameter int unsigned Latency = 10  // cycles from an item to its result
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     start_i,
  input  logic [GA_W-2:0]          addr_i,       // of the first word in the gate memory, with start_i
  /* verilator lint_off UNUSEDSIGNAL */  // each part uses its own fields of a job
  input  gate_job_t                job_i,        // from the next cycle on
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic                     sums_busy_i,  // a convolution that makes sums runs
  input  logic                     hold_i,
  input  logic [GATE_PASS_W-1:0]   words_made_i, // whole words of the vector
  input  logic                     made_all_i,
  input  logic                     stopped_i,
  input  logic                     fill_end_i,

  output logic                     busy_o,
  output gate_phase_t              phase_o,
  output logic                     drained_o,    // drain, and no item is on its way
  output gate_item_t               item_o,
  output logic [GA_W-2:0]          gmem_addr_o,
  output logic [GATE_VECTOR_W-1:0] word_o        // of the vector
);
  localparam int unsigned PassW = GATE_PASS_W;

  typedef enum logic [2:0] {Idle, Head, HeadData, Passes, Drain, Fill} state_e;
  state_e state_q;

  logic [PassW-1:0] pass_q;
  logic [CH_W:0] out_q, first_q, last_q;  // outputs of this sweep
  logic ahead_q;                          // the outputs before `from` go ahead
  logic [GA_W-2:0] gmem_rd_q, pass_rd_q, row_words, sweep_rd_q;
  // The output is the first, the last of its pass, or both; the pass is the last: registers.
  logic out_first, out_end, single_q, pass_end;
  logic issue, pass_ready;
  logic [Latency-1:0] active_q;

  assign row_words = (GA_W-1)'(job_i.last_pass) + (GA_W-1)'(1);
  assign pass_ready = pass_end ? made_all_i && !hold_i : made_all_i || words_made_i >= pass_q;
  assign issue = state_q == Passes && (!out_first || pass_ready);
  assign busy_o = state_q != Idle;
  assign phase_o = '{head: state_q == HeadData, run: state_q == Passes, drain: state_q == Drain,
                     fill: state_q == Fill};
  assign drained_o = state_q == Drain && active_q == '0;
  assign item_o = '{valid: issue, param: pass_q == '0, last: pass_end, out: out_q};
  assign gmem_addr_o = gmem_rd_q;
  assign word_o = GATE_VECTOR_W'(pass_q - PassW'(1));

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle:     if (start_i) state_q <= Head;
        Head:     state_q <= HeadData;
        HeadData: state_q <= Passes;
        Passes:   if (stopped_i) state_q <= Fill;
                  else if (issue && out_end && pass_end && !ahead_q) state_q <= Drain;
        Drain:    if (stopped_i) state_q <= Fill;
                  else if (active_q == '0) state_q <= Idle;
        Fill:     if (fill_end_i) state_q <= Drain;
        default:  state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == Head) begin
      gmem_rd_q  <= gmem_rd_q + (GA_W-1)'(1);
      pass_rd_q  <= gmem_rd_q + (GA_W-1)'(1);
      ahead_q    <= job_i.stop && !sums_busy_i;
      last_q     <= ((job_i.stop && !sums_busy_i) ? job_i.from : job_i.cout) - (CH_W+1)'(1);
      first_q    <= '0;
      out_q      <= '0;
      out_first  <= 1'b1;
      out_end    <= (job_i.stop && !sums_busy_i) ? job_i.one_ahead : job_i.one;
      single_q   <= (job_i.stop && !sums_busy_i) ? job_i.one_ahead : job_i.one;
      pass_q     <= '0;
      pass_end   <= job_i.last_pass == '0;
    end else if (issue) begin
      if (!out_end) begin
        out_q     <= out_q + (CH_W+1)'(1);
        out_first <= 1'b0;
        out_end   <= out_q + (CH_W+1)'(1) == last_q;
        gmem_rd_q <= gmem_rd_q + row_words;
      end else if (!pass_end) begin
        pass_q    <= pass_q + PassW'(1);
        pass_end  <= pass_q + PassW'(1) == job_i.last_pass;
        out_q     <= first_q;
        out_first <= 1'b1;
        out_end   <= single_q;
        gmem_rd_q <= pass_rd_q + (GA_W-1)'(1);
        pass_rd_q <= pass_rd_q + (GA_W-1)'(1);
      end else if (ahead_q) begin  // the other outputs
        ahead_q   <= 1'b0;
        first_q   <= job_i.from;
        out_q     <= job_i.from;
        out_first <= 1'b1;
        out_end   <= job_i.one_rest;
        single_q  <= job_i.one_rest;
        last_q    <= job_i.cout - (CH_W+1)'(1);
        pass_q    <= '0;
        pass_end  <= job_i.last_pass == '0;
        gmem_rd_q <= sweep_rd_q;
        pass_rd_q <= sweep_rd_q;
      end
    end
    if (start_i) gmem_rd_q <= addr_i;
    // The row after the last one that was read.
    if (issue && pass_q == '0) sweep_rd_q <= gmem_rd_q + row_words;
    active_q <= rst_ni ? {active_q[Latency-2:0], issue} : '0;
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      state_q == Passes |-> out_first == (out_q == first_q) && out_end == (out_q == last_q)
          && single_q == (first_q == last_q) && pass_end == (pass_q == job_i.last_pass))
    else $error("ps_gate_passes: the place in a pass is not what its flags say");
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> state_q == Idle)
    else $error("ps_gate_passes: started while busy");
`endif
endmodule
