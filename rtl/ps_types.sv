// Bundles: what goes from one unit of the core to another, one port each.
package ps_types;
  import ps_cfg::*;
  import ps_pkg::*;

  // ---- runs and descriptors

  // Arguments of a run, as the host wrote them: the same from its start to its end.
  typedef struct packed {
    logic [63:0] program_at;  // byte addresses of the buffers
    logic [63:0] weights_at;
    logic [63:0] input_at;
    logic [63:0] output_at;
    logic [31:0] n_descriptors;
    logic [31:0] n_images;
    logic [31:0] input_stride;  // bytes from one image's record to the next
    logic [31:0] output_stride;
    logic [31:0] weight_bytes;
    logic [31:0] config_hash;
  } run_t;

  // Pulses: the descriptor's unit starts, and latches it.
  typedef struct packed {
    logic fetch;   // of a CONV's weights
    logic conv;
    logic copy;    // COPY, POOL
    logic gate;    // GATE, DENSE
    logic exits;   // EXIT_IF
    logic move;    // LOAD, GLOAD, STORE
    logic record;  // of the counters
  } starts_t;

  // What still runs.
  typedef struct packed {
    logic fetch;
    logic conv;    // a CONV issues steps
    logic drain;   // its epilogue is at work
    logic copy;
    logic pool;
    logic gate;    // GATE, DENSE
    logic exits;   // EXIT_IF
    logic move;    // LOAD, GLOAD, STORE, record
  } busy_t;

  // What became of a descriptor.
  typedef struct packed {
    logic            executed;  // pulse
    logic            skipped;   // pulse
    logic [CH_W-1:0] channels_executed;
    logic [CH_W-1:0] channels_skipped;
  } outcome_t;

  // What is counted in a cycle.
  typedef struct packed {
    logic        clear;  // the record begins: the counts so far are handed out
    logic        running;
    logic        mac;
    logic        weight_wait;
    logic        conv;  // a convolution is at work
    logic        gate;
    logic        copy;
    logic        io;
    logic        weight_beat;
    logic        read_beat;
    logic        write_beat;
    outcome_t    outcome;
    logic [31:0] index;  // of the descriptor
  } events_t;

  // ---- outer memory

  // A read or write of whole beats; it stands until it is taken (ready).
  typedef struct packed {
    logic        valid;
    logic [63:0] addr;
    logic [15:0] beats;
  } mem_request_t;

  // ---- feature memory

  // Port A: a window of P_PX << mode bytes.
  typedef struct packed {
    logic            read;
    logic [1:0]      mode;
    logic [FA_W-1:0] addr;
  } window_t;

  // Port B: lane i of the first byte's window.
  typedef struct packed {
    logic               read;
    logic [FA_W-1:0]    addr;
    logic [FB-1:0]      mask;  // lanes that are written
    logic [FB-1:0][7:0] data;
  } access_t;

  // ---- weights

  // A group of output channels whose weights are asked for.
  typedef struct packed {
    logic             valid;  // pulse
    logic [ROW_W-1:0] rows;
    logic             last;
    logic [15:0]      beats;  // of the whole group, parameters included
  } group_t;

  // A row of a group in row layout.
  typedef struct packed {
    logic            valid;  // pulse
    logic [CH_W-1:0] channel;
  } row_t;

  // A group whose weights are there; it stands until it is taken (ready).
  typedef struct packed {
    logic             valid;
    logic [ROW_W-1:0] rows;
    logic             last;
  } token_t;

  // Eight bytes of each row of the weight buffer.
  typedef struct packed {
    logic [P_OC-1:0]       rows;   // that are written
    logic                  half;
    logic [WA_W-4:0]       word;
    logic [7:0]            bytes;  // of the word, that are written
    logic [P_OC-1:0][63:0] data;
  } weight_write_t;

  // A row's place in the parameters.
  typedef struct packed {
    logic             half;
    logic [ROW_W-2:0] row;
  } place_t;

  // Parameters of an output channel, as they come.
  typedef struct packed {
    logic            valid;
    place_t          place;
    logic [CH_W-1:0] channel;
    param_t          param;
  } param_write_t;

  // How scores are folded into the multipliers.
  typedef struct packed {
    logic            enable;
    logic            by_channel;  // slot + channel, else slot
    logic [SA_W-1:0] slot;
  } fold_t;

  // Parameters of a row, the score in its multiplier.
  typedef struct packed {
    logic signed [31:0] bias;
    logic [15:0]        multiplier;
    logic [5:0]         shift;
    logic [CH_W-1:0]    channel;
  } scale_t;

  // ---- convolution

  // A step of the array.
  typedef struct packed {
    logic             valid;
    logic             first;  // of its tile
    logic             last;
    logic [1:0]       mode;   // shape of the array: P_OC >> mode rows
    logic [ROW_W-2:0] lane;   // first row of the pass within the group
    logic [WB-1:0]    mask;   // lanes on the map
  } mac_t;

  // A tile, with its last step.
  typedef struct packed {
    logic             valid;  // pulse
    logic [FA_W-1:0]  offset;
    logic [PX_W-1:0]  pixels;
    logic             first;  // of its pass
    logic             last;
    logic             ends;   // last of its group
    logic             half;   // of weights and parameters
    logic [ROW_W-1:0] rows;
    logic [ROW_W-2:0] lane;
    logic [1:0]       mode;
  } tile_t;

  // A channel's sum.
  typedef struct packed {
    logic            valid;
    logic [PA_W-1:0] addr;
    logic [31:0]     data;
  } sum_write_t;

  // ---- gates

  // Eight bytes of the gate memory.
  typedef struct packed {
    logic            valid;
    logic [GA_W-1:0] addr;
    logic [63:0]     data;
  } gate_write_t;

  // Eight bytes of the table of activations.
  typedef struct packed {
    logic            valid;
    logic [$clog2(TABLE_BYTES)-4:0] word;
    logic [7:0][7:0] data;
  } table_write_t;

  // The same score to some bytes of a word.
  typedef struct packed {
    logic [7:0]      mask;  // bytes of the word of addr
    logic [SA_W-1:0] addr;
    logic [7:0]      data;
  } score_write_t;

  // A survivor list in the making.
  typedef struct packed {
    logic            begins;  // pulses
    logic            append;
    logic            closes;
    logic [LI_W-1:0] list;
    logic [CH_W-2:0] id;      // of the channel that is appended
    logic [CH_W-1:0] bound;   // channels it was made for
  } list_write_t;

  localparam int unsigned GATE_VECTOR_W = (MAX_CHANNELS > GATE_WORD_BYTES)
      ? $clog2(MAX_CHANNELS / GATE_WORD_BYTES) : 1;  // address of a word of the vector
  localparam int unsigned GATE_PASS_W = GATE_VECTOR_W + 1;  // passes: parameters, then a word each

  // A GATE or DENSE: what its descriptor says.
  typedef struct packed {
    logic                   dense;
    logic                   binary;
    logic                   sigmoid;
    logic                   src_signed;
    logic                   listed;
    logic                   stop;          // outputs before `from` decide
    logic                   one;           // a single output: of all,
    logic                   one_ahead;     // before `from`,
    logic                   one_rest;      // from there on
    logic [LI_W-1:0]        list;
    logic [CH_W:0]          cout;
    logic [CH_W:0]          from;          // first output of the list
    logic [CH_W-1:0]        cin;
    logic [CH_W-1:0]        last_element;
    logic [CH_W-1:0]        list_base;     // channel of the list's first output: 0 begins it
    logic [SA_W-1:0]        score_dst;
    logic [FA_W-1:0]        mem_dst;
    logic signed [15:0]     lo;
    logic signed [15:0]     hi;
    logic [PA_W-1:0]        pool_base;
    logic [GATE_PASS_W-1:0] last_pass;
  } gate_job_t;

  // One output in one pass.
  typedef struct packed {
    logic          valid;
    logic          param;  // pass of the parameters
    logic          last;   // pass: a result
    logic [CH_W:0] out;
  } gate_item_t;

  // What a GATE or DENSE is at.
  typedef struct packed {
    logic head;   // parameters of the vector are read
    logic run;    // passes
    logic drain;  // results are on their way
    logic fill;   // zeros instead of the other scores
  } gate_phase_t;

  // A multiplier and its shift.
  typedef struct packed {
    logic [5:0]  shift;
    logic [15:0] multiplier;
  } factor_t;
endpackage
