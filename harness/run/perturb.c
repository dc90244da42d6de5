/* SPDX-License-Identifier: MIT
 * The perturbing process. */
#include "perturb.h"

#include "random.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PURPOSE_PERTURB                                                                            \
    34                  /* of random numbers, beside those of random.h, timetables and storms      \
                         */
#define MAX_THREADS 256 /* that are moved; of more, the first */
#define REST_NS 2000000u
#define CROWD_NS 3000000u
#define STOP_NS 2000000u

typedef struct chaos {
    pid_t victim;
    uint64_t seed;
    cpu_set_t all; /* that this process may use */
    size_t cpu[CPU_SETSIZE], n_cpus;
    dd_perturb_page *page;
} chaos;

static uint32_t draw(uint32_t random, uint32_t n)
{
    return (uint32_t)((uint64_t)random * n >> 32);
}

static void rest(uint32_t ns)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

static cpu_set_t one_cpu(const chaos *c, uint32_t random)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(c->cpu[draw(random, (uint32_t)c->n_cpus)], &set);
    return set;
}

/* returns  a thread of the victim's, 0: there is none */
static pid_t pick_thread(const chaos *c, uint32_t random)
{
    char path[64];
    pid_t tid[MAX_THREADS];
    uint32_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)c->victim);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *e; n < MAX_THREADS && (e = readdir(dir));) {
        long id = strtol(e->d_name, NULL, 10);
        if (id > 0)
            tid[n++] = (pid_t)id;
    }
    closedir(dir);
    return n ? tid[draw(random, n)] : 0;
}

/* The busy loop is this process's own, so that it ends with it. */
static void crowd(const chaos *c, uint32_t where, uint32_t ns)
{
    struct timespec begin, now;
    const cpu_set_t set = one_cpu(c, where);
    (void)sched_setaffinity(0, sizeof set, &set);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000 + (now.tv_nsec - begin.tv_nsec) < (long)ns);
    (void)sched_setaffinity(0, sizeof c->all, &c->all);
}

static void act(const chaos *c, const uint32_t random[4])
{
    const uint32_t what = draw(random[0], 16);
    if (what == 0) {
        (void)kill(c->victim, SIGSTOP);
        rest(draw(random[1], STOP_NS));
        (void)kill(c->victim, SIGCONT);
    } else if (what < 5) {
        crowd(c, random[1], draw(random[2], CROWD_NS));
    } else {
        const pid_t tid = pick_thread(c, random[1]);
        const cpu_set_t set = what < 12 ? one_cpu(c, random[2]) : c->all;
        if (tid)
            (void)sched_setaffinity(tid, sizeof set, &set);
    }
    atomic_fetch_add_explicit(&c->page->n_actions, 1, memory_order_relaxed);
}

_Noreturn static void perturb(chaos *c, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "dd-perturb");
    if (getppid() != parent || sched_getaffinity(0, sizeof c->all, &c->all))
        _exit(EXIT_FAILURE);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &c->all))
            c->cpu[c->n_cpus++] = i;
    for (uint64_t i = 0; c->n_cpus > 0 && kill(c->victim, 0) == 0; i++) {
        uint32_t random[4];
        dd_philox(c->seed, i, PURPOSE_PERTURB, random);
        act(c, random);
        rest(draw(random[3], REST_NS));
    }
    _exit(EXIT_SUCCESS);
}

bool dd_perturb_open(pid_t victim, uint64_t seed, dd_perturb *out)
{
    *out = (dd_perturb){.victim = victim};
    dd_perturb_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return false;
    out->page = page;
    const pid_t parent = getpid();
    out->pid = fork();
    if (out->pid == 0) {
        chaos c = {.victim = victim, .seed = seed, .page = page};
        perturb(&c, parent);
    }
    if (out->pid > 0)
        return true;
    out->pid = 0;
    (void)dd_perturb_close(out);
    return false;
}

uint64_t dd_perturb_close(dd_perturb *p)
{
    uint64_t n = 0;
    if (p->pid) {
        (void)kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        (void)kill(p->victim, SIGCONT); /* it may have been stopped just then */
    }
    if (p->page) {
        n = atomic_load_explicit(&p->page->n_actions, memory_order_relaxed);
        (void)munmap(p->page, sizeof *p->page);
    }
    *p = (dd_perturb){0};
    return n;
}
