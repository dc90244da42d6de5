/* SPDX-License-Identifier: MIT
 * Sweeps and their folders. */
#include "sweep_job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command_line.h"
#include "commands.h"
#include "sweep_times.h"
#include "trace_cells.h"

/* A report is written after every run; that of a large sweep, which takes longer than a moment,
 * after twenty times as long as it took, so that it costs 5 % at most. Runs themselves go to the
 * journal at once. */
enum { MOMENT_NS = 50000000, BETWEEN_REPORTS = 20 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Beginning ---- */

int dd_sweep_job_prepare(dd_sweep_job *job, dd_scenario *scenario, bool only_list,
                         char message[DD_JOURNAL_MESSAGE_MAX])
{
    *job = (dd_sweep_job){.scenario = scenario, .sweep = dd_sweep_open(scenario)};
    if (!job->sweep) {
        dd_journal_refuse_(message, "no memory for the cells");
        return DD_EXIT_ENVIRONMENT;
    }
    job->sweep->untimeable = dd_report_untimeable() != NULL;
    dd_status st = only_list ? DD_OK : dd_sweep_validate(job->sweep, message);
    return st == DD_OK ? DD_EXIT_HELD : st == DD_ERR_MEMORY ? DD_EXIT_ENVIRONMENT : DD_EXIT_USAGE;
}

/* The command that makes the sweep again. */
static void tell_command(dd_sweep_job *job, const char *const *sets, size_t n_sets)
{
    (void)dd_command_run(job->scenario->file, sets, n_sets, job->report.command,
                         sizeof job->report.command);
}

/* The journal first: whoever has it is alone in the folder, but for who makes a page of it. Without
 * it nothing is removed that somebody could have put there. page: to be closed in any case */
static bool take_folder(dd_report *report, bool replace, dd_journal **journal, dd_page_files *page,
                        char why[DD_JOURNAL_MESSAGE_MAX])
{
    *page = (dd_page_files){.lock = -1};
    if (dd_journal_take(report->dir, journal, why)) {
        const bool is_free =
            replace || dd_report_is_free(report) || dd_journal_refuse_(why, "%s", report->failure);
        if (is_free && dd_page_files_open(page, report->dir, why, DD_JOURNAL_MESSAGE_MAX))
            return true;
        dd_journal_leave(*journal);
    }
    dd_report_leave(report);
    return false;
}

/* The journal is begun last: until then nothing that was there before is lost. */
static bool fill_folder(dd_sweep_job *job, const dd_page_files *page, const char *const *sets,
                        size_t n_sets, char why[DD_JOURNAL_MESSAGE_MAX])
{
    const bool begun = dd_report_begin(&job->report, job->sweep);
    bool good = begun || dd_journal_refuse_(why, "%s", job->report.failure);
    if (begun) {
        dd_report_clear(&job->report, page, true);
        good = dd_journal_begin(job->journal, job->sweep, sets, n_sets, &job->report.machine, why);
    }
    if (begun && !good)
        dd_report_discard(&job->report);
    if (!good)
        dd_journal_leave(job->journal);
    return good;
}

bool dd_sweep_job_begin(dd_sweep_job *job, const char *out, bool replace, const char *const *sets,
                        size_t n_sets, char message[DD_JOURNAL_MESSAGE_MAX])
{
    char why[DD_JOURNAL_MESSAGE_MAX];
    bool good = dd_report_open_folder(&job->report, job->sweep->scenario->name, out, replace);
    if (!good)
        snprintf(why, sizeof why, "%s", job->report.failure);
    if (good) {
        dd_page_files page;
        tell_command(job, sets, n_sets);
        good = take_folder(&job->report, replace, &job->journal, &page, why) &&
               fill_folder(job, &page, sets, n_sets, why);
        dd_page_files_close(&page);
    }
    if (!good)
        dd_journal_refuse_(message, "results cannot be written: %.900s", why);
    return good;
}

bool dd_sweep_job_hold(dd_report *report, bool replace, dd_journal **out,
                       char message[DD_JOURNAL_MESSAGE_MAX])
{
    char why[DD_JOURNAL_MESSAGE_MAX];
    dd_page_files page;
    bool good = take_folder(report, replace, out, &page, why);
    if (good) {
        dd_report_clear(report, &page, false);
        good = dd_journal_empty(*out, why);
    }
    dd_page_files_close(&page);
    if (!good)
        dd_journal_refuse_(message, "results cannot be written: %.900s", why);
    return good;
}

/* There will be other results than the page shows: it goes, with its plots. */
static bool forget_page(const dd_sweep_job *job, char message[DD_JOURNAL_MESSAGE_MAX])
{
    dd_page_files page;
    const bool held = dd_page_files_open(&page, job->report.dir, message, DD_JOURNAL_MESSAGE_MAX);
    if (held && dd_page_files_forget(&page))
        fprintf(stderr,
                "%s: %s/report.html showed the results so far and is removed; \"dodeca report\" "
                "makes it anew\n",
                job->scenario->name, job->report.dir);
    dd_page_files_close(&page);
    return held;
}

int dd_sweep_job_resume(dd_sweep_job *job, const char *dir, uint64_t again,
                        char message[DD_JOURNAL_MESSAGE_MAX])
{
    *job = (dd_sweep_job){0};
    size_t n_sets;
    if (!dd_journal_open(dir, &job->journal, message))
        return DD_EXIT_USAGE;
    const char *const *sets = dd_journal_sets(job->journal, &n_sets);
    if (!dd_scenario_open(dd_journal_file(job->journal), sets, n_sets, &job->scenario, message))
        return DD_EXIT_USAGE;
    job->sweep = job->scenario->draws ? NULL : dd_sweep_open(job->scenario);
    if (!job->sweep) {
        dd_journal_refuse_(message, "%.300s: no sweep can be made of it any more",
                           job->scenario->file);
        return DD_EXIT_USAGE;
    }
    job->sweep->untimeable = dd_report_untimeable() != NULL;
    if (again > job->scenario->n_cells) {
        dd_journal_refuse_(message, "--again %llu: the cells are numbered from 1 to %zu",
                           (unsigned long long)again, job->scenario->n_cells);
        return DD_EXIT_USAGE;
    }
    dd_report_open_again(&job->report, dir);
    tell_command(job, sets, n_sets);
    if (!dd_journal_restore(job->journal, job->sweep, &job->report.machine, message) ||
        dd_sweep_validate(job->sweep, message) != DD_OK)
        return DD_EXIT_USAGE;
    if ((again || !dd_sweep_is_complete(job->sweep)) && !forget_page(job, message))
        return DD_EXIT_USAGE;
    if (!again)
        return DD_EXIT_HELD;
    if (!dd_journal_again(job->journal, again - 1, message))
        return DD_EXIT_ENVIRONMENT;
    dd_report_forget_logs(&job->report, job->sweep, again - 1);
    dd_sweep_forget(job->sweep, again - 1);
    return DD_EXIT_HELD;
}

/* ---- Running ---- */

static void keep(void *user, const dd_sweep *sweep, const dd_sweep_place *done)
{
    dd_sweep_job *job = user;
    char message[DD_JOURNAL_MESSAGE_MAX];
    if (done && !dd_journal_add(job->journal, sweep, done, message) && !job->report.failure[0])
        snprintf(job->report.failure, sizeof job->report.failure, "%.500s", message);
    const uint64_t begun_ns = now_ns();
    if (done && job->writing_ns > MOMENT_NS &&
        begun_ns - job->written_ns < BETWEEN_REPORTS * job->writing_ns)
        return;
    dd_report_write(&job->report, sweep);
    job->written_ns = now_ns();
    job->writing_ns = job->written_ns - begun_ns;
}

/* Cells that could not run here: the machine lacks what they ask for. */
static size_t count_skipped(const dd_sweep *sweep)
{
    size_t n = 0;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        n += sweep->cells[i].verdict == DD_SKIP;
    return n;
}

static int exit_code(const dd_sweep_job *job)
{
    if (job->sweep->interrupted)
        return DD_EXIT_INTERRUPTED;
    if (dd_sweep_verdict(job->sweep) > DD_SKIP)
        return DD_EXIT_FAILED;
    return job->report.failure[0] || count_skipped(job->sweep) ? DD_EXIT_ENVIRONMENT : DD_EXIT_HELD;
}

static void say_trouble(const dd_sweep_job *job)
{
    size_t n = count_skipped(job->sweep);
    if (job->report.failure[0])
        fprintf(stderr, "dodeca run: results could not be written: %s\n", job->report.failure);
    if (n && !job->sweep->interrupted)
        fprintf(stderr,
                "dodeca run: %s: %zu of %zu cells could not run on this machine, see SKIP in the "
                "table\n",
                job->scenario->name, n, job->scenario->n_cells);
    if (job->sweep->interrupted && !job->report.failure[0]) {
        fputs("dodeca run: to go on with it: dodeca run --resume ", stderr);
        dd_shell_word(job->report.dir, stderr);
        fputc('\n', stderr);
    }
}

int dd_sweep_job_run(dd_sweep_job *job, int stop_fd)
{
    dd_sweep_options options = {.stop_fd = stop_fd,
                                .log = stderr,
                                .terminal = isatty(STDERR_FILENO),
                                .on_run = keep,
                                .user = job};
    const uint64_t shuffle = job->scenario->cells[0].settings.shuffle;
    if (job->sweep->runs_done)
        fprintf(stderr, "%s: %llu runs are done already\n", job->scenario->name,
                (unsigned long long)job->sweep->runs_done);
    if (shuffle && job->scenario->n_cells > 1)
        fprintf(stderr, "%s: %zu cells, in each repeat in another order, drawn from shuffle %llu\n",
                job->scenario->name, job->scenario->n_cells, (unsigned long long)shuffle);
    dd_sweep_run_all(job->sweep, &options);
    dd_report_print(&job->report, job->sweep, stdout);
    say_trouble(job);
    const int code = exit_code(job);
    if (!job->trace || job->sweep->interrupted)
        return code;
    const int traced = dd_trace_cells(job->sweep, job->report.dir, stop_fd, stderr);
    return traced == DD_EXIT_INTERRUPTED || code == DD_EXIT_HELD ? traced : code;
}

void dd_sweep_job_close(dd_sweep_job *job)
{
    dd_journal_close(job->journal);
    dd_sweep_close(job->sweep);
    dd_scenario_close(job->scenario);
    *job = (dd_sweep_job){0};
}
