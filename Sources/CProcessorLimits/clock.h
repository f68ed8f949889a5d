#ifndef MERGEVIT_CLOCK_H
#define MERGEVIT_CLOCK_H

#include <time.h>

// Seconds since some fixed moment.
static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

#endif
