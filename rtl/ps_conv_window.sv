// Geometry of a convolution: for tap (kh, kw) of the current tile, the byte offset of the window
// from the first output pixel and which lanes fall on the map.
//
// A tile is P_px consecutive output pixels, row-major.  start_i places the lanes on the first
// tile, next_i on the next one (registered: valid in the following cycle); offset_o and mask_o
// are combinational in kh_i, kw_i.
//
// Stride 1: input pixel = output pixel + (kh - P) * W + (kw - P).
// Polyphase: with a = kh - P, the rows of parity a & 1 lie in planes of their own, and row
// 2 * r + a of the image is row r + (a >> 1) of that plane; the same for columns.  So both forms
// are a constant offset, and the window is contiguous (design section 7).
module ps_conv_window
  import ps_cfg::*;
(
  input  logic              clk_i,
  input  logic              start_i,
  input  logic              next_i,
  input  logic              polyphase_i,
  input  logic [1:0]        pad_i,
  input  logic [9:0]        height_i,       // of the source map
  input  logic [9:0]        width_i,
  input  logic [9:0]        out_width_i,
  input  logic [FA_W-1:0]   phase_stride_i,
  input  logic [2:0]        kh_i,
  input  logic [2:0]        kw_i,
  output logic [FA_W-1:0]   offset_o,
  output logic [P_PX-1:0]   mask_o
);
  localparam int unsigned LaneWidth = $clog2(P_PX) + 1;

  logic [P_PX-1:0][10:0] row_q, col_q;
  logic [9:0] step_row_q, step_col_q;  // from a tile to the next
  logic signed [3:0] a, b;       // tap relative to the output pixel
  logic signed [11:0] da, db;    // the same within a plane
  logic [9:0] row_limit, col_limit;

  // Row and column of each lane, and of the first lane of the next tile, on maps up to P_px wide:
  // constants; a wider map starts with every lane in row 0.
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
  lanes_t rows_start, cols_start;
  assign place = (out_width_i > 10'(P_PX)) ? LaneWidth'(P_PX + 1) : LaneWidth'(out_width_i);
  assign rows_start = rows_by_width[place];
  assign cols_start = cols_by_width[place];

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      step_row_q <= 10'(rows_start[P_PX]);
      step_col_q <= 10'(cols_start[P_PX]);
    end
    for (int unsigned p = 0; p < P_PX; p++) begin
      if (start_i) begin
        row_q[p] <= 11'(rows_start[p]);
        col_q[p] <= 11'(cols_start[p]);
      end else if (next_i) begin
        if (col_q[p] + 11'(step_col_q) >= 11'(out_width_i)) begin
          row_q[p] <= row_q[p] + 11'(step_row_q) + 11'd1;
          col_q[p] <= col_q[p] + 11'(step_col_q) - 11'(out_width_i);
        end else begin
          row_q[p] <= row_q[p] + 11'(step_row_q);
          col_q[p] <= col_q[p] + 11'(step_col_q);
        end
      end
    end
  end

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
      row_limit = (height_i + 10'(!a[0])) >> 1;
      col_limit = (width_i + 10'(!b[0])) >> 1;
      offset_o = FA_W'(da) * FA_W'(out_width_i) + FA_W'(db)
          + (a[0] ? phase_stride_i << 1 : '0) + (b[0] ? phase_stride_i : '0);
    end
  end

  for (genvar p = 0; p < P_PX; p++) begin : gen_mask
    logic signed [11:0] row, col;
    assign row = $signed({1'b0, row_q[p]}) + da;
    assign col = $signed({1'b0, col_q[p]}) + db;
    assign mask_o[p] = row >= 0 && row < $signed({2'b00, row_limit})
        && col >= 0 && col < $signed({2'b00, col_limit});
  end
endmodule
