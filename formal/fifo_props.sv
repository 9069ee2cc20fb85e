// ps_fifo loses, duplicates and reorders nothing.
//
// One word of the input stream, any one (pick), is followed: ahead_q words are to be handed out
// before it.  It leaves as exactly that one, with its own data, and while it has not left it is in
// the storage.  As the word is any, this holds for all of them.
module fifo_props #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4,
  localparam int unsigned PtrWidth = (Depth > 1) ? $clog2(Depth) : 1,
  localparam int unsigned CountWidth = $clog2(Depth + 1)
) (
  input logic                  clk_i,
  input logic                  rst_ni,
  input logic                  in_valid_i,
  input logic                  in_ready_o,
  input logic [Width-1:0]      in_data_i,
  input logic                  out_valid_o,
  input logic                  out_ready_i,
  input logic [Width-1:0]      out_data_o,
  input logic [CountWidth-1:0] count_o,
  input logic [Width-1:0]      mem_q [Depth],
  input logic [PtrWidth-1:0]   rd_ptr_q,
  input logic [PtrWidth-1:0]   wr_ptr_q
);
  logic begun_q = 1'b0;
  logic past_ok_q = 1'b0, stalled_q = 1'b0;
  logic [Width-1:0] shown_q;
  logic pick;  // driven by nothing: the solver's choice
  logic followed_q;
  logic [CountWidth-1:0] ahead_q;
  logic [Width-1:0] word_q;
  logic push, pop;
  int unsigned place;

  assign push = in_valid_i && in_ready_o;
  assign pop = out_valid_o && out_ready_i;
  assign place = (32'(rd_ptr_q) + 32'(ahead_q)) % Depth;

  always_comb if (!begun_q) assume (!rst_ni);

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    past_ok_q <= rst_ni;
    stalled_q <= rst_ni && out_valid_o && !out_ready_i;
    shown_q <= out_data_o;
    if (!rst_ni) followed_q <= 1'b0;
    else if (!followed_q && push && pick) begin
      followed_q <= 1'b1;
      word_q     <= in_data_i;
      ahead_q    <= count_o - CountWidth'(pop);
    end else if (followed_q && pop) begin
      if (ahead_q == '0) followed_q <= 1'b0;
      ahead_q <= ahead_q - CountWidth'(1);
    end
  end

  always_comb if (begun_q && past_ok_q && rst_ni) begin
    a_bound: assert (32'(count_o) <= Depth);
    a_pointers: assert (32'(wr_ptr_q) == (32'(rd_ptr_q) + 32'(count_o)) % Depth);
    a_range: assert (32'(rd_ptr_q) < Depth && 32'(wr_ptr_q) < Depth);
    a_ready: assert (in_ready_o == (32'(count_o) < Depth));
    a_valid: assert (out_valid_o == (count_o != '0));
    if (stalled_q) a_stable: assert (out_valid_o && out_data_o == shown_q);
    if (followed_q) begin
      a_not_lost: assert (ahead_q < count_o);
      a_kept: assert (mem_q[place] == word_q);
      if (ahead_q == '0) a_itself: assert (out_data_o == word_q);
    end
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_full: cover (32'(count_o) == Depth);
    c_followed_out: cover (followed_q && pop && ahead_q == '0);
    if (Depth > 1) c_both: cover (push && pop);
  end
endmodule

bind ps_fifo fifo_props #(.Width(Width), .Depth(Depth)) u_props (.*);
