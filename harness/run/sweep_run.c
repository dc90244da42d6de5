/* SPDX-License-Identifier: MIT
 * Execution of a sweep. */
#include "cell_body.h"
#include "progress.h"
#include "random.h"
#include "sweep_stop.h"
#include "sweep_times.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of random numbers, beside those that scenarios, reports and the core have. */
#define PURPOSE_SHUFFLE 37

typedef struct execution {
    dd_sweep *sweep;
    const dd_sweep_options *options;
    dd_progress progress;
    uint64_t begun_ns, wall_before_ns; /* this part of the sweep, and those before it */
    /* of the run in progress */
    const char *label;
    uint64_t steps, start_ns;
    double left_s; /* after this run */
    double run_s;  /* this run, as far as can be known */
} execution;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void show(void *user, uint64_t step)
{
    execution *x = user;
    double spent_s = (double)(now_ns() - x->start_ns) * 1e-9;
    double rest_s = x->run_s > spent_s ? x->run_s - spent_s : 0;
    dd_progress_show(&x->progress, x->sweep->runs_done + 1, x->sweep->runs_due, x->label, step,
                     x->steps, x->left_s + rest_s);
}

/* Seconds that a cell's runs took so far, on average; NaN before the first. */
static double cell_seconds(const dd_sweep_cell *cell)
{
    uint64_t sum_ns = 0;
    uint32_t n = 0;
    for (uint32_t r = 0; r < cell->n_repeats; r++) {
        if (cell->repeats[r].run.outcome != DD_RUN_NOT_RUN) {
            sum_ns += cell->repeats[r].run.wall_ns;
            n++;
        }
    }
    return n ? (double)sum_ns * 1e-9 / n : (double)NAN;
}

/* Expected seconds of the run of `current` and of all runs after it. A cell not yet seen is taken
 * for the mean of those that were. */
static void expect(execution *x, const dd_sweep_cell *current)
{
    const dd_sweep *sweep = x->sweep;
    double seen_s = 0, left_s = 0;
    uint64_t n_seen = 0, n_unseen = 0;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++) {
        const dd_sweep_cell *cell = &sweep->cells[i];
        double s = cell_seconds(cell);
        uint32_t left = 0;
        for (uint32_t r = 0; r < cell->n_repeats; r++)
            left += cell->repeats[r].run.outcome == DD_RUN_NOT_RUN;
        if (isnan(s)) {
            n_unseen += left;
        } else {
            seen_s += s;
            n_seen++;
            left_s += s * left;
        }
    }
    double mean_s = n_seen ? seen_s / (double)n_seen : (double)NAN;
    double own_s = current ? cell_seconds(current) : (double)NAN;
    x->run_s = isnan(own_s) ? mean_s : own_s;
    x->left_s = left_s + (n_unseen ? mean_s * (double)n_unseen : 0) - (current ? x->run_s : 0);
}

/* What weights a plug-in's child leaves or finds. */
typedef struct weights {
    dd_weights_store *leave, *beside;
} weights;

static void run_child(execution *x, const dd_settings *settings, dd_cell_body *body,
                      const char *label, const dd_sweep_cell *cell, weights w, dd_run *run)
{
    expect(x, cell);
    x->label = label;
    x->steps = settings->steps;
    x->start_ns = now_ns();
    dd_cell_job job = {.settings = settings,
                       .body = body,
                       .leave = w.leave,
                       .beside = w.beside,
                       .stop_fd = x->options->stop_fd,
                       .progress = show,
                       .user = x};
    dd_cell_run(&job, run);
    if (run->outcome == DD_RUN_NOT_RUN)
        x->sweep->interrupted = true;
    else
        x->sweep->runs_done++;
}

static void tell(const execution *x, const dd_sweep_place *done)
{
    if (x->options->on_run)
        x->options->on_run(x->options->user, x->sweep, done);
}

/* Whether cells are compared with its weights one by one. */
static bool has_tolerance(const dd_sweep_oracle *oracle)
{
    return oracle->settings.subject == DD_SUBJECT_PLUGIN && oracle->settings.tolerance > 0;
}

/* Cells that were run beside an oracle that did not end, and are not run again with it. */
static void judge_earlier(dd_sweep *sweep, const dd_sweep_oracle *oracle)
{
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        if (&sweep->oracles[sweep->cells[i].oracle] == oracle)
            dd_sweep_judge_cell(sweep, &sweep->cells[i]);
}

