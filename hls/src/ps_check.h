// Legality of a descriptor: operation, fields, and every range it can touch (rtl/ps_check.sv).
#ifndef PS_CHECK_H
#define PS_CHECK_H

#include "ps_core.h"

namespace ps {

// ERR_NONE, or the first that applies of ERR_OPCODE, ERR_FIELD, ERR_BOUNDS, for the descriptor
// number `index` of the program.
ErrorCode check(const Descriptor& d, const Limits& limits, uint32_t index);

}  // namespace ps

#endif
