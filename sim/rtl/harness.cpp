// Drives one Verilated core (class Vcore) from C functions that engine.py calls through ctypes.
//
// The memory lives in the caller's buffers.  Reads may touch program, weights and input, writes
// the output; any other beat gets DECERR and is counted.  A read's first beat comes `latency`
// cycles after its AR handshake, a write's response `latency` cycles after its last beat; beats
// follow one a cycle, bursts in order.  Each channel can stall at random (seeded), or stand still
// from a cycle on (a hung bus).  Beats and bursts can be answered with an error.  AXI rules
// (burst length, 4 KiB, held and stable until ready) are checked in every cycle.
//
// Verilator renames the port `interrupt` to __SYM__interrupt (a reserved word to it).
// Structures are mirrored field by field in engine.py.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vcore.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

namespace {

enum Channel { kAr, kR, kAw, kW, kB, kChannels };
enum Response : uint8_t { kOkay = 0, kSlverr = 2, kDecerr = 3 };
constexpr uint32_t kWatchdog = 8;  // ErrorCode.WATCHDOG
enum Status : int32_t { kRunning = 0, kDone = 1, kTimeout = 2, kStopped = 3 };
constexpr uint64_t kBeat = 8;
constexpr uint64_t kPage = 4096;
constexpr uint32_t kMaxBeats = 16;  // AXI3 ports take no more
constexpr uint64_t kZero = ~0ull;   // seed of a core whose memories start at zero
constexpr size_t kQueue = 64;       // bursts the memory takes before it is not ready

// Set by Verilator's stop hook (a failed assertion): the model has no handle to its owner there.
std::string g_stop;

}  // namespace

extern "C" {

struct PsRegion {
  uint64_t base, size;
  uint8_t* data;
};

struct PsRun {
  PsRegion program, weights, input, output;
  uint64_t max_cycles;
  uint64_t fault_read;   // error on this read beat, counted from 1; 0 = none
  uint64_t fault_write;  // error on this write burst, counted from 1; 0 = none
  uint64_t hang_cycle;   // cycles after the start from which the channels of hang_mask stand still
  uint64_t seed;
  uint32_t stall[kChannels];  // probability of a stalled cycle, in 1 / 2^32
  uint32_t latency;
  uint32_t fault_response;  // of the faults: kSlverr or kDecerr
  uint32_t fault_repeats;   // the faults are those of every n-th beat or burst
  uint32_t hang_mask;       // bit c: channel c hangs
  uint32_t n_descriptors, n_images, input_stride, output_stride, weight_bytes, config_hash;
  uint32_t reset;  // reset the core first (a new one is reset anyway)
  uint32_t log_reads;
  const char* vcd;  // file name or null; only in the tracing variant
};

struct PsResult {
  int32_t status;
  uint32_t error, position, image;
  uint32_t images;  // records touched so far
  uint64_t cycles;  // from the write of ap_start to the interrupt
  uint64_t bad_accesses, first_bad;
  uint64_t read_beats, write_beats, read_bursts, write_bursts;
  uint64_t protocol_errors;
  char message[256];  // first protocol error or failed assertion
};

}  // extern "C"

namespace {

class Random {  // xorshift64*
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 0x1234567ull) {
    if (!state_) state_ = 1;
  }
  bool hit(uint32_t probability) {
    if (!probability) return false;
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return uint32_t((state_ * 0x2545F4914F6CDD1Dull) >> 32) < probability;
  }

 private:
  uint64_t state_;
};

struct Burst {
  uint64_t addr, ready;  // next beat's address; cycle of the first beat
  uint32_t left;
};

struct WriteBeat {
  uint64_t data;
  uint8_t strobe;
  bool last;
};

struct WriteResponse {
  uint64_t ready;
  uint8_t response;
};

class Core {
 public:
  explicit Core(uint64_t seed) : context_(new VerilatedContext) {
    // What is not reset starts random: nothing may depend on it.  Zero only where that is asked for.
    context_->randReset(seed == kZero ? 0 : 2);
    context_->randSeed(int(seed % 0x7FFFFFFF) + 1);
#if VM_TRACE
    context_->traceEverOn(true);
#endif
    g_stop.clear();
    model_.reset(new Vcore(context_.get(), "core"));
    model_->ap_clk = 0;
    model_->ap_rst_n = 0;
    model_->s_axi_control_awvalid = model_->s_axi_control_wvalid = 0;
    model_->s_axi_control_arvalid = 0;
    model_->s_axi_control_bready = model_->s_axi_control_rready = 1;
    clear_memory();
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
    random_ = Random(run.seed);
    log_.clear();
    write_count_ = 0;
    g_stop.clear();
    open_trace(run.vcd);
    if (run.reset || cycle_ == 0) {
      model_->ap_rst_n = 0;
      clear_memory();
      context_->assertOn(false);  // nothing holds before the reset has been seen
      for (int i = 0; i < 8; i++) tick();
      context_->assertOn(true);
      model_->ap_rst_n = 1;
      tick();
    }
  }

