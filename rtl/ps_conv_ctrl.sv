// Loop nest of a convolution: for each weight group, for each pass over its rows, for each tile,
// for each surviving input channel, for each tap: one step a cycle.
//
// A pass takes P_oc >> mode rows of the group and tiles of P_px << mode pixels: the array's shape. 
// A full group is one pass in mode 0; the descriptor's `split` gives the mode for what is left of a
// partial group (docs/program.md), so that few rows work on many pixels.
//
// start_i latches the descriptor; busy_o until the last step of the last group is issued.  Groups
// come as tokens {rows, last} when their weights are in the buffer.  A step presents addresses to
// feature memory and weight buffer (window_addr_o, weight_addr_o); its flags come out with the data
// (mac_*_o, five cycles after the step).  The last step of a tile waits for shadow_free_i: the
// epilogue promises that the shadow is empty when the sums arrive; tile_* then describes the tile.
//
// An empty input list takes one step with every lane masked: the sum is 0.
// Depthwise: a pass has one row in the widest shape, and its one input channel is the output channel
// itself: the walk is over the output channels, one a pass, in the order in which groups have them.
(* keep_hierarchy = "yes" *)  // mapped by itself: docs/timing.md, "Wires"
module ps_conv_ctrl
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
  input  logic [CH_W-1:0]   n_in_i,        // surviving input channels; depthwise: 1
  input  logic [CH_W-1:0]   n_out_i,       // surviving output channels
  input  logic [9:0]        out_width_i,
  input  logic [19:0]       out_pixels_i,
  output logic              busy_o,
  output logic              waiting_o,     // for weights

  output logic [LI_W+CH_W-2:0] list_addr_o,
  input  logic [CH_W-2:0]   list_data_i,

  input  token_t            group_i,
  output logic              group_ready_o,

  output window_t           window_o,       // read: steps are on their way to the array
  output logic              weight_half_o,
  output logic              release_o,      // the half of a group whose last step was issued
  output logic [WA_W-1:0]   weight_addr_o,

  output mac_t              mac_o,
  output logic              step_o,        // a step with a real product is issued

  input  logic              shadow_free_i,
  output tile_t             tile_o
);
  localparam int unsigned Setup = 4;        // of ps_conv_window
  typedef enum logic [1:0] {Idle, Prepare, Group, Run} state_e;
  state_e state_q;

  // ---- the descriptor, reduced to what is used every cycle
  logic polyphase_q, empty_q, w_rows_q, depthwise, depthwise_q;
  logic [2:0] kernel_q, kernel_last_q, kernel_before_q;  // K, K - 1, K - 2
  logic odd_height_q, odd_width_q;
  logic [9:0] out_width_q;
  logic [19:0] out_pixels_q;
  logic [FA_W-1:0] src_q, src_stride_q, phase_stride_q;
  logic [15:0] split_q;
  logic [5:0] taps_q;  // taps of a channel in the weight buffer, padding included

  assign depthwise = desc_i.variant == CONV_DEPTHWISE;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      depthwise_q    <= depthwise;
      polyphase_q    <= desc_i.polyphase;
      empty_q        <= n_in_i == '0;
      w_rows_q       <= desc_i.w_rows;
      kernel_q       <= desc_i.kernel[2:0];
      kernel_last_q  <= desc_i.kernel[2:0] - 3'd1;
      kernel_before_q <= desc_i.kernel[2:0] - 3'd2;
      odd_height_q   <= desc_i.height[0];
      odd_width_q    <= desc_i.width[0];
      out_width_q    <= out_width_i;
      out_pixels_q   <= out_pixels_i;
      src_q          <= desc_i.src[FA_W-1:0];
      src_stride_q   <= desc_i.src_stride[FA_W-1:0];
      phase_stride_q <= desc_i.phase_stride[FA_W-1:0];
      taps_q         <= row_taps(desc_i.kernel[2:0], desc_i.w_rows);
      split_q        <= desc_i.split;
    end
  end

  // ---- surviving input channels, over and over (depthwise: output channels, once): base addresses,
  // one channel ahead
  logic [7:0] walked_list;
  logic id_valid, id_ready, id_last;
  logic [CH_W-1:0] id, pos;
  logic ch_valid_q, ch_last_q, ch_take;
  logic [FA_W-1:0] ch_base_q;
  logic [WA_W-1:0] ch_weight_q;

  assign walked_list = depthwise ? desc_i.out_list : desc_i.in_list;

  ps_list_walk u_walk (
    .clk_i,
    .rst_ni,
    .start_i,
    .all_i     (walked_list == ALL_CHANNELS),
    .list_i    (walked_list[LI_W-1:0]),
    .count_i   (depthwise ? n_out_i : n_in_i),
    .loop_i    (!depthwise),
    .mem_addr_o(list_addr_o),
    .mem_data_i(list_data_i),
    .valid_o   (id_valid),
    .ready_i   (id_ready),
    .id_o      (id),
    .pos_o     (pos),
    .last_o    (id_last)
  );

  assign id_ready = !ch_valid_q || ch_take;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) ch_valid_q <= 1'b0;
    else if (id_ready) ch_valid_q <= id_valid;
    if (id_ready) begin
      ch_base_q   <= src_q + FA_W'(id * src_stride_q);
      ch_weight_q <= depthwise_q ? '0 : WA_W'(w_rows_q ? id : pos) * WA_W'(taps_q);
      ch_last_q   <= depthwise_q || id_last;
    end
  end

  // ---- the next group waits in registers
  logic token_valid_q, token_last_q;
  logic [ROW_W-1:0] token_rows_q;

  assign group_ready_o = !token_valid_q || group_take;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) token_valid_q <= 1'b0;
    else if (group_ready_o) token_valid_q <= group_i.valid;
    if (group_ready_o) begin
      token_rows_q <= group_i.rows;
      token_last_q <= group_i.last;
    end
  end

  // ---- the step.  What decides in a cycle whether a tap, tile, pass or group is the last one has
  // been found before: between the last steps of two tiles lie more cycles than that takes.
  logic [2:0] kh_q, kw_q;
  logic line_last_q, tap_last_q, tile_first_step_q, last_step, step, rows_last_q;
  logic [1:0] group_q;                               // that is computed
  logic [5:0] tap_q;
  logic [19:0] left_q;
  logic [FA_W-1:0] tile_offset_q;
  logic tile_first_q, tile_is_last_q, group_done, group_take, taps_begin;
  // ---- passes
  logic pass_done, pass_more;
  logic [2:0] setup_q;
  logic [19:0] tile_pixels;
  logic [3:0] one_tile_q;                            // the map is one tile of that mode

  // A mode for each eighth of a group, rounded up; without a carry chain.
  function automatic logic [1:0] mode_of(logic [ROW_W-1:0] rows, logic [15:0] split);
    localparam int unsigned Low = P_OC > 8 ? $clog2(P_OC / 8) : 0;  // bits below an eighth
    logic [2:0] index;
    logic [1:0] mode;
    logic carry;
    carry = (ROW_W)'(rows << (ROW_W - Low)) != '0;
    for (int unsigned i = 0; i < 3; i++) begin
      index[i] = carry;
      if (Low + i < ROW_W) begin
        index[i] = rows[Low+i] ^ carry;
        carry &= rows[Low+i];
      end else carry = 1'b0;
    end
    mode = split[{index, 1'b0}+:2];
    if (rows == ROW_W'(P_OC)) mode = 2'd0;
    return 32'(mode) < MODES ? mode : 2'(MODES - 1);
  endfunction

  // A pass over the first of `rows` rows: its rows, and those that are left.
  typedef struct packed {
    logic [1:0]       mode;
    logic [ROW_W-1:0] rows;
    logic [ROW_W-1:0] left;
    logic             more;
  } pass_t;
  pass_t pass_q, next_pass_q, first_pass_q;
  logic unknown_q;                                   // next_pass_q is not that of pass_q yet
  logic [ROW_W-2:0] lane_q;                          // first row of the pass within the group

  // Of more than 2**k rows, and those beyond them: bit by bit, without a carry chain.
  function automatic logic above(logic [ROW_W-1:0] rows, int unsigned k);
    return rows >> (k + 1) != '0 || (rows[k] && (ROW_W)'(rows << (ROW_W - k)) != '0);
  endfunction

  function automatic logic [ROW_W-1:0] beyond(logic [ROW_W-1:0] rows, int unsigned k);
    logic borrow;
    borrow = 1'b1;
    beyond = rows;
    for (int unsigned i = k; i < ROW_W; i++) begin
      beyond[i] = rows[i] ^ borrow;
      borrow &= !rows[i];
    end
  endfunction

  function automatic pass_t pass_of(logic [ROW_W-1:0] rows, logic [15:0] split, logic one_row);
    logic [1:0] mode;
    mode = mode_of(rows, split);
    pass_of = '{mode: one_row ? 2'(MODES - 1) : mode, rows: rows, left: '0, more: 1'b0};
    for (int unsigned k = 0; k < ROW_W; k++) begin
      if ((one_row ? k == 0 : 32'(mode) + k == ROW_W - 1) && above(rows, k)) begin
        pass_of.rows = ROW_W'(1) << k;
        pass_of.left = beyond(rows, k);
        pass_of.more = 1'b1;
      end
    end
    if (one_row) pass_of.rows = ROW_W'(1);
  endfunction

  // Known a cycle before they are taken: that of the next group from the rows that go to its
  // register; the next one of this group, since between two tiles' last steps lie several cycles, and
  // a last step right behind the group's first cycle waits for it.
  always_ff @(posedge clk_i) begin
    first_pass_q <= group_ready_o ? pass_of(group_i.rows, split_q, depthwise_q)
                                  : pass_of(token_rows_q, split_q, depthwise_q);
    next_pass_q  <= pass_of(pass_q.left, split_q, depthwise_q);
    unknown_q    <= group_take && first_pass_q.more;
  end
  assign tile_pixels = 20'(P_PX) << pass_q.mode;

  assign last_step = tap_last_q && (empty_q || ch_last_q);
  assign step = state_q == Run && (ch_valid_q || empty_q)
      && (!last_step || (shadow_free_i && !unknown_q));
  assign ch_take = step && tap_last_q && !empty_q && (!depthwise_q || tile_is_last_q);
  assign pass_done = step && last_step && tile_is_last_q;
  assign pass_more = pass_done && pass_q.more;
  assign group_done = pass_done && !pass_q.more;
  assign group_take = token_valid_q && (state_q == Group || (group_done && !rows_last_q));
  assign step_o = step && !empty_q;
  assign busy_o = state_q != Idle;
  assign waiting_o = state_q == Group && !token_valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      group_q   <= '1;  // the first one takes place 0
      release_o <= 1'b0;
    end else begin
      unique case (state_q)
        Idle:    if (start_i) state_q <= Prepare;
        Prepare: if (setup_q == 3'(Setup)) state_q <= Group;
        Group:   if (token_valid_q) state_q <= Run;
        Run:     if (group_done && rows_last_q) state_q <= Idle;
                 else if (group_done && !token_valid_q) state_q <= Group;
        default: state_q <= Idle;
      endcase
      if (group_take) group_q <= group_q + 2'd1;
      release_o <= group_done;
    end
  end

  always_ff @(posedge clk_i) begin
    setup_q <= (state_q == Prepare) ? setup_q + 3'd1 : '0;
    for (int unsigned m = 0; m < 4; m++) begin
      one_tile_q[m] <= out_pixels_q <= 20'(P_PX) << m;
    end
    if (group_take) rows_last_q <= token_last_q;
    if (group_take || pass_more) begin
      pass_q         <= group_take ? first_pass_q : next_pass_q;
      lane_q         <= group_take ? '0 : lane_q + pass_q.rows[ROW_W-2:0];
      left_q         <= out_pixels_q;
      tile_is_last_q <= one_tile_q[group_take ? first_pass_q.mode : next_pass_q.mode];
      tile_offset_q  <= '0;
      tile_first_q   <= 1'b1;
    end else if (step && last_step) begin
      left_q         <= left_q - tile_pixels;
      tile_is_last_q <= left_q <= tile_pixels << 1;
      tile_offset_q  <= tile_offset_q + FA_W'(tile_pixels);
      tile_first_q   <= 1'b0;
    end
    if (start_i || (step && last_step)) tile_first_step_q <= 1'b1;
    else if (step) tile_first_step_q <= 1'b0;
    if (taps_begin) begin
      tap_q       <= '0;
      kh_q        <= '0;
      kw_q        <= '0;
      line_last_q <= kernel_q == 3'd1;
      tap_last_q  <= kernel_q == 3'd1 || empty_q;
    end else if (step) begin
      tap_q       <= tap_q + 6'd1;
      kw_q        <= line_last_q ? '0 : kw_q + 3'd1;
      if (line_last_q) kh_q <= kh_q + 3'd1;
      line_last_q <= kw_q == kernel_before_q;
      tap_last_q  <= kw_q == kernel_before_q && kh_q == kernel_last_q;
    end
  end

  assign taps_begin = state_q == Prepare || (step && tap_last_q);

  assign tile_o = '{valid: step && last_step, offset: tile_offset_q,
                    pixels: PX_W'(tile_is_last_q ? left_q : tile_pixels), first: tile_first_q,
                    last: tile_is_last_q, group: group_q, rows: pass_q.rows, lane: lane_q,
                    mode: pass_q.mode};

  // ---- geometry
  logic [FA_W-1:0] tap_offset;
  logic [WB-1:0] mask;  // of the step three stages on

  ps_conv_window u_window (
    .clk_i,
    .setup_i       (start_i),
    .start_i       (group_take || pass_more),
    .waiting_i     (state_q == Group),
    .next_i        (step && last_step),
    .step_i        (step),
    .mode_i        (pass_q.mode),
    .taps_begin_i  (taps_begin),
    .line_last_i   (line_last_q),
    .tile_offset_i (tile_offset_q),
    .tile_left_i   (left_q),
    .polyphase_i   (polyphase_q),
    .pad_i         (kernel_q[2:1]),
    .odd_height_i  (odd_height_q),
    .odd_width_i   (odd_width_q),
    .out_width_i   (out_width_q),
    .phase_stride_i(phase_stride_q),
    .kh_i          (kh_q),
    .kw_i          (kw_q),
    .offset_o      (tap_offset),
    .mask_o        (mask)
  );

  // ---- pipeline: two stages to the addresses, then flags wait three more for the data
  logic [FA_W-1:0] base_q1, offset_q1, window_addr_q;
  logic [WA_W-1:0] weight_q1;
  logic half_q1, empty_q1, empty_q2, empty_q3;
  typedef struct packed {
    logic             valid;
    logic             first;
    logic             last;
    logic [1:0]       mode;
    logic [ROW_W-2:0] lane;
  } flags_t;
  flags_t flags_q1, flags_q2, flags_q3, flags_q4;
  flags_t flags_q5;  // mode and lane with an enable: no end of a shift register, for many sinks
  logic [WB-1:0] mask_q4, mask_q5;

  always_ff @(posedge clk_i) begin
    base_q1       <= ch_base_q + tile_offset_q;
    offset_q1     <= tap_offset;
    weight_q1     <= ch_weight_q + WA_W'(tap_q);
    half_q1       <= group_q[0];
    empty_q1      <= empty_q;
    empty_q2      <= empty_q1;
    empty_q3      <= empty_q2;
    window_addr_q <= base_q1 + offset_q1;
    weight_addr_o <= weight_q1;
    weight_half_o <= half_q1;
    if (flags_q3.valid) mask_q4 <= empty_q3 ? '0 : mask;
    if (flags_q4.valid) mask_q5 <= mask_q4;
    flags_q1      <= '{valid: step, first: tile_first_step_q, last: last_step, mode: pass_q.mode,
                       lane: lane_q};
    flags_q2      <= flags_q1;
    flags_q3      <= flags_q2;
    flags_q4      <= flags_q3;
    flags_q5.valid <= flags_q4.valid;
    flags_q5.first <= flags_q4.first;
    flags_q5.last  <= flags_q4.last;
    if (flags_q4.valid) begin
      flags_q5.mode <= flags_q4.mode;
      flags_q5.lane <= flags_q4.lane;
    end
    if (!rst_ni) begin
      flags_q1.valid <= 1'b0;
      flags_q2.valid <= 1'b0;
      flags_q3.valid <= 1'b0;
      flags_q4.valid <= 1'b0;
      flags_q5.valid <= 1'b0;
    end
  end

  assign window_o.read = flags_q1.valid || flags_q2.valid || flags_q3.valid || flags_q4.valid
      || flags_q5.valid;
  assign window_o.mode = flags_q2.mode;
  assign window_o.addr = window_addr_q;
  assign mac_o = '{valid: flags_q5.valid, first: flags_q5.first, last: flags_q5.last,
                   mode: flags_q5.mode, lane: flags_q5.lane, mask: mask_q5};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      pass_more |-> next_pass_q == pass_of(pass_q.left, split_q, depthwise_q))
    else $error("ps_conv_ctrl: a pass before it is known");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      group_take |-> first_pass_q == pass_of(token_rows_q, split_q, depthwise_q))
    else $error("ps_conv_ctrl: a group's first pass before it is known");
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> state_q == Idle)
    else $error("ps_conv_ctrl: started while busy");
  assert property (@(posedge clk_i) disable iff (!rst_ni) state_q == Run |-> tap_q < 6'd49)
    else $error("ps_conv_ctrl: tap out of range");
`endif
endmodule