/* Also a plug-in's reference. */
static void run_oracle(execution *x, dd_sweep_oracle *oracle)
{
    const dd_settings *s = &oracle->settings;
    const bool own = s->subject == DD_SUBJECT_PLUGIN;
    const char *name = own ? "reference, one worker" : "oracle";
    dd_cell_body *body = own ? dd_cell_body_plugin : dd_cell_body_serial;
    if (has_tolerance(oracle))
        oracle->weights = dd_weights_store_open(); /* NULL: the cells will say so */
    run_child(x, s, x->options->serial ? x->options->serial : body, name, NULL,
              (weights){.leave = oracle->weights}, &oracle->run);
    if (x->sweep->interrupted)
        return;
    judge_earlier(x->sweep, oracle);
    if (oracle->run.outcome == DD_RUN_ENDED && oracle->run.end.data_note[0])
        dd_progress_say(&x->progress, "%s", oracle->run.end.data_note);
    dd_progress_say(&x->progress, "[%llu/%llu] %s: %s (%.1f s)%s%s",
                    (unsigned long long)x->sweep->runs_done, (unsigned long long)x->sweep->runs_due,
                    name, dd_outcome_name(oracle->run.outcome), (double)oracle->run.wall_ns * 1e-9,
                    oracle->run.reason[0] ? " " : "", oracle->run.reason);
    tell(x, &(dd_sweep_place){.oracle = true, .at = (size_t)(oracle - x->sweep->oracles)});
}

/* A sweep that is resumed knows what a reference's losses were, but no longer its weights. */
static bool lacks_weights(const dd_sweep_oracle *oracle)
{
    return oracle->run.outcome == DD_RUN_ENDED && !oracle->weights && has_tolerance(oracle);
}

/* One more run, which is nobody's result. */
static void make_weights_again(execution *x, dd_sweep_oracle *oracle)
{
    dd_run again;
    dd_cell_body *body = x->options->serial ? x->options->serial : dd_cell_body_plugin;
    oracle->weights = dd_weights_store_open();
    run_child(x, &oracle->settings, body, "reference once more", NULL,
              (weights){.leave = oracle->weights}, &again);
    x->sweep->runs_done -= again.outcome != DD_RUN_NOT_RUN;
    if (again.outcome != DD_RUN_ENDED) { /* the cells will say that they were not compared */
        dd_weights_store_close(oracle->weights);
        oracle->weights = NULL;
    }
    dd_run_clear(&again);
}

static void say_result(execution *x, const dd_sweep_cell *cell, uint32_t repeat, const char *label)
{
    const dd_sweep_run *done = &cell->repeats[repeat];
    const char *reason = "", *name = "";
    size_t n, i = 0;
    const dd_check *checks = dd_checks(&n);
    while (i < n && (!done->check[i].applies || done->check[i].verdict != done->verdict))
        i++;
    if (done->verdict != DD_PASS && i < n) {
        reason = done->check[i].reason;
        if (done->run.outcome == DD_RUN_ENDED) /* else the reason is how it ended, no check's */
            name = checks[i].name;
    } else if (x->progress.terminal)
        return; /* the table will tell */
    dd_progress_say(&x->progress, "[%llu/%llu] %s: %s (%.1f s)%s%s%s%s",
                    (unsigned long long)x->sweep->runs_done, (unsigned long long)x->sweep->runs_due,
                    label, dd_verdict_name(done->verdict), (double)done->run.wall_ns * 1e-9,
                    reason[0] ? " " : "", name, name[0] ? ": " : "", reason);
}

static void run_cell(execution *x, dd_sweep_cell *cell, uint32_t repeat)
{
    const dd_settings *settings = &cell->plan->settings;
    dd_sweep_run *now = &cell->repeats[repeat];
    char label[256];
    snprintf(label, sizeof label, "%.200s, repeat %u of %s%u",
             cell->plan->label[0] ? cell->plan->label : x->sweep->scenario->name, repeat + 1,
             settings->interval > 0 && !x->sweep->untimeable ? "at most " : "",
             settings->interval > 0 && !x->sweep->untimeable ? settings->repeats_max
                                                             : cell->n_repeats);
    dd_cell_body *body = x->options->train ? x->options->train : dd_cell_body_train;
    const dd_sweep_oracle *oracle = &x->sweep->oracles[cell->oracle];
    run_child(x, settings, body, label, cell,
              (weights){.beside = oracle->run.outcome == DD_RUN_ENDED ? oracle->weights : NULL},
              &now->run);
    dd_sweep_judge_repeat(x->sweep, cell, repeat);
    cell->verdict = dd_verdict_join(cell->verdict, now->verdict);
    if (x->sweep->interrupted)
        return;
    say_result(x, cell, repeat, label);
    tell(x, &(dd_sweep_place){.at = (size_t)(cell - x->sweep->cells), .repeat = repeat});
}

