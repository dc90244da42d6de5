/* SPDX-License-Identifier: MIT
 * Sweeps and their folders. */
#include "sweep_job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* The command that makes the sweep again, with the scenario's path as seen from here; none where it
 * would be too long, or hold what ends a quotation in Markdown. */
static void tell_command(dd_sweep_job *job, const char *const *sets, size_t n_sets)
{
    char here[DD_PATH_MAX], *to = job->report.command;
    const size_t room = sizeof job->report.command;
    const char *file = job->scenario->file;
    const size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (n && strncmp(file, here, n) == 0 && file[n] == '/')
        file += n + 1;
    size_t used = (size_t)snprintf(to, room, "dodeca run %s", file);
    for (size_t i = 0; i < n_sets && used < room; i++)
        used += (size_t)snprintf(to + used, room - used, " --set '%s'", sets[i]);
    if (used >= room || strchr(to, '`') || strchr(to, '\n'))
        to[0] = '\0';
}

/* The journal first: whoever has it is alone in the folder. It is begun last: until then nothing
 * that was there before is lost. */
static bool fill_folder(dd_sweep_job *job, const char *const *sets, size_t n_sets,
                        char why[DD_JOURNAL_MESSAGE_MAX])
{
    if (!dd_journal_take(job->report.dir, &job->journal, why)) {
        dd_report_discard(&job->report);
        return false;
    }
    if (!dd_report_begin(&job->report, job->sweep)) {
        dd_journal_leave(job->journal);
        return dd_journal_refuse_(why, "%s", job->report.failure);
    }
    dd_report_clear(&job->report, true);
    if (dd_journal_begin(job->journal, job->sweep, sets, n_sets, &job->report.machine, why))
        return true;
    dd_journal_leave(job->journal);
    dd_report_discard(&job->report);
    return false;
}

bool dd_sweep_job_begin(dd_sweep_job *job, const char *out, bool replace, const char *const *sets,
                        size_t n_sets, char message[DD_JOURNAL_MESSAGE_MAX])
{
    char why[DD_JOURNAL_MESSAGE_MAX];
    bool good = dd_report_open_folder(&job->report, job->sweep->scenario->name, out, replace);
    if (!good)
        snprintf(why, sizeof why, "%s", job->report.failure);
    if (good)
        tell_command(job, sets, n_sets);
    good = good && fill_folder(job, sets, n_sets, why);
    if (!good)
        dd_journal_refuse_(message, "results cannot be written: %.900s", why);
    return good;
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
    if (job->sweep->interrupted && !job->report.failure[0])
        fprintf(stderr, "dodeca run: to go on with it: dodeca run --resume %s\n", job->report.dir);
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
    if (!dd_sweep_is_complete(job->sweep) && dd_report_forget_page(&job->report))
        fprintf(stderr,
                "%s: %s/report.html showed the results so far and is removed; \"dodeca report\" "
                "makes it anew\n",
                job->scenario->name, job->report.dir);
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
