/* SPDX-License-Identifier: MIT
 * The parent's side of a run: start, watch, end, and say how it ended. */
#include "cell.h"
#include "cell_child.h"
#include "cell_record.h"
#include "cell_stall.h"
#include "perturb.h"
#include "sweep_stop.h"
#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAX_BYTES (256u << 10)
#define READ_MAX_BYTES                                                                             \
    (1u << 20) /* a look; a child that floods its pipe must not keep us from the watchdog */
#define PIPE_BYTES (1 << 20) /* room for some thousand steps between two looks */

typedef struct watch {
    const dd_cell_job *job;
    dd_run *run;
    dd_page *page;
    pid_t pid;
    int results[2], output[2]; /* pipes: read end, write end; -1 when closed */
    int exit_fd; /* readable when the child has left; -1 where the kernel has no pidfd */
    dd_perturb perturb;
    FILE *log; /* into run->log */
    size_t log_size, log_bytes;
    char line[DD_RECORD_MAX_BYTES];
    size_t line_bytes;
    uint64_t n_lines;
    dd_record last;         /* the final record, once it is in */
    bool ended;             /* outcome and reason stand */
    dd_stall_before before; /* taken half-way through a quiet time */
} watch;

const char *dd_outcome_name(dd_outcome outcome)
{
    static const char *const names[] = {"not run", "ended", "refused", "hang", "crash"};
    return names[outcome];
}

void dd_run_clear(dd_run *run)
{
    free(run->steps);
    free(run->log);
    free(run->stall);
    free(run->end.sphere);
    *run = (dd_run){0};
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((format(printf, 3, 4))) static void end_as(watch *w, dd_outcome outcome,
                                                         const char *format, ...)
{
    w->ended = true;
    w->run->outcome = outcome;
    va_list args;
    va_start(args, format);
    vsnprintf(w->run->reason, sizeof w->run->reason, format, args);
    va_end(args);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- What the child says ---- */

static void take_line(watch *w)
{
    char why[128];
    w->n_lines++;
    dd_record record = DD_RECORD_BAD;
    if (w->last)
        snprintf(why, sizeof why, "a line after the final record");
    else
        record = dd_record_read(w->line, w->line_bytes, w->run, why);
    if (record == DD_RECORD_STEP && w->run->n_steps > w->job->settings->steps) {
        snprintf(why, sizeof why, "more steps than the %llu asked for",
                 (unsigned long long)w->job->settings->steps);
        record = DD_RECORD_BAD;
    }
    if (record == DD_RECORD_BAD)
        end_as(w, DD_RUN_CRASH, "line %llu of its results cannot be believed: %s",
               (unsigned long long)w->n_lines, why);
    else if (record != DD_RECORD_STEP)
        w->last = record;
}

static void take_results(watch *w, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && !w->ended; i++) {
        if (bytes[i] == '\n') {
            take_line(w);
            w->line_bytes = 0;
        } else if (w->line_bytes == sizeof w->line) {
            end_as(w, DD_RUN_CRASH,
                   "line %llu of its results cannot be believed: no end in %zu bytes",
                   (unsigned long long)w->n_lines + 1, sizeof w->line);
        } else {
            w->line[w->line_bytes++] = bytes[i];
        }
    }
}

static void take_output(watch *w, const char *bytes, size_t n)
{
    size_t room = LOG_MAX_BYTES - w->log_bytes;
    if (n > room && room)
        fprintf(w->log, "\n[output cut after %u bytes]\n", LOG_MAX_BYTES);
    w->log_bytes += fwrite(bytes, 1, n < room ? n : room, w->log);
}

/* Takes what is there, up to a bound.
 * returns  whether there was anything */
static bool drain(watch *w, int *fd, void (*take)(watch *, const char *, size_t))
{
    char bytes[16384];
    size_t total = 0;
    while (*fd >= 0 && total < READ_MAX_BYTES) {
        ssize_t n = read(*fd, bytes, sizeof bytes);
        if (n > 0) {
            take(w, bytes, (size_t)n);
            total += (size_t)n;
        } else if (n == 0) {
            close_fd(fd);
        } else if (errno != EINTR) {
            break; /* nothing there for now */
        }
    }
    return total > 0;
}

/* ---- How it ends ---- */

/* Looks at all threads of the child. stalled: says in the reason who keeps it, and keeps the whole
 * for programs. */
static void take_stacks(watch *w, bool stalled)
{
    const dd_config *config = &w->job->settings->config;
    const bool climbs = config->barrier == DD_BARRIER_TREE && config->reduce != DD_REDUCE_CONTROL;
    dd_stall stall;
    w->run->perturbations += dd_perturb_close(&w->perturb); /* it runs on, if it can */
    dd_stall_take(w->pid, w->page, &w->before, w->run->n_steps, climbs, &stall);
    if (stalled) {
        size_t used = strlen(w->run->reason);
        snprintf(w->run->reason + used, sizeof w->run->reason - used, ": %s", stall.sentence);
        w->run->stall = dd_stall_json(&stall);
    } else {
        stall.sentence[0] = '\0';
    }
    if (w->log_bytes)
        fputc('\n', w->log);
    dd_stall_write(&stall, w->log);
    dd_stall_close(&stall);
}

static void judge_fault(watch *w, int signal)
{
    const char *name = sigabbrev_np(signal);
    const int thread = atomic_load(&w->page->crash_thread);
    const int sender = atomic_load(&w->page->crash_sender);
    char cause[48] = "";
    if (sender && sender != w->pid)
        snprintf(cause, sizeof cause, " sent by process %d", sender);
    else if (!sender)
        snprintf(cause, sizeof cause, " at address 0x%llx",
                 (unsigned long long)atomic_load(&w->page->crash_address));
    end_as(w, DD_RUN_CRASH, "SIG%s%s in thread %d, %s", name ? name : "?", cause, thread,
           dd_phase_name(atomic_load_explicit(&w->page->phase, memory_order_relaxed)));
    take_stacks(w, false);
}

static void judge_exit(watch *w, int status)
{
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        end_as(w, DD_RUN_CRASH, "killed by SIG%s", name ? name : "?");
    } else if (WEXITSTATUS(status)) {
        end_as(w, DD_RUN_CRASH, "exit status %d %s its final record", WEXITSTATUS(status),
               w->last ? "after" : "without");
    } else if (w->last == DD_RECORD_END) {
        end_as(w, DD_RUN_ENDED, "%s", "");
    } else if (w->last == DD_RECORD_REFUSED) {
        end_as(w, DD_RUN_REFUSED, "%s: %s", dd_status_name(w->run->end.status),
               w->run->end.message);
    } else {
        end_as(w, DD_RUN_CRASH, "it left without its final record");
    }
}

