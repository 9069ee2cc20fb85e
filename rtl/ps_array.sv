// PE array: P_oc physical rows x P_px lanes, output stationary, with shadow accumulators.
//
// In every cycle with valid_i, accumulator (r, p) gains weights_i[r] * pixels_i[r][p]; first_i
// starts a new sum, last_i ends it.  Three cycles after last_i the sums are in the shadow
// registers and loaded_o pulses; row 0 is on row_o.  shift_i brings the next row to row_o.  A load
// overwrites the shadow: the controller allows the next last_i only when its rows are gone.
module ps_array
  import ps_cfg::*;
(
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           valid_i,
  input  logic                           first_i,
  input  logic                           last_i,
  input  logic signed [7:0]              weights_i [P_OC],
  input  logic signed [15:0]             pixels_i [P_OC][P_PX],  // int8 or uint8
  output logic                           loaded_o,
  input  logic                           shift_i,
  output logic signed [31:0]             row_o [P_PX]
);
  logic valid_q, first_q, last_q, loaded_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q  <= 1'b0;
      last_q   <= 1'b0;
      loaded_q <= 1'b0;
      loaded_o <= 1'b0;
    end else begin
      valid_q  <= valid_i;
      last_q   <= valid_i && last_i;
      loaded_q <= last_q;
      loaded_o <= loaded_q;
    end
  end

  always_ff @(posedge clk_i) begin
    first_q <= first_i;
  end

  // A weight times a pixel lies in -32,640 .. 32,385; the low half of a product has no sign.
  logic signed [15:0] product_q [P_OC][P_PX];
  logic signed [31:0] acc_q [P_OC][P_PX], shadow_q [P_OC][P_PX];

  // Whole arrays move at once, in short loops: the simulator makes vector code of them.
  if (MACS_PER_DSP == 2) begin : gen_packed
    logic signed [15:0] product_d [P_OC][P_PX];
    // Rows 2 r and 2 r + 1 see the same pixels in every shape (min_rows >= 2).
    for (genvar r = 0; r < P_OC; r += 2) begin : gen_pair
      for (genvar p = 0; p < P_PX; p++) begin : gen_pe
        ps_product_pair u_pair (
          .weight0_i (weights_i[r]),
          .weight1_i (weights_i[r+1]),
          .pixel_i   (9'(pixels_i[r][p])),
          .product0_o(product_d[r][p]),
          .product1_o(product_d[r+1][p])
        );
      end
    end
    always_ff @(posedge clk_i) begin
      if (valid_i) product_q <= product_d;
    end
  end else begin : gen_single
    always_ff @(posedge clk_i) begin
      logic signed [15:0] weight;
      logic signed [15:0] product [P_OC][P_PX];
      if (valid_i) begin
        /* verilator unroll_disable */
        for (int r = 0; r < P_OC; r++) begin
          weight = 16'(weights_i[r]);
          /* verilator unroll_disable */
          for (int p = 0; p < P_PX; p++) begin
            product[r][p] = unsigned'(weight) * unsigned'(pixels_i[r][p]);
          end
        end
        product_q <= product;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    logic signed [31:0] sum [P_OC][P_PX];
    if (valid_q) begin
      /* verilator unroll_disable */
      for (int r = 0; r < P_OC; r++) begin
        /* verilator unroll_disable */
        for (int p = 0; p < P_PX; p++) begin
          sum[r][p] = (first_q ? 32'sd0 : acc_q[r][p]) + 32'(product_q[r][p]);
        end
      end
      acc_q <= sum;
    end
  end

  always_ff @(posedge clk_i) begin
    logic signed [31:0] shifted [P_OC][P_PX];
    if (loaded_q) begin
      shadow_q <= acc_q;
    end else if (shift_i) begin
      shifted = shadow_q;
      /* verilator unroll_disable */
      for (int r = 0; r < P_OC - 1; r++) shifted[r] = shadow_q[r+1];
      shadow_q <= shifted;
    end
  end

  assign row_o = shadow_q[0];
endmodule
