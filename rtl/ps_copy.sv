// COPY: linear -> polyphase layout, one window of FB bytes a cycle; or back (COPY_INTERLEAVE).
//
// A window is FB neighbouring pixels of one row, starting at an even column: its even columns go to
// one plane, its odd columns to the next, in one write of two halves.  phase_stride = FB/2 modulo
// FB (checked before the start) keeps the halves in different banks.  variant chooses every row,
// the even ones or the odd ones.
// Back, the planes may lie anywhere.  FB bytes of the plane of the even columns and FB of that of the
// odd ones, read in turn, are two windows of the linear map: both wait for the second read.
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
  logic back_q, odd_plane_q;  // the planes are read; the one of the odd columns
  logic [9:0] last_row_q, width_q, out_width_q, row_q, left_q;
  logic [CH_W-1:0] channels_q;
  // Of the linear map and of the planes: to the next channel; channel, row, window.
  logic [FA_W-1:0] map_stride_q, planes_stride_q, phase_q, apart_q;
  logic [FA_W-1:0] map_ch_q, map_row_q, map_q;
  logic [FA_W-1:0] plane_ch_q, plane_row_q, plane_q, step_q, odd_step_q;
  logic row_end, ch_end, all_end;

  assign row_end = left_q <= 10'(FB) && (!back_q || odd_plane_q);
  assign ch_end  = row_end && row_q == last_row_q;
  assign all_end = ch_end && channels_q == CH_W'(1);
  assign rd_addr_o = back_q ? plane_q : map_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) active_q <= 1'b0;
    else if (start_i) active_q <= 1'b1;
    else if (all_end) active_q <= 1'b0;
  end

  // Odd rows lie two planes further, a row of the same parity lies one row down.
  logic [FA_W-1:0] next_row, next_plane_row;
  logic [9:0] next_row_index;
  assign next_row = map_row_q + (every_q ? FA_W'(width_q) : FA_W'(width_q) << 1);
  assign next_row_index = row_q + (every_q ? 10'd1 : 10'd2);
  always_comb begin
    if (!every_q) next_plane_row = plane_row_q + FA_W'(out_width_q);
    else if (row_q[0]) next_plane_row = plane_row_q - (phase_q << 1) + FA_W'(out_width_q);
    else next_plane_row = plane_row_q + (phase_q << 1);
  end

  // First and last row of the chosen ones.
  logic even, odd, odd_q, back;
  logic [9:0] bottom;
  logic [FA_W-1:0] map_first, planes_first, phase;
  assign even = desc_i.variant == COPY_EVEN;
  assign odd = desc_i.variant == COPY_ODD;
  assign back = desc_i.variant == COPY_INTERLEAVE;
  assign phase = desc_i.phase_stride[FA_W-1:0];
  assign bottom = desc_i.height[9:0] - 10'd1;
  assign map_first = (back ? desc_i.dst[FA_W-1:0] : desc_i.src[FA_W-1:0])
      + (odd ? FA_W'(desc_i.width[9:0]) : '0);
  assign planes_first = (back ? desc_i.src[FA_W-1:0] : desc_i.dst[FA_W-1:0]) + (odd ? phase << 1 : '0);

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      every_q         <= !even && !odd;
      odd_q           <= odd;
      back_q          <= back;
      odd_plane_q     <= 1'b0;
      last_row_q      <= bottom - 10'((even || odd) && bottom[0] != odd);
      width_q         <= desc_i.width[9:0];
      out_width_q     <= out_width_i;
      map_stride_q    <= back ? desc_i.dst_stride[FA_W-1:0] : desc_i.src_stride[FA_W-1:0];
      planes_stride_q <= back ? desc_i.src_stride[FA_W-1:0] : desc_i.dst_stride[FA_W-1:0];
      phase_q         <= phase;
      apart_q         <= back ? '0 : phase - FA_W'(FB / 2);
      // From a plane to the other one, and back to the next FB bytes; else along both.
      step_q          <= back ? phase : FA_W'(FB / 2);
      odd_step_q      <= FA_W'(FB) - phase;
      channels_q      <= desc_i.cout[CH_W-1:0];
      row_q           <= 10'(odd);
      left_q          <= desc_i.width[9:0];
      map_ch_q        <= map_first;
      map_row_q       <= map_first;
      map_q           <= map_first;
      plane_ch_q      <= planes_first;
      plane_row_q     <= planes_first;
      plane_q         <= planes_first;
    end else if (active_q) begin
      odd_plane_q <= back_q && !odd_plane_q;
      if (row_end) left_q <= width_q;
      else left_q <= (left_q <= 10'(FB)) ? '0 : left_q - 10'(FB);
      map_q   <= map_q + FA_W'(FB);
      plane_q <= plane_q + (odd_plane_q ? odd_step_q : step_q);
      if (ch_end) begin
        row_q       <= 10'(odd_q);
        channels_q  <= channels_q - CH_W'(1);
        map_ch_q    <= map_ch_q + map_stride_q;
        map_row_q   <= map_ch_q + map_stride_q;
        map_q       <= map_ch_q + map_stride_q;
        plane_ch_q  <= plane_ch_q + planes_stride_q;
        plane_row_q <= plane_ch_q + planes_stride_q;
        plane_q     <= plane_ch_q + planes_stride_q;
      end else if (row_end) begin
        row_q       <= next_row_index;
        map_row_q   <= next_row;
        map_q       <= next_row;
        plane_row_q <= next_plane_row;
        plane_q     <= next_plane_row;
      end
    end
  end

  // ---- destination and column mask wait for the data; back, for the data of a cycle more
  logic waits_q, waits_odd_q;
  logic [FA_W-1:0] waits_addr_q;
  logic [FB-1:0] before_end, waits_lanes_q, lanes;
  logic [FB-1:0][7:0] data, early_q;
  logic [FB/2-1:0][7:0] earlier_q;     // the upper half, two cycles ago
  logic [Latency-1:0] valid_q, second_q;
  logic [Latency-1:0][FA_W-1:0] addr_q;
  logic [Latency-1:0][FB-1:0] lanes_q;

  for (genvar i = 0; i < FB; i++) begin : gen_lane
    localparam int unsigned Source = (i < FB / 2) ? 2 * i : 2 * (i - FB / 2) + 1;
    localparam int unsigned Column = i / 2;
    assign before_end[i] = 10'(i) < left_q;
    assign lanes[i] = back_q ? waits_lanes_q[i] : before_end[Source];
    // The first window is of both planes' lower halves, the second one of the upper ones.
    always_comb begin
      if (!back_q) data[i] = rd_data_i[Source];
      else if (second_q[Latency-1]) data[i] = i[0] ? early_q[FB/2+Column] : earlier_q[Column];
      else data[i] = i[0] ? rd_data_i[Column] : early_q[Column];
    end
  end

  always_ff @(posedge clk_i) begin
    waits_q       <= rst_ni && active_q && back_q;
    waits_odd_q   <= odd_plane_q;
    waits_addr_q  <= map_q;
    waits_lanes_q <= before_end;
    early_q       <= rd_data_i;
    earlier_q     <= early_q[FB-1:FB/2];
    valid_q  <= rst_ni ? {valid_q[Latency-2:0], back_q ? waits_q : active_q} : '0;
    second_q <= {second_q[Latency-2:0], waits_odd_q};
    addr_q   <= {addr_q[Latency-2:0], back_q ? waits_addr_q : plane_q};
    lanes_q  <= {lanes_q[Latency-2:0], lanes};
  end

  assign access_o = '{read: 1'b0, addr: addr_q[Latency-1],
                      mask: valid_q[Latency-1] ? lanes_q[Latency-1] : '0, data: data};
  assign upper_o  = addr_q[Latency-1] + apart_q;
  assign busy_o   = active_q || waits_q || valid_q != '0;

`ifndef SYNTHESIS
  localparam int unsigned Rot = $clog2(FB);
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      |access_o.mask |-> upper_o[Rot-1:0] == access_o.addr[Rot-1:0])
    else $error("ps_copy: halves of a write share banks");
`endif
endmodule
