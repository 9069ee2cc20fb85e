// PE array: P_oc physical rows x P_px lanes, output stationary, with shadow accumulators.
//
// In every cycle with valid_i, accumulator (r, p) gains weights_i[r] * pixels_i[r][p]; first_i
// starts a new sum, last_i ends it.  Two cycles after last_i loaded_o pulses; in the next one the
// sums are in the shadow registers and row 0 is on row_o.  shift_i brings the next row to row_o.  A
// load overwrites the shadow: the controller allows the next last_i only when its rows are gone by
// then, the last of them with loaded_o.
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
  logic last_q, loaded_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      last_q   <= 1'b0;
      loaded_q <= 1'b0;
      loaded_o <= 1'b0;
    end else begin
      last_q   <= valid_i && last_i;
      loaded_q <= last_q;
      loaded_o <= last_q;  // the epilogue's own: loaded_q has every sum's register to drive
    end
  end

  // acc[r] as ps_pair_sums gives it: an odd row holds the upper part of the row before as well.
  logic signed [SUM_W-1:0] acc [P_OC][P_PX];

  // Whole arrays move at once, in short loops: the simulator makes vector code of them.
  if (MACS_PER_DSP == 2) begin : gen_packed
    ps_pair_sums u_sums (
      .clk_i,
      .rst_ni,
      .valid_i,
      .first_i,
      .weights_i,
      .pixels_i,
      .acc_o    (acc)
    );
  end else begin : gen_single
    // Product and sum are registers of one DSP48E1 slice.
    logic valid_q, first_q;
    logic signed [16:0] product_q [P_OC][P_PX];
    logic signed [SUM_W-1:0] acc_q [P_OC][P_PX];

    always_ff @(posedge clk_i) begin
      valid_q <= rst_ni && valid_i;
      first_q <= first_i;
    end

    always_ff @(posedge clk_i) begin
      logic signed [16:0] product [P_OC][P_PX];
      if (valid_i) begin
        /* verilator unroll_disable */
        for (int r = 0; r < P_OC; r++) begin
          /* verilator unroll_disable */
          for (int p = 0; p < P_PX; p++) begin
            product[r][p] = $signed(weights_i[r]) * $signed(pixels_i[r][p][8:0]);
          end
        end
        product_q <= product;
      end
    end

    always_ff @(posedge clk_i) begin
      logic signed [SUM_W-1:0] sum [P_OC][P_PX];
      if (valid_q) begin
        /* verilator unroll_disable */
        for (int r = 0; r < P_OC; r++) begin
          /* verilator unroll_disable */
          for (int p = 0; p < P_PX; p++) begin
            sum[r][p] = (first_q ? SUM_W'(0) : acc_q[r][p]) + SUM_W'(product_q[r][p]);
          end
        end
        acc_q <= sum;
      end
    end
    assign acc = acc_q;
  end

  // ---- shadow: stays where it was loaded, a multiplexer brings the next row to the output
  logic signed [SUM_W-1:0] shadow_q [P_OC][P_PX], row_q [P_PX];
  logic [ROW_W-2:0] next_q;  // row that follows the one on row_o

  always_ff @(posedge clk_i) begin
    logic signed [SUM_W-1:0] row [P_PX];
    logic [ROW_W-2:0] even;
    even = next_q & ~(ROW_W-1)'(1);
    if (loaded_q) begin
      shadow_q <= acc;
      row_q    <= acc[0];
      next_q   <= (ROW_W-1)'(1);
    end else if (shift_i) begin
      row = shadow_q[next_q];
      if (MACS_PER_DSP == 2 && next_q[0]) begin
        for (int p = 0; p < P_PX; p++) row[p] = row[p] - (shadow_q[even][p] >>> 16);
      end
      row_q  <= row;
      next_q <= next_q + (ROW_W-1)'(1);
    end
  end

  for (genvar p = 0; p < P_PX; p++) begin : gen_row
    assign row_o[p] = 32'(row_q[p]);
  end
endmodule
