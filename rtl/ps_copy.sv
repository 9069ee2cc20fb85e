// COPY: linear -> polyphase layout, one window of FB bytes a cycle.
//
// A window is FB neighbouring pixels of one row, starting at an even column: its even columns go to
// one plane, its odd columns to the next, in one write of two halves.  phase_stride = FB/2 modulo
// FB (checked before the start) keeps the halves in different banks.
// start_i latches the descriptor; busy_o until the last byte is written.
module ps_copy
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              start_i,
  /* verilator lint_off UNUSEDSIGNAL */  // each unit uses its own fields of a descriptor
  input  desc_t             desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [9:0]        out_width_i,
  output logic              busy_o,

  output logic [FA_W-1:0]   rd_addr_o,
  input  logic [FB-1:0][7:0] rd_data_i,
  output logic [FA_W-1:0]   wr_addr_o,
  output logic [FA_W-1:0]   wr_addr_hi_o,
  output logic [FB-1:0]     wr_mask_o,
  output logic [FB-1:0][7:0] wr_data_o
);
  localparam int unsigned Latency = 3;  // of the feature memory

  logic active_q;
  logic [9:0] height_q, width_q, out_width_q, row_q, left_q;
  logic [CH_W-1:0] channels_q;
  logic [FA_W-1:0] src_stride_q, dst_stride_q, phase_q;
  logic [FA_W-1:0] src_ch_q, src_row_q, src_q;   // channel, row, window
  logic [FA_W-1:0] dst_ch_q, dst_row_q, dst_q;
  logic row_end, ch_end, all_end;

  assign row_end = left_q <= 10'(FB);
  assign ch_end  = row_end && row_q == height_q - 10'd1;
  assign all_end = ch_end && channels_q == CH_W'(1);
  assign rd_addr_o = src_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) active_q <= 1'b0;
    else if (start_i) active_q <= 1'b1;
    else if (all_end) active_q <= 1'b0;
  end

  // The next row of the same parity pair: odd rows lie two planes further, even rows one row down.
  logic [FA_W-1:0] next_row, next_dst_row;
  assign next_row = src_row_q + FA_W'(width_q);
  assign next_dst_row = row_q[0] ? dst_row_q - (phase_q << 1) + FA_W'(out_width_q)
                                 : dst_row_q + (phase_q << 1);

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      height_q     <= desc_i.height[9:0];
      width_q      <= desc_i.width[9:0];
      out_width_q  <= out_width_i;
      src_stride_q <= desc_i.src_stride[FA_W-1:0];
      dst_stride_q <= desc_i.dst_stride[FA_W-1:0];
      phase_q      <= desc_i.phase_stride[FA_W-1:0];
      channels_q   <= desc_i.cout[CH_W-1:0];
      row_q        <= '0;
      left_q       <= desc_i.width[9:0];
      src_ch_q     <= desc_i.src[FA_W-1:0];
      src_row_q    <= desc_i.src[FA_W-1:0];
      src_q        <= desc_i.src[FA_W-1:0];
      dst_ch_q     <= desc_i.dst[FA_W-1:0];
      dst_row_q    <= desc_i.dst[FA_W-1:0];
      dst_q        <= desc_i.dst[FA_W-1:0];
    end else if (active_q) begin
      left_q <= row_end ? width_q : left_q - 10'(FB);
      src_q  <= src_q + FA_W'(FB);
      dst_q  <= dst_q + FA_W'(FB / 2);
      if (ch_end) begin
        row_q      <= '0;
        channels_q <= channels_q - CH_W'(1);
        src_ch_q   <= src_ch_q + src_stride_q;
        src_row_q  <= src_ch_q + src_stride_q;
        src_q      <= src_ch_q + src_stride_q;
        dst_ch_q   <= dst_ch_q + dst_stride_q;
        dst_row_q  <= dst_ch_q + dst_stride_q;
        dst_q      <= dst_ch_q + dst_stride_q;
      end else if (row_end) begin
        row_q     <= row_q + 10'd1;
        src_row_q <= next_row;
        src_q     <= next_row;
        dst_row_q <= next_dst_row;
        dst_q     <= next_dst_row;
      end
    end
  end

  // ---- destination and column mask wait for the data
  logic [FB-1:0] lanes;
  logic [Latency-1:0] valid_q;
  logic [Latency-1:0][FA_W-1:0] addr_q;
  logic [Latency-1:0][FB-1:0] lanes_q;

  for (genvar i = 0; i < FB; i++) begin : gen_lane
    localparam int unsigned Source = (i < FB / 2) ? 2 * i : 2 * (i - FB / 2) + 1;
    assign lanes[i] = 10'(Source) < left_q;
    assign wr_data_o[i] = rd_data_i[Source];
  end

  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[Latency-2:0], active_q} : '0;
    addr_q  <= {addr_q[Latency-2:0], dst_q};
    lanes_q <= {lanes_q[Latency-2:0], lanes};
  end

  assign wr_addr_o    = addr_q[Latency-1];
  assign wr_addr_hi_o = addr_q[Latency-1] + phase_q;
  assign wr_mask_o    = valid_q[Latency-1] ? lanes_q[Latency-1] : '0;
  assign busy_o       = active_q || valid_q != '0;

`ifndef SYNTHESIS
  localparam int unsigned Rot = $clog2(FB);
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      |wr_mask_o |-> wr_addr_hi_o[Rot-1:0] == wr_addr_o[Rot-1:0] + Rot'(FB / 2))
    else $error("ps_copy: halves of a write share banks");
`endif
endmodule
