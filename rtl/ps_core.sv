// The accelerator core: sequencer, fetch controller, PE array, epilogue, gate unit and memories,
// between a register file and the two AXI masters (design section 7).
//
//   descriptors -> sequencer
//     -> weight request -> (AXI) -> weight response -> weight buffer, parameters
//     -> conv control -> feature memory and weight buffer -> operands -> array -> epilogue
//     -> gate unit, copy, load/store
//
// start_i begins a run of n_images_i images with the arguments beside it (stable until done_o).
// Units are reset while a run stops, so an error leaves nothing behind.
module ps_core
  import ps_cfg::*;
  import ps_pkg::*;
#(
  parameter int unsigned WatchdogCycles = WATCHDOG_CYCLES
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        start_i,
  output logic        done_o,
  output logic [31:0] error_o,
  output logic [31:0] position_o,
  output logic [31:0] image_o,

  input  logic [63:0] program_i,
  input  logic [63:0] weights_i,
  input  logic [63:0] input_i,
  input  logic [63:0] output_i,
  input  logic [31:0] n_descriptors_i,
  input  logic [31:0] n_images_i,
  input  logic [31:0] input_stride_i,
  input  logic [31:0] output_stride_i,
  input  logic [31:0] weight_bytes_i,
  input  logic [31:0] config_hash_i,

  // ps_axi_read: 0 descriptors, 1 weights, 2 loads
  output logic [2:0]       rd_req_valid_o,
  output logic [2:0][63:0] rd_req_addr_o,
  output logic [2:0][15:0] rd_req_beats_o,
  input  logic [2:0]       rd_req_ready_i,
  input  logic [2:0]       rd_valid_i,
  input  logic [63:0]      rd_data_i,
  input  logic             rd_busy_i,
  input  logic             rd_error_i,

  output logic        wr_req_valid_o,
  output logic [63:0] wr_req_addr_o,
  output logic [15:0] wr_req_beats_o,
  input  logic        wr_req_ready_i,
  output logic        wr_valid_o,
  output logic [63:0] wr_data_o,
  input  logic        wr_ready_i,
  input  logic        wr_busy_i,
  input  logic        wr_error_i,
  input  logic        bus_moves_i,  // a handshake on any channel of the bus
  output logic        flush_o
);
  logic running, stop, unit_rst_n, hung;
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
    .program_i,
    .count_i    (n_descriptors_i),
    .req_valid_o(rd_req_valid_o[0]),
    .req_addr_o (rd_req_addr_o[0]),
    .req_beats_o(rd_req_beats_o[0]),
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
    .input_stride_i,
    .output_stride_i,
    .weight_bytes_i,
    .n_descriptors_i,
    .index_i        (exit_pc),
    .out_width_o    (out_width),
    .out_pixels_o   (out_pixels),
    .error_o        (check_error)
  );

  // ---- sequencer
  logic fetch_start, conv_start, copy_start, gate_start, move_start, record_start;
  logic request_busy, response_busy, conv_busy, epilogue_busy, copy_busy, pool_busy, gate_busy;
  logic move_busy, move_busy_q;
  always_ff @(posedge clk_i) move_busy_q <= move_busy;
  logic [63:0] image_input, image_output;
  logic [CH_W-1:0] n_in, n_out, channels_executed, channels_skipped;
  logic [N_LISTS-1:0][CH_W-1:0] list_count, list_bound;
  logic [SA_W-1:0] predicate_addr;
  logic [7:0] score_a;
  logic counters_clear, executed, skipped, exit_start, exit_busy, exit_taken;
  logic sums_busy, score_hold, memory_hold;

  ps_sequencer u_sequencer (
    .clk_i,
    .rst_ni,
    .start_i,
    .done_o,
    .running_o          (running),
    .stop_o             (stop),
    .error_o,
    .position_o,
    .image_o,
    .config_hash_i,
    .n_images_i,
    .input_stride_i,
    .output_stride_i,
    .misaligned_i       ((program_i[2:0] | weights_i[2:0] | input_i[2:0] | output_i[2:0]) != '0),
    .input_i,
    .output_i,
    .image_input_o      (image_input),
    .image_output_o     (image_output),
    .restart_o          (restart),
    .restart_index_o    (restart_index),
    .desc_valid_i       (desc_valid),
    .desc_ready_o       (desc_ready),
    .desc_i             (desc),
    .desc_at_end_i      (desc_at_end),
    .check_error_i      (check_error),
    .score_addr_o       (predicate_addr),
    .score_i            (score_a),
    .list_count_i       (list_count),
    .list_bound_i       (list_bound),
    .n_in_o             (n_in),
    .n_out_o            (n_out),
    .fetch_start_o      (fetch_start),
    .conv_start_o       (conv_start),
    .copy_start_o       (copy_start),
    .gate_start_o       (gate_start),
    .move_start_o       (move_start),
    .exit_start_o       (exit_start),
    .record_start_o     (record_start),
    .fetch_busy_i       (request_busy || response_busy),
    .conv_busy_i        (conv_busy),
    .epilogue_busy_i    (epilogue_busy),
    .copy_busy_i        (copy_busy || pool_busy),
    .gate_busy_i        (gate_busy || exit_busy),
    .exit_taken_i       (exit_taken),
    .move_busy_i        (move_busy),
    .sums_busy_o        (sums_busy),
    .score_hold_o       (score_hold),
    .memory_hold_o      (memory_hold),
    .masters_busy_i     (rd_busy_i || wr_busy_i),
    .read_error_i       (rd_error_i),
    .write_error_i      (wr_error_i),
    .hung_i             (hung),
    .counters_clear_o   (counters_clear),
    .executed_o         (executed),
    .skipped_o          (skipped),
    .channels_executed_o(channels_executed),
    .channels_skipped_o (channels_skipped),
    .exit_o             (exit_pc)
  );

  // ---- gate scores and lists
  logic list_begin, list_append, list_close;
  logic [7:0] score_mask;
  logic [SA_W-1:0] score_wr_addr, store_score_addr, fold_addr;
  logic [7:0] score_wr_data, score_b;
  logic [63:0] score_word;
  logic [LI_W-1:0] list_index;
  logic [CH_W-2:0] list_id, fetch_list_data, conv_list_data;
  logic [CH_W-1:0] list_new_bound;
  logic [LI_W+CH_W-2:0] fetch_list_addr, conv_list_addr;

  ps_gate_store u_gate_store (
    .clk_i,
    .rst_ni        (rst_ni && !start_i),
    .score_mask_i  (score_mask),
    .score_addr_i  (score_wr_addr),
    .score_data_i  (score_wr_data),
    .score_a_addr_i(move_busy_q ? store_score_addr : predicate_addr),
    .score_a_word_o(score_word),
    .score_a_o     (score_a),
    .score_b_addr_i(fold_addr),
    .score_b_o     (score_b),
    .list_begin_i  (list_begin),
    .list_append_i (list_append),
    .list_close_i  (list_close),
    .list_i        (list_index),
    .list_id_i     (list_id),
    .list_bound_i  (list_new_bound),
    .list_count_o  (list_count),
    .list_bound_o  (list_bound),
    .list_a_addr_i (fetch_list_addr),
    .list_a_data_o (fetch_list_data),
    .list_b_addr_i (conv_list_addr),
    .list_b_data_o (conv_list_data)
  );

  // ---- weights
  logic group_valid, group_last, row_valid, release_half;
  logic [ROW_W-1:0] group_rows, token_rows;
  logic [15:0] group_beats;
  logic [CH_W-1:0] row_channel;
  logic token_valid, token_ready, token_last;
  logic [P_OC-1:0] wr_rows;
  logic wr_half;
  logic [WA_W-4:0] wr_word;
  logic [7:0] wr_bytes;
  logic [P_OC-1:0][63:0] wr_data;
  logic param_valid, param_half, fold, fold_channel;
  logic [ROW_W-2:0] param_row;
  logic [CH_W-1:0] param_channel;
  param_t param;
  logic [SA_W-1:0] fold_slot;

  ps_weight_request u_weight_request (
    .clk_i,
    .rst_ni       (unit_rst_n),
    .start_i      (fetch_start),
    .desc_i       (desc),
    .n_in_i       (n_in),
    .n_out_i      (n_out),
    .weights_i,
    .release_i    (release_half),
    .busy_o       (request_busy),
    .list_addr_o  (fetch_list_addr),
    .list_data_i  (fetch_list_data),
    .group_valid_o(group_valid),
    .group_rows_o (group_rows),
    .group_last_o (group_last),
    .group_beats_o(group_beats),
    .row_valid_o  (row_valid),
    .row_channel_o(row_channel),
    .req_valid_o  (rd_req_valid_o[1]),
    .req_addr_o   (rd_req_addr_o[1]),
    .req_beats_o  (rd_req_beats_o[1]),
    .req_ready_i  (rd_req_ready_i[1])
  );

  ps_weight_response u_weight_response (
    .clk_i,
    .rst_ni         (unit_rst_n),
    .start_i        (fetch_start),
    .desc_i         (desc),
    .busy_o         (response_busy),
    .group_valid_i  (group_valid),
    .group_rows_i   (group_rows),
    .group_last_i   (group_last),
    .group_beats_i  (group_beats),
    .row_valid_i    (row_valid),
    .row_channel_i  (row_channel),
    .beat_valid_i   (rd_valid_i[1]),
    .beat_data_i    (rd_data_i),
    .wr_rows_o      (wr_rows),
    .wr_half_o      (wr_half),
    .wr_word_o      (wr_word),
    .wr_bytes_o     (wr_bytes),
    .wr_data_o      (wr_data),
    .param_valid_o  (param_valid),
    .param_half_o   (param_half),
    .param_row_o    (param_row),
    .param_channel_o(param_channel),
    .param_o        (param),
    .fold_o         (fold),
    .fold_channel_o (fold_channel),
    .fold_slot_o    (fold_slot),
    .token_valid_o  (token_valid),
    .token_ready_i  (token_ready),
    .token_rows_o   (token_rows),
    .token_last_o   (token_last)
  );

  logic [FA_W-1:0] window_addr;
  logic weight_half;
  logic [WA_W-1:0] weight_addr;
  logic [P_OC-1:0][7:0] weights;

  ps_weight_buffer u_weight_buffer (
    .clk_i,
    .wr_rows_i (wr_rows),
    .wr_half_i (wr_half),
    .wr_word_i (wr_word),
    .wr_bytes_i(wr_bytes),
    .wr_data_i (wr_data),
    .rd_half_i (weight_half),
    .rd_addr_i (weight_addr),
    .weights_o (weights)
  );

  logic row_half;
  logic [ROW_W-2:0] row_index;
  logic signed [31:0] row_bias;
  logic [15:0] row_multiplier;
  logic [5:0] row_shift;
  logic [CH_W-1:0] row_id;

  ps_params u_params (
    .clk_i,
    .wr_valid_i     (param_valid),
    .wr_half_i      (param_half),
    .wr_row_i       (param_row),
    .wr_channel_i   (param_channel),
    .wr_param_i     (param),
    .fold_i         (fold),
    .fold_channel_i (fold_channel),
    .fold_slot_i    (fold_slot),
    .score_addr_o   (fold_addr),
    .score_i        (score_b),
    .rd_half_i      (row_half),
    .rd_row_i       (row_index),
    .rd_bias_o      (row_bias),
    .rd_multiplier_o(row_multiplier),
    .rd_shift_o     (row_shift),
    .rd_channel_o   (row_id)
  );

  // ---- convolution
  logic conv_waiting, op_pending, step, mac_valid, mac_first, mac_last, shadow_free;
  logic [WB-1:0] mac_mask;
  logic [1:0] mac_mode, window_mode, tile_mode;
  logic [ROW_W-2:0] mac_lane, tile_lane;
  logic tile_valid, tile_first, tile_last, tile_end, tile_half;
  logic [PX_W-1:0] tile_pixels;
  logic [FA_W-1:0] tile_offset;
  logic [ROW_W-1:0] tile_rows;

  ps_conv_ctrl u_conv_ctrl (
    .clk_i,
    .rst_ni       (unit_rst_n),
    .start_i      (conv_start),
    .desc_i       (desc),
    .n_in_i       (n_in),
    .n_out_i      (n_out),
    .out_width_i  (out_width),
    .out_pixels_i (out_pixels),
    .busy_o       (conv_busy),
    .waiting_o    (conv_waiting),
    .list_addr_o  (conv_list_addr),
    .list_data_i  (conv_list_data),
    .group_valid_i(token_valid),
    .group_ready_o(token_ready),
    .group_rows_i (token_rows),
    .group_last_i (token_last),
    .window_addr_o(window_addr),
    .window_mode_o(window_mode),
    .weight_half_o(weight_half),
    .weight_addr_o(weight_addr),
    .pending_o    (op_pending),
    .mac_valid_o  (mac_valid),
    .mac_first_o  (mac_first),
    .mac_last_o   (mac_last),
    .mac_mask_o   (mac_mask),
    .mac_mode_o   (mac_mode),
    .mac_lane_o   (mac_lane),
    .step_o       (step),
    .shadow_free_i(shadow_free),
    .tile_valid_o (tile_valid),
    .tile_offset_o(tile_offset),
    .tile_pixels_o(tile_pixels),
    .tile_first_o (tile_first),
    .tile_last_o  (tile_last),
    .tile_end_o   (tile_end),
    .tile_half_o  (tile_half),
    .tile_rows_o  (tile_rows),
    .tile_lane_o  (tile_lane),
    .tile_mode_o  (tile_mode)
  );

  logic src_signed_q, op_valid, op_first, op_last;
  logic signed [15:0] op_pixels [P_OC][P_PX];
  logic signed [7:0] op_weights [P_OC];
  logic [WB-1:0][7:0] mem_a_data;
  /* verilator lint_off UNUSEDSIGNAL */  // where the array is narrower than a write
  logic [FB-1:0][7:0] mem_b_rdata;
  /* verilator lint_on UNUSEDSIGNAL */
  logic array_loaded, array_shift;
  logic signed [31:0] array_row [P_PX];

  always_ff @(posedge clk_i) begin
    if (conv_start) src_signed_q <= desc.src_signed;
  end

  ps_operands u_operands (
    .clk_i,
    .rst_ni   (unit_rst_n),
    .valid_i  (mac_valid),
    .first_i  (mac_first),
    .last_i   (mac_last),
    .mode_i   (mac_mode),
    .lane_i   (mac_lane),
    .signed_i (src_signed_q),
    .mask_i   (mac_mask),
    .window_i (mem_a_data),
    .weights_i(weights),
    .valid_o  (op_valid),
    .first_o  (op_first),
    .last_o   (op_last),
    .weights_o(op_weights),
    .pixels_o (op_pixels)
  );

  ps_array u_array (
    .clk_i,
    .rst_ni   (unit_rst_n),
    .valid_i  (op_valid),
    .first_i  (op_first),
    .last_i   (op_last),
    .weights_i(op_weights),
    .pixels_i (op_pixels),
    .loaded_o (array_loaded),
    .shift_i  (array_shift),
    .row_o    (array_row)
  );

  logic [FA_W-1:0] epi_addr;
  logic epi_read, epi_a_read;
  logic [FA_W-1:0] epi_a_addr;
  logic [P_PX-1:0] epi_mask;
  logic [P_PX-1:0][7:0] epi_wdata;
  logic pool_we;
  logic [PA_W-1:0] pool_addr;
  logic [31:0] pool_data;

  ps_epilogue u_epilogue (
    .clk_i,
    .rst_ni            (unit_rst_n),
    .start_i           (conv_start),
    .desc_i            (desc),
    .empty_i           (n_in == '0),
    .busy_o            (epilogue_busy),
    .tile_valid_i      (tile_valid),
    .tile_offset_i     (tile_offset),
    .tile_pixels_i     (tile_pixels),
    .tile_first_i      (tile_first),
    .tile_last_i       (tile_last),
    .tile_end_i        (tile_end),
    .tile_half_i       (tile_half),
    .tile_rows_i       (tile_rows),
    .tile_lane_i       (tile_lane),
    .tile_mode_i       (tile_mode),
    .shadow_free_o     (shadow_free),
    .release_o         (release_half),
    .array_loaded_i    (array_loaded),
    .array_shift_o     (array_shift),
    .array_row_i       (array_row),
    .param_half_o      (row_half),
    .param_row_o       (row_index),
    .param_bias_i      (row_bias),
    .param_multiplier_i(row_multiplier),
    .param_shift_i     (row_shift),
    .param_channel_i   (row_id),
    .mem_read_o        (epi_read),
    .mem_a_read_o      (epi_a_read),
    .mem_a_addr_o      (epi_a_addr),
    .mem_a_rdata_i     (mem_a_data[P_PX-1:0]),
    .mem_addr_o        (epi_addr),
    .mem_mask_o        (epi_mask),
    .mem_wdata_o       (epi_wdata),
    .mem_rdata_i       (mem_b_rdata[P_PX-1:0]),
    .pool_we_o         (pool_we),
    .pool_addr_o       (pool_addr),
    .pool_data_o       (pool_data)
  );

  // ---- gate unit
  logic gmem_we, gate_mem_we;
  logic [GA_W-1:0] gmem_addr;
  logic [63:0] gmem_data;
  logic [FA_W-1:0] gate_mem_addr;
  logic [7:0] gate_mem_data;
  logic [GA_W-2:0] table_addr;
  logic [8*GATE_WORD_BYTES-1:0] table_word;

  ps_gate_unit u_gate_unit (
    .clk_i,
    .rst_ni       (unit_rst_n),
    .start_i      (gate_start),
    .desc_i       (desc),
    .busy_o       (gate_busy),
    .sums_begin_i (conv_start),
    .sums_busy_i  (sums_busy),
    .score_hold_i (score_hold),
    .mem_hold_i   (memory_hold),
    .gmem_we_i    (gmem_we),
    .gmem_addr_i  (gmem_addr),
    .gmem_data_i  (gmem_data),
    .table_read_i (exit_busy),
    .table_addr_i (table_addr),
    .table_word_o (table_word),
    .pool_we_i    (pool_we),
    .pool_addr_i  (pool_addr),
    .pool_data_i  (pool_data),
    .score_mask_o (score_mask),
    .score_addr_o (score_wr_addr),
    .score_data_o (score_wr_data),
    .list_begin_o (list_begin),
    .list_append_o(list_append),
    .list_close_o (list_close),
    .list_o       (list_index),
    .list_id_o    (list_id),
    .list_bound_o (list_new_bound),
    .mem_we_o     (gate_mem_we),
    .mem_addr_o   (gate_mem_addr),
    .mem_data_o   (gate_mem_data)
  );

  // ---- early exits
  logic [FA_W-1:0] exit_rd_addr;

  ps_exit u_exit (
    .clk_i,
    .rst_ni      (unit_rst_n),
    .start_i     (exit_start),
    .desc_i      (desc),
    .busy_o      (exit_busy),
    .taken_o     (exit_taken),
    .mem_addr_o  (exit_rd_addr),
    .mem_data_i  (mem_a_data[0]),
    .table_addr_o(table_addr),
    .table_word_i(table_word)
  );

  // ---- layout copy, loads and stores
  logic [FA_W-1:0] copy_rd_addr, copy_addr, copy_upper, move_rd_addr, move_addr;
  logic [FB-1:0] copy_mask;
  logic [FB-1:0][7:0] copy_data;
  logic [7:0] move_mask;
  logic [7:0][7:0] move_data;
  logic store_beat;
  logic [N_COUNTERS-1:0][31:0] counters;

  ps_copy u_copy (
    .clk_i,
    .rst_ni      (unit_rst_n),
    .start_i     (copy_start && is_copy),
    .desc_i      (desc),
    .out_width_i (out_width),
    .busy_o      (copy_busy),
    .rd_addr_o   (copy_rd_addr),
    .rd_data_i   (mem_a_data[FB-1:0]),
    .wr_addr_o   (copy_addr),
    .wr_upper_o  (copy_upper),
    .wr_mask_o   (copy_mask),
    .wr_data_o   (copy_data)
  );

  logic pool_wide;
  logic [FA_W-1:0] pool_rd_addr, pool_wr_addr;
  logic [FB-1:0] pool_mask;
  logic [FB-1:0][7:0] pool_bytes;

  ps_pool u_pool (
    .clk_i,
    .rst_ni     (unit_rst_n),
    .start_i    (copy_start && is_pool),
    .desc_i     (desc),
    .out_width_i(out_width),
    .busy_o     (pool_busy),
    .rd_wide_o  (pool_wide),
    .rd_addr_o  (pool_rd_addr),
    .rd_data_i  (mem_a_data),
    .wr_addr_o  (pool_wr_addr),
    .wr_mask_o  (pool_mask),
    .wr_data_o  (pool_bytes)
  );

  ps_load_store u_load_store (
    .clk_i,
    .rst_ni        (unit_rst_n),
    .start_i       (move_start),
    .record_i      (record_start),
    .desc_i        (desc),
    .input_i       (image_input),
    .output_i      (image_output),
    .weights_i,
    .counters_i    (counters),
    .busy_o        (move_busy),
    .store_beat_o  (store_beat),
    .rd_req_valid_o(rd_req_valid_o[2]),
    .rd_req_addr_o (rd_req_addr_o[2]),
    .rd_req_beats_o(rd_req_beats_o[2]),
    .rd_req_ready_i(rd_req_ready_i[2]),
    .rd_valid_i    (rd_valid_i[2]),
    .rd_data_i,
    .wr_req_valid_o,
    .wr_req_addr_o,
    .wr_req_beats_o,
    .wr_req_ready_i,
    .wr_valid_o,
    .wr_data_o,
    .wr_ready_i,
    .wr_busy_i,
    .gmem_we_o     (gmem_we),
    .gmem_addr_o   (gmem_addr),
    .gmem_data_o   (gmem_data),
    .mem_mask_o    (move_mask),
    .mem_addr_o    (move_addr),
    .mem_data_o    (move_data),
    .mem_rd_addr_o (move_rd_addr),
    .mem_rd_data_i (mem_a_data[7:0]),
    .score_addr_o  (store_score_addr),
    .score_word_i  (score_word)
  );

  // ---- feature memory: each port is that of the unit that was started last (ps_interlock keeps the
  // others away), which is known a cycle before its first address.  No owner: CONV and DENSE.
  typedef struct packed {
    logic move;
    logic exits;
    logic copy;
    logic pool;
  } owner_t;
  owner_t owner_q;
  logic [FA_W-1:0] mem_a_addr, mem_b_addr, mem_b_upper;
  logic [FB-1:0] mem_b_mask;
  logic [FB-1:0][7:0] mem_b_data;

  always_ff @(posedge clk_i) begin
    if (!unit_rst_n) begin
      owner_q <= '0;
    end else if (move_start || record_start || exit_start || copy_start || conv_start
                 || (gate_start && is_dense)) begin
      owner_q <= '{move: move_start || record_start, exits: exit_start,
                   copy: copy_start && is_copy, pool: copy_start && is_pool};
    end
  end

  always_comb begin
    mem_a_addr = epi_a_read ? epi_a_addr : window_addr;
    if (owner_q.move) mem_a_addr = move_rd_addr;
    if (owner_q.exits) mem_a_addr = exit_rd_addr;
    if (owner_q.copy) mem_a_addr = copy_rd_addr;
    if (owner_q.pool) mem_a_addr = pool_rd_addr;
    mem_b_addr = epi_addr;
    mem_b_data = '0;
    mem_b_data[P_PX-1:0] = epi_wdata;
    if (gate_mem_we) begin
      mem_b_addr = gate_mem_addr;
      mem_b_data[0] = gate_mem_data;
    end
    if (owner_q.move) begin
      mem_b_addr = move_addr;
      mem_b_data[7:0] = move_data;
    end
    if (owner_q.copy) begin
      mem_b_addr = copy_addr;
      mem_b_data = copy_data;
    end
    if (owner_q.pool) begin
      mem_b_addr = pool_wr_addr;
      mem_b_data = pool_bytes;
    end
    mem_b_upper = owner_q.copy ? copy_upper : mem_b_addr;
    // A unit without work has no mask.
    mem_b_mask = FB'(epi_mask) | FB'(gate_mem_we) | FB'(move_mask) | copy_mask | pool_mask;
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!unit_rst_n)
      gate_mem_we |-> epi_mask == '0 && !epi_read && !copy_busy && !pool_busy && !move_busy)
    else $error("ps_core: two units use port B of the feature memory");
  assert property (@(posedge clk_i) disable iff (!unit_rst_n)
      (!move_busy || owner_q.move) && (!exit_busy || owner_q.exits)
      && (!copy_busy || owner_q.copy) && (!pool_busy || owner_q.pool)
      && (move_mask == '0 || owner_q.move) && (copy_mask == '0 || owner_q.copy)
      && (pool_mask == '0 || owner_q.pool)
      && (owner_q == '0 || !(op_pending || epi_mask != '0 || epi_read || epi_a_read || gate_mem_we)))
    else $error("ps_core: a unit uses feature memory that is not its own");

  ps_hazards u_hazards (
    .clk_i,
    .rst_ni         (unit_rst_n),
    .desc_i         (desc),
    .out_pixels_i   (out_pixels),
    .fetch_start_i  (fetch_start),
    .conv_start_i   (conv_start),
    .copy_start_i   (copy_start),
    .move_start_i   (move_start),
    .exit_start_i   (exit_start),
    .fetch_busy_i   (request_busy || response_busy),
    .conv_busy_i    (conv_busy),
    .array_busy_i   (conv_busy || epilogue_busy),
    .copy_busy_i    (copy_busy || pool_busy),
    .move_busy_i    (move_busy),
    .exit_busy_i    (exit_busy),
    .gate_mem_we_i  (gate_mem_we),
    .gate_mem_addr_i(gate_mem_addr),
    .gate_idle_i    (!gate_busy),
    .score_mask_i   (score_mask),
    .score_addr_i   (score_wr_addr),
    .list_write_i   (list_begin || list_append),
    .list_i         (list_index)
  );
