// Fetch controller, response side: turns the beats of a group into writes of the weight buffer and
// of the parameters, and hands the group on when its last beat is written.
//
// Groups (group_*) and, in row layout, the channels of their rows (row_*) are announced before
// their beats come.  Row layout: each row is one parameter beat, then its weights, eight a beat.
// Interleaved: P_oc parameter beats, then beats of TAPS_PER_BEAT taps of every row; of more than
// eight rows a tap takes BEATS_PER_TAP beats, eight rows each.
// Descriptor fields (start_i) must not change before busy_o is 0.
module ps_weight_response
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic              busy_o,

  input  logic              group_valid_i,
  input  logic [ROW_W-1:0]  group_rows_i,
  input  logic              group_last_i,
  input  logic [15:0]       group_beats_i,
  input  logic              row_valid_i,
  input  logic [CH_W-1:0]   row_channel_i,

  input  logic              beat_valid_i,
  input  logic [63:0]       beat_data_i,

  output logic [P_OC-1:0]   wr_rows_o,
  output logic              wr_half_o,
  output logic [WA_W-4:0]   wr_word_o,
  output logic [7:0]        wr_bytes_o,
  output logic [P_OC-1:0][63:0] wr_data_o,

  output logic              param_valid_o,
  output logic              param_half_o,
  output logic [ROW_W-2:0]  param_row_o,
  output logic [CH_W-1:0]   param_channel_o,
  output param_t            param_o,
  output logic              fold_o,
  output logic              fold_channel_o,
  output logic [SA_W-1:0]   fold_slot_o,

  output logic              token_valid_o,
  input  logic              token_ready_i,
  output logic [ROW_W-1:0]  token_rows_o,
  output logic              token_last_o
);

  logic w_rows_q;
  logic [15:0] row_beats_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      w_rows_q       <= desc_i.w_rows;
      row_beats_q    <= 16'(desc_i.w_stride[19:3]);
      fold_o         <= desc_i.fold_en;
      fold_channel_o <= desc_i.fold_channel;
      fold_slot_o    <= desc_i.fold_slot[SA_W-1:0];
    end
  end

  // ---- announced groups and rows
  logic job_valid, job_done, job_last, row_take, row_known;
  logic [ROW_W-1:0] job_rows;
  logic [15:0] job_beats;
  logic [CH_W-1:0] row_channel;
  /* verilator lint_off UNUSEDSIGNAL */  // neither FIFO can fill: two halves, P_oc rows each
  logic job_ready, row_ready;
  logic [1:0] job_count;
  logic [$clog2(2*P_OC+1)-1:0] row_count;
  /* verilator lint_on UNUSEDSIGNAL */

  ps_fifo #(.Width(1 + ROW_W + 16), .Depth(2)) u_jobs (
    .clk_i,
    .rst_ni,
    .in_valid_i (group_valid_i),
    .in_ready_o (job_ready),
    .in_data_i  ({group_last_i, group_rows_i, group_beats_i}),
    .out_valid_o(job_valid),
    .out_ready_i(job_done),
    .out_data_o ({job_last, job_rows, job_beats}),
    .count_o    (job_count)
  );

  ps_fifo #(.Width(CH_W), .Depth(2 * P_OC)) u_rows (
    .clk_i,
    .rst_ni,
    .in_valid_i (row_valid_i),
    .in_ready_o (row_ready),
    .in_data_i  (row_channel_i),
    .out_valid_o(row_known),
    .out_ready_i(row_take),
    .out_data_o (row_channel),
    .count_o    (row_count)
  );

  // ---- position within the group
  logic half_q, is_param, beats_end;
  logic [15:0] beat_q;               // within the row, or within the interleaved group
  logic [ROW_W-1:0] row_q;
  logic [CH_W-1:0] group_channel_q;  // first channel of an interleaved group
  localparam int unsigned BeatRows = (P_OC < 8) ? P_OC : 8;
  logic [15:0] word_beat, part;
  /* verilator lint_off UNUSEDSIGNAL */  // a group fits its half: ps_check
  logic [15:0] tap;
  /* verilator lint_on UNUSEDSIGNAL */

  assign is_param = w_rows_q ? beat_q == '0 : beat_q < 16'(P_OC);
  // A group that is one beat later than its last one has more than one, or the rows of it.
  logic [15:0] last_beat_q;
  always_ff @(posedge clk_i) last_beat_q <= (w_rows_q ? row_beats_q : job_beats) - 16'd1;
  assign beats_end = beat_q == last_beat_q;
  assign job_done = beat_valid_i && beats_end && (!w_rows_q || row_q == job_rows - ROW_W'(1));
  assign row_take = beat_valid_i && w_rows_q && beats_end;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      half_q <= 1'b0;
      beat_q <= '0;
      row_q  <= '0;
    end else if (beat_valid_i) begin
      beat_q <= beats_end ? '0 : beat_q + 16'd1;
      if (w_rows_q && beats_end) row_q <= row_q + ROW_W'(1);
      if (job_done) begin
        row_q  <= '0;
        half_q <= !half_q;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) group_channel_q <= '0;
    else if (job_done) group_channel_q <= group_channel_q + CH_W'(P_OC);
  end

  // ---- writes
  assign param_valid_o   = beat_valid_i && is_param;
  assign param_half_o    = half_q;
  assign param_row_o     = w_rows_q ? row_q[ROW_W-2:0] : beat_q[ROW_W-2:0];
  assign param_channel_o = w_rows_q ? row_channel : group_channel_q + CH_W'(beat_q[ROW_W-2:0]);
  assign param_o         = beat_data_i;

  assign word_beat = w_rows_q ? beat_q - 16'd1 : beat_q - 16'(P_OC);
  assign tap       = word_beat * 16'(TAPS_PER_BEAT) / 16'(BEATS_PER_TAP);
  assign part      = 16'(word_beat % 16'(BEATS_PER_TAP));

  always_ff @(posedge clk_i) begin
    wr_rows_o <= '0;
    if (rst_ni && beat_valid_i && !is_param) begin
      wr_half_o  <= half_q;
      wr_word_o  <= w_rows_q ? word_beat[WA_W-4:0] : tap[WA_W-1:3];
      wr_bytes_o <= w_rows_q ? 8'hFF : 8'((1 << TAPS_PER_BEAT) - 1) << tap[2:0];
      for (int unsigned r = 0; r < P_OC; r++) begin
        wr_rows_o[r] <= w_rows_q ? row_q == ROW_W'(r) : part == 16'(r / 8);
        for (int unsigned k = 0; k < 8; k++) begin
          wr_data_o[r][8*k+:8] <= w_rows_q ? beat_data_i[8*k+:8]
              : beat_data_i[8*((k%TAPS_PER_BEAT)*BeatRows+r%BeatRows)+:8];
        end
      end
    end
  end

  // ---- tokens: the last beat is in the buffer before a step that follows one reads it, and its
  // parameters long before a tile of it leaves the array
  logic done_q;
  logic [ROW_W:0] token_q;
  /* verilator lint_off UNUSEDSIGNAL */  // at most two groups exist
  logic token_room;
  logic [1:0] token_count;
  /* verilator lint_on UNUSEDSIGNAL */

  always_ff @(posedge clk_i) begin
    done_q  <= rst_ni && job_done;
    token_q <= {job_last, job_rows};
  end

  ps_fifo #(.Width(1 + ROW_W), .Depth(2)) u_tokens (
    .clk_i,
    .rst_ni,
    .in_valid_i (done_q),
    .in_ready_o (token_room),
    .in_data_i  (token_q),
    .out_valid_o(token_valid_o),
    .out_ready_i(token_ready_i),
    .out_data_o ({token_last_o, token_rows_o}),
    .count_o    (token_count)
  );

  assign busy_o = job_valid;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) beat_valid_i |-> job_valid)
    else $error("ps_weight_response: beat without a group");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      beat_valid_i && w_rows_q && is_param |-> row_known)
    else $error("ps_weight_response: row without a channel");
`endif
endmodule
