// Sums of products, two rows a multiplier: the packed half of ps_array.
//
// (w1 * 2^16 + w0) * x = (w1 * x) * 2^16 + w0 * x: the operand fits 25 bits for all weights, -128
// included (a shift by 17 would not), so one DSP48E1 slice multiplies and accumulates both: its
// register holds S1 * 2^16 + S0 exactly.  Bits 15..0 are those of S0; the bits above are S1 plus
// the upper part of S0, floor(S0 / 2^16), which a counter of its own follows: w0 * x is less than
// 2^15 in size (an int8 or uint8 activation), so in a step bit 15 falls on the way up only if S0
// passed a multiple of 2^16, and rises on the way down only if it did.
//
// Operands with valid_i give products one cycle later and sums two cycles later; first_i starts new
// sums.  acc_o[2 r] = S0, acc_o[2 r + 1] = S1 + floor(S0 / 2^16): who takes it gives that back.
module ps_pair_sums
  import ps_cfg::*;
(
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      valid_i,
  input  logic                      first_i,
  input  logic signed [7:0]         weights_i [P_OC],
  input  logic signed [15:0]        pixels_i [P_OC][P_PX],  // of row 2 r: both rows see them
  output logic signed [SUM_W-1:0]   acc_o [P_OC][P_PX]
);
  localparam int unsigned Pairs = P_OC / 2;
  localparam int unsigned UpperWidth = SUM_W - 16;
  localparam int unsigned ProductWidth = 25 + 9;

  logic valid_q1, valid_q2, first_q1, first_q2;
  logic signed [ProductWidth-1:0] product_q [Pairs][P_PX];
  logic signed [47:0] sum_q [Pairs][P_PX];

  always_ff @(posedge clk_i) begin
    valid_q1 <= rst_ni && valid_i;
    valid_q2 <= rst_ni && valid_q1;
    if (valid_i) first_q1 <= first_i;
    if (valid_q1) first_q2 <= first_q1;
  end

  // ---- in the slice: product, sum
  always_ff @(posedge clk_i) begin
    logic signed [24:0] weights;
    logic signed [8:0] pixel;
    logic signed [ProductWidth-1:0] product [Pairs][P_PX];
    if (valid_i) begin
      for (int r = 0; r < Pairs; r++) begin
        weights = 25'($signed({weights_i[2*r+1], 16'd0})) + 25'(weights_i[2*r]);
        for (int p = 0; p < P_PX; p++) begin
          pixel = pixels_i[2*r][p][8:0];
          product[r][p] = weights * pixel;
        end
      end
      product_q <= product;
    end
  end

  always_ff @(posedge clk_i) begin
    logic signed [47:0] sum [Pairs][P_PX];
    if (valid_q1) begin
      for (int r = 0; r < Pairs; r++) begin
        for (int p = 0; p < P_PX; p++) begin
          sum[r][p] = (first_q1 ? 48'sd0 : sum_q[r][p]) + 48'(product_q[r][p]);
        end
      end
      sum_q <= sum;
    end
  end

  // ---- beside it: does S0 move up or down in the step of sum_q, and from which bit 15
  logic [Pairs-1:0] weight_sign_q1, weight_sign_q2;
  logic [P_PX-1:0] pixel_sign_q1 [Pairs], pixel_sign_q2 [Pairs], before_q [Pairs];
  logic signed [UpperWidth-1:0] upper [Pairs][P_PX], upper_q [Pairs][P_PX];

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int r = 0; r < Pairs; r++) begin
        weight_sign_q1[r] <= weights_i[2*r][7];
        for (int p = 0; p < P_PX; p++) pixel_sign_q1[r][p] <= pixels_i[2*r][p][8];
      end
    end
    if (valid_q1) begin
      weight_sign_q2 <= weight_sign_q1;
      pixel_sign_q2  <= pixel_sign_q1;
      for (int r = 0; r < Pairs; r++) begin
        for (int p = 0; p < P_PX; p++) before_q[r][p] <= !first_q1 && sum_q[r][p][15];
      end
    end
    if (valid_q2) upper_q <= upper;
  end

  always_comb begin
    for (int r = 0; r < Pairs; r++) begin
      for (int p = 0; p < P_PX; p++) begin
        logic down, passed;
        down = weight_sign_q2[r] ^ pixel_sign_q2[r][p];  // or the product is 0: bit 15 stays
        passed = (sum_q[r][p][15] == down) && (before_q[r][p] != down);
        upper[r][p] = (first_q2 ? '0 : upper_q[r][p])
            + $signed({{(UpperWidth - 1){passed && down}}, passed});
        acc_o[2*r][p]   = {upper[r][p], sum_q[r][p][15:0]};
        acc_o[2*r+1][p] = sum_q[r][p][16+:SUM_W];
      end
    end
  end
endmodule
