// Fetch controller, request side: walks the surviving channels and asks for their weights only.
//
// start_i latches a convolution; each group of up to P_oc surviving output channels is announced
// (group_*) and its first read is made ready, which then waits for a free half of the weight buffer:
//   rows layout: one read a surviving output channel (parameters and weights); row_* gives its id; the
//   first group has P_oc >> split[1:0] rows, so that a cold start waits for few weights;
//   interleaved: all channels: one read; a list: the group's parameters, then one read for each run
//   of consecutive surviving input channels.
// All addresses were checked against the blob before the start (ps_check).  busy_o until the last
// read is accepted.  release_i: of a half every step has been issued.  It is read up to four cycles
// later: a request made then is answered later than that, parameters first (ps_convolve asserts it).
module ps_weight_request
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
  input  logic [CH_W-1:0]   n_in_i,
  input  logic [CH_W-1:0]   n_out_i,
  input  logic [63:0]       weights_i,
  input  logic              release_i,
  output logic              busy_o,

  output logic [LI_W+CH_W-2:0] list_addr_o,
  input  logic [CH_W-2:0]   list_data_i,

  output group_t            group_o,
  output row_t              row_o,
  output mem_request_t      req_o,
  input  logic              req_ready_i
);
  typedef enum logic [2:0] {Idle, Group, Announce, Walk, Multiply, Request} state_e;
  state_e state_q;

  logic w_rows_q, listed_q;
  logic [LI_W-1:0] list_q;
  logic [CH_W-1:0] n_in_q, left_q;
  logic [19:0] stride_q;
  logic [12:0] chunk, chunk_q;  // beats of an input channel of an interleaved group
  logic [63:0] base_q, group_addr_q;
  logic [1:0] free_q;
  logic group_start, rows_end_q, walk_start;
  logic accepted;
  logic waits_q, claim;     // the group has no half yet; it gets one
  logic [ROW_W-1:0] most, rows, rows_left_q;
  logic first_group_q;
  logic [1:0] first_mode_q;
  logic [15:0] walked_beats_q;

  assign chunk = 13'(32'(row_taps(desc_i.kernel[2:0], 1'b0)) * P_OC / 8);
  // Beats of the chunks of `count` input channels, by sums: no multiplier.
  function automatic logic [15:0] chunks(logic [CH_W-1:0] count, logic [5:0] taps);
    logic [CH_W+5:0] walked;
    walked = '0;
    for (int unsigned i = 0; i < 6; i++) walked += taps[i] ? (CH_W+6)'(count) << i : '0;
    return 16'(32'(walked) * P_OC / 8);
  endfunction

  assign most = (w_rows_q && first_group_q) ? ROW_W'(P_OC) >> first_mode_q : ROW_W'(P_OC);
  assign rows = (left_q > CH_W'(most)) ? most : ROW_W'(left_q);
  assign group_start = state_q == Group;
  assign claim = waits_q && (free_q != 2'd0 || release_i);
  assign busy_o = state_q != Idle;

  // ---- ids: the output list over all groups, or the input list once a group
  logic id_valid, id_take, id_last;
  logic [CH_W-1:0] id;
  logic run_ok, walks;

  assign walk_start = (start_i && desc_i.w_rows) || (group_start && listed_q);

  ps_list_walk u_walk (
    .clk_i,
    .rst_ni,
    .start_i   (walk_start),
    .all_i     (start_i && desc_i.out_list == ALL_CHANNELS),
    .list_i    (start_i ? desc_i.out_list[LI_W-1:0] : list_q),
    .count_i   (start_i ? n_out_i : n_in_q),
    .loop_i    (1'b0),
    .mem_addr_o(list_addr_o),
    .mem_data_i(list_data_i),
    .valid_o   (id_valid),
    .ready_i   (id_take),
    .id_o      (id),
    /* verilator lint_off PINCONNECTEMPTY */
    .pos_o     (),  // addresses follow from the ids alone
    /* verilator lint_on PINCONNECTEMPTY */
    .last_o    (id_last)
  );

  // ---- a read: `count` units from unit `first`
  logic [CH_W-1:0] first_q, count_q, after_q;  // after_q: the id that would continue the run
  logic run_end_q, params_q;  // the list is at its end; the read is a group's head
  logic [63:0] origin_q;    // of what is read: rows, a group, its weights
  logic [35:0] offset_q;    // of the first unit
  logic [15:0] beats_q, run_beats_q;  // run_beats_q: of the run's channels so far

  // A row is a read of its own; a run goes on while ids are consecutive.
  assign run_ok = count_q == '0 || (!w_rows_q && id == after_q);
  // The first run of a group is walked while its parameters are asked for.
  assign walks = state_q == Walk || (params_q && listed_q);
  assign id_take = walks && id_valid && run_ok && !run_end_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle:     if (start_i) state_q <= Group;
        Group:    state_q <= Announce;
        Announce: state_q <= w_rows_q ? Walk : Multiply;
        // A run is complete when the next id does not continue it, or at the end of the list.
        Walk: begin
          if (run_end_q || (id_valid && !run_ok) || (id_take && (w_rows_q || id_last))) begin
            state_q <= Multiply;
          end
        end
        Multiply: state_q <= Request;
        Request: begin
          if (accepted) begin
            if (w_rows_q) state_q <= rows_end_q ? (left_q == '0 ? Idle : Group) : Walk;
            else if (params_q && listed_q) state_q <= Walk;
            else if (params_q || run_end_q) state_q <= left_q == '0 ? Idle : Group;
            else state_q <= Walk;
          end
        end
        default: state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      free_q  <= 2'd2;
      waits_q <= 1'b0;
    end else begin
      free_q  <= free_q + 2'(release_i) - 2'(claim);
      waits_q <= group_start || (waits_q && !claim);
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      w_rows_q     <= desc_i.w_rows;
      // An interleaved group of all channels is contiguous; so is one with no input channel.
      listed_q     <= !desc_i.w_rows && desc_i.in_list != ALL_CHANNELS && n_in_i != '0;
      list_q       <= desc_i.in_list[LI_W-1:0];
      n_in_q       <= n_in_i;
      left_q       <= n_out_i;
      first_group_q <= 1'b1;
      first_mode_q <= 32'(desc_i.split[1:0]) < MODES ? desc_i.split[1:0] : 2'(MODES - 1);
      stride_q     <= desc_i.w_stride[19:0];
      chunk_q      <= chunk;
      base_q       <= weights_i + 64'(desc_i.w_addr);
      group_addr_q <= weights_i + 64'(desc_i.w_addr);
      walked_beats_q <= chunks(n_in_i, row_taps(desc_i.kernel[2:0], 1'b0));
    end
    if (group_start) begin
      first_group_q <= 1'b0;
      left_q      <= left_q - CH_W'(rows);
      rows_left_q <= rows;
      first_q     <= '0;
      count_q     <= '0;
      run_beats_q <= '0;
      run_end_q   <= 1'b0;
      params_q    <= !w_rows_q;
    end
    // The first id of a run; any before it comes does no harm.
    if (walks && count_q == '0) first_q <= id;
    if (id_take) begin
      count_q   <= count_q + CH_W'(1);
      after_q   <= id + CH_W'(1);
      run_beats_q <= run_beats_q + 16'(chunk_q);
      run_end_q <= id_last;
    end
    if (state_q == Multiply) begin
      origin_q <= w_rows_q ? base_q : group_addr_q + (params_q ? 64'd0 : 64'(8 * P_OC));
      offset_q <= params_q ? '0 : first_q * 24'(w_rows_q ? stride_q : 20'({chunk_q, 3'b000}));
      if (w_rows_q) begin
        beats_q     <= 16'(stride_q[19:3]);
        rows_left_q <= rows_left_q - ROW_W'(1);
        rows_end_q  <= rows_left_q == ROW_W'(1);
      end else if (params_q) begin
        beats_q <= 16'(P_OC) + (listed_q ? 16'd0 : walked_beats_q);
      end else begin
        beats_q <= run_beats_q;
      end
    end
    if (accepted) begin
      params_q <= 1'b0;
      if (!params_q) begin
        count_q     <= '0;
        run_beats_q <= '0;
      end
      if (!w_rows_q && ((params_q && !listed_q) || (!params_q && run_end_q))) begin
        group_addr_q <= group_addr_q + 64'(stride_q);
      end
    end
  end

  assign group_o = '{valid: state_q == Announce, rows: rows_left_q, last: left_q == '0,
                     beats: 16'(P_OC) + walked_beats_q};
  assign accepted = req_o.valid && req_ready_i;
  assign row_o   = '{valid: accepted && w_rows_q, channel: first_q};
  assign req_o   = '{valid: state_q == Request && !waits_q, addr: origin_q + 64'(offset_q), beats: beats_q};
endmodule
