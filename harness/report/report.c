/* SPDX-License-Identifier: MIT
 * Files of the results folder. */
#include "report.h"
#include "build_info.h"
#include "folder.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

const char *dd_report_untimeable(void)
{
    if (dd_build.sanitizer[0])
        return "sanitizer build";
    if (strcasecmp(dd_build.type, "Debug") == 0) /* CMake takes it in any letters */
        return "debug build";
#ifdef __OPTIMIZE__ /* core/ has the same flags */
    return NULL;
#else
    return "build that is not optimised";
#endif
}

void dd_report_log_name(char name[64], size_t cell, uint32_t repeat)
{
    snprintf(name, 64, "logs/cell-%zu-repeat-%u.log", cell + 1, repeat + 1);
}

void dd_report_oracle_log_name(char name[64], size_t oracle)
{
    snprintf(name, 64, "logs/oracle-%zu.log", oracle + 1);
}

/* ---- Folder ---- */

static bool fail(dd_report *report, const char *what)
{
    if (!report->failure[0])
        snprintf(report->failure, sizeof report->failure, "%.380s: %s", what, strerror(errno));
    return false;
}

/* Removes what make_folder made. */
static void remove_folders(const char *path, size_t made)
{
    char at[DD_PATH_MAX];
    (void)snprintf(at, sizeof at, "%s", path);
    for (size_t n = strlen(at); made && n >= made; n--)
        if (path[n] == '/' || path[n] == '\0') {
            at[n] = '\0';
            (void)rmdir(at); /* not if somebody else has put something there */
        }
}

/* Makes a folder and what is missing above it. must_be_new: the last one must not exist. *made: as
 * in dd_report. returns  false: nothing is left */
static bool make_folder(char *path, bool must_be_new, size_t *made)
{
    const size_t all = strlen(path);
    *made = 0;
    for (size_t n = 1; n <= all; n++) {
        const char end = path[n];
        if (end != '/' && end != '\0')
            continue;
        path[n] = '\0';
        const bool new = mkdir(path, 0777) == 0, was = !new &&errno == EEXIST;
        path[n] = end;
        if (new && !*made)
            *made = n;
        if (!new && (!was || (n == all && must_be_new))) {
            const int why = errno;
            remove_folders(path, *made);
            errno = why;
            return false;
        }
    }
    struct stat is;
    if (stat(path, &is) == 0 && S_ISDIR(is.st_mode))
        return true;
    errno = ENOTDIR;
    return false;
}

static bool make_own_folder(dd_report *report, const char *name)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    /* Two runs may begin in one second. */
    for (int i = 1; i < 1000; i++) {
        int n = snprintf(report->dir, sizeof report->dir, "results/runs/%s-%s", when, name);
        if (i > 1)
            snprintf(report->dir + n, sizeof report->dir - (size_t)n, "-%d", i);
        if (make_folder(report->dir, true, &report->made))
            return true;
        if (errno != EEXIST)
            break;
    }
    return false;
}

/* ---- Files ---- */

typedef struct source {
    const dd_report *report;
    const dd_sweep *sweep;
    const dd_speedup *speedup;
    const char *log;
} source;

typedef struct file {
    const char *name; /* in the folder */
    bool (*write)(const source *from, FILE *out);
} file;

/* Its path, and that of the temporary file it begins as. */
static void file_paths(const dd_report *report, const char *name, char path[DD_PATH_MAX],
                       char temporary[DD_PATH_MAX])
{
    snprintf(path, DD_PATH_MAX, "%s/%.200s", report->dir, name);
    snprintf(temporary, DD_PATH_MAX, "%s/%.200s.tmp", report->dir, name);
}

static bool write_temporary(dd_report *report, const file *what, const source *from)
{
    char path[DD_PATH_MAX], temporary[DD_PATH_MAX];
    file_paths(report, what->name, path, temporary);
    FILE *f = dd_folder_create(temporary);
    if (!f)
        return fail(report, temporary);
    bool written = what->write(from, f) && !ferror(f);
    if (fclose(f) || !written) {
        fail(report, path);
        unlink(temporary);
        return false;
    }
    return true;
}

/* A temporary file takes its name, or goes. */
static void finish_file(dd_report *report, const char *name, bool keep)
{
    char path[DD_PATH_MAX], temporary[DD_PATH_MAX];
    file_paths(report, name, path, temporary);
    if (keep && rename(temporary, path) == 0)
        return;
    if (keep)
        fail(report, path);
    unlink(temporary);
}

static bool write_json(const source *from, FILE *out)
{
    return dd_report_json(from->report, from->sweep, out);
}

