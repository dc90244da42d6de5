/* SPDX-License-Identifier: MIT
 * The child's side of a run. */
#include "cell_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_NAMED 4096 /* threads or descriptors that a snapshot remembers */
#define CPU_TICK_NS 10000000u
#define SPINNING_LIMITS 10u

typedef struct snapshot {
    int id[MAX_NAMED];
    size_t n;
} snapshot;

struct dd_child {
    dd_page *page;
    int results_fd;
    const char *trace;
    dd_weights_store *leave;
    const dd_weights_store *beside;
    uint64_t stall_ns;
    snapshot threads, fds; /* before the body */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    uint64_t beat; /* under lock: phases and steps begun, CPU ticks of past phases */
    uint64_t (*heartbeat)(const void *); /* under lock */
    dd_child_thread *thread;             /* under lock */
    const void *self;                    /* under lock */
    bool cpu_counts;                     /* under lock */
    uint64_t cpu_start_ns;               /* under lock: at the start of the phase */
    pthread_t reporter;
};

static const struct {
    const char *name;
    bool cpu_counts;
} phases[DD_N_PHASES] = {
    [DD_PHASE_START] = {"starting", true},
    [DD_PHASE_DATA] = {"opening the data", true},
    [DD_PHASE_OPEN] = {"opening the trainer", true},
    [DD_PHASE_STEP] = {"in a step", false},
    [DD_PHASE_SERIAL] = {"in a step of the oracle", true},
    [DD_PHASE_LOAD] = {"loading the plug-in", true},
    [DD_PHASE_PLUGIN] = {"in a step of the plug-in", true},
    [DD_PHASE_WEIGHTS] = {"handing over the weights", true},
    [DD_PHASE_CLOSE] = {"closing the trainer", false},
    [DD_PHASE_LEFT] = {"after closing the trainer", false},
};

const char *dd_phase_name(unsigned phase)
{
    return phase < DD_N_PHASES ? phases[phase].name : "in an unknown phase";
}

