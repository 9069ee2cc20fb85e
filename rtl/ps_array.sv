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
  input  logic [P_OC-1:0][7:0]           weights_i,
  input  logic [P_OC-1:0][P_PX-1:0][8:0] pixels_i,
  output logic                           loaded_o,
  input  logic                           shift_i,
  output logic signed [P_PX-1:0][31:0]   row_o
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

  logic signed [31:0] shadow [P_OC+1][P_PX];  // one row more: what is shifted in is never used

  for (genvar r = 0; r < P_OC; r++) begin : gen_row
    for (genvar p = 0; p < P_PX; p++) begin : gen_pe
      logic signed [16:0] product_q;
      logic signed [31:0] acc_q, shadow_q;
      always_ff @(posedge clk_i) begin
        if (valid_i) product_q <= $signed(weights_i[r]) * $signed(pixels_i[r][p]);
        if (valid_q) acc_q <= (first_q ? 32'sd0 : acc_q) + 32'(product_q);
        if (loaded_q) shadow_q <= acc_q;
        else if (shift_i) shadow_q <= shadow[r+1][p];
      end
      assign shadow[r][p] = shadow_q;
    end
  end

  for (genvar p = 0; p < P_PX; p++) begin : gen_out
    assign shadow[P_OC][p] = '0;
    assign row_o[p] = shadow[0][p];
  end
endmodule
