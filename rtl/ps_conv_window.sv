// Geometry of a convolution: for tap (kh, kw) of the current tile, the byte offset of the window
// from the first output pixel and which lanes fall on the map.
//
// A tile is P_px << mode_i consecutive output pixels, row-major, in blocks of P_px; it begins at
// pixel tile_offset_i, tile_left_i pixels before the end of the map.  setup_i (with the sizes, which
// then hold) finds where rows begin in the blocks, four cycles; then start_i puts the tile at the
// beginning of the map and next_i one tile further.
// Taps go on with step_i, row by row: line_last_i marks the last of a row, taps_begin_i (with the
// last of all, and while the sizes settle) goes back to the first.  offset_o is that of the tap;
// mask_o comes out three cycles after it.  Blocks that the mode does not use are stale, as are lanes
// beyond the map.
//
// Stride 1: input pixel = output pixel + (kh - P) * W + (kw - P).
// Polyphase: with a = kh - P, the rows of parity a & 1 lie in planes of their own, and row
// 2 * r + a of the image is row r + (a >> 1) of that plane; the same for columns.  So both forms
// are a constant offset, and the window is contiguous (design section 7).
//
// A tap leaves the map on one side: by n rows at the top or the bottom, by n columns on the left
// or the right (n <= 3).  Rows: the lanes from, or up to, one pixel.  Columns on the left: lanes
// with a row's first pixel among the n lanes that end with theirs; on the right: among the n lanes
// after theirs.  So all that is kept of a lane is one bit: does a row begin there?
module ps_conv_window
  import ps_cfg::*;
