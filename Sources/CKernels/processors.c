#define _GNU_SOURCE
#include "processors.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

// The system refuses a set with fewer bits than it has itself: EINVAL.
int mv_processors_allowed(void) {
    for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)processors);
        if (!set) return 0;
        size_t size = CPU_ALLOC_SIZE((size_t)processors);
        CPU_ZERO_S(size, set);
        int failed = sched_getaffinity(0, size, set) != 0;
        int error = errno, count = failed ? 0 : CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (!failed) return count;
        if (error != EINVAL) return 0;
    }
    return 0;
}
