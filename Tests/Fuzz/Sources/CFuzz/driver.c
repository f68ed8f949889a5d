#include <string.h>

#include "CFuzz.h"

int LLVMFuzzerRunDriver(int *count, char ***arguments, mv_fuzz_target target);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);

static int is_png;

int mv_fuzz_run(const char *name, mv_fuzz_target target, int count, char **arguments) {
    is_png = strcmp(name, "png") == 0;
    return LLVMFuzzerRunDriver(&count, &arguments, target);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, capacity);
    if (is_png && seed % 8 != 0) mv_fuzz_png_checksums(data, size);
    return size;
}
