// libFuzzer, and the targets whose decoders are in C.
#ifndef MERGEVIT_CFUZZ_H
#define MERGEVIT_CFUZZ_H

#include <stddef.h>
#include <stdint.h>

/// Reads an input; gives 0, or -1 if it is not worth keeping.
typedef int (*mv_fuzz_target)(const uint8_t *data, size_t size);

/// Runs a target with libFuzzer's options; `name` is the target's. Gives libFuzzer's exit code.
int mv_fuzz_run(const char *name, mv_fuzz_target target, int count, char **arguments);

/// Chooses the codec of mv_fuzz_picture by its name in lower case. Gives 0 if there is none.
int mv_fuzz_choose_codec(const char *name);

/// The chosen codec, as Images/PictureReader.swift calls it.
int mv_fuzz_picture(const uint8_t *data, size_t size);

/// Gives every chunk of a PNG the right checksum, so that the code behind the check is reached.
void mv_fuzz_png_checksums(uint8_t *data, size_t size);

#endif
