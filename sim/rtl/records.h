// What harness.cpp and records.py hand each other.  The structures are mirrored field by field:
// `kLayout` lists them, and records.py compares offsets and sizes when it loads a library.
#pragma once
#include <cstddef>
#include <cstdint>

enum Channel { kAr, kR, kAw, kW, kB, kChannels };
enum Response : uint8_t { kOkay = 0, kSlverr = 2, kDecerr = 3 };
enum Status : int32_t { kRunning = 0, kDone = 1, kTimeout = 2, kStopped = 3 };

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

// (structure, field) of every field, in the order of records.py.
#define PS_FIELDS(FIELD)                                                                          \
  FIELD(PsRegion, base)                                                                           \
  FIELD(PsRegion, size)                                                                           \
  FIELD(PsRegion, data)                                                                           \
  FIELD(PsRun, program)                                                                           \
  FIELD(PsRun, weights)                                                                           \
  FIELD(PsRun, input)                                                                             \
  FIELD(PsRun, output)                                                                            \
  FIELD(PsRun, max_cycles)                                                                        \
  FIELD(PsRun, fault_read)                                                                        \
  FIELD(PsRun, fault_write)                                                                       \
  FIELD(PsRun, hang_cycle)                                                                        \
  FIELD(PsRun, seed)                                                                              \
  FIELD(PsRun, stall)                                                                             \
  FIELD(PsRun, latency)                                                                           \
  FIELD(PsRun, fault_response)                                                                    \
  FIELD(PsRun, fault_repeats)                                                                     \
  FIELD(PsRun, hang_mask)                                                                         \
  FIELD(PsRun, n_descriptors)                                                                     \
  FIELD(PsRun, n_images)                                                                          \
  FIELD(PsRun, input_stride)                                                                      \
  FIELD(PsRun, output_stride)                                                                     \
  FIELD(PsRun, weight_bytes)                                                                      \
  FIELD(PsRun, config_hash)                                                                       \
  FIELD(PsRun, reset)                                                                             \
  FIELD(PsRun, log_reads)                                                                         \
  FIELD(PsRun, vcd)                                                                               \
  FIELD(PsResult, status)                                                                         \
  FIELD(PsResult, error)                                                                          \
  FIELD(PsResult, position)                                                                       \
  FIELD(PsResult, image)                                                                          \
  FIELD(PsResult, images)                                                                         \
  FIELD(PsResult, cycles)                                                                         \
  FIELD(PsResult, bad_accesses)                                                                   \
  FIELD(PsResult, first_bad)                                                                      \
  FIELD(PsResult, read_beats)                                                                     \
  FIELD(PsResult, write_beats)                                                                    \
  FIELD(PsResult, read_bursts)                                                                    \
  FIELD(PsResult, write_bursts)                                                                   \
  FIELD(PsResult, protocol_errors)                                                                \
  FIELD(PsResult, message)

#define PS_OFFSET_AND_SIZE(structure, field) \
  uint32_t(offsetof(structure, field)), uint32_t(sizeof(structure::field)),
static const uint32_t kLayout[] = {PS_FIELDS(PS_OFFSET_AND_SIZE)};
