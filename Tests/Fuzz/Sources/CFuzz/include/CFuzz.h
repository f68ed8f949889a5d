// libFuzzer, and the targets whose decoders are in C.
#ifndef MERGEVIT_CFUZZ_H
#define MERGEVIT_CFUZZ_H

#include <stddef.h>
#include <stdint.h>

/// Reads an input; gives 0.
typedef int (*mv_fuzz_target)(const uint8_t *data, size_t size);

/// Runs a target with libFuzzer's options; `name` is the target's. Gives libFuzzer's exit code.
int mv_fuzz_run(const char *name, mv_fuzz_target target, int count, char **arguments);

/// The JPEG decoder, as Images/PictureReader.swift calls it.
int mv_fuzz_jpeg(const uint8_t *data, size_t size);

/// The PNG decoder, as Images/PictureReader.swift calls it.
int mv_fuzz_png(const uint8_t *data, size_t size);

/// Gives every chunk of a PNG the right checksum, so that the code behind the check is reached.
void mv_fuzz_png_checksums(uint8_t *data, size_t size);

#endif
