// The accelerator core, between a register file and the two AXI masters (design section 7).
//   descriptors -> sequencer
//     -> ps_convolve: weights, windows, array, epilogue
//     -> gate unit and its store, exit, copy, pool, load/store
//   all of them -> ps_feature_ports -> feature memory
//
// start_i begins a run with the arguments in run_i (stable until done_o).  Units are reset while it
// stops, so an error leaves nothing behind.
module ps_core
  import ps_cfg::*;
  import ps_pkg::*;
  import ps_types::*;
#(
  parameter int unsigned WatchdogCycles = WATCHDOG_CYCLES
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 start_i,
  output logic                 done_o,
  output logic [31:0]          error_o,
  output logic [31:0]          position_o,
  output logic [31:0]          image_o,
  input  run_t                 run_i,

  // ps_axi_read: 0 descriptors, 1 weights, 2 loads
  output mem_request_t [2:0]   rd_req_o,
  input  logic [2:0]           rd_req_ready_i,
  input  logic [2:0]           rd_valid_i,
  input  logic [63:0]          rd_data_i,
  input  logic                 rd_busy_i,
  input  logic                 rd_error_i,

  output mem_request_t         wr_req_o,
  input  logic                 wr_req_ready_i,
  output logic                 wr_valid_o,
  output logic [63:0]          wr_data_o,
  input  logic                 wr_ready_i,
  input  logic                 wr_busy_i,
  input  logic                 wr_error_i,
  input  logic                 bus_moves_i,  // a handshake on any channel of the bus
  output logic                 flush_o
);
  logic running, stop, unit_rst_n, hung, storing, storing_q;
  always_ff @(posedge clk_i) begin
    unit_rst_n <= rst_ni && !stop;
    flush_o    <= stop;
  end

  // ---- descriptors
  logic is_copy, is_pool, is_dense;  // a cycle after the first beat, long before it is whole
  logic restart, desc_valid, desc_ready, desc_at_end;
  logic [31:0] restart_index, check_error, exit_pc;
  desc_t desc;
  logic [3:0] desc_beats;
  logic [9:0] out_width;
  logic [19:0] out_pixels;

  ps_desc_fetch u_desc_fetch (
    .clk_i,
    .rst_ni     (unit_rst_n),
    .start_i    (restart),
    .index_i    (restart_index),
    .program_i  (run_i.program_at),
    .count_i    (run_i.n_descriptors),
    .req_o      (rd_req_o[0]),
    .req_ready_i(rd_req_ready_i[0]),
    .rsp_valid_i(rd_valid_i[0]),
    .rsp_data_i (rd_data_i),
    .valid_o    (desc_valid),
    .ready_i    (desc_ready),
    .desc_o     (desc),
    .beats_o    (desc_beats),
    .at_end_o   (desc_at_end)
  );

  always_ff @(posedge clk_i) begin
    is_copy  <= desc.op == OP_COPY;
    is_pool  <= desc.op == OP_POOL;
    is_dense <= desc.op == OP_DENSE;
  end

  ps_check u_check (
    .clk_i,
    .desc_i         (desc),
    .beats_i        (desc_beats),
    .input_stride_i (run_i.input_stride),
    .output_stride_i(run_i.output_stride),
    .weight_bytes_i (run_i.weight_bytes),
    .n_descriptors_i(run_i.n_descriptors),
    .index_i        (exit_pc),
    .out_width_o    (out_width),
    .out_pixels_o   (out_pixels),
    .error_o        (check_error)
  );

  // ---- sequencer
  starts_t starts;
  busy_t busy;
  outcome_t outcome;
  logic exit_taken, counters_clear, sums_busy, score_hold, memory_hold;
  logic [63:0] image_input, image_output;
  logic [CH_W-1:0] n_in, n_out;
  logic [N_LISTS-1:0][CH_W-1:0] list_count, list_bound;
  logic [SA_W-1:0] predicate_addr, store_score_addr, fold_addr;
  logic [7:0] score_a, score_b;

  ps_sequencer u_sequencer (
    .clk_i,
    .rst_ni,
    .start_i,
    .done_o,
    .running_o       (running),
    .stop_o          (stop),
    .error_o,
    .position_o,
    .image_o,
    .run_i,
    .image_input_o   (image_input),
    .image_output_o  (image_output),
    .restart_o       (restart),
    .restart_index_o (restart_index),
    .desc_valid_i    (desc_valid),
    .desc_ready_o    (desc_ready),
    .desc_i          (desc),
    .desc_at_end_i   (desc_at_end),
    .check_error_i   (check_error),
    .score_addr_o    (predicate_addr),
    .score_i         (score_a),
    .list_count_i    (list_count),
    .list_bound_i    (list_bound),
    .n_in_o          (n_in),
    .n_out_o         (n_out),
    .starts_o        (starts),
    .busy_i          (busy),
    .exit_taken_i    (exit_taken),
    .sums_busy_o     (sums_busy),
    .score_hold_o    (score_hold),
    .memory_hold_o   (memory_hold),
    .masters_busy_i  (rd_busy_i || wr_busy_i),
    .read_error_i    (rd_error_i),
    .write_error_i   (wr_error_i),
    .hung_i          (hung),
    .counters_clear_o(counters_clear),
    .outcome_o       (outcome),
    .exit_o          (exit_pc)
  );

  // ---- gate scores and lists
  score_write_t score_write;
  list_write_t list_write;
  logic [63:0] score_word;
  logic [1:0][LI_W+CH_W-2:0] list_addr;  // of the fetch, of the array
  logic [1:0][CH_W-2:0] list_data;
  always_ff @(posedge clk_i) storing_q <= storing;

  ps_gate_store u_gate_store (
    .clk_i,
    .rst_ni        (rst_ni && !start_i),
    .score_i       (score_write),
    .score_a_addr_i(storing_q ? store_score_addr : predicate_addr),
    .score_a_word_o(score_word),
    .score_a_o     (score_a),
    .score_b_addr_i(fold_addr),
    .score_b_o     (score_b),
    .list_i        (list_write),
    .list_count_o  (list_count),
    .list_bound_o  (list_bound),
    .list_a_addr_i (list_addr[0]),
    .list_a_data_o (list_data[0]),
    .list_b_addr_i (list_addr[1]),
    .list_b_data_o (list_data[1])
  );

  // ---- convolution
  logic [WB-1:0][7:0] mem_a_data;
  /* verilator lint_off UNUSEDSIGNAL */  // where the array is narrower than a write
  logic [FB-1:0][7:0] mem_b_rdata;
  /* verilator lint_on UNUSEDSIGNAL */
  window_t window, port_a;
  access_t epilogue_access, dense_access, copy_access, pool_access, move_access, port_b;
  sum_write_t sum_write;
  table_write_t table_write;
  logic conv_waiting, step, pool_wide, store_beat;

  ps_convolve u_convolve (
    .clk_i,
    .rst_ni           (unit_rst_n),
    .fetch_start_i    (starts.fetch),
    .start_i          (starts.conv),
    .desc_i           (desc),
    .n_in_i           (n_in),
    .n_out_i          (n_out),
    .out_width_i      (out_width),
    .out_pixels_i     (out_pixels),
    .weights_at_i     (run_i.weights_at),
    .fetch_busy_o     (busy.fetch),
    .busy_o           (busy.conv),
    .drain_busy_o     (busy.drain),
    .waiting_o        (conv_waiting),
    .step_o           (step),
    .req_o            (rd_req_o[1]),
    .req_ready_i      (rd_req_ready_i[1]),
    .beat_valid_i     (rd_valid_i[1]),
    .beat_data_i      (rd_data_i),
    .fetch_list_addr_o(list_addr[0]),
    .fetch_list_data_i(list_data[0]),
    .list_addr_o      (list_addr[1]),
    .list_data_i      (list_data[1]),
    .score_addr_o     (fold_addr),
    .score_i          (score_b),
    .window_o         (window),
    .window_i         (mem_a_data),
    .access_o         (epilogue_access),
    .mem_rdata_i      (mem_b_rdata[P_PX-1:0]),
    .table_i          (table_write),
    .sum_o            (sum_write)
  );

  // ---- gate unit
  gate_write_t gmem_write;
  logic [GA_W-2:0] table_addr;
  logic [8*GATE_WORD_BYTES-1:0] table_word;

  ps_gate_unit u_gate_unit (
    .clk_i,
    .rst_ni      (unit_rst_n),
    .start_i     (starts.gate),
    .desc_i      (desc),
    .busy_o      (busy.gate),
    .sums_begin_i(starts.conv),
    .sums_busy_i (sums_busy),
    .score_hold_i(score_hold),
    .mem_hold_i  (memory_hold),
    .gmem_i      (gmem_write),
    .table_read_i(busy.exits),
    .table_addr_i(table_addr),
    .table_word_o(table_word),
    .sum_i       (sum_write),
    .score_o     (score_write),
    .list_o      (list_write),
    .access_o    (dense_access)
  );

  // ---- early exits, layout copy, pools, loads and stores
  logic [FA_W-1:0] exit_rd_addr, copy_rd_addr, copy_upper, pool_rd_addr, move_rd_addr;
  logic [N_COUNTERS-1:0][31:0] counters;

  ps_exit u_exit (
    .clk_i,
    .rst_ni      (unit_rst_n),
    .start_i     (starts.exits),
    .desc_i      (desc),
    .busy_o      (busy.exits),
    .taken_o     (exit_taken),
    .mem_addr_o  (exit_rd_addr),
    .mem_data_i  (mem_a_data[0]),
    .table_addr_o(table_addr),
    .table_word_i(table_word)
  );

  ps_copy u_copy (
    .clk_i,
    .rst_ni     (unit_rst_n),
    .start_i    (starts.copy && is_copy),
    .desc_i     (desc),
    .out_width_i(out_width),
    .busy_o     (busy.copy),
    .rd_addr_o  (copy_rd_addr),
    .rd_data_i  (mem_a_data[FB-1:0]),
    .access_o   (copy_access),
    .upper_o    (copy_upper)
  );

  ps_pool u_pool (
    .clk_i,
    .rst_ni     (unit_rst_n),
    .start_i    (starts.copy && is_pool),
    .desc_i     (desc),
    .out_width_i(out_width),
    .busy_o     (busy.pool),
    .rd_wide_o  (pool_wide),
    .rd_addr_o  (pool_rd_addr),
    .rd_data_i  (mem_a_data),
    .access_o   (pool_access)
  );

  ps_load_store u_load_store (
    .clk_i,
    .rst_ni        (unit_rst_n),
    .start_i       (starts.move),
    .record_i      (starts.record),
    .desc_i        (desc),
    .input_i       (image_input),
    .output_i      (image_output),
    .weights_i     (run_i.weights_at),
    .counters_i    (counters),
    .busy_o        (busy.move),
    .store_beat_o  (store_beat),
    .storing_o     (storing),
    .rd_req_o      (rd_req_o[2]),
    .rd_req_ready_i(rd_req_ready_i[2]),
    .rd_valid_i    (rd_valid_i[2]),
    .rd_data_i,
    .wr_req_o,
    .wr_req_ready_i,
    .wr_valid_o,
    .wr_data_o,
    .wr_ready_i,
    .wr_busy_i,
    .gmem_o        (gmem_write),
    .table_o       (table_write),
    .access_o      (move_access),
    .mem_rd_addr_o (move_rd_addr),
    .mem_rd_data_i (mem_a_data[7:0]),
    .score_addr_o  (store_score_addr),
    .score_word_i  (score_word)
  );

  // ---- feature memory
  logic [FA_W-1:0] port_b_upper;

  ps_feature_ports u_feature_ports (
    .clk_i,
    .rst_ni      (unit_rst_n),
    .starts_i    (starts),
    .is_copy_i   (is_copy),
    .is_pool_i   (is_pool),
    .is_dense_i  (is_dense),
    .window_i    (window),
    .move_addr_i (move_rd_addr),
    .exit_addr_i (exit_rd_addr),
    .copy_addr_i (copy_rd_addr),
    .pool_addr_i (pool_rd_addr),
    .pool_wide_i (pool_wide),
    .epilogue_i  (epilogue_access),
    .dense_i     (dense_access),
    .move_i      (move_access),
    .copy_i      (copy_access),
    .copy_upper_i(copy_upper),
    .pool_i      (pool_access),
    .busy_i      (busy),
    .a_o         (port_a),
    .b_o         (port_b),
    .b_upper_o   (port_b_upper)
  );

  ps_feature_mem u_feature_mem (
    .clk_i,
    .a_read_i (port_a.read),
    .a_mode_i (port_a.mode),
    .a_addr_i (port_a.addr),
    .a_data_o (mem_a_data),
    .b_read_i (port_b.read),
    .b_addr_i (port_b.addr),
    .b_upper_i(port_b_upper),
    .b_mask_i (port_b.mask),
    .b_data_i (port_b.data),
    .b_data_o (mem_b_rdata)
  );

