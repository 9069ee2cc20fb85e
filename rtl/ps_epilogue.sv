// Epilogue: drains a tile slice by slice while the array computes the next one.
//
// A slice is one physical row of the array: P_px neighbouring pixels of one output channel.  In
// mode k slice s is row s % (P_oc >> k) of the pass and block s / (P_oc >> k) of the tile.
// Slice: bias, requantise (multiplier with the gate score folded in), optional residual add with
// the old bytes at the destination, clamp, the table of activations if there is one, write-back of
// up to P_px bytes, and each channel's sum for the global pool.  One slice a cycle; with a residual
// one every other cycle: reads of port B fall on even cycles, writes on odd ones, five stages later.
// Without input channels (empty_i) the array reads nothing: then the old bytes come through port A,
// one slice a cycle.
//
// tile_i announces a tile (with the controller's last step); array_loaded_i says its sums will be
// in the shadow a cycle later, when the last slice before them may still leave.  shadow_free_o: a
// last step issued now finds the shadow empty.
module ps_epilogue
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  input  logic              empty_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output logic              busy_o,

  input  tile_t             tile_i,
  output logic              shadow_free_o,

  input  logic              array_loaded_i,
  output logic              array_shift_o,
  input  logic signed [31:0] array_row_i [P_PX],

  output place_t            place_o,
  input  scale_t            scale_i,

  output window_t           residual_o,   // port A
  input  logic [P_PX-1:0][7:0] residual_i,
  output access_t           access_o,     // port B
  input  logic [P_PX-1:0][7:0] mem_rdata_i,

  input  table_write_t      table_i,      // while nothing is drained
  output sum_write_t        sum_o
);
  // Cycles from a last step to array_loaded_i, and that one: rows that leave by then do not collide.
  localparam int unsigned Shadow = 9;
  localparam int unsigned Stages = 9;  // the last one for pooled sums only
  // Slices that may be left when the next tile ends; a tile has P_oc at most.
  localparam logic [ROW_W-1:0] Many = ROW_W'(Shadow < P_OC ? Shadow : P_OC);
  localparam logic [ROW_W-1:0] Few = ROW_W'((Shadow - 1) / 2 < P_OC ? (Shadow - 1) / 2 : P_OC);

  // ---- descriptor
  logic res_en_q, port_a_q, old_a_q, old_b_q, res_signed_q, res_sat8_q, pool_en_q, table_en_q;
  logic signed [15:0] lo_q, hi_q;
  logic [FA_W-1:0] dst_q, dst_stride_q;
  logic [PA_W-1:0] pool_base_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      res_en_q     <= desc_i.res_en;
      port_a_q     <= empty_i;
      old_a_q      <= desc_i.res_en && empty_i;
      old_b_q      <= desc_i.res_en && !empty_i;
      res_signed_q <= desc_i.res_signed;
      res_sat8_q   <= desc_i.res_sat8;
      pool_en_q    <= desc_i.pool_en;
      table_en_q   <= desc_i.length[$clog2(TABLE_BYTES)];  // or 0, by ps_check
      lo_q         <= desc_i.clamp_lo;
      hi_q         <= desc_i.clamp_hi;
      dst_q        <= desc_i.dst[FA_W-1:0];
      dst_stride_q <= desc_i.dst_stride[FA_W-1:0];
      pool_base_q  <= desc_i.pool_base[PA_W-1:0];
    end else if (table_i.valid) begin  // the address of a write to the tables: whatever comes, it is
      lo_q         <= 16'({table_i.word, 3'd0});  // what the clamp makes of it
      hi_q         <= 16'({table_i.word, 3'd0});
    end
  end

  // Writes to the tables: 1 the bounds are set, 2 the clamp has made the address of them.
  logic table_q1, table_q2;
  logic [7:0][7:0] table_data_q1, table_data_q2;
  always_ff @(posedge clk_i) begin
    table_q1      <= rst_ni && table_i.valid;
    table_q2      <= rst_ni && table_q1;
    table_data_q1 <= table_i.data;
    table_data_q2 <= table_data_q1;
  end

  // ---- the tile that waits for its sums, and the one being drained
  /* verilator lint_off UNUSEDSIGNAL */  // offset and pixels move on in registers of their own
  tile_t next_q, tile_q;
  /* verilator lint_on UNUSEDSIGNAL */
  logic waiting_q, even_q, slow, take;
  logic [ROW_W-1:0] left_q;   // slices still in the shadow
  logic [ROW_W-1:0] row_q;    // row of the pass
  logic [ROW_W-2:0] param_row_q;  // the same within the group
  logic [PX_W-1:0] pixels_q;  // pixels from this block on
  logic [FA_W-1:0] offset_q;
  logic first_block_q, last_block;
  logic row_wraps;            // row_q is last_row_q, the last one of the shape: a register
  logic [ROW_W-1:0] last_row_q;
  logic [P_PX-1:0] lanes;

  // Full blocks have every row of the shape; the last one ends with the rows of the pass.  A tile
  // waits longer for its sums than its slices take to be counted.
  // Of every shape's blocks and rows: more than a tile has slices, whatever the lanes.
  localparam int unsigned BlocksW = 2 * ROW_W;
  logic [PX_W-1:0] full_blocks;
  logic [ROW_W-1:0] slices_q;
  logic [ROW_W-1:0] free_slices;
  logic few_q;  // slices of the tile that waits: it frees the shadow at once
  assign full_blocks = (next_q.pixels - PX_W'(1)) / PX_W'(P_PX);
  assign free_slices = slow ? Few : Many;

  always_ff @(posedge clk_i) begin
    slices_q <= ROW_W'((BlocksW'(full_blocks) * BlocksW'(P_OC)) >> next_q.mode) + next_q.rows;
    few_q    <= slices_q <= free_slices;
  end

  assign last_block = pixels_q <= PX_W'(P_PX);
  for (genvar p = 0; p < P_PX; p++) begin : gen_lanes
    assign lanes[p] = PX_W'(p) < pixels_q && row_q < tile_q.rows;
  end

  assign slow = res_en_q && !port_a_q;  // reads and writes share port B
  assign take = left_q != '0 && (!slow || even_q);
  assign array_shift_o = take;
  // Of the next cycle: parameters come a cycle behind their place.
  always_comb begin
    place_o = '{group: tile_q.group, row: param_row_q};
    if (array_loaded_i) place_o = '{group: next_q.group, row: next_q.lane};
    else if (take) place_o.row = row_wraps ? tile_q.lane : param_row_q + (ROW_W-1)'(1);
  end

  // The shadow in the next cycle.
  logic soon_free;
  always_comb begin
    if (array_loaded_i) soon_free = few_q;
    else soon_free = !waiting_q
        && (left_q <= free_slices || (take && left_q == free_slices + ROW_W'(1)));
  end

  always_ff @(posedge clk_i) begin
    shadow_free_o <= !rst_ni || (soon_free && !tile_i.valid);
  end

  always_ff @(posedge clk_i) begin
    even_q <= !even_q;
    if (!rst_ni) begin
      even_q    <= 1'b0;
      waiting_q <= 1'b0;
      left_q    <= '0;
    end else begin
      if (tile_i.valid) waiting_q <= 1'b1;
      else if (array_loaded_i) waiting_q <= 1'b0;
      if (array_loaded_i) left_q <= slices_q;
      else if (take) left_q <= left_q - ROW_W'(1);
    end
  end

  always_ff @(posedge clk_i) begin
    if (tile_i.valid) next_q <= tile_i;
    param_row_q <= place_o.row;
    if (array_loaded_i) begin
      tile_q        <= next_q;
      row_q         <= '0;
      row_wraps     <= (ROW_W'(P_OC) >> next_q.mode) == ROW_W'(1);
      last_row_q    <= (ROW_W'(P_OC) >> next_q.mode) - ROW_W'(1);
      pixels_q      <= next_q.pixels;
      offset_q      <= next_q.offset;
      first_block_q <= 1'b1;
    end else if (take) begin
      row_q <= row_wraps ? '0 : row_q + ROW_W'(1);
      row_wraps <= row_wraps ? last_row_q == '0 : row_q + ROW_W'(1) == last_row_q;
      if (row_wraps) begin
        pixels_q      <= pixels_q - PX_W'(P_PX);
        offset_q      <= offset_q + FA_W'(P_PX);
        first_block_q <= 1'b0;
      end
    end
  end

  // ---- row pipeline; stage numbers count from the cycle of `take`
  typedef struct packed {
    logic             valid;
    logic             first;
    logic             last;
    logic [P_PX-1:0]  lanes;
    logic [ROW_W-2:0] row;
    logic [CH_W-1:0]  channel;
  } info_t;

  info_t [Stages:1] info_q;
  logic [7:1][FA_W-1:0] addr_q;
  logic signed [P_PX-1:0][31:0] acc_q1;
  logic [15:0] multiplier_q1;
  logic [17:0] triple_q1;
  logic [46:0] half_q1;
  logic [5:0] shift_q1;
  logic [FA_W-1:0] offset_q1;
  logic residual_read_q;
  logic signed [P_PX-1:0][16:0] t4;
  logic signed [P_PX-1:0][16:0] t_q5;
  logic [P_PX-1:0][7:0] old, y_q7;
  logic signed [P_PX-1:0][15:0] v_q6, y6;  // y6: 0 where there is no lane

  always_ff @(posedge clk_i) begin
    if (take) begin
      for (int p = 0; p < P_PX; p++) acc_q1[p] <= $signed(array_row_i[p]) + scale_i.bias;
    end
    offset_q1     <= offset_q + dst_q;
    info_q[1]     <= '{valid: take && row_q < tile_q.rows, first: tile_q.first && first_block_q,
                       last: tile_q.last && last_block, lanes: lanes,
                       row: param_row_q, channel: scale_i.channel};
    addr_q[1]     <= FA_W'(scale_i.channel * dst_stride_q);
    addr_q[2]     <= addr_q[1] + offset_q1;
    addr_q[6:3]   <= addr_q[5:2];
    if (info_q[6].valid) addr_q[7] <= addr_q[6];  // no end of a shift register: many sinks
    info_q[Stages:2] <= info_q[Stages-1:1];
    residual_read_q  <= rst_ni && info_q[1].valid && res_en_q && port_a_q;
    if (!rst_ni) for (int s = 1; s <= Stages; s++) info_q[s].valid <= 1'b0;
  end

  ps_scale u_scale (
    .clk_i,
    .enable_i    (1'b1),
    .multiplier_i(scale_i.multiplier),
    .shift_i     (scale_i.shift),
    .multiplier_o(multiplier_q1),
    .triple_o    (triple_q1),
    .half_o      (half_q1),
    .shift_o     (shift_q1)
  );

  for (genvar p = 0; p < P_PX; p++) begin : gen_lane
    logic signed [17:0] sum;
    logic [7:0] upper6;
    ps_requantize u_requantize (
      .clk_i,
      .enable_i    (info_q[1].valid),
      .acc_i       (acc_q1[p]),
      .multiplier_i(multiplier_q1),
      .triple_i    (triple_q1),
      .half_i      (half_q1),
      .shift_i     (shift_q1),
      .result_o    (t4[p])
    );

    always_comb begin
      sum = 18'(signed'(t_q5[p])) + 18'($signed({res_signed_q && old[p][7], old[p]}));
    end

    always_ff @(posedge clk_i) begin
      if (info_q[4].valid) begin
        if (res_sat8_q && signed'(t4[p]) > 17'sd127) t_q5[p] <= 17'sd127;
        else if (res_sat8_q && signed'(t4[p]) < (-17'sd128)) t_q5[p] <= (-17'sd128);
        else t_q5[p] <= t4[p];
      end
      if (info_q[5].valid || table_q1) begin
        if (sum < 18'(lo_q)) v_q6[p] <= lo_q;
        else if (sum > 18'(hi_q)) v_q6[p] <= hi_q;
        else v_q6[p] <= sum[15:0];
      end
      if (info_q[6].valid) y_q7[p] <= y6[p][7:0];
    end

    ps_table u_table (
      .clk_i,
      .write_i (table_q2),
      .data_i  (table_data_q2),
      .lane_i  (info_q[6].lanes[p]),
      .enable_i(table_en_q),
      .value_i (v_q6[p][7:0]),
      .value_o (y6[p][7:0])
    );
    assign y6[p][15:8] = upper6;

    // An entry is int8 where the clamped bytes are.
    always_comb begin
      if (table_en_q) upper6 = {8{lo_q[15] && y6[p][7]}};
      else upper6 = info_q[6].lanes[p] ? v_q6[p][15:8] : '0;
    end
  end

  // Stage 2 asks for the old bytes (they come in stage 5), stage 7 writes.
  assign residual_o = '{read: residual_read_q, mode: '0, addr: addr_q[2]};
  assign old = ({P_PX{{8{old_a_q}}}} & residual_i) | ({P_PX{{8{old_b_q}}}} & mem_rdata_i);
  assign access_o = '{read: info_q[2].valid && slow,
                      addr: info_q[7].valid ? addr_q[7] : addr_q[2],
                      mask: info_q[7].valid ? FB'(info_q[7].lanes) : '0, data: (8*FB)'(y_q7)};

  // ---- pooled sums: of an eighth of the lanes (7), of all (8), with those of the channel before (9)
  localparam int unsigned SumWidth = 16 + $clog2(P_PX);
  localparam int unsigned Parts = (P_PX < 8) ? P_PX : 8;
  logic signed [Parts-1:0][SumWidth-1:0] part_q7;
  logic signed [SumWidth-1:0] row_sum_q8;
  logic signed [31:0] total;
  logic signed [31:0] pool_q [P_OC];

  always_ff @(posedge clk_i) begin
    logic signed [P_PX-1:0][SumWidth-1:0] sum;
    logic signed [Parts-1:0][SumWidth-1:0] rest;
    if (info_q[6].valid) begin
      for (int p = 0; p < P_PX; p++) begin
        sum[p] = SumWidth'(signed'(y6[p]));
      end
      // A tree: in each round lane p takes lane p + width.
      for (int width = P_PX / 2; width >= Parts; width = width / 2) begin
        for (int p = 0; p < width; p++) sum[p] = sum[p] + sum[p+width];
      end
      part_q7 <= sum[Parts-1:0];
    end
    if (info_q[7].valid) begin
      rest = part_q7;
      for (int width = Parts / 2; width > 0; width = width / 2) begin
        for (int p = 0; p < width; p++) rest[p] = rest[p] + rest[p+width];
      end
      row_sum_q8 <= rest[0];
    end
    if (info_q[8].valid) pool_q[info_q[8].row] <= total;
  end

  assign total = (info_q[8].first ? 32'sd0 : pool_q[info_q[8].row]) + 32'(row_sum_q8);

  always_ff @(posedge clk_i) begin
    sum_o <= '{valid: rst_ni && info_q[8].valid && info_q[8].last && pool_en_q,
               addr: pool_base_q + PA_W'(info_q[8].channel), data: total};
  end

  always_comb begin
    busy_o = waiting_q || left_q != '0;
    for (int s = 1; s < Stages; s++) busy_o = busy_o || info_q[s].valid;
    busy_o = busy_o || (info_q[Stages].valid && pool_en_q);
  end

`ifndef SYNTHESIS
  for (genvar p = 0; p < P_PX; p++) begin : gen_written
    assert property (@(posedge clk_i) disable iff (!rst_ni)
        table_q2 |-> v_q6[p] == 16'({$past(table_i.word, 2), 3'd0}))
      else $error("ps_epilogue: a table is written elsewhere");
  end
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      table_i.valid || table_q1 |-> !start_i && !busy_o)
    else $error("ps_epilogue: a table is written while it is used");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      array_loaded_i |-> left_q == '0 || (left_q == ROW_W'(1) && take))
    else $error("ps_epilogue: shadow overwritten");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      slow && info_q[7].valid |-> !info_q[2].valid)
    else $error("ps_epilogue: read and write of port B collide");
`endif
endmodule
