// Walks a channel list: hands out its ids in order, one a cycle, over and over if asked to.
//
// start_i (a pulse, also while walking: the old walk is dropped) takes all_i, list_i, count_i,
// loop_i.  With all_i the ids are 0 .. count-1, else the entries of list list_i.  pos_o is the
// position in the list, last_o marks its end.  With loop_i the walk begins again after the end;
// without, it stops there.  count_i = 0 gives nothing.
//
// mem_addr_o / mem_data_i: the list memory, data one cycle after the address.
module ps_list_walk #(
  parameter int unsigned ChWidth = ps_cfg::CH_W,
  parameter int unsigned ListWidth = ps_cfg::LI_W
) (
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           start_i,
  input  logic                           all_i,
  input  logic [ListWidth-1:0]           list_i,
  input  logic [ChWidth-1:0]             count_i,
  input  logic                           loop_i,
  output logic [ListWidth+ChWidth-2:0]   mem_addr_o,
  input  logic [ChWidth-2:0]             mem_data_i,
  output logic                           valid_o,
  input  logic                           ready_i,
  output logic [ChWidth-1:0]             id_o,
  output logic [ChWidth-1:0]             pos_o,
  output logic                           last_o
);
  localparam int unsigned Depth = 4;

  logic active_q, all_q, loop_q;
  logic [ListWidth-1:0] list_q;
  logic [ChWidth-1:0] last_q, pos_q;
  logic issue, issued_q, issued_last_q;
  logic [ChWidth-1:0] issued_pos_q;
  logic [2:0] fill;
  logic at_end, fifo_ready;

  assign at_end = pos_q == last_q;
  assign issue = active_q && !start_i && (fill + 3'(issued_q) < 3'(Depth));
  assign mem_addr_o = {list_q, pos_q[ChWidth-2:0]};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      issued_q <= 1'b0;
    end else begin
      issued_q <= issue;
      if (start_i) active_q <= count_i != '0;
      else if (issue && at_end) active_q <= loop_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      all_q   <= all_i;
      list_q  <= list_i;
      last_q  <= count_i - ChWidth'(1);
      loop_q  <= loop_i;
      pos_q   <= '0;
    end else if (issue) begin
      pos_q <= at_end ? '0 : pos_q + ChWidth'(1);
    end
    issued_pos_q  <= pos_q;
    issued_last_q <= at_end;
  end

  ps_fifo #(.Width(2 * ChWidth + 1), .Depth(Depth)) u_fifo (
    .clk_i,
    .rst_ni     (rst_ni && !start_i),
    .in_valid_i (issued_q && !start_i),
    .in_ready_o (fifo_ready),
    .in_data_i  ({issued_last_q, issued_pos_q, all_q ? issued_pos_q : {1'b0, mem_data_i}}),
    .out_valid_o(valid_o),
    .out_ready_i(ready_i),
    .out_data_o ({last_o, pos_o, id_o}),
    .count_o    (fill)
  );

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) issued_q && !start_i |-> fifo_ready)
    else $error("ps_list_walk: id lost");
`endif
endmodule
