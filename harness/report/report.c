/* SPDX-License-Identifier: MIT
 * Files of the results folder. */
#include "report.h"
#include "build_info.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *dd_report_untimeable(void)
{
    if (dd_build.sanitizer[0])
        return "sanitizer build";
    return strcmp(dd_build.type, "Debug") == 0 ? "debug build" : NULL;
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

/* Makes a folder and what is missing above it. must_be_new: the last one must not exist. */
static bool make_folder(char *path, bool must_be_new)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made)
            return false;
    }
    struct stat is;
    if (mkdir(path, 0777) == 0)
        return true;
    if (errno != EEXIST || must_be_new)
        return false;
    if (stat(path, &is) == 0 && S_ISDIR(is.st_mode))
        return true;
    errno = ENOTDIR;
    return false;
}

static bool make_own_folder(dd_report *report, const dd_sweep *sweep)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    /* Two runs may begin in one second. */
    for (int i = 1; i < 1000; i++) {
        int n = snprintf(report->dir, sizeof report->dir, "results/runs/%s-%s", when,
                         sweep->scenario->name);
        if (i > 1)
            snprintf(report->dir + n, sizeof report->dir - (size_t)n, "-%d", i);
        if (make_folder(report->dir, true))
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

/* Writes one file by way of a temporary name. */
static bool replace(dd_report *report, const char *name, bool (*write)(const source *, FILE *),
                    const source *from)
{
    char path[DD_PATH_MAX], temporary[DD_PATH_MAX];
    snprintf(path, sizeof path, "%s/%.200s", report->dir, name);
    snprintf(temporary, sizeof temporary, "%s/%.200s.tmp", report->dir, name);
    FILE *f = fopen(temporary, "we");
    if (!f)
        return fail(report, temporary);
    bool written = write(from, f) && !ferror(f);
    if (fclose(f) || !written || rename(temporary, path)) {
        fail(report, path);
        unlink(temporary);
        return false;
    }
    return true;
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

static bool write_log(const source *from, FILE *out)
{
    return fputs(from->log, out) >= 0;
}

static bool write_markdown(const source *from, FILE *out)
{
    const dd_scenario *scenario = from->sweep->scenario;
    const dd_machine *m = &from->report->machine;
    fputs("# ", out);
    dd_text_markdown(scenario->name, out);
    fputs("\n\n", out);
    if (scenario->about[0]) {
        dd_text_markdown(scenario->about, out);
        fputs("\n\n", out);
    }
    fprintf(out, "%s, %u core%s usable, %s. dodeca %s, commit %s, %s, `%s`.%s\n\n", m->cpu,
            m->cores, m->cores == 1 ? "" : "s", m->kernel, dd_build.version, dd_build.commit,
            dd_build.compiler, dd_build.flags, from->sweep->interrupted ? " **Interrupted.**" : "");
    dd_speedup_write(from->speedup, true, out);
    return true;
}

/* A log does not change once its run is over: it is written when it is missing. Before
 * the first run, those that an earlier sweep left in the same folder are removed. */
static void write_logs(dd_report *report, const dd_sweep *sweep)
{
    char name[64], path[DD_PATH_MAX];
    for (size_t i = 0; i < sweep->scenario->n_cells + sweep->n_oracles; i++) {
        bool oracle = i >= sweep->scenario->n_cells;
        size_t at = oracle ? i - sweep->scenario->n_cells : i;
        uint32_t n = oracle ? 1 : sweep->cells[at].n_repeats;
        for (uint32_t r = 0; r < n; r++) {
            const dd_run *run = oracle ? &sweep->oracles[at].run : &sweep->cells[at].repeats[r].run;
            if (!run->log && sweep->runs_done)
                continue;
            if (oracle)
                dd_report_oracle_log_name(name, at);
            else
                dd_report_log_name(name, at, r);
            if (!run->log) {
                snprintf(path, sizeof path, "%s/%s", report->dir, name);
                unlink(path);
                continue;
            }
            snprintf(path, sizeof path, "%s/logs", report->dir);
            if (mkdir(path, 0777) && errno != EEXIST) {
                fail(report, path);
                return;
            }
            snprintf(path, sizeof path, "%s/%s", report->dir, name);
            if (access(path, F_OK))
                replace(report, name, write_log, &(source){.log = run->log});
        }
    }
}

void dd_report_write(dd_report *report, const dd_sweep *sweep)
{
    dd_speedup speedup;
    if (!dd_speedup_open(&speedup, sweep, report->machine.cores, dd_report_untimeable())) {
        errno = ENOMEM;
        fail(report, report->dir);
        return;
    }
    source from = {.report = report, .sweep = sweep, .speedup = &speedup};
    write_logs(report, sweep); /* first: the others name them */
    replace(report, "run.json", write_json, &from);
    replace(report, "speedup.md", write_markdown, &from);
    replace(report, "speedup.csv", write_csv, &from);
    replace(report, "junit.xml", write_junit, &from);
    dd_speedup_close(&speedup);
}

bool dd_report_open(dd_report *report, const dd_sweep *sweep, const char *out)
{
    *report = (dd_report){0};
    dd_machine_get(&report->machine);
    if (out && snprintf(report->dir, sizeof report->dir, "%s", out) >= (int)sizeof report->dir) {
        errno = ENAMETOOLONG;
        return fail(report, out);
    }
    if (!(out ? make_folder(report->dir, false) : make_own_folder(report, sweep)))
        return fail(report, report->dir);
    dd_report_write(report, sweep);
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
    fprintf(out, "\n%s%s: speedup.md, speedup.csv, run.json, junit.xml\n",
            sweep->interrupted ? "Interrupted; the finished cells are in " : "", report->dir);
}
