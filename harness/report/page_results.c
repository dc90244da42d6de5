/* SPDX-License-Identifier: MIT
 * Reads results, which may hold anything: whatever the page would use is checked here, so that what
 * writes the page has nothing left to refuse. */
#include "page_results.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"

/* A document being read: the first thing wrong with it. */
typedef struct reader {
    const char *dir, *file;
    char *message;
    bool wrong;
} reader;

/* Where in the document, as "cells[3].repeats[0]". */
typedef struct place {
    char text[96];
} place;

__attribute__((format(printf, 2, 3))) static void refuse(reader *in, const char *format, ...)
{
    if (in->wrong)
        return;
    in->wrong = true;
    const int n = snprintf(in->message, DD_PAGE_MESSAGE_MAX, "%.200s/%s: ", in->dir, in->file);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(in->message + n, DD_PAGE_MESSAGE_MAX - (size_t)n, format, args);
    va_end(args);
    for (char *c = in->message; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = '?';
}

__attribute__((format(printf, 1, 2))) static place at(const char *format, ...)
{
    place p;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(p.text, sizeof p.text, format, args);
    va_end(args);
    return p;
}

/* ---- Members ---- */

static const char *text_of(reader *in, const json_t *object, place where, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (!text)
        refuse(in, "%s.%s must be a text", where.text, key);
    return text ? text : "";
}

static json_t *part_of(reader *in, const json_t *object, place where, const char *key, bool array)
{
    json_t *part = json_object_get(object, key);
    if (array ? !json_is_array(part) : !json_is_object(part))
        refuse(in, "%s.%s must be an %s", where.text, key, array ? "array" : "object");
    return part;
}

static uint64_t whole_of(reader *in, const json_t *object, place where, const char *key,
                         uint64_t most)
{
    const json_t *value = json_object_get(object, key);
    const json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || (uint64_t)n > most) {
        refuse(in, "%s.%s must be a whole number from 0 to %llu", where.text, key,
               (unsigned long long)most);
        return 0;
    }
    return (uint64_t)n;
}

static bool truth_of(reader *in, const json_t *object, place where, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        refuse(in, "%s.%s must be true or false", where.text, key);
    return json_is_true(value);
}

