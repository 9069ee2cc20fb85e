// Two int8 x 9-bit products from one multiplier: two weights against the same activation.
//
// (w1 * 2^17 + w0) * x = (w1 * x) * 2^17 + w0 * x: the operand is 25 bits wide, one DSP48E1 slice
// takes it.  The low 17 bits are w0 * x exactly (|w0 * x| <= 128 * 255 < 2^16); when it is negative
// it has borrowed 1 from the upper part, which is given back.  Combinational; exact for all operands.
module ps_product_pair (
  input  logic signed [7:0]  weight0_i,
  input  logic signed [7:0]  weight1_i,
  input  logic signed [8:0]  pixel_i,
  output logic signed [16:0] product0_o,
  output logic signed [16:0] product1_o
);
  logic signed [24:0] packed_weights;
  logic signed [33:0] packed_products;

  assign packed_weights  = $signed({weight1_i, 17'd0}) + 25'(weight0_i);
  assign packed_products = packed_weights * pixel_i;
  assign product0_o = packed_products[16:0];
  assign product1_o = packed_products[33:17] + 17'(packed_products[16]);
endmodule
