// ps_watchdog: a pulse comes exactly when the last Cycles cycles were without progress.
module watchdog_props #(
  parameter int unsigned Cycles = 4
) (
  input logic clk_i,
  input logic rst_ni,
  input logic running_i,
  input logic progress_i,
  input logic hung_o,
  input logic [$clog2(Cycles)-1:0] idle_q,
  input logic progress_q
);
  logic begun_q = 1'b0, past_q = 1'b0, runs_q;
  logic [31:0] still_q;  // cycles since reset, start, progress or pulse

  always_comb if (!begun_q) assume (!rst_ni);

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    past_q  <= rst_ni;
    runs_q  <= running_i;
    if (!rst_ni || !running_i || progress_q || hung_o) still_q <= '0;
    else still_q <= still_q + 32'd1;
  end

  always_comb if (begun_q && past_q && rst_ni) begin
    a_count: assert (still_q == 32'(idle_q));
    a_never_longer: assert (still_q < Cycles);
    if (hung_o) a_still: assert (running_i && still_q == Cycles - 1);
    if (running_i && !progress_q && still_q == Cycles - 1) a_found: assert (hung_o);
  end

  always_ff @(posedge clk_i) if (begun_q && rst_ni) begin
    c_hung: cover (hung_o && runs_q);
    c_saved: cover (progress_q && still_q == Cycles - 1);
  end
endmodule

bind ps_watchdog watchdog_props #(.Cycles(Cycles)) u_props (.*);
