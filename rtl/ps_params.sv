// Parameters of the output channels of four weight groups, gate scores folded in: of one that is being
// drained, one that is computed, one that is there or on its way.
//
// A parameter beat (wr_valid_i) names group, row, output channel; its score is asked for in that
// cycle and arrives one cycle later; the folded entry is there four cycles after the beat:
// m' = (m * score + 64) >> 7, or m when fold_i is 0.  A read takes a cycle.
module ps_params
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  /* verilator lint_off UNUSEDSIGNAL */  // the zero byte and the upper bits of the shift
  input  param_write_t      write_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  fold_t             fold_i,
  output logic [SA_W-1:0]   score_addr_o,
  input  logic [7:0]        score_i,

  input  place_t            place_i,
  output scale_t            scale_o
);
  typedef struct packed {
    logic                valid;
    logic [1:0]          group;
    logic                fold;
    logic [ROW_W-2:0]    row;
    logic [CH_W-1:0]     channel;
    logic signed [31:0]  bias;
    logic [15:0]         multiplier;
    logic [5:0]          shift;
  } entry_t;

  entry_t item_q1, item_q2, item_q3;
  logic [7:0] score_q2;
  logic [23:0] scaled_q3;
  logic [15:0] multiplier;
  scale_t entry_q [4*P_OC];  // by group and row: one memory, not one a group

  // m * score + 64, by a tree of sums: a multiplier of the device is worth more elsewhere.
  function automatic logic [23:0] scaled(logic [15:0] factor, logic [7:0] score);
    logic [7:0][23:0] terms;
    for (int unsigned i = 0; i < 8; i++) terms[i] = score[i] ? 24'(factor) << i : '0;
    for (int unsigned width = 4; width > 0; width = width / 2) begin
      for (int unsigned i = 0; i < width; i++) terms[i] = terms[i] + terms[i+width];
    end
    return terms[0] + 24'd64;
  endfunction

  assign score_addr_o = fold_i.slot + (fold_i.by_channel ? SA_W'(write_i.channel) : '0);
  assign multiplier = item_q3.fold ? 16'(scaled_q3 >> 7) : item_q3.multiplier;

  always_ff @(posedge clk_i) begin
    item_q1   <= '{valid: write_i.valid, group: write_i.place.group, fold: fold_i.enable,
                   row: write_i.place.row, channel: write_i.channel, bias: write_i.param.bias,
                   multiplier: write_i.param.multiplier, shift: write_i.param.shift[5:0]};
    item_q2   <= item_q1;
    score_q2  <= score_i;
    item_q3   <= item_q2;
    scaled_q3 <= scaled(item_q2.multiplier, score_q2);
    if (item_q3.valid) begin
      entry_q[{item_q3.group, item_q3.row}] <= '{bias: item_q3.bias, multiplier: multiplier,
                                               shift: item_q3.shift, channel: item_q3.channel};
    end
  end

  always_ff @(posedge clk_i) scale_o <= entry_q[place_i];
endmodule