/* The group may outlive its leader. We are the reaper of orphans, so they can be counted. */
static uint32_t end_group(pid_t group)
{
    while (waitpid(-group, NULL, WNOHANG) > 0)
        continue; /* had ended by themselves */
    uint32_t n = 0;
    if (kill(-group, SIGKILL) == 0)
        while (waitpid(-group, NULL, 0) > 0)
            n++;
    return n;
}

/* ---- The watch ---- */

/* Sleeps until the child leaves, a stop is asked for or the period is over. Results do not wake us:
 * they are collected once a period, so that the sweep takes no core from what it measures. */
static void doze(const watch *w, uint64_t period_ns)
{
    struct pollfd p[2] = {{.fd = w->exit_fd, .events = POLLIN},
                          {.fd = w->job->stop_fd, .events = POLLIN}};
    struct timespec t = {.tv_nsec = (long)period_ns};
    ppoll(p, 2, &t, NULL);
}

static bool has_ended(const watch *w)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

static void watch_child(watch *w)
{
    double limit_s = w->job->settings->stall_limit_s;
    uint64_t period_ns = dd_child_period_ns(limit_s);
    dd_watchdog dog;
    dd_watchdog_start(&dog, (uint64_t)(limit_s * 1e9), period_ns, now_ns());
    int status;
    bool left = false;
    while (!w->ended && !left) {
        doze(w, period_ns);
        if (has_ended(w)) /* while its number is still its own */
            w->run->perturbations += dd_perturb_close(&w->perturb);
        left = waitpid(w->pid, &status, WNOHANG) == w->pid;
        (void)drain(w, &w->results[0], take_results);
        (void)drain(w, &w->output[0], take_output);
        if (w->job->progress)
            w->job->progress(w->job->user, w->run->n_steps);
        int fault = atomic_load(&w->page->crash_signal);
        if (w->ended || left)
            break;
        if (fault) {
            judge_fault(w, fault);
        } else if (dd_stop_asked(w->job->stop_fd)) {
            end_as(w, DD_RUN_NOT_RUN, "interrupted");
        } else if (dd_watchdog_look(&dog,
                                    atomic_load_explicit(&w->page->beat, memory_order_relaxed),
                                    now_ns())) {
            end_as(w, DD_RUN_HANG, "no progress for %g s %s, after %zu steps", limit_s,
                   dd_phase_name(atomic_load_explicit(&w->page->phase, memory_order_relaxed)),
                   w->run->n_steps);
            take_stacks(w, true);
        } else if (dog.quiet_ns < dog.limit_ns / 2) {
            dd_stall_before_clear(&w->before);
        } else if (!w->before.at_ns) {
            dd_stall_before_take(w->pid, &w->before);
        }
    }
    w->run->perturbations += dd_perturb_close(&w->perturb);
    if (!left) {
        kill(-w->pid, SIGKILL);
        kill(w->pid, SIGKILL); /* should it not yet lead its group */
        waitpid(w->pid, &status, 0);
    }
    uint32_t n_left = end_group(w->pid);
    if (!w->ended) {
        w->run->processes_left = n_left;
        while (drain(w, &w->results[0], take_results) && !w->ended)
            continue; /* more than one look's worth was under way */
        if (!w->ended)
            judge_exit(w, status);
    }
    (void)drain(w, &w->output[0], take_output);
}

