#ifndef MV_CHECKSUM_H
#define MV_CHECKSUM_H

// A checksum that finds damage, not malice, at the speed of memory.

#include <stddef.h>
#include <stdint.h>

// Of `count` bytes.
uint64_t mv_checksum(const void *bytes, size_t count);

#endif
