// Requantise one accumulator: t = (acc * m + 2^(shift-1)) >> shift, saturated to 17 bits.
//
// Round half up by the arithmetic shift.  17 bits are enough for every later step to be exact: a
// residual (9 bits) is added and the sum clamped to 16 bits.  Three pipeline stages, no stall:
// product; rounded; shifted, while the bits that no longer fit are looked at beside the shifter.
// enable_i travels along and keeps idle stages still.
// A narrow accumulator (AccWidth) makes the shifter narrow too; shifts up to 47 stay legal.
// Shift 0 rounds nothing; a greater one than 47 gives 0.
module ps_requantize #(
  parameter int unsigned AccWidth = 32
) (
  input  logic               clk_i,
  input  logic               enable_i,
  input  logic signed [AccWidth-1:0] acc_i,
  input  logic [15:0]        multiplier_i,
  input  logic [5:0]         shift_i,
  output logic signed [16:0] result_o
);
  localparam int unsigned Width = AccWidth + 17;
  logic signed [Width-1:0] product_q1, product_q2;
  logic [5:0] shift_q1;
  (* keep *) logic [5:0] shift_q2;     // a copy in every lane: together they have hundreds of sinks
  logic signed [Width-1:0] half_q1;    // rounds: 2^(shift-1), never negative
  logic [Width-1:0] beyond_q2;         // bits that are no part of a result of 16 bits and a sign
  logic zero_q2, enable_q1, enable_q2;

  always_ff @(posedge clk_i) begin
    enable_q1 <= enable_i;
    enable_q2 <= enable_q1;
    if (enable_i) begin
      product_q1 <= acc_i * $signed({1'b0, multiplier_i});
      shift_q1   <= shift_i;
      half_q1    <= Width'(1) << (shift_i - 6'd1);
    end
    if (enable_q1) begin
      product_q2 <= product_q1 + half_q1;
      shift_q2   <= shift_q1;
      beyond_q2  <= {Width{1'b1}} << (7'(shift_q1) + 7'd16);
      // |product| < 2^(Width - 2): at most half of what such a shift takes away.
      zero_q2    <= 32'(shift_q1) > Width - 2;
    end
  end

  logic signed [16:0] shifted;
  logic too_far;
  assign shifted = 17'(product_q2 >>> shift_q2);
  assign too_far = ((product_q2 ^ {Width{product_q2[Width-1]}}) & beyond_q2) != '0;

  always_ff @(posedge clk_i) begin
    if (enable_q2) begin
      if (zero_q2) result_o <= '0;
      else if (too_far) result_o <= {product_q2[Width-1], {16{!product_q2[Width-1]}}};
      else result_o <= shifted;
    end
  end
endmodule
