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
#define MAX_THREADS 256

typedef struct writer {
    Dwfl *dwfl;
    FILE *out;
    int n_frames;
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

/* Must come before the thread is attached: attaching stops it. */
static void write_thread(pid_t pid, pid_t tid, FILE *out)
{
    char path[64], name[64] = "?", stat[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid, (int)tid);
    (void)read_line(path, name, sizeof name);
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    char state = '?';
    if (read_line(path, stat, sizeof stat)) {
        /* The name in parentheses may hold anything, so the state is after the last one. */
        const char *end = strrchr(stat, ')');
        if (end && end[1] == ' ')
            state = end[2];
    }
    fprintf(out, "thread %d \"%s\", %s\n", (int)tid, name, state_name(state));
}

static size_t list_threads(pid_t pid, pid_t tid[MAX_THREADS])
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
            tid[n++] = (pid_t)id;
    }
    closedir(dir);
    return n;
}

void dd_unwind_process(pid_t pid, FILE *out)
{
    pid_t tid[MAX_THREADS];
    size_t n = list_threads(pid, tid);
    fprintf(out, "process %d, %zu thread%s\n", (int)pid, n, n == 1 ? "" : "s");

    Dwfl *dwfl = dwfl_begin(&callbacks);
    /* Both give 0, an errno, or -1 for an error of elfutils' own. */
    int failed = dwfl ? dwfl_linux_proc_report(dwfl, pid) : -1;
    if (!failed)
        failed = dwfl_report_end(dwfl, NULL, NULL);
    if (!failed)
        failed = dwfl_linux_proc_attach(dwfl, pid, false);
    bool attached = !failed;
    const char *denied = failed > 0 ? strerror(failed) : failed ? dwfl_errmsg(-1) : NULL;
    writer w = {.dwfl = dwfl, .out = out};
    for (size_t i = 0; i < n; i++) {
        write_thread(pid, tid[i], out);
        if (attached) {
            w.n_frames = 0;
            if (dwfl_getthread_frames(dwfl, tid[i], write_frame, &w) == -1 && w.n_frames == 0)
                fprintf(out, "  stack denied: %s\n", dwfl_errmsg(-1));
        } else {
            fprintf(out, "  stack denied: %s\n", denied ? denied : "elfutils cannot attach");
        }
    }
    if (dwfl)
        dwfl_end(dwfl);
}
