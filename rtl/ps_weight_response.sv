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
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic              busy_o,

  input  group_t            group_i,
  input  row_t              row_i,

  input  logic              beat_valid_i,
  input  logic [63:0]       beat_data_i,

  output weight_write_t     weights_o,
  output param_write_t      param_o,
  output fold_t             fold_o,

  output token_t            token_o,
  input  logic              token_ready_i
);

  logic w_rows_q;
  logic [15:0] row_beats_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      w_rows_q       <= desc_i.w_rows;
      row_beats_q    <= 16'(desc_i.w_stride[19:3]);
      fold_o         <= '{enable: desc_i.fold_en, by_channel: desc_i.fold_channel,
                          slot: desc_i.fold_slot[SA_W-1:0]};
    end
  end

  // ---- announced groups and rows
  logic job_valid, job_done, job_last, row_take, row_known;
  logic [ROW_W-1:0] job_rows;
  logic [15:0] job_beats;
  logic [CH_W-1:0] row_channel;
  /* verilator lint_off UNUSEDSIGNAL */  // neither FIFO can fill: two groups on
  // their way, and one that waits for a half; P_oc rows each
  logic job_ready, row_ready;
  logic [2:0] job_count;
  logic [$clog2(2*P_OC+1)-1:0] row_count;
  /* verilator lint_on UNUSEDSIGNAL */

  ps_fifo #(.Width(1 + ROW_W + 16), .Depth(4)) u_jobs (
    .clk_i,
    .rst_ni,
    .in_valid_i (group_i.valid),
    .in_ready_o (job_ready),
    .in_data_i  ({group_i.last, group_i.rows, group_i.beats}),
    .out_valid_o(job_valid),
    .out_ready_i(job_done),
    .out_data_o ({job_last, job_rows, job_beats}),
    .count_o    (job_count)
  );

  ps_fifo #(.Width(CH_W), .Depth(2 * P_OC)) u_rows (
    .clk_i,
    .rst_ni,
    .in_valid_i (row_i.valid),
    .in_ready_o (row_ready),
    .in_data_i  (row_i.channel),
    .out_valid_o(row_known),
    .out_ready_i(row_take),
    .out_data_o (row_channel),
    .count_o    (row_count)
  );

  // ---- position within the group
  logic [1:0] group_q;               // its half of the weight buffer: the low bit
  logic is_param, beats_end;
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
      group_q <= '0;
      beat_q <= '0;
      row_q  <= '0;
    end else if (beat_valid_i) begin
      beat_q <= beats_end ? '0 : beat_q + 16'd1;
      if (w_rows_q && beats_end) row_q <= row_q + ROW_W'(1);
      if (job_done) begin
        row_q  <= '0;
        group_q <= group_q + 2'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) group_channel_q <= '0;
    else if (job_done) group_channel_q <= group_channel_q + CH_W'(P_OC);
  end

  // ---- writes
  always_comb begin
    param_o.valid      = beat_valid_i && is_param;
    param_o.place.group = group_q;
    param_o.place.row  = w_rows_q ? row_q[ROW_W-2:0] : beat_q[ROW_W-2:0];
    param_o.channel    = w_rows_q ? row_channel : group_channel_q + CH_W'(beat_q[ROW_W-2:0]);
    param_o.param      = beat_data_i;
  end

  assign word_beat = w_rows_q ? beat_q - 16'd1 : beat_q - 16'(P_OC);
  assign tap       = word_beat * 16'(TAPS_PER_BEAT) / 16'(BEATS_PER_TAP);
  assign part      = 16'(word_beat % 16'(BEATS_PER_TAP));

  always_ff @(posedge clk_i) begin
    weights_o.rows <= '0;
    if (rst_ni && beat_valid_i && !is_param) begin
      weights_o.half  <= group_q[0];
      weights_o.word  <= w_rows_q ? word_beat[WA_W-4:0] : tap[WA_W-1:3];
      weights_o.bytes <= w_rows_q ? 8'hFF : 8'((1 << TAPS_PER_BEAT) - 1) << tap[2:0];
      for (int unsigned r = 0; r < P_OC; r++) begin
        weights_o.rows[r] <= w_rows_q ? row_q == ROW_W'(r) : part == 16'(r / 8);
        for (int unsigned k = 0; k < 8; k++) begin
          weights_o.data[r][8*k+:8] <= w_rows_q ? beat_data_i[8*k+:8]
              : beat_data_i[8*((k%TAPS_PER_BEAT)*BeatRows+r%BeatRows)+:8];
        end
      end
    end
  end

  // ---- tokens: the last beat is in the buffer before a step that follows one reads it, and its
  // parameters long before a tile of it leaves the array
  /* verilator lint_off UNUSEDSIGNAL */  // at most two groups exist
  logic token_room;
  logic [1:0] token_count;
  /* verilator lint_on UNUSEDSIGNAL */

  ps_fifo #(.Width(1 + ROW_W), .Depth(2)) u_tokens (
    .clk_i,
    .rst_ni,
    .in_valid_i (job_done),
    .in_ready_o (token_room),
    .in_data_i  ({job_last, job_rows}),
    .out_valid_o(token_o.valid),
    .out_ready_i(token_ready_i),
    .out_data_o ({token_o.last, token_o.rows}),
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
