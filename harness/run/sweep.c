/* SPDX-License-Identifier: MIT
 * Layout of a sweep: cells, their repeats, and the oracles that they share. */
#include "sweep.h"
#include "cell_body.h"
#include "config.h"

#include <stdlib.h>
#include <string.h>

/* ---- Layout ---- */

/* Whether the result of the oracle, or of a plug-in's reference, depends on a key. */
static bool decides(const dd_key *key, const dd_settings *s)
{
    if (s->subject != DD_SUBJECT_PLUGIN)
        return key->decides_bits;
    return dd_key_concerns(key, DD_SUBJECT_PLUGIN) && !key->not_swept &&
           strcmp(key->name, "workers") != 0 && strcmp(key->name, "perturb") != 0;
}

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
        if (!decides(&keys[i], s))
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
    if (oracle->settings.subject == DD_SUBJECT_PLUGIN)
        oracle->settings.config.workers = 1;
    return true;
}

static uint32_t repeats_room(const dd_sweep_cell *cell)
{
    const dd_settings *s = &cell->plan->settings;
    return s->repeats_max > s->repeats ? s->repeats_max : s->repeats;
}

void dd_sweep_add_repeat(dd_sweep_cell *cell)
{
    dd_sweep_run *row = &cell->repeats[cell->n_repeats++];
    row->verdict = dd_checks_judge(&cell->plan->settings, &row->run, NULL, NULL, row->check);
}

void dd_sweep_judge_repeat(const dd_sweep *sweep, dd_sweep_cell *cell, uint32_t repeat)
{
    dd_sweep_run *row = &cell->repeats[repeat];
    const dd_run *first = NULL, *oracle = &sweep->oracles[cell->oracle].run;
    for (uint32_t r = 0; r < repeat && !first; r++)
        if (cell->repeats[r].run.outcome == DD_RUN_ENDED)
            first = &cell->repeats[r].run;
    row->verdict = dd_checks_judge(&cell->plan->settings, &row->run, oracle, first, row->check);
    if (oracle->outcome == DD_RUN_NOT_RUN && row->verdict == DD_PASS)
        row->verdict = DD_SKIP; /* it was not compared */
}

void dd_sweep_judge_cell(const dd_sweep *sweep, dd_sweep_cell *cell)
{
    cell->verdict = DD_SKIP;
    for (uint32_t r = 0; r < cell->n_repeats; r++) {
        dd_sweep_judge_repeat(sweep, cell, r);
        cell->verdict = dd_verdict_join(cell->verdict, cell->repeats[r].verdict);
    }
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
        cell->repeats = calloc(repeats_room(cell), sizeof *cell->repeats);
        if (!cell->repeats || !place_oracle(sweep, cell))
            goto fail;
        for (uint32_t r = 0; r < cell->plan->settings.repeats; r++)
            dd_sweep_add_repeat(cell);
        sweep->runs_due += cell->n_repeats;
    }
    sweep->runs_due += sweep->n_oracles;
    return sweep;
fail:
    dd_sweep_close(sweep);
    return NULL;
}

void dd_sweep_forget(dd_sweep *sweep, size_t cell_at)
{
    dd_sweep_cell *cell = &sweep->cells[cell_at];
    dd_sweep_oracle *oracle = &sweep->oracles[cell->oracle];
    for (uint32_t r = 0; r < cell->n_repeats; r++)
        dd_run_clear(&cell->repeats[r].run);
    cell->n_repeats = 0;
    for (uint32_t r = 0; r < cell->plan->settings.repeats; r++)
        dd_sweep_add_repeat(cell);
    if (oracle->run.outcome != DD_RUN_ENDED)
        dd_run_clear(&oracle->run);
    dd_sweep_judge(sweep);
}

