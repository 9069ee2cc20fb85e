// POOL: maximum or average of K x K windows of linear maps, one window of the memory a cycle.
//
// A tile is up to Lanes neighbouring pixels of one output row.  Each of its K * K taps is one read:
// with stride 1 lane i is byte i of it, with stride 2 byte 2 * i (rd_wide_o asks for 2 * FB bytes,
// where the memory has windows that wide).  Lanes off the map take no part.  Tiles follow each other
// without a gap.
// A maximum is written in one cycle.  An average drains through FB / 4 requantisers, a quarter of
// the lanes a cycle, while the next tile is read: it has 4 taps at least (ps_check).
// start_i latches the descriptor; busy_o until the last byte is written.
module ps_pool
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
  input  logic [9:0]        out_width_i,
  output logic              busy_o,

  output logic              rd_wide_o,
  output logic [FA_W-1:0]   rd_addr_o,
  /* verilator lint_off UNUSEDSIGNAL */  // every other byte of a window with stride 2
  input  logic [WB-1:0][7:0] rd_data_i,
  /* verilator lint_on UNUSEDSIGNAL */
  output access_t           access_o
);
  localparam int unsigned Latency = 3;                              // of the feature memory
  localparam int unsigned Wide = WB >= 2 * FB ? FB : FB / 2;        // lanes with stride 2
  localparam int unsigned Slices = 4;
  localparam int unsigned Slice = FB / Slices;                      // lanes of a slice
  localparam int unsigned LaneWidth = $clog2(FB) + 1;

  // ---- the descriptor
  logic signed_q, average_q, stride2_q;
  logic [2:0] kernel_q;
  logic [9:0] height_q, width_q, out_width_q, out_height_q;
  logic [FA_W-1:0] src_stride_q, dst_stride_q;
  logic [15:0] multiplier_q;
  logic [5:0] shift_q;
  logic signed [15:0] low_q, high_q;
  logic signed [3:0] pad_q;

  // ---- where the next tap is read.  Map coordinates of lane 0 are signed: padding lies below 0.
  logic active_q;
  logic [2:0] kh_q, kw_q;
  logic [CH_W-1:0] channels_q;                      // left, this one included
  logic [9:0] rows_q, cols_q;                       // of the output, left in channel and row
  logic signed [11:0] top_q, left_q;                // of the tile's first window
  logic signed [11:0] y_q, x_q;                     // of the tap
  logic [FA_W-1:0] src_ch_q, src_row_q, src_tile_q, src_line_q, src_q;
  logic [FA_W-1:0] dst_ch_q, dst_row_q, dst_q;
  logic line_end, tap_end, row_end, ch_end, all_end;
  logic [9:0] lanes;
  logic [LaneWidth-1:0] taken;                      // lanes of this tile

  assign lanes    = stride2_q ? 10'(Wide) : 10'(FB);
  assign taken    = cols_q < lanes ? cols_q[LaneWidth-1:0] : lanes[LaneWidth-1:0];
  assign line_end = kw_q == kernel_q - 3'd1;
  assign tap_end  = line_end && kh_q == kernel_q - 3'd1;
  assign row_end  = cols_q <= lanes;
  assign ch_end   = row_end && rows_q == 10'd1;
  assign all_end  = tap_end && ch_end && channels_q == CH_W'(1);
  assign rd_addr_o = src_q;
  assign rd_wide_o = stride2_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) active_q <= 1'b0;
    else if (start_i) active_q <= 1'b1;
    else if (all_end) active_q <= 1'b0;
  end

  // First byte of the first window: `pad` rows and columns before the map.
  logic [FA_W-1:0] first;
  logic [11:0] before_map;
  logic [9:0] spare;
  assign before_map = (desc_i.pad[0] ? 12'(desc_i.width[9:0]) : 12'd0)
      + (desc_i.pad[1] ? {1'b0, desc_i.width[9:0], 1'b0} : 12'd0) + 12'(desc_i.pad);
  assign first = desc_i.src[FA_W-1:0] - FA_W'(before_map);
  assign spare = desc_i.height[9:0] + 10'({desc_i.pad, 1'b0}) - 10'(desc_i.kernel);

  logic [FA_W-1:0] next_line, next_tile, next_row, next_ch;
  logic [FA_W-1:0] next_dst_row, next_dst_ch;
  assign next_line    = src_line_q + FA_W'(width_q);
  assign next_tile    = src_tile_q + (stride2_q ? FA_W'(2 * Wide) : FA_W'(FB));
  assign next_row     = src_row_q + (FA_W'(width_q) << stride2_q);
  assign next_ch      = src_ch_q + src_stride_q;
  assign next_dst_row = dst_row_q + FA_W'(out_width_q);
  assign next_dst_ch  = dst_ch_q + dst_stride_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      signed_q     <= desc_i.src_signed;
      average_q    <= desc_i.average;
      stride2_q    <= desc_i.stride2;
      kernel_q     <= desc_i.kernel[2:0];
      height_q     <= desc_i.height[9:0];
      width_q      <= desc_i.width[9:0];
      out_width_q  <= out_width_i;
      out_height_q <= (spare >> desc_i.stride2) + 10'd1;
      src_stride_q <= desc_i.src_stride[FA_W-1:0];
      dst_stride_q <= desc_i.dst_stride[FA_W-1:0];
      multiplier_q <= desc_i.w_addr[15:0];
      shift_q      <= desc_i.w_addr[21:16];
      low_q        <= desc_i.clamp_lo;
      high_q       <= desc_i.clamp_hi;
      pad_q        <= $signed({2'b00, desc_i.pad});
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      kh_q       <= '0;
      kw_q       <= '0;
      channels_q <= desc_i.cout[CH_W-1:0];
      rows_q     <= (spare >> desc_i.stride2) + 10'd1;
      cols_q     <= out_width_i;
      top_q      <= -12'($signed({2'b00, desc_i.pad}));
      left_q     <= -12'($signed({2'b00, desc_i.pad}));
      y_q        <= -12'($signed({2'b00, desc_i.pad}));
      x_q        <= -12'($signed({2'b00, desc_i.pad}));
      src_ch_q   <= first;
      src_row_q  <= first;
      src_tile_q <= first;
      src_line_q <= first;
      src_q      <= first;
      dst_ch_q   <= desc_i.dst[FA_W-1:0];
      dst_row_q  <= desc_i.dst[FA_W-1:0];
      dst_q      <= desc_i.dst[FA_W-1:0];
    end else if (active_q) begin
      kw_q <= line_end ? '0 : kw_q + 3'd1;
      if (!line_end) begin
        x_q   <= x_q + 12'sd1;
        src_q <= src_q + FA_W'(1);
      end else if (!tap_end) begin
        kh_q       <= kh_q + 3'd1;
        y_q        <= y_q + 12'sd1;
        x_q        <= left_q;
        src_line_q <= next_line;
        src_q      <= next_line;
      end else begin
        kh_q <= '0;
        if (!row_end) begin
          cols_q     <= cols_q - lanes;
          left_q     <= left_q + (stride2_q ? 12'(2 * Wide) : 12'(FB));
          x_q        <= left_q + (stride2_q ? 12'(2 * Wide) : 12'(FB));
          y_q        <= top_q;
          src_tile_q <= next_tile;
          src_line_q <= next_tile;
          src_q      <= next_tile;
          dst_q      <= dst_q + FA_W'(lanes);
        end else begin
          cols_q <= out_width_q;
          left_q <= 12'(-pad_q);
          x_q    <= 12'(-pad_q);
          if (!ch_end) begin
            rows_q     <= rows_q - 10'd1;
            top_q      <= top_q + (stride2_q ? 12'sd2 : 12'sd1);
            y_q        <= top_q + (stride2_q ? 12'sd2 : 12'sd1);
            src_row_q  <= next_row;
            src_tile_q <= next_row;
            src_line_q <= next_row;
            src_q      <= next_row;
            dst_row_q  <= next_dst_row;
            dst_q      <= next_dst_row;
          end else begin
            rows_q     <= out_height_q;
            top_q      <= 12'(-pad_q);
            y_q        <= 12'(-pad_q);
            channels_q <= channels_q - CH_W'(1);
            src_ch_q   <= next_ch;
            src_row_q  <= next_ch;
            src_tile_q <= next_ch;
            src_line_q <= next_ch;
            src_q      <= next_ch;
            dst_ch_q   <= next_dst_ch;
            dst_row_q  <= next_dst_ch;
            dst_q      <= next_dst_ch;
          end
        end
      end
    end
  end

  // ---- beside the data: which lanes are on the map, where the tile goes.  Lanes low .. high - 1
  // of a tap are on the map; one cycle to find the bounds, one to compare.
  typedef struct packed {
    logic                 valid;
    logic                 first;
    logic                 last;
    logic [LaneWidth-1:0] taken;
    logic [FA_W-1:0]      addr;
  } flags_t;
  flags_t flags_q [Latency];
  logic [LaneWidth-1:0] on_low_q, on_high_q;
  logic [FB-1:0] on_map_q2, on_map_q3;

  // Lanes before column `limit` of the map.
  function automatic logic [LaneWidth-1:0] lanes_before(logic signed [11:0] limit, logic stride2);
    logic signed [11:0] count;
    count = stride2 ? (limit + 12'sd1) >>> 1 : limit;
    if (count < 12'sd0) return '0;
    return count > 12'(FB) ? LaneWidth'(FB) : count[LaneWidth-1:0];
  endfunction

  always_ff @(posedge clk_i) begin
    flags_q[0] <= '{valid: rst_ni && active_q, first: kh_q == '0 && kw_q == '0, last: tap_end,
                    taken: taken, addr: dst_q};
    for (int unsigned i = 1; i < Latency; i++) begin
      flags_q[i] <= flags_q[i-1];
      if (!rst_ni) flags_q[i].valid <= 1'b0;
    end
    // Padding has at most three columns.
    on_low_q  <= x_q < 12'sd0 ? lanes_before($signed({9'd0, 3'd0 - x_q[2:0]}), stride2_q) : '0;
    on_high_q <= (y_q >= 12'sd0 && y_q < $signed({2'b00, height_q}))
        ? lanes_before($signed({2'b00, width_q}) - x_q, stride2_q) : '0;
    for (int unsigned i = 0; i < FB; i++) begin
      on_map_q2[i] <= LaneWidth'(i) >= on_low_q && LaneWidth'(i) < on_high_q;
    end
    on_map_q3 <= on_map_q2;
  end

  // ---- accumulate
  localparam int unsigned SumWidth = 15;  // 49 pixels of 255
  logic signed [FB-1:0][SumWidth-1:0] pixel_q, sum_q, total_q;
  logic [FB-1:0] pixel_on_q;
  flags_t flags_q4;
  /* verilator lint_off UNUSEDSIGNAL */  // `first` has done its work
  flags_t flags_q5;
  /* verilator lint_on UNUSEDSIGNAL */

  for (genvar i = 0; i < FB; i++) begin : gen_lane
    localparam int unsigned Pair = 2 * i < WB ? 2 * i : 0;  // beyond: no lane of a tile
    logic [7:0] byte_in;
    logic signed [SumWidth-1:0] pixel, sum;
    logic greater;
    assign byte_in = stride2_q ? rd_data_i[Pair] : rd_data_i[i];
    assign pixel   = $signed(pixel_q[i]);
    assign sum     = $signed(sum_q[i]);
    assign greater = $signed(pixel_q[i][8:0]) > $signed(sum_q[i][8:0]);  // a maximum has 9 bits
    always_ff @(posedge clk_i) begin
      if (flags_q[Latency-1].valid) begin
        pixel_q[i]    <= {{SumWidth-8{signed_q && byte_in[7]}}, byte_in};
        pixel_on_q[i] <= on_map_q3[i];
      end
      if (flags_q4.valid) begin
        if (pixel_on_q[i]) begin
          if (average_q) sum_q[i] <= flags_q4.first ? pixel : sum + pixel;
          else sum_q[i] <= (flags_q4.first || greater) ? pixel : sum;
        end else if (flags_q4.first) begin
          sum_q[i] <= (average_q || !signed_q) ? '0 : -SumWidth'(128);
        end
      end
      if (flags_q5.valid && flags_q5.last) total_q[i] <= sum;
    end
  end

  always_ff @(posedge clk_i) begin
    flags_q4 <= flags_q[Latency-1];
    flags_q5 <= flags_q4;
    if (!rst_ni) begin
      flags_q4.valid <= 1'b0;
      flags_q5.valid <= 1'b0;
    end
  end

  // ---- write: a maximum as it is, an average in slices
  logic total_valid_q;
  logic [LaneWidth-1:0] left_lanes_q;     // of the tile, not yet drained
  logic [FB-1:0] total_lanes_q;           // of a maximum
  logic [FA_W-1:0] total_addr_q;
  logic [Slices-1:0] slice_q;             // of an average, one-hot; slice 0 comes with the total
  logic draining;

  assign draining = slice_q != '0;

  always_ff @(posedge clk_i) begin
    total_valid_q <= rst_ni && flags_q5.valid && flags_q5.last;
    slice_q <= !rst_ni ? '0
        : (average_q && flags_q5.valid && flags_q5.last) ? Slices'(1) : Slices'(slice_q << 1);
    if (flags_q5.valid && flags_q5.last) begin
      left_lanes_q <= flags_q5.taken;
      for (int unsigned i = 0; i < FB; i++) total_lanes_q[i] <= LaneWidth'(i) < flags_q5.taken;
      total_addr_q <= flags_q5.addr;
    end else if (draining) begin
      left_lanes_q <= left_lanes_q > LaneWidth'(Slice) ? left_lanes_q - LaneWidth'(Slice) : '0;
      total_addr_q <= total_addr_q + FA_W'(Slice);
    end
  end

  localparam int unsigned Delay = 3;      // of ps_requantize
  typedef struct packed {
    logic [Slice-1:0] mask;
    logic [FA_W-1:0]  addr;
  } slice_t;
  slice_t slices_q [Delay];
  slice_t out_q;
  logic [Slice-1:0][7:0] averages_q;

  logic [15:0] multiplier;
  logic [17:0] triple;
  logic [46:0] half;
  logic [5:0] shift;

  ps_scale u_scale (
    .clk_i,
    .enable_i    (1'b1),
    .multiplier_i(multiplier_q),
    .shift_i     (shift_q),
    .multiplier_o(multiplier),
    .triple_o    (triple),
    .half_o      (half),
    .shift_o     (shift)
  );

  for (genvar i = 0; i < Slice; i++) begin : gen_average
    logic signed [SumWidth-1:0] chosen;
    logic signed [16:0] result;
    always_comb begin
      chosen = '0;
      for (int unsigned s = 0; s < Slices; s++) begin
        if (slice_q[s]) chosen = $signed(total_q[s*Slice+i]);
      end
    end
    ps_requantize #(.AccWidth(SumWidth)) u_requantize (
      .clk_i,
      .enable_i    (draining),
      .acc_i       (chosen),
      .multiplier_i(multiplier),
      .triple_i    (triple),
      .half_i      (half),
      .shift_i     (shift),
      .result_o    (result)
    );
    always_ff @(posedge clk_i) begin
      if (result < 17'(low_q)) averages_q[i] <= low_q[7:0];
      else if (result > 17'(high_q)) averages_q[i] <= high_q[7:0];
      else averages_q[i] <= result[7:0];
    end
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < Slice; i++) begin
      slices_q[0].mask[i] <= rst_ni && draining && LaneWidth'(i) < left_lanes_q;
    end
    slices_q[0].addr <= total_addr_q;
    for (int unsigned d = 1; d < Delay; d++) slices_q[d] <= slices_q[d-1];
    out_q <= slices_q[Delay-1];
    if (!rst_ni) begin
      for (int unsigned d = 0; d < Delay; d++) slices_q[d].mask <= '0;
      out_q.mask <= '0;
    end
  end

  always_comb begin
    access_o = '0;
    if (average_q) begin
      access_o.addr = out_q.addr;
      access_o.mask[Slice-1:0] = out_q.mask;
      access_o.data[Slice-1:0] = averages_q;
    end else begin
      access_o.addr = total_addr_q;
      for (int unsigned i = 0; i < FB; i++) begin
        access_o.mask[i] = total_valid_q && total_lanes_q[i];
        access_o.data[i] = total_q[i][7:0];
      end
    end
  end

  logic reading, writing;
  always_comb begin
    reading = active_q || flags_q4.valid || flags_q5.valid;
    for (int unsigned i = 0; i < Latency; i++) reading = reading || flags_q[i].valid;
    writing = total_valid_q || draining || out_q.mask != '0;
    for (int unsigned d = 0; d < Delay; d++) writing = writing || slices_q[d].mask != '0;
  end
  assign busy_o = reading || writing;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      flags_q5.valid && flags_q5.last |-> slice_q[Slices-2:0] == '0)
    else $error("ps_pool: a tile is ready before the one before has drained");
  assert property (@(posedge clk_i) disable iff (!rst_ni) active_q |-> x_q >= -12'sd3)
    else $error("ps_pool: left of the padding");
  assert property (@(posedge clk_i) disable iff (!rst_ni) start_i |-> !busy_o)
    else $error("ps_pool: started while busy");
`endif
endmodule
