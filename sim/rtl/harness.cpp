// Drives one Verilated core (class Vcore) from C functions that engine.py calls through ctypes:
// its clock, its registers and what ends a run.  memory.h is what it reads and writes, rules.h what
// it has to keep to, ps_host.h (generated) what a host must know of it.
//
// Verilator renames the port `interrupt` to __SYM__interrupt (a reserved word to it).
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "Vcore.h"
#include "memory.h"
#include "ps_host.h"
#include "records.h"
#include "rules.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

namespace {

constexpr uint64_t kZero = ~0ull;  // seed of a core whose memories start at zero

// Set by Verilator's stop hook (a failed assertion): the model has no handle to its owner there.
std::string g_stop;

class Core {
 public:
  Core(uint64_t seed, bool assertions)
      : context_(context(seed)), model_(new Vcore(context_.get(), "core")), assertions_(assertions) {
    model_->ap_clk = 0;
    model_->ap_rst_n = 0;
    model_->s_axi_control_awvalid = model_->s_axi_control_wvalid = 0;
    model_->s_axi_control_arvalid = 0;
    model_->s_axi_control_bready = model_->s_axi_control_rready = 1;
    memory_.clear();
  }

  ~Core() {
#if VM_TRACE
    if (trace_) trace_->close();
#endif
    model_->final();
  }

  // Takes over memory, stalls and faults; resets if asked.  The caller's register accesses do the
  // rest: a host that is simulated register by register (bus.py).
  void attach(const PsRun& run) {
    run_ = run;
    result_ = PsResult{};
    memory_.attach();
    g_stop.clear();
    open_trace(run.vcd);
    if (run.reset || cycle_ == 0) {
      model_->ap_rst_n = 0;
      memory_.clear();
      context_->assertOn(false);  // nothing holds before the reset has been seen
      for (int i = 0; i < 8; i++) tick();
      context_->assertOn(assertions_);
      model_->ap_rst_n = 1;
      tick();
    }
  }

  // Resets if asked, writes the arguments, starts.
  void start(const PsRun& run) {
    attach(run);
    write_register(PS_REG_GIER, 1);
    write_register(PS_REG_IER, 1);  // done
    write_pointer(PS_REG_PROGRAM, run.program.base);
    write_pointer(PS_REG_WEIGHTS, run.weights.base);
    write_pointer(PS_REG_INPUT, run.input.base);
    write_pointer(PS_REG_OUTPUT, run.output.base);
    write_register(PS_REG_N_DESCRIPTORS, run.n_descriptors);
    write_register(PS_REG_N_IMAGES, run.n_images);
    write_register(PS_REG_INPUT_STRIDE, run.input_stride);
    write_register(PS_REG_OUTPUT_STRIDE, run.output_stride);
    write_register(PS_REG_WEIGHT_BYTES, run.weight_bytes);
    write_register(PS_REG_CONFIG_HASH, run.config_hash);
    start_cycle_ = cycle_;
    write_register(PS_REG_AP_CTRL, PS_AP_START);
  }

  // Runs `cycles` more, or to the end of the run.
  void step(uint64_t cycles) {
    if (result_.status != kRunning) return;
    const uint64_t end = cycle_ + cycles;
    while (cycle_ < end) {
      tick();
      if (__builtin_expect(model_->__SYM__interrupt, 0)) return finish();
      if (__builtin_expect(!g_stop.empty(), 0)) return stop(kStopped);
      if (__builtin_expect(cycle_ - start_cycle_ >= run_.max_cycles, 0)) return stop(kTimeout);
    }
    result_.cycles = cycle_ - start_cycle_;
  }

  // Register accesses of a simulated host, each a few cycles; `run` lets up to `cycles` pass and
  // returns at once when the interrupt is high.  `host`: byte enables of its writes, and cycles that
  // it lets every answer wait.
  void poke(uint8_t offset, uint32_t value) { write_register(offset, value); }
  uint32_t peek(uint8_t offset) { return read_register(offset); }
  void host(uint8_t strobe, uint32_t patience) {
    strobe_ = strobe;
    patience_ = patience;
  }
  bool run(uint64_t cycles) {
    for (uint64_t i = 0; i < cycles && !model_->__SYM__interrupt && g_stop.empty(); i++) tick();
    if (!g_stop.empty()) note_stop();
    result_.cycles = cycle_;
    return model_->__SYM__interrupt;
  }

