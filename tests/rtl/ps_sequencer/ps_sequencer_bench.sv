// The sequencer with each signal of its bundles a port of its own, for the bench.
module ps_sequencer_bench
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  output logic        done_o,
  output logic        running_o,
  output logic        stop_o,
  output logic [31:0] error_o,
  output logic [31:0] position_o,
  output logic [31:0] image_o,
  input  logic [31:0] config_hash_i,
  input  logic [31:0] n_images_i,
  input  logic [31:0] input_stride_i,
  input  logic [31:0] output_stride_i,
  input  logic [3:0][2:0] misaligned_i,  // lowest bits of the buffers' addresses
  input  logic [63:0] input_i,
  input  logic [63:0] output_i,
  output logic [63:0] image_input_o,
  output logic [63:0] image_output_o,
  output logic        restart_o,
  output logic [31:0] restart_index_o,
  input  logic        desc_valid_i,
  output logic        desc_ready_o,
  input  desc_t       desc_i,
  input  logic        desc_at_end_i,
  input  logic [31:0] check_error_i,
  output logic [SA_W-1:0] score_addr_o,
  input  logic [7:0]  score_i,
  input  logic [N_LISTS-1:0][CH_W-1:0] list_count_i,
  input  logic [N_LISTS-1:0][CH_W-1:0] list_bound_i,
  output logic [CH_W-1:0] n_in_o,
  output logic [CH_W-1:0] n_out_o,
  output logic        fetch_start_o,
  output logic        conv_start_o,
  output logic        copy_start_o,
  output logic        gate_start_o,
  output logic        move_start_o,
  output logic        exit_start_o,
  output logic        record_start_o,
  input  logic        fetch_busy_i,
  input  logic        conv_busy_i,
  input  logic        epilogue_busy_i,
  input  logic        copy_busy_i,
  input  logic        gate_busy_i,
  input  logic        exit_taken_i,
  input  logic        move_busy_i,
  output logic        sums_busy_o,
  output logic        score_hold_o,
  output logic        memory_hold_o,
  input  logic        masters_busy_i,
  input  logic        read_error_i,
  input  logic        write_error_i,
  input  logic        hung_i,
  output logic        counters_clear_o,
  output logic        executed_o,
  output logic        skipped_o,
  output logic [CH_W-1:0] channels_executed_o,
  output logic [CH_W-1:0] channels_skipped_o,
  output logic [31:0] exit_o
);
  starts_t starts;
  logic pool_q, exits_q;  // which of two units is busy
  always_ff @(posedge clk_i) begin
    if (starts.copy) pool_q <= desc_i.op == OP_POOL;
    if (starts.gate || starts.exits) exits_q <= starts.exits;
  end

  outcome_t outcome;
  assign fetch_start_o = starts.fetch;
  assign conv_start_o = starts.conv;
  assign copy_start_o = starts.copy;
  assign gate_start_o = starts.gate;
  assign exit_start_o = starts.exits;
  assign move_start_o = starts.move;
  assign record_start_o = starts.record;
  assign executed_o = outcome.executed;
  assign skipped_o = outcome.skipped;
  assign channels_executed_o = outcome.channels_executed;
  assign channels_skipped_o = outcome.channels_skipped;

  ps_sequencer u_unit (
    .clk_i,
    .rst_ni,
    .start_i,
    .done_o,
    .running_o,
    .stop_o,
    .error_o,
    .position_o,
    .image_o,
    .image_input_o,
    .image_output_o,
    .restart_o,
    .restart_index_o,
    .desc_valid_i,
    .desc_ready_o,
    .desc_i,
    .desc_at_end_i,
    .check_error_i,
    .score_addr_o,
    .score_i,
    .list_count_i,
    .list_bound_i,
    .n_in_o,
    .n_out_o,
    .exit_taken_i,
    .sums_busy_o,
    .score_hold_o,
    .memory_hold_o,
    .masters_busy_i,
    .read_error_i,
    .write_error_i,
    .hung_i,
    .counters_clear_o,
    .exit_o,
    .run_i    ('{
      program_at: 64'(misaligned_i[0]), weights_at: 64'(misaligned_i[1]),
      input_at: input_i | 64'(misaligned_i[2]), output_at: output_i | 64'(misaligned_i[3]),
      n_descriptors: '0, n_images: n_images_i, input_stride: input_stride_i,
      output_stride: output_stride_i, weight_bytes: '0, config_hash: config_hash_i
    }),
    .starts_o (starts),
    .busy_i   ('{
      fetch: fetch_busy_i, conv: conv_busy_i, drain: epilogue_busy_i, copy: copy_busy_i && !pool_q,
      pool: copy_busy_i && pool_q, gate: gate_busy_i && !exits_q,
      exits: gate_busy_i && exits_q, move: move_busy_i
    }),
    .outcome_o(outcome)
  );
endmodule
