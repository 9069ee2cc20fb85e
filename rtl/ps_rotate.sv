// Bytes rotated down: lane i gets the byte of lane i + by_i, modulo the number of lanes.
//
// Combinational; two bits of by_i a step, the highest first, so one level of logic for four ways.
module ps_rotate #(
  parameter int unsigned Lanes = 16,  // a power of two, 4 or more
  localparam int unsigned ByWidth = $clog2(Lanes)
) (
  input  logic [Lanes-1:0][7:0] data_i,
  input  logic [ByWidth-1:0]    by_i,
  output logic [Lanes-1:0][7:0] data_o
);
  localparam int unsigned Steps = (ByWidth + 1) / 2;

  logic [Steps:0][Lanes-1:0][7:0] moved;
  assign moved[0] = data_i;
  for (genvar s = 0; s < Steps; s++) begin : gen_step
    localparam int unsigned High = ByWidth - 2 * s;  // bits from here on are done
    localparam int unsigned Bits = High > 1 ? 2 : 1;
    ps_rotate_step #(.Lanes(Lanes), .Step(1 << (High - Bits)), .Ways(1 << Bits)) u_step (
      .data_i(moved[s]),
      .by_i  (by_i[High-1-:Bits]),
      .data_o(moved[s+1])
    );
  end
  assign data_o = moved[Steps];
endmodule
