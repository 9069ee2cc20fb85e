// AXI rules of the core's memory port: burst length, 4 KiB, attributes, held and stable until ready.
#pragma once
#include <cstdio>

#include "Vcore.h"
#include "ps_host.h"
#include "records.h"

class Rules {
 public:
  Rules(const Vcore& model, PsResult& result) : model_(model), result_(result) {}

  void clear() { ar_stalled_ = aw_stalled_ = w_stalled_ = false; }

  // The cycle of the run that messages name.
  void at(uint64_t cycle) { cycle_ = cycle; }

  void broken(const char* what, uint64_t addr) {
    if (result_.protocol_errors++ == 0) {
      std::snprintf(result_.message, sizeof result_.message, "cycle %llu, address %#llx: %s",
                    (unsigned long long)cycle_, (unsigned long long)addr, what);
    }
  }

  void check_burst(uint64_t addr, uint32_t beats, uint32_t size, uint32_t type) {
    if (beats > kMaxBeats) broken("burst of more than 16 beats", addr);
    if (addr % kBeat) broken("unaligned burst", addr);
    if (addr / kPage != (addr + beats * kBeat - 1) / kPage) broken("burst crosses 4 KiB", addr);
    if (size != 3 || type != 1) broken("burst is not INCR of 8-byte beats", addr);
  }

  // One ID, no lock, normal memory that may be buffered, unprivileged secure data, no priority.
  void check_attributes(uint64_t addr, uint32_t id, uint32_t lock, uint32_t cache, uint32_t prot,
                        uint32_t qos) {
    if (id || lock || cache != 3 || prot || qos) broken("other attributes of a burst", addr);
  }

  // In every cycle, before the edge.
  void check_held() {
    if (!model_.ap_rst_n) return;
    const uint64_t ar = model_.m_axi_gmem_araddr ^ uint64_t(model_.m_axi_gmem_arlen) << 56;
    const uint64_t aw = model_.m_axi_gmem_awaddr ^ uint64_t(model_.m_axi_gmem_awlen) << 56;
    if (ar_stalled_ && !(model_.m_axi_gmem_arvalid && ar == ar_)) {
      broken("AR changed before ARREADY", ar_);
    }
    if (aw_stalled_ && !(model_.m_axi_gmem_awvalid && aw == aw_)) {
      broken("AW changed before AWREADY", aw_);
    }
    if (w_stalled_ && !(model_.m_axi_gmem_wvalid && model_.m_axi_gmem_wdata == w_)) {
      broken("W changed before WREADY", 0);
    }
    ar_ = ar;
    aw_ = aw;
    w_ = model_.m_axi_gmem_wdata;
    ar_stalled_ = model_.m_axi_gmem_arvalid && !model_.m_axi_gmem_arready;
    aw_stalled_ = model_.m_axi_gmem_awvalid && !model_.m_axi_gmem_awready;
    w_stalled_ = model_.m_axi_gmem_wvalid && !model_.m_axi_gmem_wready;
  }

 private:
  static constexpr uint64_t kBeat = PS_BEAT_BYTES, kPage = 4096;
  static constexpr uint32_t kMaxBeats = 16;  // AXI3 ports take no more

  const Vcore& model_;
  PsResult& result_;
  uint64_t cycle_ = 0, ar_ = 0, aw_ = 0, w_ = 0;
  bool ar_stalled_ = false, aw_stalled_ = false, w_stalled_ = false;
};
