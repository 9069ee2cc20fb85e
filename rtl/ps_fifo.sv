// First-word fall-through FIFO on registers.
//
// A word is taken in every cycle with in_valid_i && in_ready_o and handed out in every cycle with
// out_valid_o && out_ready_i; both may happen in one cycle.  A word is visible at the output one
// cycle after it was taken.  in_ready_o depends on the fill only (a full FIFO takes no word in
// the cycle in which it hands one out), so no combinational path crosses the module.
// count_o is the number of words held, 0..Depth.  Depth >= 1, any value.
//
// Reset empties the FIFO; the storage itself is not reset.
module ps_fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 4,
  localparam int unsigned CountWidth = $clog2(Depth + 1)
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  in_valid_i,
  output logic                  in_ready_o,
  input  logic [Width-1:0]      in_data_i,
  output logic                  out_valid_o,
  input  logic                  out_ready_i,
  output logic [Width-1:0]      out_data_o,
  output logic [CountWidth-1:0] count_o
);
  localparam int unsigned PtrWidth = (Depth > 1) ? $clog2(Depth) : 1;
  localparam logic [PtrWidth-1:0] LastPtr = PtrWidth'(Depth - 1);

  logic [Width-1:0]      mem_q [Depth];
  logic [PtrWidth-1:0]   rd_ptr_q, wr_ptr_q;
  logic [CountWidth-1:0] count_q;
  logic [CountWidth-1:0] more, less;  // both found before push and pop are known
  logic                  push, pop;

  // Bit by bit: an adder shared by both would stand behind push and pop.
  always_comb begin
    logic up, down;
    up = 1'b1;
    down = 1'b1;
    for (int unsigned i = 0; i < CountWidth; i++) begin
      more[i] = count_q[i] ^ up;
      less[i] = count_q[i] ^ down;
      up = up && count_q[i];
      down = down && !count_q[i];
    end
  end

  assign in_ready_o  = count_q != CountWidth'(Depth);
  assign out_valid_o = count_q != '0;
  assign out_data_o  = mem_q[rd_ptr_q];
  assign count_o     = count_q;
  assign push        = in_valid_i && in_ready_o;
  assign pop         = out_valid_o && out_ready_i;

  always_ff @(posedge clk_i) begin
    if (push) mem_q[wr_ptr_q] <= in_data_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      rd_ptr_q <= '0;
      wr_ptr_q <= '0;
      count_q  <= '0;
    end else begin
      if (push) wr_ptr_q <= (wr_ptr_q == LastPtr) ? '0 : wr_ptr_q + PtrWidth'(1);
      if (pop)  rd_ptr_q <= (rd_ptr_q == LastPtr) ? '0 : rd_ptr_q + PtrWidth'(1);
      if (push && !pop) count_q <= more;
      if (pop && !push) count_q <= less;
    end
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) count_q <= CountWidth'(Depth))
    else $error("ps_fifo: count %0d over depth", count_q);
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      out_valid_o && !out_ready_i |=> out_valid_o && $stable(out_data_o))
    else $error("ps_fifo: output changed while stalled");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      in_valid_i && !in_ready_o |=> in_valid_i && $stable(in_data_i))
    else $error("ps_fifo: input changed while stalled");
`endif
endmodule
