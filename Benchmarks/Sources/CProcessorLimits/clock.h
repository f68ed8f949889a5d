#ifndef MERGEVIT_CLOCK_H
#define MERGEVIT_CLOCK_H

#include <time.h>

// Seconds that the calling thread has computed: those of other programs on the machine do not count.
static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

#endif