static bool open_pipe(int fd[2])
{
    if (pipe2(fd, O_CLOEXEC)) {
        fd[0] = fd[1] = -1;
        return false;
    }
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    return true;
}

_Noreturn static void be_child(watch *w, pid_t parent)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(w->output[1], STDOUT_FILENO);
    dup2(w->output[1], STDERR_FILENO);
    close_fd(&null);
    close_fd(&w->output[0]);
    close_fd(&w->output[1]);
    close_fd(&w->results[0]);
    if (w->job->stop_fd >= 0)
        close(w->job->stop_fd);
    dd_child_main(w->job, w->page, w->results[1], parent);
}

static bool start_child(watch *w)
{
    w->page =
        mmap(NULL, sizeof *w->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w->page == MAP_FAILED) {
        w->page = NULL;
        return false;
    }
    if (!open_pipe(w->results) || !open_pipe(w->output))
        return false;
    fcntl(w->results[1], F_SETPIPE_SZ, PIPE_BYTES); /* the default serves too, with more waiting */
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    fflush(NULL); /* or the child writes our buffers a second time */
    pid_t parent = getpid();
    w->pid = fork();
    if (w->pid == 0)
        be_child(w, parent);
    if (w->pid < 0)
        return false;
    setpgid(w->pid, w->pid);
    close_fd(&w->results[1]);
    close_fd(&w->output[1]);
    w->exit_fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    const dd_settings *s = w->job->settings;
    if (s->perturb) /* a run that nobody disturbs is one all the same, and says so by its count */
        (void)dd_perturb_open(w->pid, s->perturb, &w->perturb);
    return true;
}

void dd_cell_run(const dd_cell_job *job, dd_run *run)
{
    *run = (dd_run){0};
    watch *w = calloc(1, sizeof *w);
    if (!w) {
        run->outcome = DD_RUN_REFUSED;
        run->end.status = DD_ERR_MEMORY;
        snprintf(run->reason, sizeof run->reason, "no memory to watch a child");
        return;
    }
    *w = (watch){.job = job,
                 .run = run,
                 .results = {-1, -1},
                 .output = {-1, -1},
                 .exit_fd = -1,
                 .log = open_memstream(&run->log, &w->log_size)};
    uint64_t start_ns = now_ns();
    if (w->log && start_child(w)) {
        watch_child(w);
    } else {
        run->end.status = DD_ERR_THREAD;
        end_as(w, DD_RUN_REFUSED, "a child process could not be started: %s", strerror(errno));
    }
    run->wall_ns = now_ns() - start_ns;
    dd_stall_before_clear(&w->before);
    if (w->log)
        fclose(w->log);
    if (run->log && !*run->log) {
        free(run->log);
        run->log = NULL;
    }
    for (int i = 0; i < 2; i++) {
        close_fd(&w->results[i]);
        close_fd(&w->output[i]);
    }
    close_fd(&w->exit_fd);
    if (w->page)
        munmap(w->page, sizeof *w->page);
    free(w);
}