static bool write_junit(const source *from, FILE *out)
{
    return dd_report_junit(from->sweep, out);
}

static bool write_csv(const source *from, FILE *out)
{
    dd_speedup_csv(from->speedup, out);
    return true;
}

static bool write_speedup_json(const source *from, FILE *out)
{
    return dd_speedup_json(from->report, from->speedup, out);
}

static bool write_log(const source *from, FILE *out)
{
    return fputs(from->log, out) >= 0;
}

void dd_report_markdown_head(const dd_report *report, const dd_scenario *scenario, const char *also,
                             FILE *out)
{
    const dd_machine *m = &report->machine;
    fputs("# ", out);
    dd_text_markdown(scenario->name, out);
    fputs("\n\n", out);
    if (scenario->about[0]) {
        dd_text_markdown(scenario->about, out);
        fputs("\n\n", out);
    }
    fprintf(out, "%s, %u core%s usable, %s. dodeca %s, commit %s, %s, `%s`.%s\n\n", m->cpu,
            m->cores, m->cores == 1 ? "" : "s", m->kernel, dd_build.version, dd_build.commit,
            dd_build.compiler, dd_build.flags, also);
    if (report->command[0]) {
        fputs("Made by ", out);
        dd_text_code(report->command, out);
        fputs(".\n\n", out);
    }
}

static bool write_markdown(const source *from, FILE *out)
{
    dd_report_markdown_head(from->report, from->sweep->scenario,
                            from->sweep->interrupted ? " **Interrupted.**" : "", out);
    dd_speedup_write(from->speedup, true, out);
    return true;
}

/* A log does not change once its run is over: it is written when it is missing. */
static void write_logs(dd_report *report, const dd_sweep *sweep)
{
    char name[64], path[DD_PATH_MAX];
    for (size_t i = 0; i < sweep->scenario->n_cells + sweep->n_oracles; i++) {
        bool oracle = i >= sweep->scenario->n_cells;
        size_t at = oracle ? i - sweep->scenario->n_cells : i;
        uint32_t n = oracle ? 1 : sweep->cells[at].n_repeats;
        for (uint32_t r = 0; r < n; r++) {
            const dd_run *run = oracle ? &sweep->oracles[at].run : &sweep->cells[at].repeats[r].run;
            if (!run->log)
                continue;
            if (oracle)
                dd_report_oracle_log_name(name, at);
            else
                dd_report_log_name(name, at, r);
            snprintf(path, sizeof path, "%s/logs", report->dir);
            if (!dd_folder_make(path)) {
                fail(report, path);
                return;
            }
            snprintf(path, sizeof path, "%s/%s", report->dir, name);
            if (access(path, F_OK) == 0)
                continue;
            if (write_temporary(report, &(file){name, write_log}, &(source){.log = run->log}))
                finish_file(report, name, true);
        }
    }
}

static const file files[] = {
    {"run.json", write_json},   {"speedup.md", write_markdown},
    {"speedup.csv", write_csv}, {"speedup.json", write_speedup_json},
    {"junit.xml", write_junit},
};
enum { N_FILES = sizeof files / sizeof *files };

/* together: all are replaced or none; else those that can be. */
static void write_files(dd_report *report, const dd_sweep *sweep, bool together)
{
    dd_speedup speedup;
    if (!dd_speedup_open(&speedup, sweep, report->machine.cores, dd_report_untimeable())) {
        errno = ENOMEM;
        fail(report, report->dir);
        return;
    }
    source from = {.report = report, .sweep = sweep, .speedup = &speedup};
    bool written[N_FILES], all = true;
    for (size_t i = 0; i < N_FILES; i++) {
        written[i] = write_temporary(report, &files[i], &from);
        all = all && written[i];
    }
    for (size_t i = 0; i < N_FILES; i++)
        if (written[i])
            finish_file(report, files[i].name, all || !together);
    dd_speedup_close(&speedup);
}

void dd_report_write(dd_report *report, const dd_sweep *sweep)
{
    write_logs(report, sweep); /* first: the others name them */
    write_files(report, sweep, false);
}

/* ---- What is there already ---- */

/* Files of the folder that dd_report_begin does not write. The journal is the last, which is the
 * lock of all. */
static const char *const others[] = {"soak.md", "report.html", "runs.jsonl"};
enum { N_OTHERS = sizeof others / sizeof *others };

static const char *result_name(size_t i)
{
    return i < N_FILES ? files[i].name : others[i - N_FILES];
}

