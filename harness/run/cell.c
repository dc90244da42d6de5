/* SPDX-License-Identifier: MIT
 * The parent's side of a run: start, watch, end, and say how it ended. */
#include "cell.h"
#include "cell_child.h"
#include "cell_record.h"
#include "unwind.h"
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
#define MAX_STALLED_NAMED 3
#define PIPE_BYTES (1 << 20) /* room for some thousand steps between two looks */

typedef struct watch {
    const dd_cell_job *job;
    dd_run *run;
    dd_page *page;
    pid_t pid;
    int results[2], output[2]; /* pipes: read end, write end; -1 when closed */
    int exit_fd; /* readable when the child has left; -1 where the kernel has no pidfd */
    FILE *log;   /* into run->log */
    size_t log_size, log_bytes;
    char line[DD_RECORD_MAX_BYTES];
    size_t line_bytes;
    uint64_t n_lines;
    dd_record last; /* the final record, once it is in */
    bool ended;     /* outcome and reason stand */
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

/* What the child last told of its threads.
 * returns  their number; *notes is the caller's to free */
static size_t take_notes(const watch *w, dd_unwind_note **notes)
{
    size_t n = atomic_load_explicit(&w->page->n_threads, memory_order_acquire);
    *notes = n && n <= DD_RECORD_MAX_THREADS ? calloc(n, sizeof **notes) : NULL;
    if (!*notes)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const dd_page_thread *t = &w->page->thread[i];
        dd_unwind_note *note = &(*notes)[i];
        uint64_t words[2] = {atomic_load_explicit(&t->sphere[0], memory_order_relaxed),
                             atomic_load_explicit(&t->sphere[1], memory_order_relaxed)};
        char sphere[sizeof words + 1] = "";
        memcpy(sphere, words, sizeof words);
        uint32_t flags = atomic_load_explicit(&t->flags, memory_order_relaxed);
        note->tid = (pid_t)atomic_load_explicit(&t->tid, memory_order_relaxed);
        note->parked = flags & DD_PAGE_PARKED;
        snprintf(note->about, sizeof note->about, "%s%s%s, heartbeat %llu, %llu lanes done",
                 sphere[0] ? "sphere " : "", sphere[0] ? sphere : "worker",
                 flags & DD_PAGE_PARKED    ? ", parked"
                 : flags & DD_PAGE_CONTROL ? ", control"
                                           : "",
                 (unsigned long long)atomic_load_explicit(&t->heartbeat, memory_order_relaxed),
                 (unsigned long long)atomic_load_explicit(&t->lanes_done, memory_order_relaxed));
    }
    return n;
}

/* Adds to the reason which threads the others wait for. */
static void name_stalled(watch *w, const dd_unwind_note *notes, size_t n)
{
    char *reason = w->run->reason;
    size_t size = sizeof w->run->reason, used = strlen(reason), named = 0, found = 0;
    for (size_t i = 0; i < n; i++) {
        found += notes[i].found;
        if (!notes[i].found || notes[i].waits || notes[i].parked || named++ >= MAX_STALLED_NAMED)
            continue;
        snprintf(reason + used, size - used, "%sthread %d (%s)",
                 named > 1 ? ", " : "; standing still: ", (int)notes[i].tid, notes[i].about);
        used = strlen(reason);
    }
    if (named > MAX_STALLED_NAMED)
        snprintf(reason + used, size - used, " and %zu more", named - MAX_STALLED_NAMED);
    else if (found && !named)
        snprintf(reason + used, size - used, "; every thread waits for others");
}

static void take_stacks(watch *w, bool stalled)
{
    dd_unwind_note *notes = NULL;
    size_t n = take_notes(w, &notes);
    if (w->log_bytes)
        fputc('\n', w->log);
    dd_unwind_process(w->pid, notes, n, w->log);
    if (stalled)
        name_stalled(w, notes, n);
    free(notes);
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

static bool stop_asked(const watch *w)
{
    struct pollfd p = {.fd = w->job->stop_fd, .events = POLLIN};
    return p.fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* Sleeps until the child leaves, a stop is asked for or the period is over. Results do not wake us:
 * they are collected once a period, so that the sweep takes no core from what it measures. */
static void doze(const watch *w, uint64_t period_ns)
{
    struct pollfd p[2] = {{.fd = w->exit_fd, .events = POLLIN},
                          {.fd = w->job->stop_fd, .events = POLLIN}};
    struct timespec t = {.tv_nsec = (long)period_ns};
    ppoll(p, 2, &t, NULL);
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
        } else if (stop_asked(w)) {
            end_as(w, DD_RUN_NOT_RUN, "interrupted");
        } else if (dd_watchdog_look(&dog,
                                    atomic_load_explicit(&w->page->beat, memory_order_relaxed),
                                    now_ns())) {
            end_as(w, DD_RUN_HANG, "no progress for %g s %s, after %zu steps", limit_s,
                   dd_phase_name(atomic_load_explicit(&w->page->phase, memory_order_relaxed)),
                   w->run->n_steps);
            take_stacks(w, true);
        }
    }
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
