/* SPDX-License-Identifier: MIT
 * Layout and execution of a sweep. */
#include "sweep.h"
#include "cell_body.h"
#include "config.h"
#include "progress.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ---- Layout ---- */

/* Every setting that the oracle's result depends on, as text. */
static char *oracle_key(const dd_settings *s)
{
    char *key = NULL;
    size_t size, n;
    FILE *out = open_memstream(&key, &size);
    if (!out)
        return NULL;
    const dd_key *keys = dd_keys(&n);
    for (size_t i = 0; i < n; i++) {
        if (!keys[i].decides_bits)
            continue;
        char value[DD_SPEC_MAX];
        dd_settings_get(s, keys[i].name, value);
        fprintf(out, "%s=%s\n", keys[i].name, value);
    }
    return fclose(out) == 0 ? key : NULL;
}

/* Finds or adds the cell's oracle. There is room for one a cell. */
static bool place_oracle(dd_sweep *sweep, dd_sweep_cell *cell)
{
    char *key = oracle_key(&cell->plan->settings);
    if (!key)
        return false;
    for (cell->oracle = 0; cell->oracle < sweep->n_oracles; cell->oracle++) {
        if (strcmp(sweep->oracles[cell->oracle].key, key) == 0) {
            free(key);
            return true;
        }
    }
    dd_sweep_oracle *oracle = &sweep->oracles[sweep->n_oracles++];
    *oracle = (dd_sweep_oracle){.key = key, .settings = cell->plan->settings};
    oracle->settings.plant =
        DD_PLANT_NONE;        /* what the cell suffers on purpose is not the oracle's: */
    oracle->settings.hog = 0; /* other cells are held against it, and timed, too */
    oracle->settings.perturb = 0;
    return true;
}

dd_sweep *dd_sweep_open(const dd_scenario *scenario)
{
    dd_sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep)
        return NULL;
    sweep->scenario = scenario;
    sweep->cells = calloc(scenario->n_cells, sizeof *sweep->cells);
    sweep->oracles = calloc(scenario->n_cells, sizeof *sweep->oracles);
    if (!sweep->cells || !sweep->oracles)
        goto fail;
    for (size_t i = 0; i < scenario->n_cells; i++) {
        dd_sweep_cell *cell = &sweep->cells[i];
        cell->plan = &scenario->cells[i];
        cell->verdict = DD_SKIP;
        cell->repeats = calloc(cell->plan->settings.repeats, sizeof *cell->repeats);
        if (!cell->repeats || !place_oracle(sweep, cell))
            goto fail;
        cell->n_repeats = cell->plan->settings.repeats;
        for (uint32_t r = 0; r < cell->n_repeats; r++)
            cell->repeats[r].verdict = dd_checks_judge(&cell->plan->settings, &cell->repeats[r].run,
                                                       NULL, cell->repeats[r].check);
        sweep->runs_due += cell->n_repeats;
    }
    sweep->runs_due += sweep->n_oracles;
    return sweep;
fail:
    dd_sweep_close(sweep);
    return NULL;
}

void dd_sweep_close(dd_sweep *sweep)
{
    if (!sweep)
        return;
    for (size_t i = 0; sweep->cells && i < sweep->scenario->n_cells; i++) {
        for (uint32_t r = 0; r < sweep->cells[i].n_repeats; r++)
            dd_run_clear(&sweep->cells[i].repeats[r].run);
        free(sweep->cells[i].repeats);
    }
    for (size_t i = 0; i < sweep->n_oracles; i++) {
        dd_run_clear(&sweep->oracles[i].run);
        free(sweep->oracles[i].key);
    }
    free(sweep->cells);
    free(sweep->oracles);
    free(sweep);
}

/* ---- Validation ---- */

/* Whether two settings open the same data. */
static bool same_data(const dd_settings *a, const dd_settings *b)
{
    return strcmp(a->data, b->data) == 0 && strcmp(a->data_else, b->data_else) == 0 &&
           a->config.seed == b->config.seed;
}

dd_status dd_sweep_validate(const dd_sweep *sweep, char message[DD_SCENARIO_MESSAGE_MAX])
{
    dd_data *data = NULL;
    const dd_settings *opened = NULL;
    dd_status st = DD_OK;
    dd_error error = {{0}};
    for (size_t i = 0; i < sweep->scenario->n_cells && st == DD_OK; i++) {
        const dd_scenario_cell *cell = sweep->cells[i].plan;
        const dd_settings *s = &cell->settings;
        if (!opened || !same_data(opened, s)) {
            char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX];
            dd_data_close(data);
            data = NULL;
            st = dd_settings_open_data(s, &data, used, note, &error);
            opened = s;
        }
        if (st == DD_OK)
            st = s->subject == DD_SUBJECT_SERIAL ? dd_config_check_bits(&s->config, data, &error)
                                                 : dd_config_check(&s->config, data, &error);
        if (st == DD_ERR_CPU)
            st = DD_OK; /* the cell will say so itself, as a SKIP */
        if (st != DD_OK) {
            char line[16] = "";
            if (st == DD_ERR_DATA && sweep->scenario->data_line)
                snprintf(line, sizeof line, ":%u", sweep->scenario->data_line);
            snprintf(message, DD_SCENARIO_MESSAGE_MAX, "%.300s%s: %s%.150s%s%.500s",
                     sweep->scenario->file, line, cell->label[0] ? "cell " : "", cell->label,
                     cell->label[0] ? ": " : "", error.message);
        }
    }
    dd_data_close(data);
    return st;
}