`ifndef SYNTHESIS
  ps_hazards u_hazards (
    .clk_i,
    .rst_ni      (unit_rst_n),
    .desc_i      (desc),
    .out_pixels_i(out_pixels),
    .starts_i    (starts),
    .busy_i      (busy),
    .dense_i     (dense_access),
    .score_i     (score_write),
    .list_i      (list_write)
  );
`endif

  // ---- watchdog: of on-chip work, what each unit repeats until it is done
  logic [FB-1:0] written_q;
  always_ff @(posedge clk_i) written_q <= port_b.mask;

  ps_watchdog #(.Cycles(WatchdogCycles)) u_watchdog (
    .clk_i,
    .rst_ni,
    .running_i (running),
    .progress_i(bus_moves_i || step || desc_ready || score_write.mask != '0 || written_q != '0),
    .hung_o    (hung)
  );

  // ---- counters, a cycle behind everything they count
  events_t events_q;
  always_ff @(posedge clk_i) events_q <= '{
    clear: counters_clear, running: running, mac: step, weight_wait: conv_waiting,
    conv: busy.conv || busy.drain, gate: busy.gate || busy.exits,
    copy: busy.copy || busy.pool, io: busy.move, weight_beat: rd_valid_i[1],
    read_beat: |rd_valid_i, write_beat: store_beat, outcome: outcome, index: exit_pc};

  ps_counters u_counters (
    .clk_i,
    .events_i  (events_q),
    .counters_o(counters)
  );
endmodule
