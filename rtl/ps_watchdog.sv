// Watchdog: a run in which nothing moves for Cycles cycles is hung.
//
// progress_i: something moved in this cycle (a beat or an address on the bus, a product, a write).
// hung_o is a pulse, Cycles cycles after the last progress or after the last pulse, while
// running_i; the sequencer then stops the run.  Cycles >= 2.
module ps_watchdog #(
  parameter int unsigned Cycles = ps_pkg::WATCHDOG_CYCLES
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic running_i,
  input  logic progress_i,
  output logic hung_o
);
  localparam int unsigned Width = $clog2(Cycles);

  logic [Width-1:0] idle_q;
  logic progress_q;  // of the cycle before: many signals are behind it

  assign hung_o = running_i && !progress_q && idle_q == Width'(Cycles - 1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      idle_q     <= '0;
      progress_q <= 1'b0;
    end else begin
      progress_q <= progress_i;
      idle_q     <= (!running_i || progress_q || hung_o) ? '0 : idle_q + Width'(1);
    end
  end
endmodule
