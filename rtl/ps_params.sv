// Parameters of the output channels of the two weight groups in flight, gate scores folded in.
//
// A parameter beat (wr_valid_i) names half, row, output channel; its score is asked for in that
// cycle and arrives one cycle later; the folded entry is there three cycles after the beat:
// m' = (m * score + 64) >> 7, or m when fold_i is 0.  Reads are combinational.
module ps_params
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic              clk_i,
  input  logic              wr_valid_i,
  input  logic              wr_half_i,
  input  logic [ROW_W-2:0]  wr_row_i,
  input  logic [CH_W-1:0]   wr_channel_i,
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte and the upper bits of the shift
  input  param_t            wr_param_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic              fold_i,
  input  logic              fold_channel_i,
  input  logic [SA_W-1:0]   fold_slot_i,
  output logic [SA_W-1:0]   score_addr_o,
  input  logic [7:0]        score_i,

  input  logic              rd_half_i,
  input  logic [ROW_W-2:0]  rd_row_i,
  output logic signed [31:0] rd_bias_o,
  output logic [15:0]       rd_multiplier_o,
  output logic [5:0]        rd_shift_o,
  output logic [CH_W-1:0]   rd_channel_o
);
  localparam int unsigned Width = 32 + 16 + 6 + CH_W;

  logic valid_q1, valid_q2, half_q1, half_q2, fold_q1;
  logic [ROW_W-2:0] row_q1, row_q2;
  logic [CH_W-1:0] channel_q1, channel_q2;
  logic signed [31:0] bias_q1, bias_q2;
  logic [15:0] multiplier_q1, multiplier_q2;
  logic [5:0] shift_q1, shift_q2;
  logic [23:0] scaled;
  logic [Width-1:0] entry_q [2][P_OC];

  assign score_addr_o = fold_slot_i + (fold_channel_i ? SA_W'(wr_channel_i) : '0);
  assign scaled = multiplier_q1 * score_i + 24'd64;

  always_ff @(posedge clk_i) begin
    valid_q1      <= wr_valid_i;
    half_q1       <= wr_half_i;
    row_q1        <= wr_row_i;
    channel_q1    <= wr_channel_i;
    bias_q1       <= wr_param_i.bias;
    multiplier_q1 <= wr_param_i.multiplier;
    shift_q1      <= wr_param_i.shift[5:0];
    fold_q1       <= fold_i;
    valid_q2      <= valid_q1;
    half_q2       <= half_q1;
    row_q2        <= row_q1;
    channel_q2    <= channel_q1;
    bias_q2       <= bias_q1;
    multiplier_q2 <= fold_q1 ? 16'(scaled >> 7) : multiplier_q1;
    shift_q2      <= shift_q1;
    if (valid_q2) entry_q[half_q2][row_q2] <= {bias_q2, multiplier_q2, shift_q2, channel_q2};
  end

  assign {rd_bias_o, rd_multiplier_o, rd_shift_o, rd_channel_o} = entry_q[rd_half_i][rd_row_i];
endmodule