uint64_t dd_child_period_ns(double stall_limit_s)
{
    double eighth_ns = stall_limit_s * 1e9 / 8;
    return eighth_ns < 50e6 ? (uint64_t)eighth_ns + 1 : 50000000;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- The reporter ---- */

static uint64_t work_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* requires lock held; own_ns is CPU time of the reporter itself, which is no progress */
static uint64_t cpu_ticks(const dd_child *c, uint64_t own_ns)
{
    if (!c->cpu_counts)
        return 0;
    uint64_t used_ns = work_cpu_ns() - c->cpu_start_ns;
    uint64_t most = SPINNING_LIMITS * c->stall_ns / CPU_TICK_NS;
    uint64_t ticks = (used_ns > own_ns ? used_ns - own_ns : 0) / CPU_TICK_NS;
    return ticks < most ? ticks : most;
}

/* requires lock held */
static void tell_threads(const dd_child *c, uint64_t beat)
{
    uint32_t i = 0;
    dd_sphere_info info;
    const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    for (; c->thread && i < DD_RECORD_MAX_THREADS && c->thread(c->self, i, false, &info); i++) {
        dd_page_thread *t = &c->page->thread[i];
        uint64_t text[2];
        /* The reporter's own stores. */
        if (i >= atomic_load_explicit(&c->page->n_threads, memory_order_relaxed) ||
            atomic_load_explicit(&t->at, memory_order_relaxed) != info.at ||
            atomic_load_explicit(&t->lane, memory_order_relaxed) != info.lane ||
            atomic_load_explicit(&t->part, memory_order_relaxed) != info.part ||
            atomic_load_explicit(&t->generation, memory_order_relaxed) != info.generation ||
            atomic_load_explicit(&t->heartbeat, memory_order_relaxed) != info.heartbeat)
            atomic_store_explicit(&t->since_ns, now_ns, memory_order_relaxed);
        _Static_assert(sizeof text == sizeof info.sphere, "a place is two words");
        memcpy(text, info.sphere, sizeof text);
        uint32_t flags = (info.control ? DD_PAGE_CONTROL : 0u) |
                         (info.parked ? DD_PAGE_PARKED : 0u) |
                         (info.at < DD_ACTIVITIES ? DD_PAGE_PLACED : 0u);
        atomic_store_explicit(&t->tid, info.tid, memory_order_relaxed);
        atomic_store_explicit(&t->flags, flags, memory_order_relaxed);
        atomic_store_explicit(&t->sphere[0], text[0], memory_order_relaxed);
        atomic_store_explicit(&t->sphere[1], text[1], memory_order_relaxed);
        atomic_store_explicit(&t->heartbeat, info.heartbeat, memory_order_relaxed);
        atomic_store_explicit(&t->lanes_done, info.lanes_done, memory_order_relaxed);
        atomic_store_explicit(&t->at, info.at, memory_order_relaxed);
        atomic_store_explicit(&t->lane, info.lane, memory_order_relaxed);
        atomic_store_explicit(&t->part, info.part, memory_order_relaxed);
        atomic_store_explicit(&t->generation, info.generation, memory_order_relaxed);
    }
    atomic_store_explicit(&c->page->told_beat, beat, memory_order_relaxed);
    atomic_store_explicit(&c->page->n_threads, i, memory_order_release);
}

static void *report(void *arg)
{
    dd_child *c = arg;
    uint64_t last = 0;
    uint64_t period_ns = dd_child_period_ns((double)c->stall_ns * 1e-9);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        uint64_t own_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        uint64_t beat = c->beat + cpu_ticks(c, own_ns) + (c->heartbeat ? c->heartbeat(c->self) : 0);
        if (beat == last)
            tell_threads(c, beat);
        last = beat;
        atomic_store_explicit(&c->page->beat, beat, memory_order_relaxed);
        uint64_t ns = (uint64_t)next.tv_nsec + period_ns;
        next.tv_sec += (time_t)(ns / 1000000000u);
        next.tv_nsec = (long)(ns % 1000000000u);
        /* Signalled only to stop; a period that is early or late does no harm. */
        pthread_cond_timedwait(&c->wake, &c->lock, &next);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool start_reporter(dd_child *c)
{
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&c->lock, NULL);
    /* Faults of other threads go to the handler, all else to the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&c->reporter, NULL, report, c) == 0;
    if (started)
        pthread_setname_np(c->reporter, "dd-reporter");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void stop_reporter(dd_child *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->reporter, NULL);
}

/* ---- Faults ---- */

static dd_page *fault_page; /* fixed before the handler is installed */

/* Tells the parent and holds still, so that it can take the stacks; it then kills the group. */
static void hold_still(int signal, siginfo_t *info, void *context)
{
    (void)context;
    int none = 0;
    if (atomic_compare_exchange_strong(&fault_page->crash_thread, &none, gettid())) {
        if (info->si_code <= 0) /* then there is no address */
            atomic_store(&fault_page->crash_sender, info->si_pid);
        else
            atomic_store(&fault_page->crash_address, (uint64_t)(uintptr_t)info->si_addr);
        atomic_store(&fault_page->crash_signal, signal);
    }
    for (;;)
        pause();
}

/* Leaves handlers alone that somebody else put there: a sanitizer's report says more. */
static void catch_faults(dd_page *page)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    fault_page = page;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct sigaction old;
        if (sigaction(faults[i], NULL, &old) || (old.sa_flags & SA_SIGINFO) ||
            old.sa_handler != SIG_DFL)
            continue;
        struct sigaction act = {.sa_sigaction = hold_still, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&act.sa_mask);
        sigaction(faults[i], &act, NULL);
    }
}

/* ---- For bodies ---- */

void dd_child_phase(dd_child *c, dd_phase phase)
{
    pthread_mutex_lock(&c->lock);
    c->beat += 1 + cpu_ticks(c, 0);
    c->cpu_counts = phases[phase].cpu_counts;
    c->cpu_start_ns = work_cpu_ns();
    pthread_mutex_unlock(&c->lock);
    atomic_store_explicit(&c->page->phase, phase, memory_order_relaxed);
}

void dd_child_watch(dd_child *c, uint64_t (*heartbeat)(const void *), dd_child_thread *thread,
                    const void *self)
{
    pthread_mutex_lock(&c->lock);
    if (c->heartbeat)
        c->beat += c->heartbeat(c->self);
    c->heartbeat = heartbeat;
    c->thread = thread;
    c->self = self;
    pthread_mutex_unlock(&c->lock);
}

/* ---- What is left over ---- */

static void take_snapshot(snapshot *s, const char *path)
{
    s->n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return;
    int own = strstr(path, "/fd") ? dirfd(dir) : -1;
    for (struct dirent *e; s->n < MAX_NAMED && (e = readdir(dir));) {
        char *rest;
        long id = strtol(e->d_name, &rest, 10);
        if (rest != e->d_name && !*rest && id != own)
            s->id[s->n++] = (int)id;
    }
    closedir(dir);
}

