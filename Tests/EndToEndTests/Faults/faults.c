// A shim for LD_PRELOAD that lets one system call fail or hang, as the environment says:
//   FAULT_CALL   write, read, fsync (and fdatasync) or rename
//   FAULT_PATH   only for files whose path holds this
//   FAULT_AFTER  so many calls go well first (for write: so many bytes)
//   FAULT_ERRNO  the error number; 0 for hanging for an hour
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long done;

static int concerns(const char *call, const char *path) {
    const char *wanted = getenv("FAULT_CALL"), *part = getenv("FAULT_PATH");
    return wanted && part && strcmp(wanted, call) == 0 && strstr(path, part) != NULL;
}

static int concerns_descriptor(const char *call, int descriptor) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(name, path, sizeof path - 1);
    if (count < 0) return 0;
    path[count] = 0;
    return concerns(call, path);
}

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

// Whether the call fails now; errno is set then.
static int fails(long amount) {
    long before = __atomic_fetch_add(&done, amount, __ATOMIC_SEQ_CST);
    if (before + amount <= number("FAULT_AFTER")) return 0;
    if (number("FAULT_ERRNO") == 0) sleep(3600);
    errno = (int)number("FAULT_ERRNO");
    return 1;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (concerns_descriptor("write", descriptor)) {
        // A disk fills in the midst of a write: what fits is written, the next write fails.
        long room = number("FAULT_AFTER") - __atomic_load_n(&done, __ATOMIC_SEQ_CST);
        if (room > 0 && room < (long)count) count = (size_t)room;
        if (fails((long)count)) return -1;
    }
    return real(descriptor, bytes, count);
}

ssize_t read(int descriptor, void *bytes, size_t count) {
    ssize_t (*real)(int, void *, size_t) = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    if (concerns_descriptor("read", descriptor) && fails(1)) return -1;
    return real(descriptor, bytes, count);
}

int fsync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return concerns_descriptor("fsync", descriptor) && fails(1) ? -1 : real(descriptor);
}

int fdatasync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return concerns_descriptor("fsync", descriptor) && fails(1) ? -1 : real(descriptor);
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    return concerns("rename", from) && fails(1) ? -1 : real(from, to);
}
