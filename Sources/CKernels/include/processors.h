#ifndef MV_PROCESSORS_H
#define MV_PROCESSORS_H

// How many processors the calling process may run on by its affinity, of any number that the machine has; 0 if the system does
// not say.
int mv_processors_allowed(void);

#endif