  // Resets if asked, writes the arguments, starts.
  void start(const PsRun& run) {
    attach(run);
    write_register(0x04, 1);  // GIER
    write_register(0x08, 1);  // IER: done
    write_pointer(0x10, run.program.base);
    write_pointer(0x1C, run.weights.base);
    write_pointer(0x28, run.input.base);
    write_pointer(0x34, run.output.base);
    write_register(0x40, run.n_descriptors);
    write_register(0x48, run.n_images);
    write_register(0x50, run.input_stride);
    write_register(0x58, run.output_stride);
    write_register(0x60, run.weight_bytes);
    write_register(0x68, run.config_hash);
    start_cycle_ = cycle_;
    write_register(0x00, 1);  // ap_start
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
  const std::vector<uint64_t>& log() const { return log_; }

 private:
  // ---- clock
  void tick() {
    model_->ap_clk = 0;
    model_->eval();
    dump(0);
    sample();
    model_->ap_clk = 1;
    model_->eval();
    dump(1);
    cycle_++;
    drive();
  }

  // Handshakes of the cycle that ends at the coming edge; touches no input of the model.
  void sample() {
    check_held();
    if (model_->m_axi_gmem_arvalid && model_->m_axi_gmem_arready) take_read();
    if (model_->m_axi_gmem_rvalid && model_->m_axi_gmem_rready) beat_taken();
    if (model_->m_axi_gmem_awvalid && model_->m_axi_gmem_awready) take_write();
    if (model_->m_axi_gmem_wvalid && model_->m_axi_gmem_wready) {
      write_beats_.push_back({model_->m_axi_gmem_wdata, uint8_t(model_->m_axi_gmem_wstrb),
                              bool(model_->m_axi_gmem_wlast)});
    }
    if (!writes_.empty() && !write_beats_.empty()) apply_writes();
    if (model_->m_axi_gmem_bvalid && model_->m_axi_gmem_bready) {
      responses_.pop_front();
      b_held_ = false;
    } else {
      b_held_ = model_->m_axi_gmem_bvalid;
    }
  }

  // Inputs for the coming cycle.
  void drive() {
    model_->m_axi_gmem_arready = reads_.size() < kQueue && !stalls(kAr);
    model_->m_axi_gmem_awready = writes_.size() < kQueue && !stalls(kAw);
    model_->m_axi_gmem_wready = write_beats_.size() < kQueue && !stalls(kW);
    if (!r_held_) {
      const bool ready = !reads_.empty() && cycle_ >= reads_.front().ready && !stalls(kR);
      model_->m_axi_gmem_rvalid = ready;
      if (ready) present_read();
    }
    if (!b_held_) {
      const bool ready =
          !responses_.empty() && cycle_ >= responses_.front().ready && !stalls(kB);
      model_->m_axi_gmem_bvalid = ready;
      if (ready) model_->m_axi_gmem_bresp = responses_.front().response;
    }
  }

  bool stalls(Channel channel) {
    const bool hangs = (run_.hang_mask >> channel & 1) && cycle_ - start_cycle_ >= run_.hang_cycle;
    return random_.hit(run_.stall[channel]) || hangs;
  }

  bool faulty(uint64_t count, uint64_t fault) const {
    return fault && (run_.fault_repeats ? count % fault == 0 : count == fault);
  }

  // ---- reads
  void take_read() {
    const uint64_t addr = model_->m_axi_gmem_araddr;
    const uint32_t beats = model_->m_axi_gmem_arlen + 1u;
    check_burst("read", addr, beats, model_->m_axi_gmem_arsize, model_->m_axi_gmem_arburst);
    check_attributes(addr, model_->m_axi_gmem_arid, model_->m_axi_gmem_arlock,
                     model_->m_axi_gmem_arcache, model_->m_axi_gmem_arprot,
                     model_->m_axi_gmem_arqos);
    reads_.push_back({addr, cycle_ + run_.latency, beats});
    result_.read_bursts++;
    if (run_.log_reads) {
      log_.push_back(addr);
      log_.push_back(beats);
    }
  }

  void present_read() {
    const Burst& burst = reads_.front();
    const PsRegion* region = find_readable(burst.addr);
    uint64_t data = 0;
    uint8_t response = kOkay;
    if (region) {
      std::memcpy(&data, region->data + (burst.addr - region->base), kBeat);
    } else {
      response = kDecerr;
      bad_access(burst.addr);
    }
    if (faulty(++result_.read_beats, run_.fault_read)) response = uint8_t(run_.fault_response);
    model_->m_axi_gmem_rdata = data;
    model_->m_axi_gmem_rresp = response;
    model_->m_axi_gmem_rlast = burst.left == 1;
    r_held_ = true;
  }

  void beat_taken() {
    Burst& burst = reads_.front();
    burst.addr += kBeat;
    if (--burst.left == 0) reads_.pop_front();
    r_held_ = false;
  }

  // ---- writes
  void take_write() {
    const uint64_t addr = model_->m_axi_gmem_awaddr;
    const uint32_t beats = model_->m_axi_gmem_awlen + 1u;
    check_burst("write", addr, beats, model_->m_axi_gmem_awsize, model_->m_axi_gmem_awburst);
    check_attributes(addr, model_->m_axi_gmem_awid, model_->m_axi_gmem_awlock,
                     model_->m_axi_gmem_awcache, model_->m_axi_gmem_awprot,
                     model_->m_axi_gmem_awqos);
    writes_.push_back({addr, 0, beats});
    result_.write_bursts++;
  }

  void apply_writes() {
    while (!writes_.empty() && !write_beats_.empty()) {
      Burst& burst = writes_.front();
      const WriteBeat beat = write_beats_.front();
      write_beats_.pop_front();
      result_.write_beats++;
      if (inside(run_.output, burst.addr)) {
        const uint64_t at = burst.addr - run_.output.base;
        for (unsigned i = 0; i < kBeat; i++) {
          if (beat.strobe >> i & 1) run_.output.data[at + i] = uint8_t(beat.data >> (8 * i));
        }
        const uint32_t image = run_.output_stride ? uint32_t(at / run_.output_stride) : 0;
        if (image > result_.images) result_.images = image;
      } else {
        write_response_ = kDecerr;
        bad_access(burst.addr);
      }
      burst.addr += kBeat;
      if (beat.last != (--burst.left == 0)) protocol_error("WLAST on the wrong beat", burst.addr);
      if (burst.left == 0) {
        writes_.pop_front();
        if (faulty(++write_count_, run_.fault_write)) {
          write_response_ = uint8_t(run_.fault_response);
        }
        responses_.push_back({cycle_ + run_.latency, write_response_});
        write_response_ = kOkay;
      }
    }
  }

  // ---- memory
  static bool inside(const PsRegion& region, uint64_t addr) {
    return addr - region.base < region.size && region.size - (addr - region.base) >= kBeat;
  }

  const PsRegion* find_readable(uint64_t addr) const {
    if (inside(run_.weights, addr)) return &run_.weights;
    if (inside(run_.input, addr)) return &run_.input;
    if (inside(run_.program, addr)) return &run_.program;
    return nullptr;
  }

  void bad_access(uint64_t addr) {
    if (result_.bad_accesses++ == 0) result_.first_bad = addr;
  }

  void clear_memory() {
    reads_.clear();
    writes_.clear();
    write_beats_.clear();
    responses_.clear();
    r_held_ = b_held_ = false;
    ar_stalled_ = aw_stalled_ = w_stalled_ = false;
    write_response_ = kOkay;
    model_->m_axi_gmem_arready = model_->m_axi_gmem_awready = model_->m_axi_gmem_wready = 0;
    model_->m_axi_gmem_rvalid = model_->m_axi_gmem_bvalid = 0;
    model_->m_axi_gmem_rid = model_->m_axi_gmem_bid = 0;
    model_->m_axi_gmem_rdata = 0;
    model_->m_axi_gmem_rresp = model_->m_axi_gmem_rlast = model_->m_axi_gmem_bresp = 0;
  }

  // ---- rules
  void protocol_error(const char* what, uint64_t addr) {
    if (result_.protocol_errors++ == 0) {
      std::snprintf(result_.message, sizeof result_.message, "cycle %llu, address %#llx: %s",
                    (unsigned long long)(cycle_ - start_cycle_), (unsigned long long)addr, what);
    }
  }

  void check_burst(const char* kind, uint64_t addr, uint32_t beats, uint32_t size, uint32_t type) {
    (void)kind;
    if (beats > kMaxBeats) protocol_error("burst of more than 16 beats", addr);
    if (addr % kBeat) protocol_error("unaligned burst", addr);
    if (addr / kPage != (addr + beats * kBeat - 1) / kPage) {
      protocol_error("burst crosses 4 KiB", addr);
    }
    if (size != 3 || type != 1) protocol_error("burst is not INCR of 8-byte beats", addr);
  }

  // One ID, no lock, normal memory that may be buffered, unprivileged secure data, no priority.
  void check_attributes(uint64_t addr, uint32_t id, uint32_t lock, uint32_t cache, uint32_t prot,
                        uint32_t qos) {
    if (id || lock || cache != 3 || prot || qos) protocol_error("other attributes of a burst", addr);
  }

  void check_held() {
    if (!model_->ap_rst_n) return;
    const uint64_t ar = model_->m_axi_gmem_araddr ^ uint64_t(model_->m_axi_gmem_arlen) << 56;
    const uint64_t aw = model_->m_axi_gmem_awaddr ^ uint64_t(model_->m_axi_gmem_awlen) << 56;
    if (ar_stalled_ && !(model_->m_axi_gmem_arvalid && ar == ar_)) {
      protocol_error("AR changed before ARREADY", ar_);
    }
    if (aw_stalled_ && !(model_->m_axi_gmem_awvalid && aw == aw_)) {
      protocol_error("AW changed before AWREADY", aw_);
    }
    if (w_stalled_ && !(model_->m_axi_gmem_wvalid && model_->m_axi_gmem_wdata == w_)) {
      protocol_error("W changed before WREADY", 0);
    }
    ar_ = ar;
    aw_ = aw;
    w_ = model_->m_axi_gmem_wdata;
    ar_stalled_ = model_->m_axi_gmem_arvalid && !model_->m_axi_gmem_arready;
    aw_stalled_ = model_->m_axi_gmem_awvalid && !model_->m_axi_gmem_awready;
    w_stalled_ = model_->m_axi_gmem_wvalid && !model_->m_axi_gmem_wready;
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
      if (waited && !valid) protocol_error("B gone before BREADY", offset);
      b = valid && waited >= patience_;
      waited += valid;
      tick();
      if (aw) model_->s_axi_control_awvalid = 0;
      if (w) model_->s_axi_control_wvalid = 0;
    }
    if (!b) protocol_error("no answer to an AXI4-Lite write", offset);
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
      if (waited && (!valid || data != first)) protocol_error("R changed before RREADY", offset);
      first = data;
      waited += valid;
      tick();
      if (ar) model_->s_axi_control_arvalid = 0;
      if (taken) return data;
    }
    protocol_error("no answer to an AXI4-Lite read", offset);
    return 0;
  }

  void finish() {
    const uint64_t cycles = cycle_ - start_cycle_;
    read_outcome();
    // A bus that hangs keeps its transfers.
    const bool answered = result_.error != kWatchdog;
    if (answered && (!reads_.empty() || !writes_.empty() || !write_beats_.empty() || !responses_.empty() ||
        model_->m_axi_gmem_arvalid || model_->m_axi_gmem_awvalid || model_->m_axi_gmem_wvalid)) {
      protocol_error("done while a transfer is in flight", 0);
    }
    if (!(read_register(0x00) & 2)) protocol_error("interrupt without ap_done", 0);
    write_register(0x0C, 1);  // clear ISR
    if (model_->__SYM__interrupt) protocol_error("interrupt does not clear", 0);
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
    result_.error = read_register(0x70);
    result_.position = read_register(0x80);
    result_.image = read_register(0x90);
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
  PsRun run_{};
  PsResult result_{};
  Random random_{0};
  std::vector<uint64_t> log_;
  std::deque<Burst> reads_, writes_;
  std::deque<WriteBeat> write_beats_;
  std::deque<WriteResponse> responses_;
  uint64_t cycle_ = 0, start_cycle_ = 0, write_count_ = 0;
  uint64_t ar_ = 0, aw_ = 0, w_ = 0;
  uint8_t write_response_ = kOkay, strobe_ = 0xF;
  uint32_t patience_ = 0;
  bool r_held_ = false, b_held_ = false;
  bool ar_stalled_ = false, aw_stalled_ = false, w_stalled_ = false;
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

Core* ps_create(uint64_t seed) { return new Core(seed); }
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

uint64_t ps_sizes(void) { return sizeof(PsRun) << 32 | sizeof(PsResult); }

}  // extern "C"
