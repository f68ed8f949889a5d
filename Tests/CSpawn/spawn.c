#define _GNU_SOURCE
#include "mv_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Makes the three pipes; those of `pipes` are closed again when one fails.
static int open_pipes(int pipes[3][2]) {
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) == 0) continue;
        int error = errno;
        while (i-- > 0) close(pipes[i][0]), close(pipes[i][1]);
        return error;
    }
    return 0;
}

// Puts a terminal in the place of a pipe: ours is the end that is read from.
static int open_terminal(unsigned columns, int ends[2]) {
    char name[64];
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    int ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ours < 0) return errno;
    int theirs = -1;
    if (grantpt(ours) == 0 && unlockpt(ours) == 0 && ptsname_r(ours, name, sizeof name) == 0) {
        theirs = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    if (theirs < 0 || ioctl(theirs, TIOCSWINSZ, &size) != 0) {
        int error = errno;
        close(ours);
        if (theirs >= 0) close(theirs);
        return error;
    }
    close(ends[0]);
    close(ends[1]);
    ends[0] = ours;
    ends[1] = theirs;
    return 0;
}

int mv_spawn(const char *program, char *const *arguments, char *const *environment, const char *folder,
             unsigned columns, pid_t *identifier, int ends[3]) {
    int pipes[3][2];
    int error = open_pipes(pipes);
    if (error) return error;
    if (columns > 0 && (error = open_terminal(columns, pipes[2])) != 0) {
        for (int i = 0; i < 3; i++) close(pipes[i][0]), close(pipes[i][1]);
        return error;
    }

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t every, none;
    sigfillset(&every);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    // stdin is read from, the other two are written to.
    for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&actions, pipes[i][i > 0], i);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (folder) posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawnattr_setsigdefault(&attributes, &every);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    error = posix_spawn(identifier, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);

    for (int i = 0; i < 3; i++) {
        close(pipes[i][i > 0]);
        ends[i] = pipes[i][i == 0];
        if (error) {
            close(ends[i]);
        } else {
            fcntl(ends[i], F_SETFL, O_NONBLOCK);
        }
    }
    return error;
}