  const PsResult& result() const { return result_; }
  const std::vector<uint64_t>& log() const { return memory_.log(); }

 private:
  static VerilatedContext* context(uint64_t seed) {
    auto* context = new VerilatedContext;
    // What is not reset starts random: nothing may depend on it.  Zero only where that is asked for.
    context->randReset(seed == kZero ? 0 : 2);
    context->randSeed(int(seed % 0x7FFFFFFF) + 1);
#if VM_TRACE
    context->traceEverOn(true);
#endif
    g_stop.clear();
    return context;
  }

  // ---- clock
  void tick() {
    model_->ap_clk = 0;
    model_->eval();
    dump(0);
    rules_.at(cycle_ - start_cycle_);
    memory_.sample(cycle_);
    model_->ap_clk = 1;
    model_->eval();
    dump(1);
    cycle_++;
    memory_.drive(cycle_, cycle_ - start_cycle_);
  }

  // ---- control
  void write_register(uint8_t offset, uint32_t value) {
    model_->s_axi_control_awaddr = offset;
    model_->s_axi_control_wdata = value;
    model_->s_axi_control_wstrb = strobe_;
    model_->s_axi_control_awvalid = model_->s_axi_control_wvalid = 1;
    bool aw = false, w = false, b = false;
    uint32_t waited = 0;
    for (int i = 0; i < 1000 && !b; i++) {
      model_->s_axi_control_bready = waited >= patience_;
      model_->ap_clk = 0;
      model_->eval();  // ready may depend on valid
      aw |= model_->s_axi_control_awvalid && model_->s_axi_control_awready;
      w |= model_->s_axi_control_wvalid && model_->s_axi_control_wready;
      const bool valid = model_->s_axi_control_bvalid;
      if (waited && !valid) rules_.broken("B gone before BREADY", offset);
      b = valid && waited >= patience_;
      waited += valid;
      tick();
      if (aw) model_->s_axi_control_awvalid = 0;
      if (w) model_->s_axi_control_wvalid = 0;
    }
    if (!b) rules_.broken("no answer to an AXI4-Lite write", offset);
  }

  void write_pointer(uint8_t offset, uint64_t value) {
    write_register(offset, uint32_t(value));
    write_register(uint8_t(offset + 4), uint32_t(value >> 32));
  }

  uint32_t read_register(uint8_t offset) {
    model_->s_axi_control_araddr = offset;
    model_->s_axi_control_arvalid = 1;
    uint32_t waited = 0, first = 0;
    for (int i = 0; i < 1000; i++) {
      model_->s_axi_control_rready = waited >= patience_;
      model_->ap_clk = 0;
      model_->eval();
      const bool ar = model_->s_axi_control_arvalid && model_->s_axi_control_arready;
      const bool valid = model_->s_axi_control_rvalid, taken = valid && waited >= patience_;
      const uint32_t data = model_->s_axi_control_rdata;
      if (waited && (!valid || data != first)) rules_.broken("R changed before RREADY", offset);
      first = data;
      waited += valid;
      tick();
      if (ar) model_->s_axi_control_arvalid = 0;
      if (taken) return data;
    }
    rules_.broken("no answer to an AXI4-Lite read", offset);
    return 0;
  }

  void finish() {
    const uint64_t cycles = cycle_ - start_cycle_;
    read_outcome();
    // A bus that hangs keeps its transfers.
    const bool answered = result_.error != PS_ERROR_WATCHDOG;
    if (answered && !memory_.idle()) {
      rules_.broken("done while a transfer is in flight", 0);
    }
    if (!(read_register(PS_REG_AP_CTRL) & PS_AP_DONE)) rules_.broken("interrupt without ap_done", 0);
    write_register(PS_REG_ISR, 1);  // toggles: clear
    if (model_->__SYM__interrupt) rules_.broken("interrupt does not clear", 0);
    if (result_.error == 0) result_.images = run_.n_images;
    result_.cycles = cycles;
    result_.status = g_stop.empty() ? kDone : kStopped;
    if (!g_stop.empty()) note_stop();
    close_trace();
  }

