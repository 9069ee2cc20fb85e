// EXIT_IF: is a classifier head confident enough to end the image here?
//
// Of cin logits in feature memory the largest is found, then the table's entries at the distances
// from it are added up: sum_j exp(s * (l_j - l_max)), which is 1 / softmax of the largest.  taken_o
// says whether the sum is at most the descriptor's bound.
// variant 1: logits of 16 bits.  An entry then stands for 64 distances, the nearest ones, and the
// last one for all beyond it too.
// start_i latches the descriptor; busy_o for 2 * cin + 7 cycles: a logit a cycle, twice.  taken_o is
// right from the end of busy_o to the next start.
// mem_*: port A of the feature memory, two bytes, three cycles after their address.  table_*: a word
// of the gate memory, one cycle after its address; eight entries of 16 bits.
module ps_exit
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
  output logic              taken_o,

  output logic [FA_W-1:0]   mem_addr_o,
  input  logic [1:0][7:0]   mem_data_i,
  output logic [GA_W-2:0]   table_addr_o,
  input  logic [8*GATE_WORD_BYTES-1:0] table_word_i
);
  localparam int unsigned Latency = 3;  // of the feature memory

  // ---- every logit twice: for the largest, for the sum
  logic active_q, signed_q, wide_q, summing_q;
  logic [CH_W-1:0] cin_q, left_q;
  logic [FA_W-1:0] src_q, stride_q, addr_q;
  logic [GA_W-2:0] table_q;
  logic [31:0] bound_q;
  logic sweep_end;

  assign sweep_end = left_q == CH_W'(1);
  assign mem_addr_o = addr_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) active_q <= 1'b0;
    else if (start_i) active_q <= 1'b1;
    else if (sweep_end && summing_q) active_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      signed_q  <= desc_i.src_signed;
      wide_q    <= desc_i.variant == EXIT_WIDE;
      cin_q     <= desc_i.cin[CH_W-1:0];
      src_q     <= desc_i.src[FA_W-1:0];
      stride_q  <= desc_i.src_stride[FA_W-1:0];
      table_q   <= desc_i.w_addr[GA_W+2:4];
      bound_q   <= desc_i.w_stride;
      left_q    <= desc_i.cin[CH_W-1:0];
      addr_q    <= desc_i.src[FA_W-1:0];
      summing_q <= 1'b0;
    end else if (active_q) begin
      left_q <= sweep_end ? cin_q : left_q - CH_W'(1);
      addr_q <= sweep_end ? src_q : addr_q + stride_q;
      if (sweep_end) summing_q <= 1'b1;
    end
  end

  // ---- a logit arrives: the largest, then the distance from it (the last of the first sweep has
  //      joined the largest when the first of the second comes)
  typedef struct packed {
    logic valid;
    logic summing;
  } item_t;

  item_t [Latency-1:0] items_q;
  item_t item, next;
  localparam int unsigned Shift = EXIT_WIDE_SHIFT;
  localparam logic signed [15:0] Least = 16'h8000;
  logic signed [15:0] logit, largest_q;
  logic signed [16:0] rounded_q, half;  // largest_q and half an entry, of 16 bits
  logic [16:0] distance;
  logic [7:0] entry, entry_q1;
  logic [2:0] place_q2;         // of the entry in its word
  logic look_q1, look_q2, look_q3;  // an entry is asked for, there, added

  assign next = '{valid: active_q, summing: active_q && summing_q};
  assign item = items_q[Latency-1];
  assign logit = {wide_q ? mem_data_i[1] : {8{signed_q && mem_data_i[0][7]}}, mem_data_i[0]};
  assign half = wide_q ? 17'sd1 <<< (Shift - 1) : 17'sd0;
  assign distance = rounded_q - 17'(logit);
  assign table_addr_o = table_q + (GA_W-1)'(entry_q1[7:3]);

  always_comb begin
    if (!wide_q) entry = distance[7:0];
    else if (distance[16:Shift+8] != '0) entry = '1;
    else entry = distance[Shift+:8];
  end

  always_ff @(posedge clk_i) begin
    items_q <= rst_ni ? {items_q[Latency-2:0], next} : '0;
    if (start_i) begin
      largest_q <= Least;
      rounded_q <= 17'(Least) + (17'sd1 <<< (Shift - 1));
    end else if (item.valid && !item.summing && logit > largest_q) begin
      largest_q <= logit;
      rounded_q <= 17'(logit) + half;
    end
    look_q1     <= rst_ni && item.valid && item.summing;
    look_q2     <= rst_ni && look_q1;
    look_q3     <= rst_ni && look_q2;
    entry_q1    <= entry;
    place_q2    <= entry_q1[2:0];
  end

  // ---- the sum: at most 2^11 entries of 16 bits
  logic [15:0] entry_q;
  logic [31:0] sum_q;
  logic done_q;

  always_ff @(posedge clk_i) begin
    entry_q <= table_word_i[{place_q2, 4'd0}+:16];
    if (start_i) sum_q <= '0;
    else if (look_q3) sum_q <= sum_q + 32'(entry_q);
    done_q <= rst_ni && look_q3;  // the sum is final when no entry comes behind
    if (done_q) taken_o <= sum_q <= bound_q;
  end

  assign busy_o = active_q || items_q != '0 || look_q1 || look_q2 || look_q3 || done_q;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> !busy_o)
    else $error("ps_exit: started while busy");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      item.valid && item.summing |-> logit <= largest_q)
    else $error("ps_exit: a logit above the largest");
`endif
endmodule
