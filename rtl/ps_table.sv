// Table of activations of one lane: the byte that stands for each byte, read in the same cycle.
//
// It is written a beat at a time, the eight entries of value_i's word: so the memory has one address,
// and every look-up table holds as many bits of it as it can.  Contents are not reset.
// A module of its own that synthesis keeps: taken with the register before it, mappers make the
// memory one with a clocked address, and logic that gives what was written in the cycle before.
(* keep_hierarchy = "yes" *)
module ps_table
  import ps_pkg::*;
(
  input  logic            clk_i,
  input  logic            write_i,
  input  logic [7:0][7:0] data_i,
  input  logic            lane_i,    // else 0
  input  logic            enable_i,  // else value_i as it is
  input  logic [7:0]      value_i,
  output logic [7:0]      value_o
);
  (* ram_style = "distributed" *) logic [7:0][7:0] words_q [TABLE_BYTES/8];
  logic [7:0][7:0] word;
  logic [1:0][7:0] halves;

  always_ff @(posedge clk_i) begin
    if (write_i) words_q[value_i[7:3]] <= data_i;
  end

  assign word = words_q[value_i[7:3]];
  for (genvar h = 0; h < 2; h++) begin : gen_half
    ps_table_pick u_pick (
      .bytes_i(word[4*h+:4]),
      .index_i(value_i[1:0]),
      .byte_o (halves[h])
    );
  end
  assign value_o = !lane_i ? '0 : enable_i ? halves[value_i[2]] : value_i;
endmodule
