/* SPDX-License-Identifier: MIT
 * run.json, as far as times are concerned. Whatever a program could have written wrong is refused
 * with its cell; what is right but not to be fitted on is counted by its reason. */
#include "cost_cells.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "folder.h"
#include "hash.h"
#include "spheres.h"
#include "stats.h"
#include "text.h"

static const char *const why[DD_COST_LEFT_REASONS] = {
    [DD_COST_LEFT_SUBJECT] = "another subject than dodeca",
    [DD_COST_LEFT_FAILED] = "a check that did not hold or was not made",
    [DD_COST_LEFT_CROWDED] = "more workers than cores",
    [DD_COST_LEFT_OTHER] = "stealing, guard, pinning, idle workers, micro-batches, a limit of "
                           "memory, a disturbance or "
                           "a changing hierarchy",
    [DD_COST_LEFT_SHORT] = "fewer than three timed steps in a repeat",
};

const char *dd_cost_left_why(dd_cost_left left)
{
    return why[left];
}

void dd_cost_cells_close(dd_cost_cells *c)
{
    free(c->cell);
    free(c->mark);
    *c = (dd_cost_cells){0};
}

bool dd_cost_cells_any(const dd_cost_cells *c, char message[DD_MESSAGE_MAX])
{
    if (c->n)
        return true;
    (void)dd_text_refuse(message, "none of the %zu cells read can be fitted on", c->n_read);
    for (int left = 0; left < DD_COST_LEFT_REASONS; left++)
        if (c->left[left])
            dd_text_append(message, "; not used, %s: %zu", why[left], c->left[left]);
    dd_text_append(message, "; `dodeca run scenarios/calibrate.yaml --out DIR` measures enough");
    return false;
}

/* ---- One cell ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is(const json_t *object, const char *key, const char *text)
{
    return strcmp(text_of(object, key), text) == 0;
}

/* Something whose cost is no part of the model. */
static bool other(const json_t *requested, const json_t *effective)
{
    static const char *const off[][2] = {
        {"steal", "false"}, {"guard", "false"},   {"pin", "false"},        {"profile", "false"},
        {"timetable", ""},  {"storm", ""},        {"perturb", "0"},        {"hog", "0"},
        {"plant", "none"},  {"micro-batch", "0"}, {"memory-limit", "none"}};
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        if (json_object_get(requested, off[i][0]) && !is(requested, off[i][0], off[i][1]))
            return true;
    return json_integer_value(json_object_get(effective, "changes")) != 0;
}

/* The median step of a repeat, step 0 left out; 0: too few, or no numbers. */
static double median_step(const json_t *repeat)
{
    const json_t *wall = json_object_get(repeat, "step_wall_ns");
    const size_t n = json_array_size(wall);
    double *ns = n > DD_COST_STEPS_LEAST ? calloc(n, sizeof *ns) : NULL;
    double median = 0;
    for (size_t i = 1; ns && i < n; i++)
        ns[i - 1] = json_number_value(json_array_get(wall, i));
    if (ns) {
        dd_sort(ns, n - 1);
        median = ns[0] > 0 ? dd_quantile(ns, n - 1, 0.5) : 0;
    }
    free(ns);
    return median;
}

static double median_of_repeats(const json_t *repeats)
{
    const size_t n = json_array_size(repeats);
    double *ns = calloc(n + 1, sizeof *ns), median = 0;
    for (size_t r = 0; ns && r < n; r++)
        ns[r] = median_step(json_array_get(repeats, r));
    if (ns && n) {
        dd_sort(ns, n);
        median = ns[0] > 0 ? dd_quantile(ns, n, 0.5) : 0;
    }
    free(ns);
    return median;
}

