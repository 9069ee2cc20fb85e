// Legality of a descriptor: opcode, fields, and every range it can touch on chip or in DDR.
//
// error_o is valid two cycles after desc_i and the sizes are stable: products are registered first,
// then compared.  The rules are those of docs/program.md, "Checks"; the golden engine has the same.
// Also gives the derived sizes the units need (out_width_o, out_pixels_o, after one cycle).
module ps_check
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic        clk_i,
  /* verilator lint_off UNUSEDSIGNAL */  // modes that cannot be wrong
  input  desc_t       desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [31:0] input_stride_i,
  input  logic [31:0] output_stride_i,
  input  logic [31:0] weight_bytes_i,
  input  logic [31:0] n_descriptors_i,
  input  logic [31:0] index_i,          // of desc_i in the program
  output logic [9:0]  out_width_o,
  output logic [19:0] out_pixels_o,
  output logic [31:0] error_o
);
  localparam logic [31:0] FMEM = FMEM_BYTES;
  localparam logic [31:0] SCORES = SCORE_DEPTH;
  localparam logic [31:0] GMEM = GATE_MEM_BYTES;
  localparam logic [31:0] POOL = POOL_DEPTH;
  localparam logic [15:0] CHANNELS = 16'(MAX_CHANNELS);
  // Wide enough that no sum below wraps: fields of 32 bits, products of at most 37.
  typedef logic [39:0] wide_t;

  // A depthwise convolution has weights of one input channel for each output channel.
  logic depthwise;
  logic [15:0] row_inputs;
  assign depthwise = desc_i.variant[0];
  assign row_inputs = depthwise ? 16'd1 : desc_i.cin;

  // ---- stage 1: products
  logic halved;
  logic [9:0] out_height, out_width;
  logic [5:0] taps;
  wide_t pixels_q, out_pixels_q, src_last_q, dst_last_q, phases_q;
  wide_t row_weights_q, group_weights_q, blob_last_q, dense_q;
  logic [15:0] groups;

  // A POOL is as wide as K - 2 * pad columns less leave, at its stride.
  logic pool;
  logic [9:0] pool_height, pool_width;
  logic [2:0] lost;
  assign pool = desc_i.op == OP_POOL;
  assign lost = desc_i.kernel[2:0] - {desc_i.pad, 1'b0};
  assign pool_height = ((desc_i.height[9:0] - 10'(lost)) >> desc_i.stride2) + 10'd1;
  assign pool_width = ((desc_i.width[9:0] - 10'(lost)) >> desc_i.stride2) + 10'd1;

  assign halved = desc_i.op == OP_COPY || desc_i.polyphase;
  assign out_height = pool ? pool_height : halved ? 10'((11'(desc_i.height[9:0]) + 11'd1) >> 1) : desc_i.height[9:0];
  assign out_width = pool ? pool_width : halved ? 10'((11'(desc_i.width[9:0]) + 11'd1) >> 1) : desc_i.width[9:0];
  assign taps = row_taps(desc_i.kernel[2:0], desc_i.w_rows);
  assign groups = 16'((17'(desc_i.cout) + 17'(P_OC - 1)) / 17'(P_OC));

  function automatic logic [15:0] less_one(logic [15:0] count);
    return count == '0 ? '0 : count - 16'd1;
  endfunction

  always_ff @(posedge clk_i) begin
    out_width_o     <= out_width;
    pixels_q        <= desc_i.height[9:0] * desc_i.width[9:0];
    out_pixels_q    <= out_height * out_width;
    src_last_q      <= less_one((desc_i.op == OP_COPY || pool) ? desc_i.cout : desc_i.cin)
        * desc_i.src_stride[FA_W-1:0];
    dst_last_q      <= less_one(desc_i.cout) * desc_i.dst_stride[FA_W-1:0];
    phases_q        <= 2'd3 * desc_i.phase_stride[FA_W-1:0];
    row_weights_q   <= row_inputs * taps;
    group_weights_q <= row_inputs * taps * P_OC;
    blob_last_q     <= less_one(desc_i.w_rows ? desc_i.cout : groups) * desc_i.w_stride[19:0];
    dense_q         <= desc_i.cout * wide_t'({13'(((17'(desc_i.cin) + 17'd15) >> 4) + 17'd1), 4'd0});
  end
  assign out_pixels_o = out_pixels_q[19:0];

  // ---- stage 2: comparisons
  function automatic logic too_far(logic [31:0] base, wide_t size, logic [31:0] limit);
    return wide_t'(base) + size > wide_t'(limit);
  endfunction

  function automatic logic unaligned(logic [31:0] value);
    return (value & 32'd7) != '0;
  endfunction

  function automatic logic bad_list(logic [7:0] list);
    return list != ALL_CHANNELS && 32'(list) >= N_LISTS;
  endfunction

  function automatic wide_t padded(logic [31:0] length);
    return (wide_t'(length) + wide_t'(7)) & ~wide_t'(7);
  endfunction

  logic bad_length, bad_map, bad_clamp, bad_phase, bad_window, far_stride, opcode, field, bounds;
  logic [15:0] listed;  // outputs of a GATE that belong to its list
  wide_t row_bytes;
  assign listed = desc_i.cout - desc_i.list_from;
  assign bad_length = desc_i.length == '0 || desc_i.length > MAX_LENGTH;
  assign bad_clamp = desc_i.clamp_lo > desc_i.clamp_hi;
  assign bad_map = desc_i.height == '0 || desc_i.height > 16'd1023
      || desc_i.width == '0 || desc_i.width > 16'd1023;
  assign bad_phase = desc_i.phase_stride >= FMEM || wide_t'(desc_i.phase_stride) < out_pixels_q
      || desc_i.phase_stride[$clog2(FB)-1:0] != ($clog2(FB))'(FB / 2);
  assign bad_window = desc_i.kernel == '0 || desc_i.kernel[3]
      || {1'b0, desc_i.pad, 1'b0} >= desc_i.kernel
      || 17'(desc_i.kernel) > 17'(desc_i.height) + 17'({desc_i.pad, 1'b0})
      || 17'(desc_i.kernel) > 17'(desc_i.width) + 17'({desc_i.pad, 1'b0})
      || (desc_i.average && (desc_i.kernel == 4'd1 || desc_i.w_addr[31:16] == '0
                             || desc_i.w_addr[31:16] > 16'd47));
  assign far_stride = desc_i.src_stride >= FMEM || desc_i.dst_stride >= FMEM;
  assign row_bytes = wide_t'(8) + ((row_weights_q + wide_t'(7)) & ~wide_t'(7));

  always_comb begin
    opcode = 1'b0;
    field  = 1'b0;
    bounds = desc_i.pred_en && 32'(desc_i.pred_slot) >= SCORES;
    unique case (desc_i.op)
      OP_LOAD: begin
        field  = bad_length || unaligned(desc_i.ddr);
        bounds = bounds || too_far(desc_i.ddr, padded(desc_i.length), input_stride_i)
            || too_far(desc_i.dst, wide_t'(desc_i.length), FMEM);
      end
      OP_GLOAD: begin
        field  = bad_length || unaligned(desc_i.length) || unaligned(desc_i.dst)
            || unaligned(desc_i.w_addr);
        bounds = bounds || too_far(desc_i.w_addr, wide_t'(desc_i.length), weight_bytes_i)
            || too_far(desc_i.dst, wide_t'(desc_i.length), GMEM);
      end
      OP_STORE: begin
        field  = bad_length || unaligned(desc_i.ddr)
            || (desc_i.from_scores && unaligned(desc_i.src));
        bounds = bounds || too_far(desc_i.ddr, padded(desc_i.length), output_stride_i)
            || too_far(desc_i.src, wide_t'(desc_i.length), desc_i.from_scores ? SCORES : FMEM);
      end
      OP_CONV: begin
        field = !desc_i.kernel[0] || desc_i.kernel[3] || desc_i.cin > CHANNELS
            || desc_i.cout == '0 || desc_i.cout > CHANNELS || bad_map
            || bad_list(desc_i.in_list) || bad_list(desc_i.out_list) || desc_i.variant[1]
            || (depthwise && (desc_i.cin != desc_i.cout || desc_i.in_list != ALL_CHANNELS))
            || (!desc_i.w_rows && desc_i.out_list != ALL_CHANNELS)
            || unaligned(desc_i.w_addr) || unaligned(desc_i.w_stride)
            || desc_i.w_stride[31:20] != '0
            || row_weights_q > wide_t'(WBUF_BYTES)
            || (desc_i.w_rows && wide_t'(desc_i.w_stride) != row_bytes)
            || (desc_i.polyphase && bad_phase) || bad_clamp;
        bounds = bounds || far_stride
            || (desc_i.fold_en && too_far(32'(desc_i.fold_slot),
                desc_i.fold_channel ? wide_t'(desc_i.cout) : wide_t'(1), SCORES))
            || (desc_i.pool_en && too_far(32'(desc_i.pool_base), wide_t'(desc_i.cout), POOL))
            || (desc_i.cin != '0 && too_far(desc_i.src, src_last_q
                + (desc_i.polyphase ? phases_q + out_pixels_q : pixels_q), FMEM))
            || too_far(desc_i.dst, dst_last_q + out_pixels_q, FMEM)
            || too_far(desc_i.w_addr, blob_last_q + (desc_i.w_rows ? row_bytes
                : wide_t'(8 * P_OC) + group_weights_q), weight_bytes_i);
      end
      OP_GATE, OP_DENSE: begin
        field = desc_i.cin == '0 || desc_i.cin > CHANNELS || desc_i.cout == '0
            || desc_i.cout > 2 * CHANNELS - 16'd1 || bad_list(desc_i.out_list)
            || desc_i.w_addr[3:0] != '0 || desc_i.list_from > desc_i.cout
            || too_far(desc_i.op == OP_GATE ? desc_i.src : '0, wide_t'(listed), 32'(CHANNELS))
            || desc_i.variant > (desc_i.op == OP_GATE ? 2'd2 : 2'd1)
            || (desc_i.variant == 2'd1 && desc_i.list_from == '0)
            || (desc_i.variant == 2'd2 && desc_i.gate_kind)
            || (desc_i.op == OP_DENSE && bad_clamp);
        bounds = bounds || too_far(32'(desc_i.pool_base), wide_t'(desc_i.cin), POOL)
            || too_far(desc_i.w_addr, wide_t'(GATE_WORD_BYTES) + dense_q, GMEM)
            || too_far(desc_i.dst, wide_t'(desc_i.cout), desc_i.op == OP_GATE ? SCORES : FMEM);
      end
      OP_COPY: begin
        field  = desc_i.cout == '0 || desc_i.cout > CHANNELS || bad_map || bad_phase
            || desc_i.variant == 2'd3 || (desc_i.variant == 2'd2 && desc_i.height == 16'd1);
        bounds = bounds || far_stride || too_far(desc_i.src, src_last_q + pixels_q, FMEM)
            || too_far(desc_i.dst, dst_last_q + phases_q + out_pixels_q, FMEM);
      end
      OP_POOL: begin
        field  = desc_i.cout == '0 || desc_i.cout > CHANNELS || bad_map || bad_window || bad_clamp;
        bounds = bounds || far_stride || too_far(desc_i.src, src_last_q + pixels_q, FMEM)
            || too_far(desc_i.dst, dst_last_q + out_pixels_q, FMEM);
      end
      OP_HALT: begin
        field  = desc_i.length >= n_descriptors_i;
        bounds = bounds || output_stride_i < 32'(4 * N_COUNTERS);
      end
      OP_EXIT_IF: begin
        field  = desc_i.cin == '0 || desc_i.cin > CHANNELS || desc_i.w_addr[3:0] != '0
            || desc_i.length <= index_i || desc_i.length >= n_descriptors_i;
        bounds = bounds || desc_i.src_stride >= FMEM
            || too_far(desc_i.src, src_last_q + wide_t'(1), FMEM)
            || too_far(desc_i.w_addr, wide_t'(EXIT_TABLE_BYTES), GMEM);
      end
      default: opcode = 1'b1;
    endcase
  end

  assign error_o = opcode ? ERR_OPCODE : field ? ERR_FIELD : bounds ? ERR_BOUNDS : ERR_NONE;
endmodule
