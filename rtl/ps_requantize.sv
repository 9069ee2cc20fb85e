// Requantise one accumulator: t = (acc * m + 2^(shift-1)) >> shift, saturated to 17 bits.
//
// Round half up by the arithmetic shift.  17 bits are enough for every later step to be exact: a
// residual (9 bits) is added and the sum clamped to 16 bits.  Three pipeline stages, no stall;
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
  logic [5:0] shift_q1, shift_q2;
  logic enable_q1, enable_q2;

  always_ff @(posedge clk_i) begin
    logic signed [Width-1:0] shifted;
    enable_q1 <= enable_i;
    enable_q2 <= enable_q1;
    if (enable_i) begin
      product_q1 <= acc_i * $signed({1'b0, multiplier_i});
      shift_q1   <= shift_i;
    end
    if (enable_q1) begin
      product_q2 <= product_q1;
      shift_q2   <= shift_q1;
    end
    if (enable_q2) begin
      shifted = (product_q2 + (Width'(1) <<< (shift_q2 - 6'd1))) >>> shift_q2;
      // |product| < 2^(Width - 2): at most half of what such a shift takes away.
      if (32'(shift_q2) > Width - 2) result_o <= '0;
      else if (shifted > Width'(65535)) result_o <= 17'sd65535;
      else if (shifted < -Width'(65536)) result_o <= (-17'sd65536);
      else result_o <= shifted[16:0];
    end
  end
endmodule
