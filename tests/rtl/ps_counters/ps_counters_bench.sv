// The counters with each signal of its bundles a port of its own, for the bench.
module ps_counters_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic        clk_i,
  input  logic        clear_i,
  input  logic        running_i,
  input  logic        mac_i,
  input  logic        weight_wait_i,
  input  logic        conv_i,
  input  logic        gate_i,
  input  logic        copy_i,
  input  logic        io_i,
  input  logic        weight_beat_i,
  input  logic        read_beat_i,
  input  logic        write_beat_i,
  input  logic        executed_i,
  input  logic        skipped_i,
  input  logic [CH_W-1:0] channels_executed_i,
  input  logic [CH_W-1:0] channels_skipped_i,
  input  logic [31:0] exit_i,
  output logic [N_COUNTERS-1:0][31:0] counters_o
);
  ps_counters u_unit (
    .clk_i,
    .counters_o,
    .events_i('{
      clear: clear_i, running: running_i, mac: mac_i, weight_wait: weight_wait_i, conv: conv_i,
      gate: gate_i, copy: copy_i, io: io_i, weight_beat: weight_beat_i, read_beat: read_beat_i,
      write_beat: write_beat_i, outcome: '{
        executed: executed_i, skipped: skipped_i, channels_executed: channels_executed_i,
        channels_skipped: channels_skipped_i
      }, index: exit_i
    })
  );
endmodule