`endif

  // A POOL with stride 2 reads 2 * FB bytes: the narrowest mode that gives them, if there is one.
  localparam logic [1:0] WidePool = 2 * FB > WB ? 2'd0 : 2'($clog2(2 * FB / P_PX));

  ps_feature_mem u_feature_mem (
    .clk_i,
    .a_read_i   (owner_q != '0 || op_pending || epi_a_read),
    .a_mode_i   (owner_q.pool ? (pool_wide ? WidePool : 2'd0)
                 : (owner_q != '0 || epi_a_read) ? 2'd0 : window_mode),
    .a_addr_i   (mem_a_addr),
    .a_data_o   (mem_a_data),
    .b_read_i   (epi_read),
    .b_addr_i   (mem_b_addr),
    .b_upper_i  (mem_b_upper),
    .b_mask_i   (mem_b_mask),
    .b_data_i   (mem_b_data),
    .b_data_o   (mem_b_rdata)
  );

  // ---- watchdog: of on-chip work, what each unit does again and again until it is done
  logic [FB-1:0] written_q;
  always_ff @(posedge clk_i) written_q <= mem_b_mask;

  ps_watchdog #(.Cycles(WatchdogCycles)) u_watchdog (
    .clk_i,
    .rst_ni,
    .running_i (running),
    .progress_i(bus_moves_i || step || desc_ready || score_mask != '0 || written_q != '0),
    .hung_o    (hung)
  );

  // ---- counters, a cycle behind everything they count
  typedef struct packed {
    logic            clear;
    logic            running;
    logic            mac;
    logic            weight_wait;
    logic            conv;
    logic            gate;
    logic            copy;
    logic            io;
    logic            weight_beat;
    logic            read_beat;
    logic            write_beat;
    logic            executed;
    logic            skipped;
    logic [CH_W-1:0] channels_executed;
    logic [CH_W-1:0] channels_skipped;
    logic [31:0]     index;
  } events_t;
  events_t events_q;

  always_ff @(posedge clk_i) begin
    events_q <= '{clear: counters_clear, running: running, mac: step, weight_wait: conv_waiting,
                  conv: conv_busy || epilogue_busy, gate: gate_busy || exit_busy,
                  copy: copy_busy || pool_busy, io: move_busy, weight_beat: rd_valid_i[1],
                  read_beat: |rd_valid_i, write_beat: store_beat, executed: executed,
                  skipped: skipped, channels_executed: channels_executed,
                  channels_skipped: channels_skipped, index: exit_pc};
  end

  ps_counters u_counters (
    .clk_i,
    .clear_i            (events_q.clear),
    .running_i          (events_q.running),
    .mac_i              (events_q.mac),
    .weight_wait_i      (events_q.weight_wait),
    .conv_i             (events_q.conv),
    .gate_i             (events_q.gate),
    .copy_i             (events_q.copy),
    .io_i               (events_q.io),
    .weight_beat_i      (events_q.weight_beat),
    .read_beat_i        (events_q.read_beat),
    .write_beat_i       (events_q.write_beat),
    .executed_i         (events_q.executed),
    .skipped_i          (events_q.skipped),
    .channels_executed_i(events_q.channels_executed),
    .channels_skipped_i (events_q.channels_skipped),
    .exit_i             (events_q.index),
    .counters_o         (counters)
  );
endmodule
