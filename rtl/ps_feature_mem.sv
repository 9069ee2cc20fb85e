// Feature memory: byte banks with an unaligned window of `Banks` bytes on each of two ports.
//
// Byte address x lies in bank x % Banks, row x / Banks, so any `Banks` consecutive bytes touch
// every bank once.  Lane i of a window is the byte at address + i.  Addresses wrap at the end.
//
// Port A reads: data three cycles after the address, one window a cycle.  a_read_i and b_read_i
// let the output registers move; without them they hold.
// Port B reads or writes.  Its upper half of lanes has an address of its own: lanes
// Banks/2 .. Banks-1 are the bytes from b_addr_hi_i on.  It must be congruent to
// b_addr_i + Banks/2 modulo Banks (then no two lanes share a bank); a plain window sets it equal.
// A write takes effect for reads whose address comes at least one cycle later.
module ps_feature_mem #(
  parameter int unsigned Banks = ps_cfg::FB,
  parameter int unsigned Bytes = ps_cfg::FMEM_BYTES,
  localparam int unsigned AddrWidth = $clog2(Bytes)
) (
  input  logic                  clk_i,
  input  logic                  a_read_i,
  input  logic [AddrWidth-1:0]  a_addr_i,
  output logic [Banks-1:0][7:0] a_data_o,
  input  logic                  b_read_i,
  input  logic [AddrWidth-1:0]  b_addr_i,
  input  logic [AddrWidth-1:0]  b_addr_hi_i,
  input  logic [Banks-1:0]      b_mask_i,  // write enables, lane by lane
  input  logic [Banks-1:0][7:0] b_data_i,
  output logic [Banks-1:0][7:0] b_data_o
);
  localparam int unsigned RotWidth = $clog2(Banks);
  localparam int unsigned RowWidth = AddrWidth - RotWidth;

  logic [RotWidth-1:0] a_rot, b_rot, b_rot_hi;
  logic [RotWidth-1:0] a_rot_q1, a_rot_q2, b_rot_q1, b_rot_q2;
  logic [Banks-1:0][RowWidth-1:0] a_row_d, a_row_q, b_row_d, b_row_q;
  logic [Banks-1:0][7:0] a_bank, b_bank, b_data_q;
  logic [Banks-1:0] b_we_q;
  logic a_read_q1, a_read_q2, b_read_q1, b_read_q2;

  assign a_rot = a_addr_i[RotWidth-1:0];
  assign b_rot = b_addr_i[RotWidth-1:0];
  assign b_rot_hi = b_addr_hi_i[RotWidth-1:0];

  for (genvar k = 0; k < Banks; k++) begin : gen_row
    localparam logic [RotWidth:0] Bank = (RotWidth+1)'(k);  // a bit more: compared below
    logic [RotWidth-1:0] b_lane;  // the lane of port B that this bank serves
    assign a_row_d[k] = a_addr_i[AddrWidth-1:RotWidth] + RowWidth'(Bank < {1'b0, a_rot});
    assign b_lane = Bank[RotWidth-1:0] - b_rot;
    assign b_row_d[k] = b_lane[RotWidth-1]
        ? b_addr_hi_i[AddrWidth-1:RotWidth] + RowWidth'(Bank < {1'b0, b_rot_hi})
        : b_addr_i[AddrWidth-1:RotWidth] + RowWidth'(Bank < {1'b0, b_rot});
  end

  // Lane i goes to bank (i + rot) % Banks.
  function automatic logic [Banks-1:0][7:0] to_banks(logic [Banks-1:0][7:0] lanes,
                                                     logic [RotWidth-1:0] rot);
    return (Banks*8)'({lanes, lanes} >> {RotWidth'(Banks - 1) - rot, 3'b000} >> 8);
  endfunction

  function automatic logic [Banks-1:0] mask_to_banks(logic [Banks-1:0] lanes,
                                                     logic [RotWidth-1:0] rot);
    return Banks'({lanes, lanes} >> (RotWidth'(Banks - 1) - rot) >> 1);
  endfunction

  function automatic logic [Banks-1:0][7:0] to_lanes(logic [Banks-1:0][7:0] banks,
                                                     logic [RotWidth-1:0] rot);
    return (Banks*8)'({banks, banks} >> {rot, 3'b000});
  endfunction

  always_ff @(posedge clk_i) begin
    a_read_q1 <= a_read_i;
    a_read_q2 <= a_read_q1;
    a_row_q   <= a_row_d;
    a_rot_q1  <= a_rot;
    a_rot_q2  <= a_rot_q1;
    if (a_read_q2) a_data_o <= to_lanes(a_bank, a_rot_q2);
    b_read_q1 <= b_read_i;
    b_read_q2 <= b_read_q1;
    b_row_q   <= b_row_d;
    b_rot_q1  <= b_rot;
    b_rot_q2  <= b_rot_q1;
    if (b_read_q2) b_data_o <= to_lanes(b_bank, b_rot_q2);
    b_we_q <= '0;
    if (b_mask_i != '0) begin
      b_we_q   <= mask_to_banks(b_mask_i, b_rot);
      b_data_q <= to_banks(b_data_i, b_rot);
    end
  end

  for (genvar k = 0; k < Banks; k++) begin : gen_bank
    ps_bank_ram #(.Depth(Bytes / Banks)) u_bank (
      .clk_i,
      .a_addr_i(a_row_q[k]),
      .a_data_o(a_bank[k]),
      .b_we_i  (b_we_q[k]),
      .b_addr_i(b_row_q[k]),
      .b_data_i(b_data_q[k]),
      .b_data_o(b_bank[k])
    );
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) |b_mask_i |-> b_rot_hi == b_rot + RotWidth'(Banks / 2))
    else $error("ps_feature_mem: halves of a write share banks");
`endif
endmodule
