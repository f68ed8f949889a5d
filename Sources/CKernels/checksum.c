#include "checksum.h"

#include <string.h>

enum { LANES = 8 };

// Each step can be undone, so that a change of one word always changes the lane.
static inline uint64_t step(uint64_t sum, uint64_t word) {
    sum ^= word;
    return (sum << 29 | sum >> 35) * 0x9E3779B97F4A7C15u;
}

uint64_t mv_checksum(const void *bytes, size_t count) {
    uint64_t lanes[LANES], words[LANES];
    const unsigned char *next = bytes;
    for (int i = 0; i < LANES; i++) lanes[i] = (uint64_t)i + 1;
    size_t left = count;
    // Lanes do not wait for each other.
    for (; left >= sizeof words; left -= sizeof words, next += sizeof words) {
        memcpy(words, next, sizeof words);
        for (int i = 0; i < LANES; i++) lanes[i] = step(lanes[i], words[i]);
    }
    memset(words, 0, sizeof words);
    memcpy(words, next, left);
    uint64_t sum = count;
    for (int i = 0; i < LANES; i++) sum = step(sum, step(lanes[i], words[i]));
    return sum ^ sum >> 32;
}
