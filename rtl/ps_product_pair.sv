// Two int8 x 9-bit products from one multiplier: two weights against the same activation.
//
// (w1 * 2^16 + w0) * x = (w1 * x) * 2^16 + w0 * x: the operand fits 25 bits for all weights, -128
// included (a shift by 17 would not), so one DSP48E1 slice takes it.  The low 16 bits are w0 * x
// exactly, since it lies in -32,640 .. 32,385 for an int8 or uint8 activation; when it is negative
// it has borrowed 1 from the upper part, which is given back.  Combinational.
module ps_product_pair (
  input  logic signed [7:0]  weight0_i,
  input  logic signed [7:0]  weight1_i,
  input  logic signed [8:0]  pixel_i,
  output logic signed [15:0] product0_o,
  output logic signed [15:0] product1_o
);
  logic signed [24:0] packed_weights;
  /* verilator lint_off UNUSEDSIGNAL */  // bits above the upper product repeat its sign
  logic signed [33:0] packed_products;
  /* verilator lint_on UNUSEDSIGNAL */

  assign packed_weights  = 25'($signed({weight1_i, 16'd0})) + 25'(weight0_i);
  assign packed_products = packed_weights * pixel_i;
  assign product0_o = packed_products[15:0];
  assign product1_o = packed_products[31:16] + 16'(packed_products[15]);
endmodule
