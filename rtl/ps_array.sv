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
  input  logic signed [8:0]              pixels_i [P_OC][P_PX],
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

  logic signed [31:0] product_d [P_OC][P_PX], product_q [P_OC][P_PX];
  logic signed [31:0] acc_d [P_OC][P_PX], acc_q [P_OC][P_PX];
  logic signed [31:0] shadow_q [P_OC][P_PX], shifted [P_OC][P_PX];

  typedef logic signed [31:0] sums_t [P_PX];
  typedef logic signed [8:0] lanes_t [P_PX];

  function automatic sums_t products(logic signed [7:0] weight, lanes_t pixels);
    sums_t row;
    /* verilator unroll_disable */
    for (int p = 0; p < P_PX; p++) row[p] = 32'(weight) * 32'(pixels[p]);
    return row;
  endfunction

  function automatic sums_t sums(logic first, sums_t acc, sums_t product);
    sums_t row;
    /* verilator unroll_disable */
    for (int p = 0; p < P_PX; p++) row[p] = (first ? 32'sd0 : acc[p]) + product[p];
    return row;
  endfunction

  if (MACS_PER_DSP == 2) begin : gen_packed
    // Rows 2 r and 2 r + 1 see the same pixels in every shape (min_rows >= 2).
    for (genvar r = 0; r < P_OC; r += 2) begin : gen_pair
      for (genvar p = 0; p < P_PX; p++) begin : gen_pe
        logic signed [15:0] product0, product1;
        ps_product_pair u_pair (
          .weight0_i (weights_i[r]),
          .weight1_i (weights_i[r+1]),
          .pixel_i   (pixels_i[r][p]),
          .product0_o(product0),
          .product1_o(product1)
        );
        assign product_d[r][p] = 32'(product0);
        assign product_d[r+1][p] = 32'(product1);
      end
    end
  end else begin : gen_single
    always_comb begin
      for (int r = 0; r < P_OC; r++) product_d[r] = products(weights_i[r], pixels_i[r]);
    end
  end

  always_comb begin
    for (int r = 0; r < P_OC; r++) acc_d[r] = sums(first_q, acc_q[r], product_q[r]);
  end

  always_comb begin
    shifted = shadow_q;
    for (int r = 0; r < P_OC - 1; r++) shifted[r] = shadow_q[r+1];
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) product_q <= product_d;
    if (valid_q) acc_q <= acc_d;
    if (loaded_q) shadow_q <= acc_q;
    else if (shift_i) shadow_q <= shifted;
  end

  assign row_o = shadow_q[0];
endmodule
