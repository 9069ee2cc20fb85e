// Geometry of a convolution: for tap (kh, kw) of the current tile, the byte offset of the window
// from the first output pixel and which lanes fall on the map.
//
// A tile is P_px << mode_i consecutive output pixels, row-major, in blocks of P_px.  setup_i (with
// the sizes, which then hold) places the lanes of a block and the blocks, four cycles; then start_i
// puts the tile at the beginning of the map and next_i one tile further.
// offset_o is combinational in kh_i, kw_i; mask_o is registered twice: it comes out two cycles
// after the tap (step_i).  Blocks that the mode does not use are stale.
//
// Stride 1: input pixel = output pixel + (kh - P) * W + (kw - P).
// Polyphase: with a = kh - P, the rows of parity a & 1 lie in planes of their own, and row
// 2 * r + a of the image is row r + (a >> 1) of that plane; the same for columns.  So both forms
// are a constant offset, and the window is contiguous (design section 7).
module ps_conv_window
  import ps_cfg::*;
(
  input  logic              clk_i,
  input  logic              setup_i,
  input  logic              start_i,
  input  logic              next_i,
  input  logic              step_i,
  input  logic [1:0]        mode_i,
  input  logic              polyphase_i,
  input  logic [1:0]        pad_i,
  input  logic [9:0]        height_i,       // of the source map
  input  logic [9:0]        width_i,
  input  logic [9:0]        out_width_i,
  input  logic [FA_W-1:0]   phase_stride_i,
  input  logic [2:0]        kh_i,
  input  logic [2:0]        kw_i,
  output logic [FA_W-1:0]   offset_o,
  output logic [WB-1:0]     mask_o
);
  localparam int unsigned Blocks = WB / P_PX;
  localparam int unsigned LaneWidth = $clog2(P_PX) + 1;

  typedef struct packed {
    logic [10:0] row;
    logic [10:0] col;
  } place_t;

  // The pixel `by` pixels after `from`; both columns are on the map.
  function automatic place_t advance(place_t from, place_t by, logic [9:0] width);
    logic [10:0] col;
    col = from.col + by.col;
    if (col >= 11'(width)) return '{row: from.row + by.row + 11'd1, col: col - 11'(width)};
    return '{row: from.row + by.row, col: col};
  endfunction

  // ---- lanes of a block, on maps up to P_px wide, and the next block: constants by width; on a
  // wider map every lane of the first block is in row 0
  typedef logic [P_PX:0][LaneWidth-1:0] lanes_t;

  function automatic lanes_t lane_rows(int unsigned width);
    for (int unsigned p = 0; p <= P_PX; p++) lane_rows[p] = LaneWidth'(p / width);
  endfunction

  function automatic lanes_t lane_cols(int unsigned width);
    for (int unsigned p = 0; p <= P_PX; p++) lane_cols[p] = LaneWidth'(p % width);
  endfunction

  lanes_t [P_PX+1:1] rows_by_width, cols_by_width;
  for (genvar w = 1; w <= P_PX + 1; w++) begin : gen_place
    localparam lanes_t Rows = lane_rows(w);
    localparam lanes_t Cols = lane_cols(w);
    assign rows_by_width[w] = Rows;
    assign cols_by_width[w] = Cols;
  end

  logic [LaneWidth-1:0] place;
  logic [10:0] lane_row_q [P_PX], lane_col_q [P_PX];
  assign place = (out_width_i > 10'(P_PX)) ? LaneWidth'(P_PX + 1) : LaneWidth'(out_width_i);

  // ---- steps of P_px << m pixels, by doubling, and the first place of each block
  place_t [3:0] step_q;
  place_t [Blocks-1:0] block_start_q;
  logic [4:0] setup_q;

  always_ff @(posedge clk_i) begin
    logic [10:0] row [P_PX], col [P_PX];
    setup_q <= {setup_q[3:0], setup_i};
    if (setup_q[0]) begin
      for (int unsigned p = 0; p < P_PX; p++) begin
        row[p] = 11'(rows_by_width[place][p]);
        col[p] = 11'(cols_by_width[place][p]);
      end
      lane_row_q <= row;
      lane_col_q <= col;
      step_q[0] <= '{row: 11'(rows_by_width[place][P_PX]), col: 11'(cols_by_width[place][P_PX])};
    end
    for (int unsigned m = 1; m < 4; m++) begin
      if (setup_q[m]) step_q[m] <= advance(step_q[m-1], step_q[m-1], out_width_i);
    end
    // Block b = (b without its highest bit) + that bit's step.
    for (int unsigned b = 0; b < Blocks; b++) begin
      if (b == 0) block_start_q[b] <= '0;
      else if (setup_q != '0) begin
        block_start_q[b] <= advance(block_start_q[b - (1 << ($clog2(b + 1) - 1))],
                                    step_q[$clog2(b + 1) - 1], out_width_i);
      end
    end
  end

  // ---- the tile: places of its blocks, then of its lanes one cycle later
  logic moved_q;

  always_ff @(posedge clk_i) begin
    moved_q <= start_i || next_i;
  end

  for (genvar b = 0; b < Blocks; b++) begin : gen_block
    place_t block_q;
    logic [10:0] row_q [P_PX], col_q [P_PX];
    always_ff @(posedge clk_i) begin
      logic [10:0] row [P_PX], col [P_PX];
      if (start_i) block_q <= block_start_q[b];
      else if (next_i) block_q <= advance(block_q, step_q[mode_i], out_width_i);
      if (moved_q && (b >> mode_i) == 0) begin
        /* verilator unroll_disable */
        for (int unsigned p = 0; p < P_PX; p++) begin
          {row[p], col[p]} = advance(block_q, '{row: lane_row_q[p], col: lane_col_q[p]},
                                     out_width_i);
        end
        row_q <= row;
        col_q <= col;
      end
    end
  end

  // ---- the tap
  logic signed [3:0] a, b;       // relative to the output pixel
  logic signed [11:0] da, db;    // the same within a plane
  logic [9:0] row_limit, col_limit;

  assign a = $signed({1'b0, kh_i}) - $signed({2'b00, pad_i});
  assign b = $signed({1'b0, kw_i}) - $signed({2'b00, pad_i});

  always_comb begin
    da = 12'(a);
    db = 12'(b);
    row_limit = height_i;
    col_limit = width_i;
    offset_o = FA_W'(da) * FA_W'(out_width_i) + FA_W'(db);
    if (polyphase_i) begin
      da = 12'(a >>> 1);
      db = 12'(b >>> 1);
      row_limit = 10'((11'(height_i) + 11'(!a[0])) >> 1);
      col_limit = 10'((11'(width_i) + 11'(!b[0])) >> 1);
      offset_o = FA_W'(da) * FA_W'(out_width_i) + FA_W'(db)
          + (a[0] ? phase_stride_i << 1 : '0) + (b[0] ? phase_stride_i : '0);
    end
  end

  // A lane is on the map when low <= row < high: row + da in [0, limit).
  logic [10:0] row_low_q, row_high_q, col_low_q, col_high_q;

  function automatic logic [10:0] low(logic signed [11:0] delta);
    return delta < 0 ? 11'(-delta) : 11'd0;
  endfunction

  function automatic logic [10:0] high(logic signed [11:0] delta, logic [9:0] limit);
    logic signed [11:0] bound;
    bound = $signed({2'b00, limit}) - delta;
    return bound < 0 ? 11'd0 : bound[10:0];
  endfunction

  logic active_q;
  logic [1:0] mode_q;

  always_ff @(posedge clk_i) begin
    active_q <= step_i;
    mode_q   <= mode_i;
    if (step_i) begin
      row_low_q  <= low(da);
      row_high_q <= high(da, row_limit);
      col_low_q  <= low(db);
      col_high_q <= high(db, col_limit);
    end
  end

  for (genvar k = 0; k < Blocks; k++) begin : gen_mask
    logic [P_PX-1:0] mask_q;
    always_ff @(posedge clk_i) begin
      logic on_map [P_PX];
      if (active_q && (k >> mode_q) == 0) begin
        /* verilator unroll_disable */
        for (int unsigned p = 0; p < P_PX; p++) begin
          on_map[p] = (gen_block[k].row_q[p] >= row_low_q) & (gen_block[k].row_q[p] < row_high_q)
              & (gen_block[k].col_q[p] >= col_low_q) & (gen_block[k].col_q[p] < col_high_q);
        end
        for (int unsigned p = 0; p < P_PX; p++) mask_q[p] <= on_map[p];
      end
    end
    assign mask_o[k*P_PX+:P_PX] = mask_q;
  end
endmodule
