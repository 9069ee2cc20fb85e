// Sizes of the formal tasks that need a configuration: few channels, everything else small.

/* verilator lint_off DECLFILENAME */  // the package every unit imports
package ps_cfg;
  localparam int unsigned P_OC = 2;
  localparam int unsigned P_PX = 4;
  localparam int unsigned FB = 8;
  localparam int unsigned WB = 8;
  localparam int unsigned MODES = 2;
  localparam int unsigned FMEM_BYTES = 64;
  localparam int unsigned WBUF_BYTES = 64;
  localparam int unsigned GATE_MEM_BYTES = 256;
  localparam int unsigned SCORE_DEPTH = 32;
  localparam int unsigned MAX_CHANNELS = 16;
  localparam int unsigned N_LISTS = 2;
  localparam int unsigned POOL_DEPTH = 16;
  localparam int unsigned MAX_OUTSTANDING = 4;
  localparam int unsigned TAPS_PER_BEAT = 4;
  localparam int unsigned BEATS_PER_TAP = 1;
  localparam int unsigned MACS_PER_DSP = 1;
  localparam int unsigned FA_W = $clog2(FMEM_BYTES);
  localparam int unsigned CH_W = $clog2(MAX_CHANNELS) + 1;
  localparam int unsigned WA_W = $clog2(WBUF_BYTES);
  localparam int unsigned GA_W = $clog2(GATE_MEM_BYTES / 8);
  localparam int unsigned SA_W = $clog2(SCORE_DEPTH);
  localparam int unsigned PA_W = $clog2(POOL_DEPTH);
  localparam int unsigned LI_W = $clog2(N_LISTS);
  localparam int unsigned ROW_W = $clog2(P_OC) + 1;
  localparam int unsigned PX_W = $clog2(WB) + 1;
  localparam logic [31:0] CONFIG_HASH = 32'h0000_F0A1;

  function automatic logic [5:0] row_taps(logic [2:0] kernel, logic w_rows);
    logic [5:0] taps;
    taps = 6'(kernel) * 6'(kernel);
    return w_rows ? taps : 6'((32'(taps) + TAPS_PER_BEAT - 1) / TAPS_PER_BEAT * TAPS_PER_BEAT);
  endfunction
endpackage
/* verilator lint_on DECLFILENAME */
