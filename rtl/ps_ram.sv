// Simple dual-port RAM with byte enables: one write port, one read port.
//
// The word at rd_addr_i is on rd_data_o in the next cycle.  Reading the word that is written in
// the same cycle gives the old bytes.  Contents are not reset.
module ps_ram #(
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 512,
  localparam int unsigned AddrWidth = (Depth > 1) ? $clog2(Depth) : 1,
  localparam int unsigned Lanes = (Width + 7) / 8
) (
  input  logic                 clk_i,
  input  logic [Lanes-1:0]     wr_en_i,
  input  logic [AddrWidth-1:0] wr_addr_i,
  input  logic [Width-1:0]     wr_data_i,
  input  logic [AddrWidth-1:0] rd_addr_i,
  output logic [Width-1:0]     rd_data_o
);
  logic [Width-1:0] mem_q [Depth];

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    localparam int unsigned Lsb = 8 * i;
    localparam int unsigned Bits = (Width - Lsb < 8) ? Width - Lsb : 8;
    always_ff @(posedge clk_i) begin
      if (wr_en_i != '0) begin  // one test for an idle port
        if (wr_en_i[i]) mem_q[wr_addr_i][Lsb+:Bits] <= wr_data_i[Lsb+:Bits];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    rd_data_o <= mem_q[rd_addr_i];
  end
endmodule
