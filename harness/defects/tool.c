/* SPDX-License-Identifier: MIT
 * Child processes by posix_spawn, each in a group of its own. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define GENTLE_S 3.0
#define LOOK_MS 50 /* between two looks, where the kernel has no pidfd */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int spawn(const dd_tool *tool, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGXFSZ);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, tool->out, flags, 0644);
    if (tool->err)
        posix_spawn_file_actions_addopen(&files, STDERR_FILENO, tool->err, flags, 0644);
    else
        posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    if (tool->folder)
        posix_spawn_file_actions_addchdir_np(&files, tool->folder);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);

    /* posix_spawn knows nothing of it, but it is inherited. */
    const int old = tool->fixed_addresses ? personality(0xffffffff) : -1;
    if (old >= 0)
        (void)personality((unsigned long)old | ADDR_NO_RANDOMIZE);
    const int error = posix_spawnp(pid, tool->argv[0], &files, &attributes,
                                   (char *const *)(uintptr_t)tool->argv, environ);
    if (old >= 0)
        (void)personality((unsigned long)old);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Waits until the child has left, a stop is asked for or the time is over.
 * returns  whether it has left */
static bool wait_for(pid_t pid, int *status, int stop_fd, double until_s, bool *stopped)
{
    const int left_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool left;
    for (;;) {
        left = waitpid(pid, status, WNOHANG) == pid;
        const double rest_s = until_s - now_s();
        if (left || rest_s <= 0)
            break;
        struct pollfd p[2] = {{.fd = left_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        const double most_ms = left_fd >= 0 ? 60000 : LOOK_MS;
        const int ms = (int)(1e3 * rest_s < most_ms ? 1e3 * rest_s + 1 : most_ms);
        if (poll(p, 2, ms) > 0 && (p[1].revents & POLLIN)) {
            *stopped = true;
            break;
        }
    }
    if (left_fd >= 0)
        close(left_fd);
    return left;
}

static void end_group(const dd_tool *tool, pid_t pid, int *status)
{
    bool stopped = false;
    if (tool->gentle) {
        kill(-pid, SIGTERM);
        if (wait_for(pid, status, -1, now_s() + GENTLE_S, &stopped))
            return;
    }
    kill(-pid, SIGKILL);
    waitpid(pid, status, 0);
}

dd_tool_end dd_tool_run(const dd_tool *tool)
{
    const double begin_s = now_s();
    pid_t pid;
    const int error = spawn(tool, &pid);
    if (error)
        return (dd_tool_end){.ending = DD_TOOL_NOT_RUN, .status = error};
    int status = 0;
    bool stopped = false;
    const double until_s = begin_s + (tool->limit_s > 0 ? tool->limit_s : 1e9);
    const bool left = wait_for(pid, &status, tool->stop_fd, until_s, &stopped);
    const double end_s = now_s();
    if (!left)
        end_group(tool, pid, &status);
    kill(-pid, SIGKILL); /* whom it has left behind */
    return (dd_tool_end){.ending = left      ? DD_TOOL_ENDED
                                   : stopped ? DD_TOOL_STOPPED
                                             : DD_TOOL_LATE,
                         .status =
                             WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                         .seconds = end_s - begin_s};
}

bool dd_tool_there(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : ""; *at;) {
        const size_t n = strcspn(at, ":");
        char file[1024];
        if (snprintf(file, sizeof file, "%.*s/%s", (int)n, at, name) < (int)sizeof file &&
            access(file, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}
