/* SPDX-License-Identifier: MIT
 * Unwinds a live process with libdwfl. Never asks a debug information server: a verdict must not
 * wait for the network. */
#include "unwind.h"

#include <dirent.h>
#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES 48
#define MAX_THREADS 4096
#define INNERMOST 4     /* frames that say what a thread is doing: a wait is no deeper */
#define MAX_WRITTEN 200 /* threads that are shown; of more the rest is counted */

/* One thread's stack on its way to text. */
typedef struct writer {
    Dwfl *dwfl;
    FILE *out;
    int n_frames;
    bool waits; /* a frame of a wait was among the innermost */
} writer;

typedef struct thread {
    pid_t tid;
    dd_unwind_note *note; /* NULL: the caller knows nothing of it */
    char *text;           /* owned; NULL: no memory */
} thread;

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
    if (w->n_frames < INNERMOST && function && is_wait(function))
        w->waits = true;
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

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool read = fgets(line, (int)size, f) != NULL;
    fclose(f);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

static const char *state_name(char state)
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

/* The thread's heading. Must come before it is attached: attaching stops it.
 * returns  its state, as /proc has it */
static char write_heading(pid_t pid, const thread *t, FILE *out)
{
    char path[64], name[64] = "?", stat[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid, (int)t->tid);
    (void)read_line(path, name, sizeof name);
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)t->tid);
    char state = '?';
    if (read_line(path, stat, sizeof stat)) {
        /* The name in parentheses may hold anything, so the state is after the last one. */
        const char *end = strrchr(stat, ')');
        if (end && end[1] == ' ')
            state = end[2];
    }
    fprintf(out, "thread %d \"%s\", %s%s%s\n", (int)t->tid, name, state_name(state),
            t->note ? "; " : "", t->note ? t->note->about : "");
    return state;
}

static dd_unwind_note *note_of(pid_t tid, dd_unwind_note *notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (notes[i].tid == tid)
            return &notes[i];
    return NULL;
}

static size_t list_threads(pid_t pid, dd_unwind_note *notes, size_t n_notes, thread *threads)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    size_t n = 0;
    for (struct dirent *e; n < MAX_THREADS && (e = readdir(dir));) {
        long id = strtol(e->d_name, NULL, 10);
        if (id > 0) {
            threads[n] = (thread){.tid = (pid_t)id, .note = note_of((pid_t)id, notes, n_notes)};
            n++;
        }
    }
    closedir(dir);
    return n;
}

/* denied: why no stack can be had, or NULL. */
static void unwind_thread(pid_t pid, Dwfl *dwfl, const char *denied, thread *t)
{
    size_t size;
    FILE *out = open_memstream(&t->text, &size);
    if (!out)
        return;
    writer w = {.dwfl = dwfl, .out = out};
    char state = write_heading(pid, t, out);
    if (!denied && dwfl_getthread_frames(dwfl, t->tid, write_frame, &w) == -1 && w.n_frames == 0)
        denied = dwfl_errmsg(-1);
    if (w.n_frames == 0)
        fprintf(out, "  stack denied: %s\n", denied ? denied : "elfutils finds no frame");
    if (t->note) {
        t->note->found = true;
        t->note->waits = w.n_frames ? w.waits : state == 'S';
    }
    fclose(out);
}

static bool comes_first(const thread *t)
{
    return t->note && !t->note->waits && !t->note->parked;
}

static void write_threads(const thread *threads, size_t n, FILE *out)
{
    size_t written = 0;
    for (int first = 1; first >= 0; first--)
        for (size_t i = 0; i < n; i++)
            if (comes_first(&threads[i]) == first && written++ < MAX_WRITTEN)
                fputs(threads[i].text ? threads[i].text : "no memory for a stack\n", out);
    if (n > MAX_WRITTEN)
        fprintf(out, "and %zu more threads\n", n - MAX_WRITTEN);
}

void dd_unwind_process(pid_t pid, dd_unwind_note *notes, size_t n_notes, FILE *out)
{
    thread *threads = calloc(MAX_THREADS, sizeof *threads);
    if (!threads) {
        fputs("no memory for the stacks\n", out);
        return;
    }
    size_t n = list_threads(pid, notes, n_notes, threads);
    fprintf(out, "process %d, %zu thread%s\n", (int)pid, n, n == 1 ? "" : "s");

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
        unwind_thread(pid, dwfl, denied, &threads[i]);
    if (dwfl)
        dwfl_end(dwfl);
    write_threads(threads, n, out);
    for (size_t i = 0; i < n; i++)
        free(threads[i].text);
    free(threads);
}
