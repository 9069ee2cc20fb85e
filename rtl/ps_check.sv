// Legality of a descriptor: opcode, fields, and every range it can touch on chip or in DDR.
//
// A descriptor comes a beat a cycle, and its checks begin with the first: sizes, products, sums and
// comparisons have a register each, and one multiplier takes the products in the order in which their
// factors come (beats_i: how many beats are here).  error_o is valid two cycles after the last beat,
// whatever the gaps between beats are.
// The rules are those of docs/program.md, "Checks"; the golden engine has the same.
// Also gives the derived sizes the units need (out_width_o, out_pixels_o), with its last
// beat at the latest.
module ps_check
  import ps_cfg::*;
  import ps_pkg::*;
(
  input  logic        clk_i,
  /* verilator lint_off UNUSEDSIGNAL */  // modes that cannot be wrong
  input  desc_t       desc_i,
  /* verilator lint_on UNUSEDSIGNAL */
  input  logic [3:0]  beats_i,          // of desc_i that have come; the others are of the one before
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
  // The operation, a cycle after the first beat, before the fields that it says how to read.
  typedef struct packed {
    logic load;
    logic gload;
    logic store;
    logic conv;
    logic gate;
    logic dense;
    logic copy;
    logic pool;
    logic halt;
    logic leave;  // EXIT_IF
  } op_t;
  op_t op_q;
  logic dense_q;  // GATE, DENSE
  assign depthwise = desc_i.variant == CONV_DEPTHWISE;
  assign row_inputs = depthwise ? 16'd1 : desc_i.cin;
  assign dense_q = op_q.gate || op_q.dense;

  always_ff @(posedge clk_i) begin
    op_q <= '{load: desc_i.op == OP_LOAD, gload: desc_i.op == OP_GLOAD, store: desc_i.op == OP_STORE,
              conv: desc_i.op == OP_CONV, gate: desc_i.op == OP_GATE, dense: desc_i.op == OP_DENSE,
              copy: desc_i.op == OP_COPY, pool: desc_i.op == OP_POOL, halt: desc_i.op == OP_HALT,
              leave: desc_i.op == OP_EXIT_IF};
  end

  // ---- sizes
  logic [9:0] out_height_q, out_width_q;
  logic [5:0] taps_q;
  logic [15:0] row_inputs_q;
  /* verilator lint_off UNUSEDSIGNAL */  // the upper bits of a count that is out of range
  logic [15:0] channels_q, src_channels_q, factor_q;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [2:0] lost;

  // A POOL is as wide as K - 2 * pad columns less leave, at its stride.
  function automatic logic [9:0] out_size(logic [9:0] size);
    if (op_q.pool) return ((size - 10'(lost)) >> desc_i.stride2) + 10'd1;
    if (op_q.copy || desc_i.polyphase) return 10'((11'(size) + 11'd1) >> 1);
    return size;
  endfunction

  assign lost = desc_i.kernel[2:0] - {desc_i.pad, 1'b0};

  always_ff @(posedge clk_i) begin
    out_height_q   <= out_size(desc_i.height[9:0]);
    out_width_q    <= out_size(desc_i.width[9:0]);
    taps_q         <= row_taps(desc_i.kernel[2:0], desc_i.w_rows);
    row_inputs_q   <= row_inputs;
    dense_words_q  <= 13'((17'(desc_i.cin) + 17'd15) >> 4) + 13'd1;
    // Without channels there is no range to look at: that is an error, or (cin) nothing is read.
    channels_q     <= desc_i.cout - 16'd1;
    src_channels_q <= ((op_q.copy || op_q.pool) ? desc_i.cout : desc_i.cin) - 16'd1;
    // Of weights: rows or groups before the last one; words of an output of a GATE.
    if (dense_q) factor_q <= desc_i.cout;
    else if (desc_i.w_rows) factor_q <= desc_i.cout - 16'd1;
    else factor_q <= (desc_i.cout - 16'd1) / 16'(P_OC);
  end
  assign out_width_o = out_width_q;

  // ---- products, one a cycle.  A count of channels that is out of range is an error whatever its
  // product is.
  localparam int unsigned CountWidth = $clog2(2 * MAX_CHANNELS) + 1;
  localparam int unsigned FactorWidth = CountWidth > 10 ? CountWidth : 10;  // or of a side
  wide_t pixels_q, out_pixels_q, src_last_q, phases_q, row_weights_q;
  logic [12:0] dense_words_q;
  logic [19:0] scale;
  logic [FactorWidth-1:0] count;
  logic [FactorWidth+19:0] product_q;
  typedef enum logic [2:0] {Pixels, OutPixels, Source, Destination, Weights} product_e;
  product_e product, of_q;  // of_q: product_q is that of

  // The factors of each are there with the beat, and stay until the next descriptor's.
  always_comb begin
    unique case (beats_i)
      4'd3:    product = Pixels;
      4'd4:    product = OutPixels;
      4'd5:    product = Source;
      4'd6:    product = Destination;
      default: product = Weights;
    endcase
    unique case (product)
      Pixels:      {count, scale} = {FactorWidth'(desc_i.height[9:0]), 20'(desc_i.width[9:0])};
      OutPixels:   {count, scale} = {FactorWidth'(out_height_q), 20'(out_width_q)};
      Source: begin
        count = FactorWidth'(src_channels_q[CountWidth-1:0]);
        scale = 20'(desc_i.src_stride[FA_W-1:0]);
      end
      Destination: begin
        count = FactorWidth'(channels_q[CountWidth-1:0]);
        scale = 20'(desc_i.dst_stride[FA_W-1:0]);
      end
      default: begin
        count = FactorWidth'(factor_q[CountWidth-1:0]);
        scale = dense_q ? 20'(dense_words_q) : desc_i.w_stride[19:0];
      end
    endcase
  end

  // x * taps without a multiplier.
  function automatic wide_t times(logic [15:0] x, logic [5:0] taps);
    times = '0;
    for (int unsigned i = 0; i < 6; i++) times = times + (taps[i] ? wide_t'(x) << i : '0);
  endfunction

  always_ff @(posedge clk_i) begin
    of_q          <= product;
    product_q     <= count * scale;
    if (of_q == Pixels) pixels_q <= wide_t'(product_q);
    if (of_q == OutPixels) out_pixels_q <= wide_t'(product_q);
    if (of_q == Source) src_last_q <= wide_t'(product_q);
    phases_q      <= wide_t'(desc_i.phase_stride[FA_W-1:0])
        + (wide_t'(desc_i.phase_stride[FA_W-1:0]) << 1);
    row_weights_q <= times(row_inputs_q, taps_q);
  end
  assign out_pixels_o = out_pixels_q[19:0];

  // ---- sums: what is read and written, and its ends
  function automatic wide_t padded(logic [31:0] length);
    return (wide_t'(length) + wide_t'(7)) & ~wide_t'(7);
  endfunction

  wide_t row_bytes_q, src_plane_q, dst_plane_q, src_size_q, dst_size_q;
  wide_t src_end_q, dst_end_q, group_end_q, weights_end_q, sums_end_q, scores_end_q, listed_q;
  wide_t ddr_end_q, local_end_q, blob_end_q, table_end_q;
  logic [31:0] group_bytes, place, list_base;
  logic [15:0] counted, listed;  // sums; outputs of a GATE that belong to its list
  logic [39:0] group_weights;
  assign group_weights = row_weights_q * P_OC;
  assign group_bytes = 8 * P_OC;
  assign place = op_q.store ? desc_i.src : desc_i.dst;
  assign list_base = op_q.gate ? desc_i.src : '0;
  assign counted = dense_q ? desc_i.cin : desc_i.cout;
  assign listed = desc_i.cout - desc_i.list_from;

  always_ff @(posedge clk_i) begin
    row_bytes_q  <= wide_t'(8) + ((row_weights_q + wide_t'(7)) & ~wide_t'(7));
    if (op_q.conv && desc_i.polyphase) src_plane_q <= phases_q + out_pixels_q;
    else src_plane_q <= op_q.leave ? wide_t'(1) : pixels_q;
    dst_plane_q  <= (op_q.copy ? phases_q : '0) + out_pixels_q;
    src_size_q   <= src_last_q + src_plane_q;
    if (of_q == Destination) dst_size_q <= wide_t'(product_q) + dst_plane_q;
    src_end_q    <= wide_t'(desc_i.src) + src_size_q;
    dst_end_q    <= wide_t'(desc_i.dst) + (dense_q ? wide_t'(desc_i.cout) : dst_size_q);
    // Weights: of one row or group behind those before, or of a GATE behind its parameters.
    if (dense_q) group_end_q <= wide_t'(desc_i.w_addr) + wide_t'(GATE_WORD_BYTES);
    else if (desc_i.w_rows) group_end_q <= wide_t'(desc_i.w_addr) + row_bytes_q;
    else group_end_q <= wide_t'(desc_i.w_addr) + wide_t'(group_bytes) + group_weights;
    weights_end_q <= group_end_q + (dense_q ? wide_t'(product_q) << 4 : wide_t'(product_q));
    sums_end_q   <= wide_t'(desc_i.pool_base) + wide_t'(counted);
    scores_end_q <= wide_t'(desc_i.fold_slot) + (desc_i.fold_channel ? wide_t'(desc_i.cout) : wide_t'(1));
    listed_q     <= wide_t'(list_base) + wide_t'(listed);
    ddr_end_q    <= wide_t'(desc_i.ddr) + padded(desc_i.length);
    local_end_q  <= wide_t'(place) + wide_t'(desc_i.length);
    blob_end_q   <= wide_t'(desc_i.w_addr) + wide_t'(desc_i.length);
    table_end_q  <= wide_t'(desc_i.w_addr) + wide_t'(EXIT_TABLE_BYTES);
  end

  // ---- conditions
  function automatic logic unaligned(logic [31:0] value);
    return (value & 32'd7) != '0;
  endfunction

  function automatic logic bad_list(logic [7:0] list);
    return list != ALL_CHANNELS && 32'(list) >= N_LISTS;
  endfunction

  typedef struct packed {
    logic length;     // LOAD, GLOAD, STORE
    logic target;     // of a jump: HALT, EXIT_IF
    logic backwards;  // EXIT_IF
    logic map;
    logic clamp;
    logic phase;
    logic window;     // POOL
    logic cin;        // none, or too many
    logic many_in;
    logic cout;
    logic outputs;    // GATE, DENSE
    logic lists;
    logic gate;       // fields that only GATE and DENSE have
    logic stop;       // GATE
    logic conv;       // fields that only CONV has
    logic stride;     // of the weights
    logic row;        // of one output channel
    logic entries;    // CONV: bytes of none or a whole one
    logic record;     // no room for the counters
    logic none;       // no input channels
    logic copy;       // rows of a COPY
    logic ddr;        // unaligned: LOAD, STORE
    logic scores;     // unaligned: STORE of scores
    logic gload;      // unaligned: GLOAD; of its table
    logic entry;      // unaligned: table of an EXIT_IF
  } fields_t;
  fields_t bad_d, bad_q;
  logic bad_kernel, big_average;

  assign bad_kernel = desc_i.kernel == '0 || desc_i.kernel[3]
      || {1'b0, desc_i.pad, 1'b0} >= desc_i.kernel;
  assign big_average = desc_i.average && (desc_i.kernel == 4'd1 || desc_i.w_addr[31:16] == '0
      || desc_i.w_addr[31:16] > 16'd47);

  always_comb begin
    bad_d.length    = desc_i.length == '0 || desc_i.length > MAX_LENGTH;
    bad_d.target    = desc_i.length >= n_descriptors_i;
    bad_d.backwards = desc_i.length <= index_i;
    bad_d.map       = desc_i.height == '0 || desc_i.height > 16'd1023
        || desc_i.width == '0 || desc_i.width > 16'd1023;
    bad_d.clamp     = desc_i.clamp_lo > desc_i.clamp_hi;
    bad_d.phase     = 32'(desc_i.phase_stride) >= FMEM || wide_t'(desc_i.phase_stride) < out_pixels_q
        || desc_i.phase_stride[$clog2(FB)-1:0] != ($clog2(FB))'(FB / 2);
    bad_d.window    = bad_kernel || big_average
        || 17'(desc_i.kernel) > 17'(desc_i.height) + 17'({desc_i.pad, 1'b0})
        || 17'(desc_i.kernel) > 17'(desc_i.width) + 17'({desc_i.pad, 1'b0});
    bad_d.many_in   = desc_i.cin > CHANNELS;
    bad_d.cin       = desc_i.cin == '0 || desc_i.cin > CHANNELS;
    bad_d.cout      = desc_i.cout == '0 || desc_i.cout > CHANNELS;
    bad_d.outputs   = desc_i.cout == '0 || desc_i.cout > 2 * CHANNELS - 16'd1;
    bad_d.lists     = bad_list(desc_i.in_list) || bad_list(desc_i.out_list);
    bad_d.gate      = desc_i.w_addr[3:0] != '0 || desc_i.list_from > desc_i.cout
        || bad_list(desc_i.out_list) || listed_q > wide_t'(CHANNELS);
    bad_d.stop      = desc_i.variant > (op_q.gate ? GATE_SIGMOID : GATE_STOPS)
        || (desc_i.variant == GATE_STOPS && desc_i.list_from == '0)
        || (desc_i.variant == GATE_SIGMOID && desc_i.gate_kind);
    bad_d.conv      = !desc_i.kernel[0] || desc_i.kernel[3] || desc_i.variant > CONV_DEPTHWISE
        || (depthwise && (desc_i.cin != desc_i.cout || desc_i.in_list != ALL_CHANNELS))
        || (!desc_i.w_rows && desc_i.out_list != ALL_CHANNELS);
    bad_d.stride    = unaligned(desc_i.w_addr) || unaligned(desc_i.w_stride)
        || desc_i.w_stride[31:20] != '0
        || (desc_i.w_rows && wide_t'(desc_i.w_stride) != row_bytes_q);
    bad_d.row       = row_weights_q > wide_t'(WBUF_BYTES);
    bad_d.record    = output_stride_i < 32'(4 * N_COUNTERS);
    bad_d.none      = desc_i.cin == '0;
    bad_d.entries   = desc_i.length != '0 && desc_i.length != TABLE_BYTES;
    bad_d.copy      = desc_i.variant > COPY_ODD
        || (desc_i.variant == COPY_ODD && desc_i.height == 16'd1);
    bad_d.ddr       = unaligned(desc_i.ddr);
    bad_d.scores    = desc_i.from_scores && unaligned(desc_i.src);
    bad_d.gload     = unaligned(desc_i.length) || unaligned(desc_i.dst) || unaligned(desc_i.w_addr)
        || desc_i.variant > GLOAD_TABLE
        || (desc_i.variant == GLOAD_TABLE && desc_i.length != TABLE_BYTES);
    bad_d.entry     = desc_i.w_addr[3:0] != '0;
  end

  typedef struct packed {
    logic src;      // feature memory that is read
    logic dst;      // ... that is written; GATE: scores
    logic strides;
    logic blob;     // weights of a CONV
    logic gate;     // weights of a GATE, the table of an EXIT_IF
    logic sums;
    logic folds;
    logic ddr;      // LOAD, STORE
    logic place;    // LOAD, GLOAD, STORE
    logic load;     // GLOAD: weights
    logic pred;
  } ends_t;
  ends_t far_d, far_q;

  function automatic logic past(wide_t last, logic [31:0] limit);
    return last > wide_t'(limit);
  endfunction

  logic [31:0] place_size, ddr_size;
  always_comb begin
    place_size = FMEM;
    if (op_q.gload) place_size = GMEM;
    if (op_q.store && desc_i.from_scores) place_size = SCORES;
    ddr_size = op_q.load ? input_stride_i : output_stride_i;
    far_d.src     = past(src_end_q, FMEM);
    far_d.dst     = past(dst_end_q, op_q.gate ? SCORES : FMEM);
    far_d.strides = desc_i.src_stride >= FMEM
        || (desc_i.dst_stride >= FMEM && !op_q.leave);
    far_d.blob    = past(weights_end_q, weight_bytes_i);
    far_d.gate    = past(dense_q ? weights_end_q : table_end_q, GMEM);
    far_d.sums    = past(sums_end_q, POOL);
    far_d.folds   = past(scores_end_q, SCORES);
    far_d.ddr     = past(ddr_end_q, ddr_size);
    far_d.place   = past(local_end_q, place_size);
    far_d.load    = past(blob_end_q, weight_bytes_i);
    far_d.pred    = desc_i.pred_en && 32'(desc_i.pred_slot) >= SCORES;
  end

  // ---- what counts for which operation
  logic opcode, field, bounds;

  always_ff @(posedge clk_i) begin
    bad_q <= bad_d;
    far_q <= far_d;
  end

  always_comb begin
    opcode = op_q == '0;
    field  = (op_q.load && (bad_q.length || bad_q.ddr))
        || (op_q.gload && (bad_q.length || bad_q.gload))
        || (op_q.store && (bad_q.length || bad_q.ddr || bad_q.scores))
        || (op_q.conv && (bad_q.conv || bad_q.many_in || bad_q.cout || bad_q.map || bad_q.lists
            || bad_q.stride || bad_q.row || bad_q.entries || (desc_i.polyphase && bad_q.phase) || bad_q.clamp))
        || (dense_q && (bad_q.cin || bad_q.outputs || bad_q.gate || bad_q.stop))
        || (op_q.dense && bad_q.clamp)
        || (op_q.copy && (bad_q.cout || bad_q.map || bad_q.phase || bad_q.copy))
        || (op_q.pool && (bad_q.cout || bad_q.map || bad_q.window || bad_q.clamp))
        || (op_q.halt && bad_q.target)
        || (op_q.leave && (bad_q.cin || bad_q.entry || bad_q.backwards
            || bad_q.target));
    bounds = far_q.pred
        || (op_q.load && (far_q.ddr || far_q.place))
        || (op_q.gload && (far_q.load || far_q.place))
        || (op_q.store && (far_q.ddr || far_q.place))
        || (op_q.conv && (far_q.strides || (desc_i.fold_en && far_q.folds)
            || (desc_i.pool_en && far_q.sums) || (!bad_q.none && far_q.src) || far_q.dst
            || far_q.blob))
        || (dense_q && (far_q.sums || far_q.gate || far_q.dst))
        || ((op_q.copy || op_q.pool) && (far_q.strides || far_q.src || far_q.dst))
        || (op_q.halt && bad_q.record)
        || (op_q.leave && (far_q.strides || far_q.src || far_q.gate));
  end

  assign error_o = opcode ? ERR_OPCODE : field ? ERR_FIELD : bounds ? ERR_BOUNDS : ERR_NONE;
endmodule
