// Requantise one accumulator: t = (acc * m + 2^(shift-1)) >> shift, saturated to 17 bits.
//
// Round half up by the arithmetic shift.  17 bits are enough for every later step to be exact: a
// residual (9 bits) is added and the sum clamped to 16 bits.  Three pipeline stages, no stall:
// product; rounded; shifted, while the bits that no longer fit are looked at beside the shifter.
// enable_i travels along and keeps idle stages still.
// One multiplier of 25 x 18 bits each: the accumulator's lower bits are multiplied by sums, two bits a
// digit, in which the rounding goes along, and its adder puts both together.  ps_scale prepares m.
// A narrow accumulator (AccWidth) makes the shifter narrow too; shifts up to 47 stay legal.
// Shift 0 rounds nothing; a greater one than 47 gives 0.
module ps_requantize #(
  parameter int unsigned AccWidth = 32
) (
  input  logic               clk_i,
  input  logic               enable_i,
  input  logic signed [AccWidth-1:0] acc_i,
  input  logic [15:0]        multiplier_i,
  input  logic [17:0]        triple_i,
  /* verilator lint_off UNUSEDSIGNAL */  // the upper bits, where the accumulator is narrow
  input  logic [46:0]        half_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [5:0]         shift_i,
  output logic signed [16:0] result_o
);
  localparam int unsigned Width = AccWidth + 17;
  localparam int unsigned Low = (AccWidth > 25) ? AccWidth - 25 : 0;  // bits not in the multiplier
  localparam int unsigned LowWidth = Low + 17;                        // of their product, and a carry
  logic signed [Width-Low-1:0] high_q1;
  logic [Width-1:0] low_q1;            // the lower bits' product and half a unit
  logic signed [Width-1:0] product_q2;
  logic [5:0] shift_q1;
  (* keep *) logic [5:0] shift_q2;     // a copy in every lane: together they have hundreds of sinks
  logic [Width-1:0] beyond_q2;         // bits that are no part of a result of 16 bits and a sign
  logic zero_q2, enable_q1, enable_q2;

  function automatic logic [17:0] multiple(logic [1:0] digit, logic [15:0] m, logic [17:0] triple);
    unique case (digit)
      2'd0: return '0;
      2'd1: return {2'b00, m};
      2'd2: return {1'b0, m, 1'b0};
      2'd3: return triple;
    endcase
  endfunction

  // x * m, x of the lower bits, and the half: where that lies above the product, it is beside it.
  function automatic logic [Width-1:0] low_sum(logic [7:0] x, logic [15:0] m, logic [17:0] triple,
                                               logic [46:0] half);
    logic [LowWidth-1:0] sum;
    sum = (LowWidth'(multiple(x[1:0], m, triple)) + (LowWidth'(multiple(x[3:2], m, triple)) << 2))
        + ((LowWidth'(multiple(x[5:4], m, triple)) << 4)
           + (LowWidth'(multiple(x[7:6], m, triple)) << 6))
        + half[LowWidth-1:0];
    return {(Width-LowWidth)'(half >> LowWidth), sum};
  endfunction

  logic signed [Width-1:0] sum;
  if (Low > 0) begin : gen_low
    assign sum = {high_q1 + $signed(low_q1[Width-1:Low]), low_q1[Low-1:0]};
  end else begin : gen_whole
    assign sum = high_q1 + $signed(low_q1);
  end

  always_ff @(posedge clk_i) begin
    enable_q1 <= enable_i;
    enable_q2 <= enable_q1;
    if (enable_i) begin
      high_q1  <= (Width-Low)'($signed(acc_i[AccWidth-1:Low])) * $signed({1'b0, multiplier_i});
      low_q1   <= low_sum(8'(acc_i) & 8'((1 << Low) - 1), multiplier_i, triple_i, half_i);
      shift_q1 <= shift_i;
    end
    if (enable_q1) begin
      product_q2 <= sum;
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
