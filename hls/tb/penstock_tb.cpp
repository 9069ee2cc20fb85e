// C test bench: runs the core on the network's vectors and compares every record with the golden
// engine's.  Argument: the vectors' file (default vectors.bin).  Exit code 0 if nothing differs.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "penstock.h"
#include "ps_config.h"

namespace {

using ps::beat_t;

constexpr uint32_t MAGIC = 0x56535031;  // "1PSV", hls/vectors.py

struct Header {
  uint32_t magic;
  uint32_t n_descriptors;
  uint32_t n_images;
  uint32_t input_stride;
  uint32_t output_stride;
  uint32_t weight_bytes;
  uint32_t config_hash;
  uint32_t zero;
};

// Counters every engine has in common; the others depend on the implementation.
constexpr int EXACT[] = {ps::CNT_WEIGHT_BYTES,      ps::CNT_WRITE_BYTES, ps::CNT_EXECUTED,
                         ps::CNT_SKIPPED,           ps::CNT_EXIT,        ps::CNT_CHANNELS_EXECUTED,
                         ps::CNT_CHANNELS_SKIPPED};

// `beats` beats of the file; at least `depth` of them exist, because co-simulation copies so many.
std::vector<beat_t> read_beats(FILE* file, size_t beats, int depth, bool* ok) {
  std::vector<beat_t> data(beats > size_t(depth) ? beats : size_t(depth), beat_t(0));
  for (size_t i = 0; i < beats; ++i) {
    uint64_t word = 0;
    *ok = *ok && std::fread(&word, sizeof word, 1, file) == 1;
    data[i] = word;
  }
  return data;
}

uint32_t word_of(const std::vector<beat_t>& record, size_t first, int index) {
  return ps::get_word(record[first + index / 2], index % 2);
}

// Bytes of one record that differ.
int compare(const std::vector<beat_t>& got, const std::vector<beat_t>& expected, size_t first,
            size_t beats, uint32_t image) {
  int different = 0;
  for (size_t i = ps::N_COUNTERS / 2; i < beats; ++i) {
    for (int byte = 0; byte < ps::BEAT_BYTES; ++byte) {
      const int a = int(ps::get_byte(got[first + i], byte));
      const int b = int(ps::get_byte(expected[first + i], byte));
      if (a != b && different++ == 0) {
        std::printf("image %u, record byte %d: %d, expected %d\n", image,
                    int(i) * ps::BEAT_BYTES + byte, a, b);
      }
    }
  }
  for (int counter : EXACT) {
    const uint32_t a = word_of(got, first, counter);
    const uint32_t b = word_of(expected, first, counter);
    if (a != b) {
      std::printf("image %u, counter %d: %u, expected %u\n", image, counter, a, b);
      different += 4;
    }
  }
  return different;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "vectors.bin";
  FILE* file = std::fopen(path.c_str(), "rb");
  Header h;
  if (file == nullptr || std::fread(&h, sizeof h, 1, file) != 1 || h.magic != MAGIC) {
    std::printf("cannot read the vectors in %s\n", path.c_str());
    return 2;
  }
  bool ok = true;
  const size_t record = h.output_stride / ps::BEAT_BYTES;
  const size_t blob = (h.weight_bytes + ps::BEAT_BYTES - 1) / ps::BEAT_BYTES;
  const size_t code = size_t(h.n_descriptors) * ps::DESCRIPTOR_BYTES / ps::BEAT_BYTES;
  const size_t images = size_t(h.n_images) * h.input_stride / ps::BEAT_BYTES;
  const size_t records = size_t(h.n_images) * record;
  std::vector<beat_t> program = read_beats(file, code, ps::PROGRAM_BEATS, &ok);
  std::vector<beat_t> weights = read_beats(file, blob, ps::WEIGHTS_BEATS, &ok);
  std::vector<beat_t> input = read_beats(file, images, ps::INPUT_BEATS, &ok);
  std::vector<beat_t> expected = read_beats(file, records, ps::OUTPUT_BEATS, &ok);
  std::fclose(file);
  if (!ok) {
    std::printf("%s is cut short\n", path.c_str());
    return 2;
  }

  std::vector<beat_t> output(expected.size(), beat_t(0));
  uint32_t error = 0;
  uint32_t position = 0;
  uint32_t at = 0;
  penstock(program.data(), weights.data(), input.data(), output.data(), h.n_descriptors,
           h.n_images, h.input_stride, h.output_stride, h.weight_bytes, h.config_hash, &error,
           &position, &at);
  int different = 0;
  for (uint32_t image = 0; image < h.n_images; ++image) {
    different += compare(output, expected, image * record, record, image);
  }
  std::printf("penstock: %u images, error %u at image %u, descriptor %u, %d bytes differ\n",
              h.n_images, error, at, position, different);
  return error == 0 && different == 0 ? 0 : 1;
}