/* A number; NaN for null, for a text ("nan", "inf") and for what is missing. */
static double real_of(reader *in, const json_t *object, place where, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_number(value) && !json_is_null(value) && !json_is_string(value))
        refuse(in, "%s.%s must be a number or null", where.text, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static dd_verdict verdict_of(reader *in, const json_t *object, place where)
{
    const char *text = text_of(in, object, where, "verdict");
    for (int v = DD_PASS; v <= DD_CRASH; v++)
        if (strcmp(text, dd_verdict_name((dd_verdict)v)) == 0)
            return (dd_verdict)v;
    refuse(in, "%s.verdict must be PASS, SKIP, FAIL, HANG or CRASH", where.text);
    return DD_CRASH;
}

/* Room for n of them; NULL only with *in wrong. */
static void *room_for(reader *in, size_t n, size_t bytes)
{
    void *room = calloc(n + 1, bytes);
    if (!room)
        refuse(in, "no memory");
    return room;
}

/* ---- run.json ---- */

/* The number of a check; one that this program does not know is taken as it comes. */
static size_t check_at(reader *in, dd_page_results *r, const char *name)
{
    for (size_t i = 0; i < r->n_checks; i++)
        if (strcmp(r->check[i], name) == 0)
            return i;
    if (r->n_checks == DD_CHECKS_MAX) {
        refuse(in, "more than %d checks, \"%.60s\" the first too many", DD_CHECKS_MAX, name);
        return 0;
    }
    r->check[r->n_checks] = name;
    return r->n_checks++;
}

static void read_checks(reader *in, dd_page_results *r, dd_page_cell *c, const json_t *repeat,
                        place where)
{
    const json_t *checks = part_of(in, repeat, where, "checks", true);
    for (size_t i = 0; i < json_array_size(checks) && !in->wrong; i++) {
        const json_t *check = json_array_get(checks, i);
        const place here = at("%.60s.checks[%zu]", where.text, i);
        const size_t k = check_at(in, r, text_of(in, check, here, "name"));
        (void)text_of(in, check, here, "reason");
        const dd_verdict verdict = verdict_of(in, check, here);
        c->check[k] = c->applies[k] ? dd_verdict_join(c->check[k], verdict) : verdict;
        c->applies[k] = true;
    }
}

static void read_sphere(reader *in, dd_page_cell *c, const json_t *sphere, place where)
{
    dd_page_sphere *s = &c->sphere[c->n_spheres];
    if (truth_of(in, sphere, where, "parked"))
        return;
    s->path = text_of(in, sphere, where, "sphere");
    s->control = truth_of(in, sphere, where, "control");
    s->first_lane = (uint32_t)whole_of(in, sphere, where, "first_lane", 1728);
    s->n_lanes = (uint32_t)whole_of(in, sphere, where, "lanes", 1728);
    s->folds = whole_of(in, sphere, where, "folds", INT64_MAX);
    const json_t *wait = part_of(in, sphere, where, "wait_ns_at_a_b_v_u", true);
    for (size_t p = 0; p < 4; p++) {
        const json_t *ns = json_array_get(wait, p);
        if (!json_is_number(ns))
            refuse(in, "%s.wait_ns_at_a_b_v_u must be four numbers", where.text);
        s->wait_ns[p] = json_number_value(ns);
    }
    c->n_spheres++;
}

/* What the run says of its spheres. */
static void read_ended(reader *in, dd_page_cell *c, const json_t *repeat, place where)
{
    const json_t *effective = part_of(in, repeat, where, "effective", false);
    const json_t *steps = part_of(in, repeat, where, "step_wall_ns", true);
    const place here = at("%.60s.effective", where.text);
    const json_t *spheres = part_of(in, effective, here, "sphere", true);
    c->n_lanes = (uint32_t)whole_of(in, effective, here, "lanes", 1728);
    c->spheres_changed = whole_of(in, effective, here, "changes", INT64_MAX);
    for (size_t i = 0; i < json_array_size(steps); i++)
        c->steps_ns += json_number_value(json_array_get(steps, i));
    c->sphere = room_for(in, json_array_size(spheres), sizeof *c->sphere);
    for (size_t i = 0; i < json_array_size(spheres) && !in->wrong; i++)
        read_sphere(in, c, json_array_get(spheres, i), at("%.70s.sphere[%zu]", here.text, i));
}

/* Folders that earlier versions wrote have none. */
static void read_phases(reader *in, dd_page_cell *c, const json_t *cell, place where)
{
    const json_t *time = json_object_get(cell, "time");
    if (!json_is_object(time))
        return;
    const place here = at("%.60s.time", where.text);
    const json_t *phases = part_of(in, time, here, "phases", true);
    c->phase = room_for(in, json_array_size(phases), sizeof *c->phase);
    for (size_t i = 0; i < json_array_size(phases) && !in->wrong; i++) {
        const json_t *phase = json_array_get(phases, i);
        const place p = at("%.70s.phases[%zu]", here.text, i);
        c->phase[c->n_phases++] = (dd_page_phase){.name = text_of(in, phase, p, "name"),
                                                  .seconds = real_of(in, phase, p, "seconds"),
                                                  .share = real_of(in, phase, p, "share")};
    }
}

static void read_cell(reader *in, dd_page_results *r, dd_page_cell *c, const json_t *cell,
                      place where)
{
    c->label = text_of(in, cell, where, "label");
    c->verdict = verdict_of(in, cell, where);
    c->varies = part_of(in, cell, where, "varies", false);
    c->repeats = part_of(in, cell, where, "repeats", true);
    const json_t *requested = part_of(in, cell, where, "requested", false);
    c->batch = (uint32_t)strtoul(text_of(in, requested, where, "batch"), NULL, 10);
    const char *key;
    json_t *value;
    json_object_foreach(c->varies, key, value)
    {
        if (!json_is_string(value))
            refuse(in, "%s.varies.%.40s must be a text", where.text, key);
    }
    for (size_t i = 0; i < json_array_size(c->repeats) && !in->wrong; i++) {
        const json_t *repeat = json_array_get(c->repeats, i);
        const place here = at("%.60s.repeats[%zu]", where.text, i);
        read_checks(in, r, c, repeat, here);
        if (!c->sphere && strcmp(text_of(in, repeat, here, "outcome"), "ended") == 0)
            read_ended(in, c, repeat, here);
    }
    read_phases(in, c, cell, where);
}

static void read_run(reader *in, dd_page_results *r)
{
    const place top = at("the document");
    if (whole_of(in, r->run, top, "format", INT64_MAX) != 1)
        refuse(in, "format must be 1, the only one that this program reads");
    r->scenario = text_of(in, r->run, top, "scenario");
    r->about = text_of(in, r->run, top, "about");
    r->started = text_of(in, r->run, top, "started");
    r->complete = truth_of(in, r->run, top, "complete");
    r->interrupted = truth_of(in, r->run, top, "interrupted");
    r->verdict = verdict_of(in, r->run, top);
    const json_t *machine = part_of(in, r->run, top, "machine", false);
    r->cores = (uint32_t)whole_of(in, machine, at("machine"), "cores_usable", UINT32_MAX);
    (void)part_of(in, r->run, top, "build", false);
    const json_t *cells = part_of(in, r->run, top, "cells", true);
    const size_t n = json_array_size(cells);
    r->cell = room_for(in, n, sizeof *r->cell);
    r->rows = room_for(in, n, sizeof *r->rows);
    r->n_cells = r->cell ? n : 0;
    for (size_t i = 0; i < r->n_cells && !in->wrong; i++)
        read_cell(in, r, &r->cell[i], json_array_get(cells, i), at("cells[%zu]", i));
}

/* ---- speedup.json ---- */

static void read_gain(reader *in, const dd_page_results *r, const json_t *ratios, const char *key,
                      dd_gain *gain, place where)
{
    *gain = (dd_gain){.x = (double)NAN, .low = (double)NAN, .high = (double)NAN, .to = DD_NO_ROW};
    const json_t *ratio = json_object_get(ratios, key);
    if (!ratio || json_is_null(ratio))
        return;
    const place here = at("%.60s.ratio.%s", where.text, key);
    gain->x = real_of(in, ratio, here, "x");
    gain->low = real_of(in, ratio, here, "low");
    gain->high = real_of(in, ratio, here, "high");
    const json_t *to = json_object_get(ratio, "divided_by");
    if (json_is_integer(to))
        gain->to = (size_t)whole_of(in, ratio, here, "divided_by", r->n_cells - 1);
    else if (!json_is_string(to))
        refuse(in, "%s.divided_by must be the number of a row, or \"oracle\"", here.text);
    const json_t *row = json_object_get(ratio, "row"); /* of the oracle */
    if (json_is_string(to) && row && !json_is_null(row))
        gain->to = (size_t)whole_of(in, ratio, here, "row", r->n_cells - 1);
}

static void read_row(reader *in, dd_page_results *r, const json_t *json, place where)
{
    static const char *const gains[DD_N_GAINS] = {
        [DD_GAIN_PARALLEL] = "parallel",   [DD_GAIN_SIMD] = "simd",
        [DD_GAIN_LOCK_FREE] = "lock_free", [DD_GAIN_LOCKS] = "locks",
        [DD_GAIN_TOTAL] = "total",
    };
    const uint64_t index = whole_of(in, json, where, "index", r->n_cells - 1);
    if (in->wrong)
        return;
    dd_page_row *row = &r->rows[index];
    if (r->cell[index].row)
        refuse(in, "%s.index: there was a row %llu before", where.text, (unsigned long long)index);
    r->cell[index].row = row;
    row->subject = text_of(in, json, where, "subject");
    row->reason = text_of(in, json, where, "reason");
    row->hash = json_string_value(json_object_get(json, "hash")); /* none where no run ended */
    row->not_timed = json_string_value(json_object_get(json, "not_timed"));
    row->workers = (uint32_t)whole_of(in, json, where, "workers", UINT32_MAX);
    row->oversubscribed = truth_of(in, json, where, "oversubscribed");
    const char *end = json_string_value(json_object_get(json, "repeats_ended_by"));
    row->wide = end && (strcmp(end, "repeats-max") == 0 || strcmp(end, "minutes-max") == 0);
    row->n_repeats = json_array_size(json_object_get(json, "repeats"));
    row->n_outliers = json_array_size(json_object_get(json, "outliers"));
    row->loss = real_of(in, json, where, "loss");
    row->tokens_per_s = real_of(in, json, where, "tokens_per_s");
    row->efficiency = real_of(in, json, where, "efficiency");
    const json_t *step = json_object_get(json, "step_ns");
    row->step_ns = real_of(in, step, where, "median");
    row->low_ns = real_of(in, step, where, "low");
    row->high_ns = real_of(in, step, where, "high");
    const json_t *ratios = json_object_get(json, "ratio");
    for (size_t k = 0; k < DD_N_GAINS; k++)
        read_gain(in, r, ratios, gains[k], &row->gain[k], where);
}

static void read_speedup(reader *in, dd_page_results *r)
{
    const place top = at("the document");
    if (whole_of(in, r->speedup, top, "schema", INT64_MAX) != 1)
        refuse(in, "schema must be 1, the only one that this program reads");
    if (!in->wrong && strcmp(text_of(in, r->speedup, top, "scenario"), r->scenario) != 0)
        refuse(in, "it is of another scenario than run.json beside it");
    const json_t *rows = part_of(in, r->speedup, top, "rows", true);
    if (json_array_size(rows) && !r->n_cells)
        refuse(in, "it has rows, but run.json beside it has no cell");
    for (size_t i = 0; i < json_array_size(rows) && !in->wrong; i++)
        read_row(in, r, json_array_get(rows, i), at("rows[%zu]", i));
}

/* ---- Interface ---- */

static json_t *load(reader *in, const char *file)
{
    in->file = file;
    char *path = NULL, why[128] = "no memory";
    json_error_t error;
    json_t *document = NULL;
    if (in->wrong)
        return NULL;
    FILE *f =
        asprintf(&path, "%s/%s", in->dir, file) < 0 ? NULL : dd_folder_read(path, why, sizeof why);
    if (!f)
        refuse(in, "%s; \"dodeca run FILE --out DIR\" writes it into its results folder", why);
    else if (!(document = json_loadf(f, JSON_REJECT_DUPLICATES, &error)))
        refuse(in, "line %d is not JSON: %.200s", error.line, error.text);
    else if (!json_is_object(document))
        refuse(in, "must be a JSON object");
    if (f)
        fclose(f);
    free(path);
    return document;
}

bool dd_page_results_open(dd_page_results *r, const char *dir, char message[DD_PAGE_MESSAGE_MAX])
{
    *r = (dd_page_results){.dir = dir};
    reader in = {.dir = dir, .message = message};
    r->run = load(&in, "run.json");
    const char *kind = json_string_value(json_object_get(r->run, "kind"));
    if (kind && strcmp(kind, "soak") == 0)
        refuse(&in, "a soak's results, which have no cells to compare: read soak.md beside it");
    if (!in.wrong)
        read_run(&in, r);
    r->speedup = load(&in, "speedup.json");
    if (!in.wrong)
        read_speedup(&in, r);
    return !in.wrong;
}

void dd_page_results_close(dd_page_results *r)
{
    for (size_t i = 0; i < r->n_cells; i++) {
        free(r->cell[i].sphere);
        free(r->cell[i].phase);
    }
    free(r->cell);
    free(r->rows);
    json_decref(r->run);
    json_decref(r->speedup);
    *r = (dd_page_results){0};
}

const char *dd_page_value(const dd_page_cell *cell, const char *key)
{
    const char *value = json_string_value(json_object_get(cell->varies, key));
    return value ? value : "";
}

const char *dd_page_label(const dd_page_results *r, const dd_page_cell *cell)
{
    return cell->label[0] ? cell->label : r->scenario;
}

bool dd_page_timed(const dd_page_cell *cell)
{
    return cell->row && !cell->row->not_timed && isfinite(cell->row->step_ns);
}
