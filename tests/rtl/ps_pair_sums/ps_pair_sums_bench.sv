// ps_pair_sums with packed ports for the bench; row r of pixels is what rows 2 r and 2 r + 1 see.
module ps_pair_sums_bench
  import ps_cfg::*;
(
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             valid_i,
  input  logic                             first_i,
  input  logic [P_OC-1:0][7:0]             weights_i,
  input  logic [P_OC/2*P_PX-1:0][15:0]     pixels_i,
  output logic [P_OC*P_PX-1:0][SUM_W-1:0]  acc_o
);
  logic signed [7:0] weights [P_OC];
  logic signed [15:0] pixels [P_OC][P_PX];
  logic signed [SUM_W-1:0] acc [P_OC][P_PX];

  for (genvar r = 0; r < P_OC; r++) begin : gen_row
    assign weights[r] = weights_i[r];
    for (genvar p = 0; p < P_PX; p++) begin : gen_lane
      assign pixels[r][p] = pixels_i[r/2*P_PX+p];
      assign acc_o[r*P_PX+p] = acc[r][p];
    end
  end

  ps_pair_sums u_sums (
    .clk_i,
    .rst_ni,
    .valid_i,
    .first_i,
    .weights_i(weights),
    .pixels_i (pixels),
    .acc_o    (acc)
  );
endmodule
