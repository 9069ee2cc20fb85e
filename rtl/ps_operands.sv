// Operands of the PE array: which weight and which pixels each row takes in the array's shape.
//
// In mode k the array has R = P_oc >> k rows of P_px << k lanes.  Physical row s works as row
// s % R of the pass on block s / R of the window: it takes the weight of that row (lane + row
// within the group) and P_px pixels.  Masked lanes are pad_i; bytes are extended by their type.
// One register stage; valid, first and last travel along.
module ps_operands
  import ps_cfg::*;
  import ps_types::*;
(
  input  logic                           clk_i,
  input  logic                           rst_ni,
  input  mac_t                           mac_i,
  input  logic                           signed_i,
  input  logic [7:0]                     pad_i,
  input  logic [WB-1:0][7:0]             window_i,
  input  logic [P_OC-1:0][7:0]           weights_i,
  output logic                           valid_o,
  output logic                           first_o,
  output logic                           last_o,
  output logic signed [7:0]              weights_o [P_OC],
  output logic signed [15:0]             pixels_o [P_OC][P_PX]
);
  logic [8:0] pad;
  assign pad = {signed_i && pad_i[7], pad_i};

  always_ff @(posedge clk_i) begin
    logic signed [15:0] blocks [WB/P_PX][P_PX];
    valid_o <= rst_ni && mac_i.valid;
    first_o <= mac_i.first;
    last_o  <= mac_i.last;
    if (mac_i.valid) begin
      for (int b = 0; b < WB / P_PX; b++) begin
        blocks[b] = '{default: '0};
        if ((b >> mac_i.mode) == 0) begin
          for (int i = 0; i < P_PX; i++) begin
            if (mac_i.mask[b*P_PX+i]) begin
              blocks[b][i] = {{8{signed_i && window_i[b*P_PX+i][7]}}, window_i[b*P_PX+i]};
            end else begin
              blocks[b][i] = 16'($signed(pad));
            end
          end
        end
      end
      for (int unsigned m = 0; m < MODES; m++) begin
        if (mac_i.mode == 2'(m)) begin
          for (int unsigned s = 0; s < P_OC; s++) begin
            weights_o[s] <= weights_i[mac_i.lane + (ROW_W-1)'(s % (P_OC >> m))];
            pixels_o[s]  <= blocks[s/(P_OC>>m)];
          end
        end
      end
    end
  end
endmodule
