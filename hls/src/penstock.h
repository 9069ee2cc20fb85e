// The accelerator's top: the register map of program/core/registers.py, one AXI4 master.
#ifndef PENSTOCK_H
#define PENSTOCK_H

#include <cstdint>

#include "ps_bus.h"
#include "ps_types.h"

// Runs n_images images.  The arguments are the registers, by name and in order: an address takes
// 0x0C bytes of the register map, a scalar 8, a scalar the core writes 0x10.
//   program, weights, input, output   descriptors, weight blob, images, records
//   input_stride, output_stride       bytes from one image or record to the next
//   weight_bytes                      of the blob: nothing beyond is read
//   config_hash                       the configuration the program was built for
//   error                             why the core stopped (ErrorCode), 0 = none
//   position, image                   descriptor and image, where it stopped
void penstock(ps::read_port_t program, ps::read_port_t weights, ps::read_port_t input,
              ps::write_port_t output, uint32_t n_descriptors, uint32_t n_images, uint32_t input_stride,
              uint32_t output_stride, uint32_t weight_bytes, uint32_t config_hash, uint32_t* error,
              uint32_t* position, uint32_t* image);

#endif