static bool uint_of(const json_t *requested, const char *key, uint32_t *out)
{
    uint64_t n;
    if (!dd_text_uint(text_of(requested, key), &n) || n == 0 || n > UINT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}

/* What the cell was: as asked for, and what became of it where that says more. */
static bool read_case(const json_t *requested, const json_t *effective, dd_cost_cell *cell,
                      char message[DD_MESSAGE_MAX])
{
    dd_cost_case *c = &cell->is;
    const char *barrier = text_of(requested, "barrier"), *reduce = text_of(effective, "reduce");
    snprintf(cell->model, sizeof cell->model, "%s", text_of(requested, "model"));
    snprintf(cell->kernels, sizeof cell->kernels, "%s", text_of(effective, "kernels"));
    if (!dd_text_model(cell->model, &c->shape, message))
        return false;
    const json_int_t workers = json_integer_value(json_object_get(effective, "workers"));
    const json_int_t depth = json_integer_value(json_object_get(effective, "depth"));
    bool good = uint_of(requested, "batch", &c->batch) && uint_of(requested, "seq", &c->seq) &&
                uint_of(requested, "lane-depth", &c->lane_depth) && cell->kernels[0];
    good = good && c->lane_depth <= DD_TRAINER_DEPTH_MAX && depth >= 1 &&
           depth <= DD_TRAINER_DEPTH_MAX && c->seq <= c->shape.T_max &&
           (uint64_t)c->batch * c->seq <= DD_SETTINGS_TOKENS_MAX && workers >= 1 &&
           workers <= (json_int_t)dd_power_of_12((uint32_t)depth);
    static const char *const reductions[] = {"tree", "control", "sliced", "owner"};
    static const dd_reduce reduce_is[] = {DD_REDUCE_TREE, DD_REDUCE_CONTROL, DD_REDUCE_SLICED,
                                          DD_REDUCE_OWNER};
    size_t r = 0;
    while (r < 4 && strcmp(reduce, reductions[r]) != 0)
        r++;
    const bool tree = strcmp(barrier, "tree") == 0;
    if (!good || r == 4 || (!tree && strcmp(barrier, "pthread") != 0))
        return dd_text_refuse(message, "its settings or what became of them are not a trainer's");
    c->workers = (uint32_t)workers;
    c->depth = (uint32_t)depth;
    c->reduce = reduce_is[r];
    c->barrier = tree ? DD_BARRIER_TREE : DD_BARRIER_PTHREAD;
    return true;
}

static uint32_t group_of(dd_cost_cells *c, const dd_cost_case *it)
{
    for (size_t i = 0; i < c->n; i++)
        if (memcmp(&c->cell[i].is.shape, &it->shape, sizeof it->shape) == 0 &&
            c->cell[i].is.seq == it->seq)
            return c->cell[i].group;
    return c->n_groups++;
}

/* ---- Each measurement once ---- */

static bool add_text(dd_hasher *h, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return false;
    dd_hasher_add(h, text, strlen(text));
    free(text);
    return true;
}

static bool mark_of(const json_t *requested, const json_t *repeat, dd_cost_mark *mark)
{
    dd_hasher *h = dd_hasher_open();
    const bool good =
        h && add_text(h, requested) && add_text(h, json_object_get(repeat, "step_wall_ns"));
    if (good)
        dd_hasher_take(h, mark->hash);
    dd_hasher_close(h);
    return good;
}

/* A copy of a folder, or the same sweep some repeats earlier, would have the fit checked on what it
 * has seen. n_before: marks of the other folders */
static bool mark_cell(dd_cost_cells *c, size_t n_before, const json_t *json, dd_cost_mark mark,
                      char message[DD_MESSAGE_MAX])
{
    const json_t *repeats = json_object_get(json, "repeats");
    const size_t n = json_array_size(repeats);
    dd_cost_mark *grown = realloc(c->mark, (c->n_marks + n) * sizeof *grown);
    if (!grown)
        return dd_text_refuse(message, "out of memory");
    c->mark = grown;
    for (size_t r = 0; r < n; r++) {
        if (!mark_of(json_object_get(json, "requested"), json_array_get(repeats, r), &mark))
            return dd_text_refuse(message, "out of memory");
        for (size_t i = 0; i < n_before; i++)
            if (memcmp(c->mark[i].hash, mark.hash, sizeof mark.hash) == 0)
                return dd_text_refuse(message,
                                      "the times of its repeat %zu are in cell %zu of %.150s, too: "
                                      "a measurement counts once; give one of the two folders",
                                      r + 1, c->mark[i].cell, c->mark[i].folder);
        c->mark[c->n_marks++] = mark;
    }
    return true;
}

static bool read_cell(dd_cost_cells *c, const json_t *json, char message[DD_MESSAGE_MAX])
{
    const json_t *requested = json_object_get(json, "requested");
    const json_t *repeats = json_object_get(json, "repeats");
    const json_t *effective = json_object_get(json_array_get(repeats, 0), "effective");
    c->n_read++;
    if (!json_is_object(requested) || !json_is_array(repeats))
        return dd_text_refuse(message, "it is no cell of `dodeca run`");
    if (!is(requested, "subject", "dodeca")) {
        c->left[DD_COST_LEFT_SUBJECT]++;
        return true;
    }
    if (!is(json, "verdict", "PASS") || !effective) {
        c->left[DD_COST_LEFT_FAILED]++;
        return true;
    }
    if (other(requested, effective)) {
        c->left[DD_COST_LEFT_OTHER]++;
        return true;
    }
    dd_cost_cell *cell = &c->cell[c->n];
    *cell = (dd_cost_cell){.ns = median_of_repeats(repeats)};
    if (!read_case(requested, effective, cell, message))
        return false;
    if (cell->is.workers > c->cores) {
        c->left[DD_COST_LEFT_CROWDED]++;
        return true;
    }
    if (cell->is.workers > dd_cost_lanes(cell->is.batch, cell->is.lane_depth)) {
        c->left[DD_COST_LEFT_OTHER]++;
        return true;
    }
    if (!(cell->ns > 0)) {
        c->left[DD_COST_LEFT_SHORT]++;
        return true;
    }
    if (dd_cost_count(&cell->is, &cell->amounts))
        return dd_text_refuse(message, "out of memory");
    cell->group = group_of(c, &cell->is);
    c->n++;
    return true;
}

/* ---- A folder ---- */

/* Of compiler flags the last word on it counts. */
static bool is_optimised(const char *flags)
{
    const char *last = NULL;
    for (const char *at = flags; (at = strstr(at, "-O")); at += 2)
        if (at == flags || at[-1] == ' ')
            last = at;
    return last && last[2] != '0';
}

static bool read_machine(dd_cost_cells *c, const json_t *root, char message[DD_MESSAGE_MAX])
{
    const json_t *machine = json_object_get(root, "machine"),
                 *build = json_object_get(root, "build");
    const char *cpu = text_of(machine, "cpu"), *commit = text_of(build, "commit");
    const json_int_t cores = json_integer_value(json_object_get(machine, "cores_usable"));
    if (!*cpu || cores < 1 || cores > UINT32_MAX)
        return dd_text_refuse(message, "it does not say which machine it was measured on");
    const bool debug = strcasecmp(text_of(build, "type"), "Debug") == 0;
    if (*text_of(build, "sanitizer") || debug || !is_optimised(text_of(build, "flags")))
        return dd_text_refuse(message,
                              "the build was %s: its times are no measurements; run the "
                              "sweep with a Release build",
                              *text_of(build, "sanitizer") ? "sanitized"
                              : debug                      ? "a debug build"
                                                           : "not optimised");
    if (c->n_read && (strcmp(c->cpu, cpu) != 0 || c->cores != (uint32_t)cores))
        return dd_text_refuse(message,
                              "measured on %.80s, %u cores, the folders before on %.80s, %u cores: "
                              "one model is of one machine",
                              cpu, (unsigned)cores, c->cpu, c->cores);
    snprintf(c->cpu, sizeof c->cpu, "%s", cpu);
    if (!c->commit[0])
        snprintf(c->commit, sizeof c->commit, "%s", commit);
    else if (strcmp(c->commit, commit) != 0)
        snprintf(c->commit, sizeof c->commit, "several");
    c->cores = (uint32_t)cores;
    return true;
}

static bool read_root(dd_cost_cells *c, const json_t *root, const char *folder,
                      char message[DD_MESSAGE_MAX])
{
    const json_t *cells = json_object_get(root, "cells");
    const size_t n_before = c->n_marks;
    if (!json_is_array(cells))
        return dd_text_refuse(message, "there are no cells in it: it is not of `dodeca run`");
    if (!read_machine(c, root, message))
        return false;
    const size_t n = json_array_size(cells);
    dd_cost_cell *grown = realloc(c->cell, (c->n + n + 1) * sizeof *grown);
    if (!grown)
        return dd_text_refuse(message, "out of memory");
    c->cell = grown;
    for (size_t i = 0; i < n; i++) {
        char inner[DD_MESSAGE_MAX];
        const json_t *cell = json_array_get(cells, i);
        const dd_cost_mark mark = {.folder = folder, .cell = i + 1};
        const size_t n_cells = c->n;
        if (!read_cell(c, cell, inner) ||
            (c->n > n_cells && !mark_cell(c, n_before, cell, mark, inner))) {
            c->n_marks = n_before; /* the folder was not read */
            return dd_text_refuse(message, "cell %zu: %.300s", i + 1, inner);
        }
    }
    return true;
}

bool dd_cost_cells_read(dd_cost_cells *c, const char *folder, char message[DD_MESSAGE_MAX])
{
    char path[4096], cause[160], inner[DD_MESSAGE_MAX];
    json_error_t error;
    if (snprintf(path, sizeof path, "%s/run.json", folder) >= (int)sizeof path)
        return dd_text_refuse(message, "%.200s…: the path is too long", folder);
    FILE *file = dd_folder_read(path, cause, sizeof cause);
    if (!file)
        return dd_text_refuse(message, "%.250s: %.150s; `dodeca run FILE --out DIR` writes it",
                              path, cause);
    json_t *root = json_loadf(file, 0, &error);
    (void)fclose(file);
    if (!root)
        return dd_text_refuse(message, "%.250s: line %d: %.150s", path, error.line, error.text);
    const bool good = read_root(c, root, folder, inner);
    json_decref(root);
    return good || dd_text_refuse(message, "%.200s: %.300s", path, inner);
}
