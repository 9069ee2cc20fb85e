// Operands of the PE array: which weight and which pixels each row takes in the array's shape.
//
// In mode k the array has R = P_oc >> k rows of P_px << k lanes.  Physical row s works as row
// s % R of the pass on block s / R of the window: it takes the weight of that row (lane_i + row
// within the group) and P_px pixels.  Masked lanes are 0; bytes are extended by their type.
// One register stage; valid_i, first_i, last_i travel along.
module ps_operands
  import ps_cfg::*;
(
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  logic                           valid_i,
  input  logic                           first_i,
  input  logic                           last_i,
  input  logic [1:0]                     mode_i,
  input  logic [ROW_W-2:0]               lane_i,
  input  logic                           signed_i,
  input  logic [WB-1:0]                  mask_i,
  input  logic [WB-1:0][7:0]             window_i,
  input  logic [P_OC-1:0][7:0]           weights_i,
  output logic                           valid_o,
  output logic                           first_o,
  output logic                           last_o,
  output logic signed [7:0]              weights_o [P_OC],
  output logic signed [15:0]             pixels_o [P_OC][P_PX]
);
  always_ff @(posedge clk_i) begin
    logic signed [15:0] blocks [WB/P_PX][P_PX];
    valid_o <= rst_ni && valid_i;
    first_o <= first_i;
    last_o  <= last_i;
    if (valid_i) begin
      for (int b = 0; b < WB / P_PX; b++) begin
        blocks[b] = '{default: '0};
        if ((b >> mode_i) == 0) begin
          for (int i = 0; i < P_PX; i++) begin
            if (mask_i[b*P_PX+i]) begin
              blocks[b][i] = {{8{signed_i && window_i[b*P_PX+i][7]}}, window_i[b*P_PX+i]};
            end
          end
        end
      end
      for (int unsigned m = 0; m < MODES; m++) begin
        if (mode_i == 2'(m)) begin
          for (int unsigned s = 0; s < P_OC; s++) begin
            weights_o[s] <= weights_i[lane_i + (ROW_W-1)'(s % (P_OC >> m))];
            pixels_o[s]  <= blocks[s/(P_OC>>m)];
          end
        end
      end
    end
  end
endmodule
