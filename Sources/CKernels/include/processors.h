#ifndef MV_PROCESSORS_H
#define MV_PROCESSORS_H

// The number of processors that the calling process may run on by its affinity, however many the machine has; 0 if the
// system does not tell.
int mv_processors_allowed(void);

#endif
