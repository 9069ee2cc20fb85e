// The accelerator's top: the ports of docs/hls.md, the register map of program/registers.py.
#ifndef PENSTOCK_H
#define PENSTOCK_H

#include <cstdint>

#include "ps_types.h"

// Runs n_images images.  The order of the arguments is the order of the registers: a pointer takes
// 0x0C bytes, a scalar 8, a scalar the core writes 0x10.
void penstock(const ps::beat_t* program_data,  // descriptors, 8 beats each
              const ps::beat_t* weights_data,  // weight blob
              const ps::beat_t* input_data,    // images, input_stride bytes apart
              ps::beat_t* output_data,         // records, output_stride bytes apart
              uint32_t n_descriptors,          //
              uint32_t n_images,               //
              uint32_t input_stride,           //
              uint32_t output_stride,          //
              uint32_t weight_bytes,           // of the blob: nothing beyond is read
              uint32_t config_hash,            // the configuration the program was built for
              uint32_t* error,                 // why the core stopped (ErrorCode), 0 = none
              uint32_t* position);             // image << 16 | descriptor, where it stopped

#endif
