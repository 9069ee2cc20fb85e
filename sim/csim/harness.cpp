// The C side of engine `csim`: the core's top behind a plain C name, on buffers of the caller.
#include <cstdint>

#include "penstock.h"
#include "ps_core.h"

extern "C" void ps_csim_run(const void* program, const void* weights, const void* input,
                            void* output, const uint32_t scalars[6], uint32_t result[3]) {
  using ps::beat_t;
  // A core sees whole beats: an m_axi adapter drops the low bits of an address.  The SystemVerilog
  // core refuses such a base, so this does, in the core's order of checks.
  const uintptr_t bases = uintptr_t(program) | uintptr_t(weights) | uintptr_t(input) | uintptr_t(output);
  if (bases % ps::BEAT_BYTES != 0 && scalars[5] == ps::CONFIG_HASH) {
    result[0] = ps::ERR_FIELD;
    result[1] = result[2] = 0;
    return;
  }
  penstock(static_cast<const beat_t*>(program), static_cast<const beat_t*>(weights),
           static_cast<const beat_t*>(input), static_cast<beat_t*>(output), scalars[0], scalars[1],
           scalars[2], scalars[3], scalars[4], scalars[5], &result[0], &result[1],
           &result[2]);
}
