// Counts a process's requests for memory, those of its libraries too: linked into an executable, this takes malloc's
// place.
#ifndef MERGEVIT_CALLOCATIONCOUNT_H
#define MERGEVIT_CALLOCATIONCOUNT_H

#include <stdint.h>

/// How often memory was asked for until now.
uint64_t mv_allocations(void);

#endif