static bool holds(const snapshot *s, int id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->id[i] == id)
            return true;
    return false;
}

static void name_thread(int tid, char *name, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    FILE *f = fopen(path, "re");
    snprintf(name, size, "thread %d", tid);
    if (!f)
        return;
    char comm[32] = "";
    if (fgets(comm, sizeof comm, f)) {
        comm[strcspn(comm, "\n")] = '\0';
        snprintf(name, size, "thread \"%s\"", comm);
    }
    fclose(f);
}

static void name_fd(int fd, char *name, size_t size)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    snprintf(name, size, "fd %d -> %s", fd, target);
}

/* Counts what is in `now` and was not in `before`, and appends names. */
static uint32_t count_new(const snapshot *before, const snapshot *now,
                          void (*name)(int, char *, size_t), char *names, size_t size)
{
    uint32_t n = 0;
    for (size_t i = 0; i < now->n; i++) {
        if (holds(before, now->id[i]))
            continue;
        n++;
        char one[128];
        name(now->id[i], one, sizeof one);
        size_t used = strlen(names);
        snprintf(names + used, size - used, "%s%s", used ? ", " : "", one);
    }
    return n;
}

/* A joined thread stays listed for a moment, until the kernel has taken it down: ask again for up
 * to a second before it counts as left. */
static void count_left(dd_child *c, dd_run_end *end)
{
    for (int tries = 0;; tries++) {
        dd_child_phase(c, DD_PHASE_LEFT);
        snapshot threads, fds;
        take_snapshot(&threads, "/proc/self/task");
        take_snapshot(&fds, "/proc/self/fd");
        end->left[0] = '\0';
        end->threads_left =
            count_new(&c->threads, &threads, name_thread, end->left, sizeof end->left);
        end->fds_left = count_new(&c->fds, &fds, name_fd, end->left, sizeof end->left);
        if (!end->threads_left || tries == 100)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

/* ---- Records ---- */

static void send(const dd_child *c, char *line)
{
    if (!line) {
        fprintf(stderr, "no memory for a record\n");
        exit(EXIT_FAILURE);
    }
    for (size_t done = 0, n = strlen(line); done < n;) {
        ssize_t wrote = write(c->results_fd, line + done, n - done);
        if (wrote < 0 && errno != EINTR) {
            fprintf(stderr, "the result pipe: %s\n", strerror(errno));
            exit(EXIT_FAILURE);
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    free(line);
}

void dd_child_step(dd_child *c, const dd_step *step)
{
    send(c, dd_record_step(step));
    pthread_mutex_lock(&c->lock);
    c->beat += 1 + cpu_ticks(c, 0);
    c->cpu_start_ns = work_cpu_ns();
    pthread_mutex_unlock(&c->lock);
}

void dd_child_refuse(dd_child *c, dd_status status, const char *message)
{
    send(c, dd_record_refused(status, message));
}

void dd_child_end(dd_child *c, dd_run_end *end)
{
    count_left(c, end);
    send(c, dd_record_end(end));
}

const char *dd_child_trace(const dd_child *c)
{
    return c->trace;
}

dd_weights_store *dd_child_leave(const dd_child *c)
{
    return c->leave;
}

const dd_weights_store *dd_child_beside(const dd_child *c)
{
    return c->beside;
}

int dd_child_results_fd(const dd_child *c)
{
    return c->results_fd;
}

void dd_child_main(const dd_cell_job *job, dd_page *page, int results_fd, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    catch_faults(page);

    static dd_child child; /* the reporter's, whatever a body does to the stack */
    child.page = page;
    child.results_fd = results_fd;
    child.trace = job->trace;
    child.leave = job->leave;
    child.beside = job->beside;
    child.stall_ns = (uint64_t)(job->settings->stall_limit_s * 1e9);
    child.cpu_counts = true;
    child.cpu_start_ns = work_cpu_ns();
    if (!start_reporter(&child)) {
        dd_child_refuse(&child, DD_ERR_THREAD, "no thread for the reporter");
        exit(EXIT_SUCCESS);
    }
    take_snapshot(&child.threads, "/proc/self/task");
    take_snapshot(&child.fds, "/proc/self/fd");
    job->body(job->settings, &child);
    stop_reporter(&child);
    exit(EXIT_SUCCESS);
}