void dd_sweep_judge(dd_sweep *sweep)
{
    sweep->runs_done = 0;
    sweep->runs_due = sweep->n_oracles;
    for (size_t i = 0; i < sweep->n_oracles; i++)
        sweep->runs_done += sweep->oracles[i].run.outcome != DD_RUN_NOT_RUN;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++) {
        dd_sweep_cell *cell = &sweep->cells[i];
        dd_sweep_judge_cell(sweep, cell);
        sweep->runs_due += cell->n_repeats;
        for (uint32_t r = 0; r < cell->n_repeats; r++)
            sweep->runs_done += cell->repeats[r].run.outcome != DD_RUN_NOT_RUN;
    }
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
        dd_weights_store_close(sweep->oracles[i].weights);
        free(sweep->oracles[i].key);
    }
    free(sweep->cells);
    free(sweep->oracles);
    free(sweep);
}

dd_verdict dd_sweep_verdict(const dd_sweep *sweep)
{
    dd_verdict worst = DD_SKIP;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        worst = dd_verdict_join(worst, sweep->cells[i].verdict);
    return worst;
}

/* ---- Validation ---- */

/* Whether two settings open the same data. */
static bool same_data(const dd_settings *a, const dd_settings *b)
{
    return strcmp(a->data, b->data) == 0 && strcmp(a->data_else, b->data_else) == 0 &&
           a->config.seed == b->config.seed;
}

/* Of a run that trained on the cell's data before; NULL: there is none. */
static const dd_run_end *trained_before(const dd_sweep *sweep, const dd_sweep_cell *cell)
{
    const dd_run *run = &sweep->oracles[cell->oracle].run;
    for (uint32_t r = 0; r < cell->n_repeats && run->outcome != DD_RUN_ENDED; r++)
        run = &cell->repeats[r].run;
    return run->outcome == DD_RUN_ENDED ? &run->end : NULL;
}

static dd_status check_same_data(const dd_sweep *sweep, const dd_sweep_cell *cell,
                                 const dd_data *data, dd_error *error)
{
    const dd_run_end *before = trained_before(sweep, cell);
    dd_data_info info;
    char hash[33];
    dd_data_info_get(data, &info);
    dd_hash_text(info.hash, hash);
    if (!before || !before->data[0] || strcmp(hash, before->data_hash) == 0)
        return DD_OK;
    snprintf(error->message, sizeof error->message,
             "data %.200s: it has changed, its hash is %s and was %s", before->data, hash,
             before->data_hash);
    return DD_ERR_DATA;
}

/* Whether the settings can be trained with, as far as can be said without training. */
static dd_status check_settings(const dd_settings *s, const dd_data *data, dd_error *error)
{
    switch (s->subject) {
    case DD_SUBJECT_PLUGIN: /* what they mean is its own to say, when it is opened */
        return DD_OK;
    case DD_SUBJECT_ORACLE:
        return dd_config_check_bits(&s->config, data, error);
    default:
        return dd_config_check(&s->config, data, error);
    }
}

/* Loads a plug-in as a cell does, in a child under the watchdog, since its constructors may do
 * anything. */
static dd_status probe(const dd_settings *s, dd_error *error)
{
    dd_run run;
    dd_cell_run(&(dd_cell_job){.settings = s, .body = dd_cell_body_probe, .stop_fd = -1}, &run);
    dd_status st = run.end.status;
    if (run.outcome == DD_RUN_REFUSED)
        (void)snprintf(error->message, sizeof error->message, "%.500s",
                       run.end.message[0] ? run.end.message : run.reason);
    else
        (void)snprintf(error->message, sizeof error->message,
                       "subject %.100s: cannot be loaded: %s: %.300s", s->plugin,
                       dd_outcome_name(run.outcome), run.reason);
    if (run.outcome != DD_RUN_REFUSED)
        st = DD_ERR_ARGUMENT;
    dd_run_clear(&run);
    return st;
}

dd_status dd_sweep_validate(const dd_sweep *sweep, char message[DD_SCENARIO_MESSAGE_MAX])
{
    dd_data *data = NULL;
    const dd_settings *opened = NULL;
    const char *probed = ""; /* the plug-in that was loaded last */
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
            st = check_same_data(sweep, &sweep->cells[i], data, &error);
        if (st == DD_OK)
            st = check_settings(s, data, &error);
        if (st == DD_OK && strcmp(s->plugin, probed) != 0) {
            probed = s->plugin;
            st = probed[0] ? probe(s, &error) : DD_OK;
        }
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
