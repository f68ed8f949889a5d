#pragma once
#include <sys/types.h>

// Starts a program whose stdin, stdout and stderr are pipes; it inherits no other descriptor, and no signal that is
// ignored or blocked. Ours of the three ends, which do not block, go to `ends`.
//
// folder: where it runs, or NULL. columns: if not 0, stderr is a terminal of that width instead, of which we have the
// other end. Returns 0, or errno's number.
int mv_spawn(const char *program, char *const *arguments, char *const *environment, const char *folder,
             unsigned columns, pid_t *identifier, int ends[3]);
