#ifndef MV_CHECKSUM_H
#define MV_CHECKSUM_H

// A checksum that detects damage, not malice, at memory speed.

#include <stddef.h>
#include <stdint.h>

// Of `count` bytes.
uint64_t mv_checksum(const void *bytes, size_t count);

#endif
