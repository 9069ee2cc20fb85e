// Weight lanes: one byte a row and cycle, double buffered, filled eight bytes a beat.
//
// Each row of the PE array has a RAM of two halves of WBUF_BYTES.  A write gives one 64-bit word
// per row with byte enables: a row-layout beat fills one row, an interleaved beat the same bytes
// of every row.  Reads: rd_addr_i is a byte address within half rd_half_i, the same for every row;
// weights_o follows three cycles later, in step with the feature memory.
module ps_weight_buffer
  import ps_cfg::*;
  import ps_types::*;
(
  input  logic                          clk_i,
  input  weight_write_t                 write_i,
  input  logic                          rd_half_i,
  input  logic [WA_W-1:0]               rd_addr_i,
  output logic [P_OC-1:0][7:0]          weights_o
);
  localparam int unsigned HalfWords = WBUF_BYTES / 8;
  localparam int unsigned Words = 2 * HalfWords;
  localparam int unsigned WordWidth = $clog2(Words);

  logic [WordWidth-1:0] wr_addr, rd_addr_q;
  logic [2:0] sel_q1, sel_q2;

  assign wr_addr = WordWidth'(write_i.word) + (write_i.half ? WordWidth'(HalfWords) : '0);

  always_ff @(posedge clk_i) begin
    rd_addr_q <= WordWidth'(rd_addr_i[WA_W-1:3]) + (rd_half_i ? WordWidth'(HalfWords) : '0);
    sel_q1    <= rd_addr_i[2:0];
    sel_q2    <= sel_q1;
  end

  for (genvar r = 0; r < P_OC; r++) begin : gen_row
    logic [7:0][7:0] word;
    ps_ram #(.Width(64), .Depth(Words)) u_ram (
      .clk_i,
      .wr_en_i  (write_i.rows[r] ? write_i.bytes : 8'h00),
      .wr_addr_i(wr_addr),
      .wr_data_i(write_i.data[r]),
      .rd_addr_i(rd_addr_q),
      .rd_data_o(word)
    );
    always_ff @(posedge clk_i) begin
      weights_o[r] <= word[sel_q2];
    end
  end
endmodule
