// The memory behind the core's port.
//
// It lives in the caller's buffers.  Reads may touch program, weights and input, writes the output;
// any other beat gets DECERR and is counted.  A read's first beat comes `latency` cycles after its
// AR handshake, a write's response `latency` cycles after its last beat; beats follow one a cycle,
// bursts in order.  Each channel can stall at random (seeded), or stand still from a cycle on (a
// hung bus).  Beats and bursts can be answered with an error.
#pragma once
#include <cstring>
#include <deque>
#include <vector>

#include "Vcore.h"
#include "ps_host.h"
#include "records.h"
#include "rules.h"

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

class Memory {
 public:
  Memory(Vcore& model, const PsRun& run, PsResult& result, Rules& rules)
      : model_(model), run_(run), result_(result), rules_(rules) {}

  // A new run: other stalls and faults, nothing counted yet; what is in flight stays.
  void attach() {
    random_ = Random(run_.seed);
    log_.clear();
    write_count_ = 0;
  }

  void clear() {
    reads_.clear();
    writes_.clear();
    write_beats_.clear();
    responses_.clear();
    r_held_ = b_held_ = false;
    rules_.clear();
    write_response_ = kOkay;
    model_.m_axi_gmem_arready = model_.m_axi_gmem_awready = model_.m_axi_gmem_wready = 0;
    model_.m_axi_gmem_rvalid = model_.m_axi_gmem_bvalid = 0;
    model_.m_axi_gmem_rid = model_.m_axi_gmem_bid = 0;
    model_.m_axi_gmem_rdata = 0;
    model_.m_axi_gmem_rresp = model_.m_axi_gmem_rlast = model_.m_axi_gmem_bresp = 0;
  }

  // Handshakes of the cycle that ends at the coming edge; touches no input of the model.
  void sample(uint64_t cycle) {
    cycle_ = cycle;
    rules_.check_held();
    if (model_.m_axi_gmem_arvalid && model_.m_axi_gmem_arready) take_read();
    if (model_.m_axi_gmem_rvalid && model_.m_axi_gmem_rready) beat_taken();
    if (model_.m_axi_gmem_awvalid && model_.m_axi_gmem_awready) take_write();
    if (model_.m_axi_gmem_wvalid && model_.m_axi_gmem_wready) {
      write_beats_.push_back({model_.m_axi_gmem_wdata, uint8_t(model_.m_axi_gmem_wstrb),
                              bool(model_.m_axi_gmem_wlast)});
    }
    if (!writes_.empty() && !write_beats_.empty()) apply_writes();
    if (model_.m_axi_gmem_bvalid && model_.m_axi_gmem_bready) {
      responses_.pop_front();
      b_held_ = false;
    } else {
      b_held_ = model_.m_axi_gmem_bvalid;
    }
  }

  // Inputs for the coming cycle, `since` cycles after the start of the run.
  void drive(uint64_t cycle, uint64_t since) {
    cycle_ = cycle;
    since_ = since;
    model_.m_axi_gmem_arready = reads_.size() < kQueue && !stalls(kAr);
    model_.m_axi_gmem_awready = writes_.size() < kQueue && !stalls(kAw);
    model_.m_axi_gmem_wready = write_beats_.size() < kQueue && !stalls(kW);
    if (!r_held_) {
      const bool ready = !reads_.empty() && cycle_ >= reads_.front().ready && !stalls(kR);
      model_.m_axi_gmem_rvalid = ready;
      if (ready) present_read();
    }
    if (!b_held_) {
      const bool ready =
          !responses_.empty() && cycle_ >= responses_.front().ready && !stalls(kB);
      model_.m_axi_gmem_bvalid = ready;
      if (ready) model_.m_axi_gmem_bresp = responses_.front().response;
    }
  }

  // Whether every transfer is done.
  bool idle() const {
    return reads_.empty() && writes_.empty() && write_beats_.empty() && responses_.empty() &&
           !model_.m_axi_gmem_arvalid && !model_.m_axi_gmem_awvalid && !model_.m_axi_gmem_wvalid;
  }

  const std::vector<uint64_t>& log() const { return log_; }

 private:
  static constexpr uint64_t kBeat = PS_BEAT_BYTES;
  static constexpr size_t kQueue = 64;  // bursts that it takes before it is not ready

  bool stalls(Channel channel) {
    const bool hangs = (run_.hang_mask >> channel & 1) && since_ >= run_.hang_cycle;
    return random_.hit(run_.stall[channel]) || hangs;
  }

  bool faulty(uint64_t count, uint64_t fault) const {
    return fault && (run_.fault_repeats ? count % fault == 0 : count == fault);
  }

  // ---- reads
  void take_read() {
    const uint64_t addr = model_.m_axi_gmem_araddr;
    const uint32_t beats = model_.m_axi_gmem_arlen + 1u;
    rules_.check_burst(addr, beats, model_.m_axi_gmem_arsize, model_.m_axi_gmem_arburst);
    rules_.check_attributes(addr, model_.m_axi_gmem_arid, model_.m_axi_gmem_arlock,
                     model_.m_axi_gmem_arcache, model_.m_axi_gmem_arprot,
                     model_.m_axi_gmem_arqos);
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
    model_.m_axi_gmem_rdata = data;
    model_.m_axi_gmem_rresp = response;
    model_.m_axi_gmem_rlast = burst.left == 1;
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
    const uint64_t addr = model_.m_axi_gmem_awaddr;
    const uint32_t beats = model_.m_axi_gmem_awlen + 1u;
    rules_.check_burst(addr, beats, model_.m_axi_gmem_awsize, model_.m_axi_gmem_awburst);
    rules_.check_attributes(addr, model_.m_axi_gmem_awid, model_.m_axi_gmem_awlock,
                     model_.m_axi_gmem_awcache, model_.m_axi_gmem_awprot,
                     model_.m_axi_gmem_awqos);
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
      if (beat.last != (--burst.left == 0)) rules_.broken("WLAST on the wrong beat", burst.addr);
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

  Vcore& model_;
  const PsRun& run_;
  PsResult& result_;
  Rules& rules_;
  Random random_{0};
  std::vector<uint64_t> log_;
  std::deque<Burst> reads_, writes_;
  std::deque<WriteBeat> write_beats_;
  std::deque<WriteResponse> responses_;
  uint64_t cycle_ = 0, since_ = 0, write_count_ = 0;
  uint8_t write_response_ = kOkay;
  bool r_held_ = false, b_held_ = false;
};
