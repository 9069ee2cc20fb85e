// COPY: linear -> polyphase layout, one window of FB bytes a cycle.
//
// A window is FB neighbouring pixels of one row, starting at an even column: its even columns go to
// one plane, its odd columns to the next, in one write of two halves.  phase_stride = FB/2 modulo
// FB (checked before the start) keeps the halves in different banks.  variant chooses every row,
// the even ones or the odd ones.
// start_i latches the descriptor; busy_o until the last byte is written.
module ps_copy
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

  output logic [FA_W-1:0]   rd_addr_o,
  input  logic [FB-1:0][7:0] rd_data_i,
  output access_t           access_o,
  output logic [FA_W-1:0]   upper_o         // lane i of the upper half goes to upper_o + i
);
  localparam int unsigned Latency = 3;  // of the feature memory

  logic active_q, every_q;
  logic [9:0] last_row_q, width_q, out_width_q, row_q, left_q;
  logic [CH_W-1:0] channels_q;
  logic [FA_W-1:0] src_stride_q, dst_stride_q, phase_q, apart_q;
  logic [FA_W-1:0] src_ch_q, src_row_q, src_q;   // channel, row, window
  logic [FA_W-1:0] dst_ch_q, dst_row_q, dst_q;
  logic row_end, ch_end, all_end;

  assign row_end = left_q <= 10'(FB);
  assign ch_end  = row_end && row_q == last_row_q;
  assign all_end = ch_end && channels_q == CH_W'(1);
  assign rd_addr_o = src_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) active_q <= 1'b0;
    else if (start_i) active_q <= 1'b1;
    else if (all_end) active_q <= 1'b0;
  end

  // Odd rows lie two planes further, a row of the same parity lies one row down.
  logic [FA_W-1:0] next_row, next_dst_row;
  logic [9:0] next_row_index;
  assign next_row = src_row_q + (every_q ? FA_W'(width_q) : FA_W'(width_q) << 1);
  assign next_row_index = row_q + (every_q ? 10'd1 : 10'd2);
  always_comb begin
    if (!every_q) next_dst_row = dst_row_q + FA_W'(out_width_q);
    else if (row_q[0]) next_dst_row = dst_row_q - (phase_q << 1) + FA_W'(out_width_q);
    else next_dst_row = dst_row_q + (phase_q << 1);
  end

  // First and last row of the chosen ones.
  logic even, odd, odd_q;
  logic [9:0] bottom;
  logic [FA_W-1:0] src_first, dst_first;
  assign even = desc_i.variant == COPY_EVEN;
  assign odd = desc_i.variant == COPY_ODD;
  assign bottom = desc_i.height[9:0] - 10'd1;
  assign src_first = desc_i.src[FA_W-1:0] + (odd ? FA_W'(desc_i.width[9:0]) : '0);
  assign dst_first = desc_i.dst[FA_W-1:0] + (odd ? desc_i.phase_stride[FA_W-1:0] << 1 : '0);

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      every_q      <= !even && !odd;
      odd_q        <= odd;
      last_row_q   <= bottom - 10'((even || odd) && bottom[0] != odd);
      width_q      <= desc_i.width[9:0];
      out_width_q  <= out_width_i;
      src_stride_q <= desc_i.src_stride[FA_W-1:0];
      dst_stride_q <= desc_i.dst_stride[FA_W-1:0];
      phase_q      <= desc_i.phase_stride[FA_W-1:0];
      apart_q      <= desc_i.phase_stride[FA_W-1:0] - FA_W'(FB / 2);
      channels_q   <= desc_i.cout[CH_W-1:0];
      row_q        <= 10'(odd);
      left_q       <= desc_i.width[9:0];
      src_ch_q     <= src_first;
      src_row_q    <= src_first;
      src_q        <= src_first;
      dst_ch_q     <= dst_first;
      dst_row_q    <= dst_first;
      dst_q        <= dst_first;
    end else if (active_q) begin
      left_q <= row_end ? width_q : left_q - 10'(FB);
      src_q  <= src_q + FA_W'(FB);
      dst_q  <= dst_q + FA_W'(FB / 2);
      if (ch_end) begin
        row_q      <= 10'(odd_q);
        channels_q <= channels_q - CH_W'(1);
        src_ch_q   <= src_ch_q + src_stride_q;
        src_row_q  <= src_ch_q + src_stride_q;
        src_q      <= src_ch_q + src_stride_q;
        dst_ch_q   <= dst_ch_q + dst_stride_q;
        dst_row_q  <= dst_ch_q + dst_stride_q;
        dst_q      <= dst_ch_q + dst_stride_q;
      end else if (row_end) begin
        row_q     <= next_row_index;
        src_row_q <= next_row;
        src_q     <= next_row;
        dst_row_q <= next_dst_row;
        dst_q     <= next_dst_row;
      end
    end
  end

  // ---- destination and column mask wait for the data
  logic [FB-1:0] lanes;
  logic [FB-1:0][7:0] data;
  logic [Latency-1:0] valid_q;
  logic [Latency-1:0][FA_W-1:0] addr_q;
  logic [Latency-1:0][FB-1:0] lanes_q;

  for (genvar i = 0; i < FB; i++) begin : gen_lane
    localparam int unsigned Source = (i < FB / 2) ? 2 * i : 2 * (i - FB / 2) + 1;
    assign lanes[i] = 10'(Source) < left_q;
    assign data[i] = rd_data_i[Source];
  end

  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[Latency-2:0], active_q} : '0;
    addr_q  <= {addr_q[Latency-2:0], dst_q};
    lanes_q <= {lanes_q[Latency-2:0], lanes};
  end

  assign access_o = '{read: 1'b0, addr: addr_q[Latency-1],
                      mask: valid_q[Latency-1] ? lanes_q[Latency-1] : '0, data: data};
  assign upper_o  = addr_q[Latency-1] + apart_q;
  assign busy_o   = active_q || valid_q != '0;

`ifndef SYNTHESIS
  localparam int unsigned Rot = $clog2(FB);
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      |access_o.mask |-> upper_o[Rot-1:0] == access_o.addr[Rot-1:0])
    else $error("ps_copy: halves of a write share banks");
`endif
endmodule
