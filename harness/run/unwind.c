/* SPDX-License-Identifier: MIT
 * Unwinds a live process with libdwfl. Never asks a debug information server: a verdict must not
 * wait for the network. */
#include "unwind.h"

#include <dirent.h>
#include <elfutils/libdwfl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FRAMES 48
#define MAX_THREADS 4096
#define INNERMOST 4 /* frames that say what a thread is doing: a wait is no deeper */

/* One thread's stack on its way to text. */
typedef struct writer {
    Dwfl *dwfl;
    FILE *out;
    int n_frames;
    bool waits, answered, joins; /* a frame of such a wait was among the innermost */
} writer;

static int no_separate_debuginfo(Dwfl_Module *module, void **user, const char *name,
                                 Dwarf_Addr base, const char *file, const char *link, GElf_Word crc,
                                 char **found)
{
    (void)module, (void)user, (void)name, (void)base;
    (void)file, (void)link, (void)crc, (void)found;
    return -1;
}

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_linux_proc_find_elf,
    .find_debuginfo = no_separate_debuginfo,
};

/* Whether a function is one in which threads wait for each other: an eventcount, or what pthread
 * has of that kind. */
static bool is_wait(const char *function)
{
    return strncmp(function, "dd_eventcount_", 14) == 0 || strstr(function, "barrier_wait") ||
           strstr(function, "cond_wait") || strstr(function, "cond_timedwait");
}

static int write_frame(Dwfl_Frame *frame, void *user)
{
    writer *w = user;
    Dwarf_Addr pc;
    bool activation;
    if (w->n_frames >= MAX_FRAMES || !dwfl_frame_pc(frame, &pc, &activation))
        return DWARF_CB_ABORT;
    /* A return address may be the first of the next line or function: look at the call before it.
     */
    Dwarf_Addr at = activation ? pc : pc - 1;
    Dwfl_Module *module = dwfl_addrmodule(w->dwfl, at);
    const char *function = module ? dwfl_module_addrname(module, at) : NULL;
    const char *file = NULL;
    int line = 0;
    Dwfl_Line *source = module ? dwfl_module_getsrc(module, at) : NULL;
    if (source)
        file = dwfl_lineinfo(source, NULL, &line, NULL, NULL, NULL);
    if (w->n_frames < INNERMOST && function) {
        w->waits = w->waits || is_wait(function);
        w->answered = w->answered || strcmp(function, "dd_mailbox_await") == 0;
        w->joins = w->joins || strcmp(function, "dd_thread_join") == 0;
    }
    fprintf(w->out, "  #%-2d 0x%012llx  %s", w->n_frames, (unsigned long long)pc,
            function ? function : "?");
    if (file) {
        fprintf(w->out, "  %s:%d", file, line);
    } else if (module) {
        const char *name = dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        const char *slash = name ? strrchr(name, '/') : NULL;
        fprintf(w->out, "  (%s)", slash ? slash + 1 : name ? name : "?");
    }
    fputc('\n', w->out);
    w->n_frames++;
    return DWARF_CB_OK;
}

/* ---- What /proc has ---- */

static bool read_file(pid_t pid, pid_t tid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';
    return n > 0;
}

const char *dd_unwind_state(char state)
{
    switch (state) {
    case 'R':
        return "running";
    case 'S':
        return "asleep";
    case 'D':
        return "asleep in the kernel";
    case 'T':
    case 't':
        return "stopped";
    case 'Z':
        return "ended";
    default:
        return "in an unknown state";
    }
}

/* State and CPU time: fields 3, 14 and 15 of stat, the latter in clock ticks. */
static void read_stat(pid_t pid, dd_unwind_thread *t)
{
    char stat[512];
    unsigned long user = 0, system = 0;
    t->state = '?';
    if (!read_file(pid, t->tid, "stat", stat, sizeof stat))
        return;
    /* The name in parentheses may hold anything, so the state is after the last one. */
    const char *end = strrchr(stat, ')');
    if (end && sscanf(end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &t->state,
                      &user, &system) == 3)
        t->cpu_ns = (user + system) * (1000000000u / (unsigned long)sysconf(_SC_CLK_TCK));
}

static void name_descriptor(pid_t pid, uint64_t fd, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, (int)fd);
    ssize_t n = readlink(path, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
}

/* The word that it sleeps on, and whether that has moved on. */
static void read_futex(pid_t pid, const unsigned long long argument[3], dd_unwind_thread *t)
{
    const int operation = (int)argument[1] & FUTEX_CMD_MASK;
    struct iovec to = {&t->is, sizeof t->is};
    struct iovec from = {(void *)(uintptr_t)argument[0], sizeof t->is};
    snprintf(t->call, sizeof t->call, "a futex");
    t->sleeps = true;
    if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
        return;
    if (process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)sizeof t->is)
        return;
    t->futex = argument[0];
    t->slept_on = (uint32_t)argument[2];
}

