/* SPDX-License-Identifier: MIT
 * One run more of each cell. */
#include "trace_cells.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cell_body.h"
#include "commands.h"
#include "folder.h"
#include "subject.h"
#include "trace_file.h"

enum { PATH_BYTES = 4096 };

static bool is_traced(const dd_sweep_cell *cell)
{
    const dd_settings *s = &cell->plan->settings;
    return cell->verdict == DD_PASS && dd_subject_get(s->subject, s->plant)->spheres;
}

/* Why the run is no good, of its checks: the first that did not hold. */
static const char *why(const dd_sweep_run *row)
{
    size_t n;
    (void)dd_checks(&n);
    for (size_t i = 0; i < n; i++)
        if (row->check[i].applies && row->check[i].verdict == row->verdict)
            return row->check[i].reason;
    return "";
}

/* Whether a file was the matter, such as a trace that has no room: no fault of the trainer's. */
static bool lacks_file(const dd_run *run)
{
    return run->outcome == DD_RUN_REFUSED && run->end.status == DD_ERR_DATA;
}

static int trace_cell(const dd_sweep *sweep, size_t at, const char *path, int stop_fd, FILE *log)
{
    const dd_sweep_cell *cell = &sweep->cells[at];
    const dd_settings *settings = &cell->plan->settings;
    dd_sweep_run row = {.verdict = DD_SKIP};
    const dd_cell_job job = {
        .settings = settings, .body = dd_cell_body_train, .trace = path, .stop_fd = stop_fd};
    (void)unlink(path);
    dd_cell_run(&job, &row.run);
    if (row.run.outcome != DD_RUN_ENDED)
        dd_trace_file_forget(path);
    int code = DD_EXIT_INTERRUPTED;
    if (lacks_file(&row.run)) {
        fprintf(log, "dodeca run: %s\n", row.run.end.message);
        code = DD_EXIT_ENVIRONMENT;
    } else if (row.run.outcome != DD_RUN_NOT_RUN) {
        row.verdict =
            dd_checks_judge(settings, &row.run, &sweep->oracles[cell->oracle].run, NULL, row.check);
        fprintf(log, "trace of cell %zu, %s: %s%s%s\n", at + 1,
                cell->plan->label[0] ? cell->plan->label : sweep->scenario->name,
                dd_verdict_name(row.verdict), row.verdict == DD_PASS ? "" : " ",
                row.verdict == DD_PASS ? "" : why(&row));
        if (row.run.log && row.verdict == DD_PASS)
            fputs(row.run.log, log);
        code = row.verdict > DD_SKIP    ? DD_EXIT_FAILED
               : row.verdict == DD_SKIP ? DD_EXIT_ENVIRONMENT
                                        : DD_EXIT_HELD;
    }
    dd_run_clear(&row.run);
    return code;
}

int dd_trace_cells(const dd_sweep *sweep, const char *dir, int stop_fd, FILE *log)
{
    char path[PATH_BYTES];
    int worst = DD_EXIT_HELD;
    snprintf(path, sizeof path, "%s/traces", dir);
    if (!dd_folder_make(path)) {
        fprintf(log, "dodeca run: %s: %s\n", path, strerror(errno));
        return DD_EXIT_ENVIRONMENT;
    }
    for (size_t i = 0; i < sweep->scenario->n_cells && worst != DD_EXIT_INTERRUPTED; i++) {
        if (!is_traced(&sweep->cells[i]))
            continue;
        snprintf(path, sizeof path, "%s/traces/cell-%zu.json", dir, i + 1);
        const int code = trace_cell(sweep, i, path, stop_fd, log);
        worst = worst == DD_EXIT_FAILED && code != DD_EXIT_INTERRUPTED ? worst
                : code == DD_EXIT_HELD                                 ? worst
                                                                       : code;
    }
    return worst;
}
