// Loop nest of a convolution: for each weight group, for each tile, for each surviving input
// channel, for each tap: one step a cycle.
//
// start_i latches the descriptor; busy_o until the last step of the last group is issued.  Groups
// come as tokens {rows, last} when their weights are in the buffer.  A step presents addresses to
// feature memory and weight buffer (window_addr_o, weight_addr_o); its flags come out with the data
// (mac_*_o, five cycles after the step).  The last step of a tile waits for shadow_free_i: the
// epilogue promises that the shadow is empty when the sums arrive; tile_* then describes the tile.
//
// An empty input list takes one step with every lane masked: the sum is 0.
module ps_conv_ctrl
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [CH_W-1:0]   n_in_i,        // surviving input channels
  input  logic [9:0]        out_width_i,
  input  logic [19:0]       out_pixels_i,
  output logic              busy_o,
  output logic              waiting_o,     // for weights

  output logic [LI_W+CH_W-2:0] list_addr_o,
  input  logic [CH_W-2:0]   list_data_i,

  input  logic              group_valid_i,
  output logic              group_ready_o,
  input  logic [ROW_W-1:0]  group_rows_i,
  input  logic              group_last_i,

  output logic [FA_W-1:0]   window_addr_o,
  output logic              weight_half_o,
  output logic [WA_W-1:0]   weight_addr_o,

  output logic              pending_o,      // steps on their way to the array
  output logic              mac_valid_o,
  output logic              mac_first_o,
  output logic              mac_last_o,
  output logic [P_PX-1:0]   mac_mask_o,
  output logic              step_o,        // a step with a real product is issued

  input  logic              shadow_free_i,
  output logic              tile_valid_o,  // pulse, with the last step
  output logic [FA_W-1:0]   tile_offset_o,
  output logic [P_PX-1:0]   tile_lanes_o,
  output logic              tile_first_o,
  output logic              tile_last_o,
  output logic              tile_half_o,
  output logic [ROW_W-1:0]  tile_rows_o
);
  localparam int unsigned DataLatency = 3;  // of feature memory and weight buffer

  typedef enum logic [1:0] {Idle, Group, Run} state_e;
  state_e state_q;

  // ---- the descriptor, reduced to what is used every cycle
  logic polyphase_q, empty_q, w_rows_q;
  logic [2:0] kernel_q;
  logic [9:0] height_q, width_q, out_width_q;
  logic [19:0] out_pixels_q;
  logic [FA_W-1:0] src_q, src_stride_q, phase_stride_q;
  logic [5:0] taps_q;  // taps of a channel in the weight buffer, padding included

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      polyphase_q    <= desc_i.polyphase;
      empty_q        <= n_in_i == '0;
      w_rows_q       <= desc_i.w_rows;
      kernel_q       <= desc_i.kernel[2:0];
      height_q       <= desc_i.height[9:0];
      width_q        <= desc_i.width[9:0];
      out_width_q    <= out_width_i;
      out_pixels_q   <= out_pixels_i;
      src_q          <= desc_i.src[FA_W-1:0];
      src_stride_q   <= desc_i.src_stride[FA_W-1:0];
      phase_stride_q <= desc_i.phase_stride[FA_W-1:0];
      taps_q         <= desc_i.w_rows ? 6'(desc_i.kernel[2:0]) * 6'(desc_i.kernel[2:0])
                                      : 6'(desc_i.w_chunk / P_OC);
    end
  end

  // ---- surviving input channels, over and over: base addresses, one channel ahead
  logic id_valid, id_ready, id_last;
  logic [CH_W-1:0] id, pos;
  logic ch_valid_q, ch_last_q, ch_take;
  logic [FA_W-1:0] ch_base_q;
  logic [WA_W-1:0] ch_weight_q;

  ps_list_walk u_walk (
    .clk_i,
    .rst_ni,
    .start_i,
    .all_i     (desc_i.in_list == ALL_CHANNELS),
    .list_i    (desc_i.in_list[LI_W-1:0]),
    .count_i   (n_in_i),
    .loop_i    (1'b1),
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
      ch_weight_q <= WA_W'(w_rows_q ? id : pos) * WA_W'(taps_q);
      ch_last_q   <= id_last;
    end
  end

  // ---- the step
  logic [2:0] kh_q, kw_q;
  logic tap_last, tile_first_step_q, last_step, step, half_q, rows_last_q;
  logic [5:0] tap_q;
  logic [19:0] left_q;
  logic [FA_W-1:0] tile_offset_q;
  logic tile_first_q, tile_is_last, group_done, group_take;
  logic [ROW_W-1:0] rows_q;

  assign tap_last = empty_q || (kh_q == kernel_q - 3'd1 && kw_q == kernel_q - 3'd1);
  assign last_step = tap_last && (empty_q || ch_last_q);
  assign step = state_q == Run && (ch_valid_q || empty_q) && (!last_step || shadow_free_i);
  assign ch_take = step && tap_last && !empty_q;
  assign tile_is_last = left_q <= 20'(P_PX);
  assign group_done = step && last_step && tile_is_last;
  assign group_take = group_valid_i && (state_q == Group || (group_done && !rows_last_q));
  assign group_ready_o = group_take;
  assign step_o = step && !empty_q;
  assign busy_o = state_q != Idle;
  assign waiting_o = state_q == Group && !group_valid_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      half_q  <= 1'b1;  // the first group takes half 0
    end else begin
      unique case (state_q)
        Idle:    if (start_i) state_q <= Group;
        Group:   if (group_valid_i) state_q <= Run;
        Run:     if (group_done && rows_last_q) state_q <= Idle;
                 else if (group_done && !group_valid_i) state_q <= Group;
        default: state_q <= Idle;
      endcase
      if (group_take) half_q <= !half_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (group_take) begin
      rows_q        <= group_rows_i;
      rows_last_q   <= group_last_i;
      left_q        <= out_pixels_q;
      tile_offset_q <= '0;
      tile_first_q  <= 1'b1;
    end else if (step && last_step) begin
      left_q        <= left_q - 20'(P_PX);
      tile_offset_q <= tile_offset_q + FA_W'(P_PX);
      tile_first_q  <= 1'b0;
    end
    if (start_i || (step && last_step)) tile_first_step_q <= 1'b1;
    else if (step) tile_first_step_q <= 1'b0;
    if (start_i || (step && tap_last)) begin
      tap_q <= '0;
      kh_q  <= '0;
      kw_q  <= '0;
    end else if (step) begin
      tap_q <= tap_q + 6'd1;
      kw_q  <= (kw_q == kernel_q - 3'd1) ? '0 : kw_q + 3'd1;
      if (kw_q == kernel_q - 3'd1) kh_q <= kh_q + 3'd1;
    end
  end

  assign tile_valid_o  = step && last_step;
  assign tile_offset_o = tile_offset_q;
  assign tile_first_o  = tile_first_q;
  assign tile_last_o   = tile_is_last;
  assign tile_half_o   = half_q;
  assign tile_rows_o   = rows_q;
  for (genvar p = 0; p < P_PX; p++) begin : gen_lanes
    assign tile_lanes_o[p] = 20'(p) < left_q;
  end

  // ---- geometry
  logic [FA_W-1:0] tap_offset;
  logic [P_PX-1:0] mask;

  ps_conv_window u_window (
    .clk_i,
    .start_i       (group_take),
    .next_i        (step && last_step),
    .polyphase_i   (polyphase_q),
    .pad_i         (kernel_q[2:1]),
    .height_i      (height_q),
    .width_i       (width_q),
    .out_width_i   (out_width_q),
    .phase_stride_i(phase_stride_q),
    .kh_i          (kh_q),
    .kw_i          (kw_q),
    .offset_o      (tap_offset),
    .mask_o        (mask)
  );

  // ---- pipeline: two stages to the addresses, then flags wait for the data
  logic [FA_W-1:0] base_q1, offset_q1;
  logic [WA_W-1:0] weight_q1;
  logic half_q1;
  logic [P_PX+2:0] flags_d, flags_q1, flags_q2;
  logic [DataLatency-1:0][P_PX+2:0] flags_q;

  assign flags_d = {step, tile_first_step_q, last_step, empty_q ? '0 : mask};

  always_ff @(posedge clk_i) begin
    base_q1       <= ch_base_q + tile_offset_q;
    offset_q1     <= tap_offset;
    weight_q1     <= ch_weight_q + WA_W'(tap_q);
    half_q1       <= half_q;
    window_addr_o <= base_q1 + offset_q1;
    weight_addr_o <= weight_q1;
    weight_half_o <= half_q1;
    if (!rst_ni) begin
      flags_q1 <= '0;
      flags_q2 <= '0;
      flags_q  <= '0;
    end else begin
      flags_q1 <= flags_d;
      flags_q2 <= flags_q1;
      flags_q  <= {flags_q[DataLatency-2:0], flags_q2};
    end
  end

  always_comb begin
    pending_o = flags_q1[P_PX+2] || flags_q2[P_PX+2];
    for (int s = 0; s < DataLatency; s++) pending_o = pending_o || flags_q[s][P_PX+2];
  end

  assign {mac_valid_o, mac_first_o, mac_last_o, mac_mask_o} = flags_q[DataLatency-1];

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> state_q == Idle)
    else $error("ps_conv_ctrl: started while busy");
  assert property (@(posedge clk_i) disable iff (!rst_ni) tap_q < 6'd52)
    else $error("ps_conv_ctrl: tap out of range");
`endif
endmodule