  void stop(Status status) {
    result_.cycles = cycle_ - start_cycle_;
    if (status == kStopped) note_stop();
    if (status == kTimeout) read_outcome();
    result_.status = status;
    close_trace();
  }

  void read_outcome() {
    result_.error = read_register(PS_REG_ERROR);
    result_.position = read_register(PS_REG_POSITION);
    result_.image = read_register(PS_REG_IMAGE);
  }

  void note_stop() {
    std::snprintf(result_.message, sizeof result_.message, "%s", g_stop.c_str());
  }

  // ---- coverage
 public:
#if VM_COVERAGE
  void write_coverage(const char* name) { context_->coveragep()->write(name); }
#else
  void write_coverage(const char*) {}
#endif

 private:
  // ---- waves
#if VM_TRACE
  void open_trace(const char* name) {
    if (!name) return;
    trace_.reset(new VerilatedVcdC);
    model_->trace(trace_.get(), 99);
    trace_->open(name);
  }
  void close_trace() {
    if (trace_) trace_->close();
    trace_.reset();
  }
  void dump(int phase) {
    if (trace_) trace_->dump(cycle_ * 10 + (phase ? 5 : 0));
  }
  std::unique_ptr<VerilatedVcdC> trace_;
#else
  void open_trace(const char*) {}
  void close_trace() {}
  void dump(int) {}
#endif

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Vcore> model_;
  const bool assertions_;  // of the sources: checked or passed over
  PsRun run_{};
  PsResult result_{};
  Rules rules_{*model_, result_};
  Memory memory_{*model_, run_, result_, rules_};
  uint64_t cycle_ = 0, start_cycle_ = 0;
  uint32_t patience_ = 0;
  uint8_t strobe_ = 0xF;
};

}  // namespace

// Verilator's hooks (VL_USER_STOP, VL_USER_FATAL): a failed assertion must not end the process.
void vl_stop(const char* file, int line, const char*) {
  if (g_stop.empty()) g_stop = std::string("assertion failed: ") + file + ":" + std::to_string(line);
}

void vl_fatal(const char* file, int line, const char* scope, const char* text) {
  if (g_stop.empty()) {
    g_stop = std::string(text) + " (" + file + ":" + std::to_string(line) + ", " + scope + ")";
  }
}

extern "C" {

Core* ps_create(uint64_t seed, int assertions) { return new Core(seed, assertions != 0); }
void ps_destroy(Core* core) { delete core; }
void ps_start(Core* core, const PsRun* run) { core->start(*run); }

void ps_step(Core* core, uint64_t cycles, PsResult* result) {
  core->step(cycles);
  *result = core->result();
}

// A host that is simulated register by register.
void ps_attach(Core* core, const PsRun* run) { core->attach(*run); }
void ps_poke(Core* core, uint8_t offset, uint32_t value) { core->poke(offset, value); }
uint32_t ps_peek(Core* core, uint8_t offset) { return core->peek(offset); }
void ps_host(Core* core, uint8_t strobe, uint32_t patience) { core->host(strobe, patience); }
int ps_run(Core* core, uint64_t cycles, PsResult* result) {
  const bool interrupt = core->run(cycles);
  *result = core->result();
  return interrupt;
}

// The log of the last run: pairs (address, beats); returns the number of pairs.
uint64_t ps_log(Core* core, const uint64_t** pairs) {
  *pairs = core->log().data();
  return core->log().size() / 2;
}

// What Verilator has counted in the coverage variant, in its text format.
void ps_write_coverage(Core* core, const char* name) { core->write_coverage(name); }

// Offset and size of every field of the structures, in order; returns how many numbers.
uint32_t ps_layout(const uint32_t** numbers) {
  *numbers = kLayout;
  return sizeof kLayout / sizeof *kLayout;
}

}  // extern "C"