/* Says in every row that was not reached why it is empty. */
static void mark_interrupted(dd_sweep *sweep)
{
    for (size_t i = 0; i < sweep->scenario->n_cells; i++) {
        dd_sweep_cell *cell = &sweep->cells[i];
        for (uint32_t r = 0; r < cell->n_repeats; r++) {
            dd_sweep_run *row = &cell->repeats[r];
            if (row->run.outcome != DD_RUN_NOT_RUN)
                continue;
            snprintf(row->run.reason, sizeof row->run.reason, "interrupted");
            row->verdict =
                dd_checks_judge(&cell->plan->settings, &row->run, NULL, NULL, row->check);
        }
    }
}

/* The order of cells within a repeat.  source  Fisher and Yates; Durstenfeld 1964 */
static void draw_order(size_t *order, size_t n, uint64_t seed, uint32_t repeat)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t left = n; seed && left > 1; left--) {
        uint32_t word[4];
        dd_philox(seed, (uint64_t)repeat << 32 | left, PURPOSE_SHUFFLE, word);
        const size_t at = (size_t)((uint64_t)word[0] * left >> 32), last = order[left - 1];
        order[left - 1] = order[at];
        order[at] = last;
    }
}

/* Whether the cell is to have that repeat, and has not; one that it needs is added. */
static bool is_due(dd_sweep *sweep, dd_sweep_cell *cell, uint32_t repeat)
{
    if (repeat == cell->n_repeats && dd_cell_end_get(sweep, cell) == DD_CELL_OPEN) {
        dd_sweep_add_repeat(cell);
        sweep->runs_due++;
    }
    return repeat < cell->n_repeats && cell->repeats[repeat].run.outcome == DD_RUN_NOT_RUN;
}

/* One repeat of every cell that is due. */
static void run_repeat(execution *x, const size_t *order, uint32_t repeat)
{
    dd_sweep *sweep = x->sweep;
    for (size_t i = 0; i < sweep->scenario->n_cells && !sweep->interrupted; i++) {
        dd_sweep_cell *cell = &sweep->cells[order[i]];
        dd_sweep_oracle *oracle = &sweep->oracles[cell->oracle];
        if (!is_due(sweep, cell, repeat))
            continue;
        if (dd_stop_asked(x->options->stop_fd))
            sweep->interrupted = true;
        if (!sweep->interrupted && oracle->run.outcome == DD_RUN_NOT_RUN)
            run_oracle(x, oracle);
        else if (!sweep->interrupted && lacks_weights(oracle))
            make_weights_again(x, oracle);
        if (!sweep->interrupted)
            run_cell(x, cell, repeat);
        sweep->wall_ns = x->wall_before_ns + (now_ns() - x->begun_ns);
    }
}

static bool has_runs(const dd_sweep_cell *cell)
{
    uint32_t r = 0;
    while (r < cell->n_repeats && cell->repeats[r].run.outcome == DD_RUN_NOT_RUN)
        r++;
    return r < cell->n_repeats;
}

/* What a sweep that is resumed lacks of what its cells' runs are judged by. */
static void run_missing_oracles(execution *x)
{
    dd_sweep *sweep = x->sweep;
    for (size_t i = 0; i < sweep->scenario->n_cells && !sweep->interrupted; i++) {
        dd_sweep_oracle *oracle = &sweep->oracles[sweep->cells[i].oracle];
        if (oracle->run.outcome != DD_RUN_NOT_RUN || !has_runs(&sweep->cells[i]))
            continue;
        if (dd_stop_asked(x->options->stop_fd))
            sweep->interrupted = true;
        else
            run_oracle(x, oracle);
        sweep->wall_ns = x->wall_before_ns + (now_ns() - x->begun_ns);
    }
}

static uint32_t most_repeats(const dd_sweep *sweep)
{
    uint32_t most = 0;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++) {
        const dd_settings *s = &sweep->cells[i].plan->settings;
        const uint32_t own = s->repeats_max > s->repeats ? s->repeats_max : s->repeats;
        most = own > most ? own : most;
    }
    return most;
}

void dd_sweep_run_all(dd_sweep *sweep, const dd_sweep_options *options)
{
    const size_t n = sweep->scenario->n_cells;
    execution x = {.sweep = sweep,
                   .options = options,
                   .progress = {.out = options->log, .terminal = options->terminal},
                   .begun_ns = now_ns(),
                   .wall_before_ns = sweep->wall_ns};
    const uint32_t rounds = most_repeats(sweep);
    size_t *order = calloc(n, sizeof *order);
    sweep->started = sweep->started ? sweep->started : time(NULL);
    sweep->interrupted = !order; /* there was no memory to begin with */
    if (order)
        run_missing_oracles(&x);
    for (uint32_t r = 0; r < rounds && !sweep->interrupted; r++) {
        draw_order(order, n, sweep->cells[0].plan->settings.shuffle, r);
        run_repeat(&x, order, r);
    }
    free(order);
    dd_progress_clear(&x.progress);
    if (sweep->interrupted)
        mark_interrupted(sweep);
    tell(&x, NULL);
}
