// Scale of a requantisation, prepared once for all lanes: a register of what ps_requantize takes.
//
// triple_o = 3 m: its multiples 0 .. 3 m make two bits of an accumulator a digit.
// half_o = 2^(shift-1), which rounds; none for shift 0, and for shifts past 47, which give 0.
module ps_scale (
  input  logic        clk_i,
  input  logic        enable_i,
  input  logic [15:0] multiplier_i,
  input  logic [5:0]  shift_i,
  output logic [15:0] multiplier_o,
  output logic [17:0] triple_o,
  output logic [46:0] half_o,
  output logic [5:0]  shift_o
);
  logic [46:0] half;
  always_comb begin
    for (int unsigned i = 0; i < 47; i++) half[i] = shift_i == 6'(i + 1);
  end

  always_ff @(posedge clk_i) begin
    if (enable_i) begin
      multiplier_o <= multiplier_i;
      triple_o     <= {2'b00, multiplier_i} + {1'b0, multiplier_i, 1'b0};
      half_o       <= half;
      shift_o      <= shift_i;
    end
  end
endmodule