/* The system call that a sleeping thread is in: number and arguments. */
static void read_call(pid_t pid, dd_unwind_thread *t)
{
    char text[256], target[48];
    long number = -1;
    unsigned long long argument[3];
    if (!read_file(pid, t->tid, "syscall", text, sizeof text) ||
        sscanf(text, "%ld %llx %llx %llx", &number, &argument[0], &argument[1], &argument[2]) != 4)
        return; /* it is running, or the system does not say */
    const bool reads = number == SYS_read || number == SYS_pread64;
    if (number == SYS_futex) {
        read_futex(pid, argument, t);
    } else if (number == SYS_read || number == SYS_write || number == SYS_pread64 ||
               number == SYS_pwrite64) {
        name_descriptor(pid, argument[0], target, sizeof target);
        snprintf(t->call, sizeof t->call, "%s descriptor %d%s%s%s",
                 reads ? "read from" : "write to", (int)argument[0], target[0] ? " (" : "", target,
                 target[0] ? ")" : "");
    } else if (number == SYS_fsync) {
        name_descriptor(pid, argument[0], target, sizeof target);
        snprintf(t->call, sizeof t->call, "fsync of descriptor %d%s%s%s", (int)argument[0],
                 target[0] ? " (" : "", target, target[0] ? ")" : "");
    } else if (number >= 0) {
        snprintf(t->call, sizeof t->call, "system call %ld", number);
    }
}

static void read_thread(pid_t pid, dd_unwind_thread *t)
{
    char name[32] = "?";
    if (read_file(pid, t->tid, "comm", name, sizeof name))
        name[strcspn(name, "\n")] = '\0';
    snprintf(t->name, sizeof t->name, "%.15s", name);
    read_stat(pid, t);
    if (t->state != 'R')
        read_call(pid, t);
}

static size_t list_threads(pid_t pid, dd_unwind_thread *threads)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    size_t n = 0;
    for (struct dirent *e; n < MAX_THREADS && (e = readdir(dir));) {
        long id = strtol(e->d_name, NULL, 10);
        if (id > 0)
            threads[n++] = (dd_unwind_thread){.tid = (pid_t)id};
    }
    closedir(dir);
    return n;
}

/* ---- Stacks ---- */

/* denied: why no stack can be had, or NULL. */
static void unwind_thread(Dwfl *dwfl, const char *denied, dd_unwind_thread *t)
{
    size_t size;
    FILE *out = open_memstream(&t->stack, &size);
    t->waits = t->sleeps;
    if (!out)
        return;
    writer w = {.dwfl = dwfl, .out = out};
    if (!denied && dwfl_getthread_frames(dwfl, t->tid, write_frame, &w) == -1 && w.n_frames == 0)
        denied = dwfl_errmsg(-1);
    if (w.n_frames == 0) {
        fprintf(out, "  stack denied: %s\n", denied ? denied : "elfutils finds no frame");
    } else {
        t->waits = w.waits;
        t->answered = w.answered;
        t->joins = w.joins;
    }
    fclose(out);
}

static void unwind_all(pid_t pid, dd_unwind_thread *threads, size_t n)
{
    Dwfl *dwfl = dwfl_begin(&callbacks);
    /* Both give 0, an errno, or -1 for an error of elfutils' own. */
    int failed = dwfl ? dwfl_linux_proc_report(dwfl, pid) : -1;
    if (!failed)
        failed = dwfl_report_end(dwfl, NULL, NULL);
    if (!failed)
        failed = dwfl_linux_proc_attach(dwfl, pid, false);
    const char *denied = failed > 0 ? strerror(failed) : failed ? dwfl_errmsg(-1) : NULL;
    if (failed && !denied)
        denied = "elfutils cannot attach";
    for (size_t i = 0; i < n; i++)
        unwind_thread(dwfl, denied, &threads[i]);
    if (dwfl)
        dwfl_end(dwfl);
}

size_t dd_unwind_process(pid_t pid, bool stacks, dd_unwind_thread **out)
{
    *out = calloc(MAX_THREADS, sizeof **out);
    size_t n = *out ? list_threads(pid, *out) : 0;
    for (size_t i = 0; i < n; i++)
        read_thread(pid, &(*out)[i]); /* all, before the first is attached: that stops it */
    if (n == 0) {
        free(*out);
        *out = NULL;
    } else if (stacks) {
        unwind_all(pid, *out, n);
    }
    return n;
}

void dd_unwind_free(dd_unwind_thread *threads, size_t n)
{
    for (size_t i = 0; threads && i < n; i++)
        free(threads[i].stack);
    free(threads);
}
