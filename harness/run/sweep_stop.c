/* SPDX-License-Identifier: MIT
 * Signals as a descriptor. */
#include "sweep_stop.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    /* A signalfd would catch what nohup has set to be ignored. */
    struct sigaction hup;
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
        sigaddset(&set, SIGHUP);
    return set;
}

int dd_stop_open(void)
{
    sigset_t set = stop_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    return fd;
}

bool dd_stop_asked(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

int dd_stop_close(int fd)
{
    sigset_t set = stop_signals();
    struct signalfd_siginfo info;
    int first = 0;
    if (fd < 0)
        return 0;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        first = first ? first : (int)info.ssi_signo;
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return first;
}