/* ---- Execution ---- */

typedef struct execution {
    dd_sweep *sweep;
    const dd_sweep_options *options;
    dd_progress progress;
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

static bool stopped(const dd_sweep_options *options)
{
    struct pollfd p = {.fd = options->stop_fd, .events = POLLIN};
    return p.fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static void run_child(execution *x, const dd_settings *settings, dd_cell_body *body,
                      const char *label, const dd_sweep_cell *cell, dd_run *run)
{
    expect(x, cell);
    x->label = label;
    x->steps = settings->steps;
    x->start_ns = now_ns();
    dd_cell_job job = {.settings = settings,
                       .body = body,
                       .stop_fd = x->options->stop_fd,
                       .progress = show,
                       .user = x};
    dd_cell_run(&job, run);
    if (run->outcome == DD_RUN_NOT_RUN)
        x->sweep->interrupted = true;
    else
        x->sweep->runs_done++;
}

static void run_oracle(execution *x, dd_sweep_oracle *oracle)
{
    dd_cell_body *body = x->options->serial ? x->options->serial : dd_cell_body_serial;
    run_child(x, &oracle->settings, body, "oracle", NULL, &oracle->run);
    if (x->sweep->interrupted)
        return;
    if (oracle->run.outcome == DD_RUN_ENDED && oracle->run.end.data_note[0])
        dd_progress_say(&x->progress, "%s", oracle->run.end.data_note);
    dd_progress_say(&x->progress, "[%llu/%llu] oracle: %s (%.1f s)%s%s",
                    (unsigned long long)x->sweep->runs_done, (unsigned long long)x->sweep->runs_due,
                    dd_outcome_name(oracle->run.outcome), (double)oracle->run.wall_ns * 1e-9,
                    oracle->run.reason[0] ? " " : "", oracle->run.reason);
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
    snprintf(label, sizeof label, "%.200s%s%u of %u",
             cell->plan->label[0] ? cell->plan->label : x->sweep->scenario->name, ", repeat ",
             repeat + 1, cell->n_repeats);
    dd_cell_body *body = x->options->train ? x->options->train : dd_cell_body_train;
    run_child(x, settings, body, label, cell, &now->run);
    now->verdict =
        dd_checks_judge(settings, &now->run, &x->sweep->oracles[cell->oracle].run, now->check);
    cell->verdict = dd_verdict_join(cell->verdict, now->verdict);
    if (!x->sweep->interrupted)
        say_result(x, cell, repeat, label);
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
            row->verdict = dd_checks_judge(&cell->plan->settings, &row->run, NULL, row->check);
        }
    }
}

void dd_sweep_run_all(dd_sweep *sweep, const dd_sweep_options *options)
{
    execution x = {.sweep = sweep,
                   .options = options,
                   .progress = {.out = options->log, .terminal = options->terminal}};
    uint64_t start_ns = now_ns();
    uint32_t rounds = 0;
    sweep->started = time(NULL);
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        if (sweep->cells[i].n_repeats > rounds)
            rounds = sweep->cells[i].n_repeats;
    for (uint32_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < sweep->scenario->n_cells && !sweep->interrupted; i++) {
            dd_sweep_cell *cell = &sweep->cells[i];
            dd_sweep_oracle *oracle = &sweep->oracles[cell->oracle];
            if (r >= cell->n_repeats)
                continue;
            if (stopped(options))
                sweep->interrupted = true;
            if (!sweep->interrupted && oracle->run.outcome == DD_RUN_NOT_RUN)
                run_oracle(&x, oracle);
            if (!sweep->interrupted)
                run_cell(&x, cell, r);
            sweep->wall_ns = now_ns() - start_ns;
            if (options->on_run && !sweep->interrupted)
                options->on_run(options->user, sweep);
        }
    }
    dd_progress_clear(&x.progress);
    if (sweep->interrupted)
        mark_interrupted(sweep);
    if (options->on_run)
        options->on_run(options->user, sweep);
}

dd_verdict dd_sweep_verdict(const dd_sweep *sweep)
{
    dd_verdict worst = DD_SKIP;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        worst = dd_verdict_join(worst, sweep->cells[i].verdict);
    return worst;
}
