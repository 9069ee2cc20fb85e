// One of four bytes.
//
// A module of its own that synthesis keeps: one 6-input look-up table a bit.  Taken together with
// what is before and behind it, mappers make four for a bit and a multiplexer that they hold as fast.
(* keep_hierarchy = "yes" *)
module ps_table_pick (
  input  logic [3:0][7:0] bytes_i,
  input  logic [1:0]      index_i,
  output logic [7:0]      byte_o
);
  assign byte_o = bytes_i[index_i];
endmodule