(
  input  logic              clk_i,
  input  logic              setup_i,
  input  logic              start_i,
  input  logic              waiting_i,      // for a group: start_i comes in such a cycle, or with next_i
  input  logic              next_i,
  input  logic              step_i,
  input  logic              taps_begin_i,
  input  logic              line_last_i,
  input  logic [1:0]        mode_i,
  input  logic [FA_W-1:0]   tile_offset_i,
  input  logic [19:0]       tile_left_i,
  input  logic              polyphase_i,
  input  logic [1:0]        pad_i,
  input  logic              odd_height_i,   // of the source map
  input  logic              odd_width_i,
  input  logic [9:0]        out_width_i,
  input  logic [FA_W-1:0]   phase_stride_i,
  input  logic [2:0]        kh_i,
  input  logic [2:0]        kw_i,
  output logic [FA_W-1:0]   offset_o,
  output logic [WB-1:0]     mask_o
);
  localparam int unsigned Blocks = WB / P_PX;
  localparam int unsigned Left = 2;          // a block keeps lanes -Left .. P_px + Right - 1
  localparam int unsigned Right = 3;
  localparam int unsigned Lanes = Left + P_PX + Right;
  localparam int unsigned PlaceWidth = $clog2(Lanes + 1);

  typedef logic [9:0] place_t;  // lanes to the first row that begins in a block: 0 .. W - 1

  // The same for a block that lies `by` pixels further (modulo W).
  function automatic place_t advance(place_t from, place_t by, place_t width);
    logic [10:0] place;
    place = 11'(from) - 11'(by);
    return place[9:0] + (place[10] ? width : '0);
  endfunction

  // ---- constants by width, on maps narrower than a block's lanes; wider ones are all the same
  typedef logic [Lanes-1:0] lanes_t;

  function automatic lanes_t row_starts(int unsigned width);
    for (int unsigned i = 0; i < Lanes; i++) row_starts[i] = i % width == 0;
  endfunction

  lanes_t [Lanes:1] starts_by_width;
  place_t [Lanes:1] step_by_width;  // P_px modulo W
  for (genvar w = 1; w <= Lanes; w++) begin : gen_width
    localparam lanes_t Starts = row_starts(w);
    assign starts_by_width[w] = Starts;
    assign step_by_width[w] = place_t'(P_PX % w);
  end

  // ---- setup: steps of P_px << m pixels, by doubling, and the place of each block of the map
  logic [PlaceWidth-1:0] narrow;
  lanes_t starts_q;
  place_t [3:0] step_q;
  place_t [Blocks-1:0] block_start_q;
  logic [4:0] setup_q;

  assign narrow = (out_width_i > 10'(Lanes)) ? PlaceWidth'(Lanes) : PlaceWidth'(out_width_i);

  always_ff @(posedge clk_i) begin
    setup_q <= {setup_q[3:0], setup_i};
    if (setup_q[0]) begin
      starts_q  <= starts_by_width[narrow];
      step_q[0] <= step_by_width[narrow];
    end
    // Twice the step: the step, and what is left to a whole row, taken from it.
    for (int unsigned m = 1; m < 4; m++) begin
      if (setup_q[m]) step_q[m] <= advance(step_q[m-1], out_width_i - step_q[m-1], out_width_i);
    end
    // Block b = (b without its highest bit) + that bit's step.
    for (int unsigned b = 0; b < Blocks; b++) begin
      if (b == 0) block_start_q[b] <= (out_width_i > 10'(Left)) ? place_t'(Left) : '0;
      else if (setup_q != '0) begin
        block_start_q[b] <= advance(block_start_q[b - (1 << ($clog2(b + 1) - 1))],
                                    step_q[$clog2(b + 1) - 1], out_width_i);
      end
    end
  end

  // ---- the tile: places of its blocks, then, one cycle later, the lanes where rows begin
  logic moved_q;

  always_ff @(posedge clk_i) begin
    moved_q <= waiting_i || next_i;
  end

  for (genvar b = 0; b < Blocks; b++) begin : gen_block
    place_t block_q;
    lanes_t begin_q, begin_q2;
    always_ff @(posedge clk_i) begin
      if (waiting_i || next_i) begin
        block_q <= start_i ? block_start_q[b] : advance(block_q, step_q[mode_i], out_width_i);
      end
      if (moved_q && (b >> mode_i) == 0) begin
        begin_q <= (block_q < place_t'(Lanes)) ? starts_q << block_q[PlaceWidth-1:0] : '0;
      end
      begin_q2 <= begin_q;
    end
  end

  // ---- the tap
  logic signed [3:0] a, b;    // relative to the output pixel
  logic signed [3:0] da, db;  // the same within a plane

  assign a = $signed({1'b0, kh_i}) - $signed({2'b00, pad_i});
  assign b = $signed({1'b0, kw_i}) - $signed({2'b00, pad_i});
  assign da = polyphase_i ? a >>> 1 : a;
  assign db = polyphase_i ? b >>> 1 : b;

  // ---- its offset, by sums: a row's part da * W and a column's part db, with the planes of odd ones
  logic [1:0] lead;                         // rows and columns of a plane before the first tap
  logic [11:0] width_3_q;
  logic [FA_W-1:0] width, phase, phase_2, above_q;
  logic [FA_W-1:0] row_first_q, row_even_q, row_odd_q, row_q;  // first; from an even, an odd row on
  logic [FA_W-1:0] col_first_q, col_even_q, col_odd_q, col_q;

  // before * W, for before <= 3.
  function automatic logic [11:0] rows_of(logic [1:0] rows, logic [9:0] one, logic [11:0] three);
    unique case (rows)
      2'd0: return '0;
      2'd1: return 12'(one);
      2'd2: return {1'b0, one, 1'b0};
      2'd3: return three;
    endcase
  endfunction

  assign lead    = polyphase_i ? 2'((3'(pad_i) + 3'd1) >> 1) : pad_i;
  assign width   = FA_W'(out_width_i);
  assign phase   = polyphase_i ? phase_stride_i : '0;
  assign phase_2 = phase << 1;

  always_ff @(posedge clk_i) begin
    width_3_q   <= 12'(out_width_i) + {1'b0, out_width_i, 1'b0};
    above_q     <= FA_W'(rows_of(lead, out_width_i, width_3_q));
    row_first_q <= (pad_i[0] ? phase_2 : '0) - above_q;
    row_even_q  <= polyphase_i ? phase_2 : width;
    row_odd_q   <= width - phase_2;
    col_first_q <= (pad_i[0] ? phase : '0) - FA_W'(lead);
    col_even_q  <= polyphase_i ? phase : FA_W'(1);
    col_odd_q   <= FA_W'(1) - phase;
    if (taps_begin_i) begin
      row_q <= row_first_q;
      col_q <= col_first_q;
    end else if (step_i && line_last_i) begin
      row_q <= row_q + (a[0] ? row_odd_q : row_even_q);
      col_q <= col_first_q;
    end else if (step_i) begin
      col_q <= col_q + (b[0] ? col_odd_q : col_even_q);
    end
  end
  assign offset_o = row_q + col_q;

  // ---- what it leaves of the map: rows or columns; the plane of an odd tap may be one shorter
  function automatic logic [1:0] outside(logic signed [3:0] delta, logic shorter);
    return delta < 0 ? 2'(-delta) : 2'(delta) + 2'(shorter);
  endfunction

  logic signed [21:0] rows_from, bound_q;  // the first lane at or past the map's edge
  logic [1:0] rows_out_q1, cols_out_q1, cols_out_q;
  logic top_q1, left_q1, active_q1, top_q, left_q, active_q;
  logic [1:0] mode_q1, mode_q;
  logic [FA_W-1:0] tile_offset_q1;
  logic [19:0] tile_left_q1;

  assign rows_from = 22'(rows_of(rows_out_q1, out_width_i, width_3_q));

  always_ff @(posedge clk_i) begin
    active_q1 <= step_i;
    active_q  <= active_q1;
    mode_q1   <= mode_i;
    mode_q    <= mode_q1;
    if (step_i) begin
      top_q1         <= a < 0;
      left_q1        <= b < 0;
      rows_out_q1    <= outside(da, polyphase_i && a[0] && odd_height_i);
      cols_out_q1    <= outside(db, polyphase_i && b[0] && odd_width_i);
      tile_offset_q1 <= tile_offset_i;
      tile_left_q1   <= tile_left_i;
    end
    if (active_q1) begin
      top_q      <= top_q1;
      left_q     <= left_q1;
      bound_q    <= top_q1 ? rows_from - 22'(tile_offset_q1) : 22'(tile_left_q1) - rows_from;
      cols_out_q <= cols_out_q1;
    end
  end

  // ---- its lanes
  localparam int unsigned LaneWidth = $clog2(P_PX);
  localparam int unsigned BlockWidth = 22 - LaneWidth;

  logic signed [BlockWidth-1:0] bound_block;
  logic [P_PX-1:0] row_ok;  // in the block of the bound
  assign bound_block = BlockWidth'(bound_q >>> LaneWidth);
  assign row_ok = ~({P_PX{1'b1}} << bound_q[LaneWidth-1:0]) ^ {P_PX{top_q}};

  for (genvar k = 0; k < Blocks; k++) begin : gen_mask
    logic [P_PX-1:0] mask_q;
    logic all_rows, some_rows;
    logic [Left+P_PX-1:0] begins;  // in the last of the lanes that count
    assign all_rows = top_q ? bound_block < BlockWidth'(k) : bound_block > BlockWidth'(k);
    assign some_rows = bound_block == BlockWidth'(k);
    assign begins = (Left+P_PX)'(gen_block[k].begin_q2 >> (left_q ? 2'd0 : cols_out_q));
    always_ff @(posedge clk_i) begin
      if (active_q && (k >> mode_q) == 0) begin
        mask_q <= ({P_PX{all_rows}} | ({P_PX{some_rows}} & row_ok))
            & ~(begins[Left+:P_PX] & {P_PX{cols_out_q >= 2'd1}})
            & ~(begins[Left-1+:P_PX] & {P_PX{cols_out_q >= 2'd2}})
            & ~(begins[Left-2+:P_PX] & {P_PX{cols_out_q == 2'd3}});
      end
    end
    assign mask_o[k*P_PX+:P_PX] = mask_q;
  end
endmodule
