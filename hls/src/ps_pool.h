// POOL: maximum or average of the windows of linear maps (rtl/ps_pool.sv).
#ifndef PS_POOL_H
#define PS_POOL_H

#include "ps_core.h"

namespace ps {

// The number of taps: each is one window of the feature memory.
uint32_t pool_windows(const Descriptor& d, fmem_t fmem);

}  // namespace ps

#endif