static bool remove_file(const dd_report *report, const char *name)
{
    char path[DD_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", report->dir, name);
    return unlink(path) == 0;
}

static void remove_below(const dd_report *report, const char *folder, const char *const *patterns)
{
    char path[DD_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", report->dir, folder);
    dd_folder_clear(path, patterns);
    dd_folder_drop_link(path);
}

void dd_report_clear(const dd_report *report, const dd_page_files *page, bool but_begun)
{
    static const char *const traces[] = {"cell-*.json", "cell-*.json.dodeca-tmp", NULL};
    static const char *const logs[] = {"*.log", NULL};
    (void)dd_page_files_forget(page);
    (void)remove_file(report, "soak.md");
    for (size_t i = 0; !but_begun && i < N_FILES; i++)
        (void)remove_file(report, files[i].name);
    remove_below(report, "traces", traces);
    remove_below(report, "logs", logs);
}

/* Whether there are no results in the folder. own_journal: an empty one is the caller's. */
static bool is_free(dd_report *report, bool own_journal)
{
    char path[DD_PATH_MAX];
    struct stat is;
    for (size_t i = 0; i < N_FILES + N_OTHERS; i++) {
        snprintf(path, sizeof path, "%s/%s", report->dir, result_name(i));
        if (lstat(path, &is) != 0 ||
            (own_journal && i == N_FILES + N_OTHERS - 1 && is.st_size == 0))
            continue;
        snprintf(report->failure, sizeof report->failure,
                 "%.300s holds results already, %s; --replace puts others in their place, --resume "
                 "goes on with a sweep",
                 report->dir, result_name(i));
        return false;
    }
    return true;
}

bool dd_report_is_free(dd_report *report)
{
    return is_free(report, true);
}

void dd_report_leave(const dd_report *report)
{
    remove_folders(report->dir, report->made);
}

void dd_report_discard(const dd_report *report)
{
    for (size_t i = 0; report->made && i < N_FILES + N_OTHERS; i++)
        (void)remove_file(report, result_name(i));
    remove_folders(report->dir, report->made);
}

bool dd_report_open_folder(dd_report *report, const char *name, const char *out, bool replace)
{
    *report = (dd_report){0};
    dd_machine_get(&report->machine);
    if (out && snprintf(report->dir, sizeof report->dir, "%s", out) >= (int)sizeof report->dir) {
        errno = ENAMETOOLONG;
        return fail(report, out);
    }
    if (!(out ? make_folder(report->dir, false, &report->made) : make_own_folder(report, name)))
        return fail(report, report->dir);
    return replace || report->made || is_free(report, false);
}

void dd_report_open_again(dd_report *report, const char *dir)
{
    *report = (dd_report){0};
    dd_machine_get(&report->machine);
    (void)snprintf(report->dir, sizeof report->dir, "%s", dir);
}

void dd_report_forget_logs(const dd_report *report, const dd_sweep *sweep, size_t cell)
{
    char name[64], path[DD_PATH_MAX];
    for (uint32_t r = 0; r < sweep->cells[cell].n_repeats; r++) {
        dd_report_log_name(name, cell, r);
        snprintf(path, sizeof path, "%s/%s", report->dir, name);
        unlink(path);
    }
}

bool dd_report_file(dd_report *report, const char *name, bool (*write)(const void *from, FILE *out),
                    const void *from)
{
    char path[DD_PATH_MAX], temporary[DD_PATH_MAX];
    file_paths(report, name, path, temporary);
    FILE *f = dd_folder_create(temporary);
    if (!f)
        return fail(report, temporary);
    bool written = write(from, f) && !ferror(f);
    if (fclose(f) || !written) {
        fail(report, path);
        unlink(temporary);
        return false;
    }
    finish_file(report, name, true);
    return !report->failure[0];
}

bool dd_report_begin(dd_report *report, const dd_sweep *sweep)
{
    write_files(report, sweep, true);
    if (report->failure[0])
        dd_report_discard(report);
    return !report->failure[0];
}

void dd_report_print(const dd_report *report, const dd_sweep *sweep, FILE *out)
{
    dd_speedup speedup;
    if (!dd_speedup_open(&speedup, sweep, report->machine.cores, dd_report_untimeable())) {
        fputs("no memory for the table\n", out);
        return;
    }
    fprintf(out, "%s%s%s\n\n", sweep->scenario->name, sweep->scenario->about[0] ? ": " : "",
            sweep->scenario->about);
    dd_speedup_write(&speedup, false, out);
    dd_speedup_close(&speedup);
    if (report->failure[0]) {
        fprintf(out, "\n%s: not all results could be written\n", report->dir);
        return;
    }
    fprintf(out, "\n%s%s: speedup.md, speedup.csv, speedup.json, run.json, junit.xml\n",
            sweep->interrupted ? "Interrupted; the finished cells are in " : "", report->dir);
}
