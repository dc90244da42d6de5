/* SPDX-License-Identifier: MIT
 * Compares two records: their settings, their steps, and two sets of weights. */
#include "diff.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* ---- Settings ---- */

/* Names of one thing: what counts of a model is its shape, and of data its hash. */
static bool is_alias(const char *key, const dd_diff_settings *d)
{
    return (strcmp(key, "model") == 0 && d->same_shape) ||
           (strcmp(key, "data") == 0 && d->same_data) || strcmp(key, "data-else") == 0;
}

void dd_diff_settings_compare(const dd_record_head *a, const dd_record_head *b,
                              dd_diff_settings *out)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    memset(out, 0, sizeof *out);
    out->same_data = strcmp(a->data_hash, b->data_hash) == 0;
    out->same_program = strcmp(a->program_hash, b->program_hash) == 0;
    out->same_shape = memcmp(&a->settings.config.shape, &b->settings.config.shape,
                             sizeof a->settings.config.shape) == 0;
    out->must_be_equal = out->same_data && out->same_shape;
    for (size_t k = 0; k < n && out->n < DD_DIFF_KEYS_MAX; k++) {
        dd_diff_setting *s = &out->setting[out->n];
        s->name = keys[k].name;
        s->decides_bits = keys[k].decides_bits;
        dd_settings_get(&a->settings, s->name, s->value[0]);
        dd_settings_get(&b->settings, s->name, s->value[1]);
        if (keys[k].scenario_only || strcmp(s->value[0], s->value[1]) == 0 ||
            is_alias(s->name, out))
            continue;
        out->n++;
        if (!s->decides_bits)
            continue;
        dd_text_append(out->why, "%s%s", out->why[0] ? ", " : "", s->name);
        out->must_be_equal = false;
    }
    if (out->why[0])
        dd_text_append(out->why, " %s", strchr(out->why, ',') ? "differ" : "differs");
    else if (!out->same_data)
        dd_text_append(out->why, "the data differs");
    const dd_record_head *const head[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        const dd_subject_api *subject = dd_subject_get(head[i]->settings.subject, DD_PLANT_NONE);
        if (subject->bit_equal || (i == 1 && a->settings.subject == b->settings.subject))
            continue;
        dd_text_append(out->why, "%ssubject %s adds in the order of arrival",
                       out->why[0] ? "; " : "", subject->name);
        out->must_be_equal = false;
    }
}

/* ---- Steps ---- */

/* An end that is none of the run's own, as a step that cannot be made is. */
static bool failed(const dd_record_line *line)
{
    return line->kind == DD_RECORD_END && strcmp(line->end, "DD_OK") != 0 &&
           strcmp(line->end, "DD_ERR_CANCELLED") != 0;
}

/* Two lines of one point. A run that ended by itself, or was cut off, says nothing about the rest
 * of the other; one that failed parts from one that went on. */
static bool alike(const dd_record_line *a, const dd_record_line *b)
{
    if (a->kind == DD_RECORD_STEP && b->kind == DD_RECORD_STEP)
        return dd_fingerprint_equal(&a->weights, &b->weights);
    if (a->kind == DD_RECORD_STEP || b->kind == DD_RECORD_STEP)
        return !failed(a) && !failed(b);
    return (!failed(a) && !failed(b)) || strcmp(a->end, b->end) == 0;
}

/* Reads the lines of steps that the other run, which went on from a checkpoint, has not. */
static bool go_on_to(dd_record *r, uint64_t done, dd_record_line *line, char *message)
{
    while (r->next < done) {
        if (!dd_record_next(r, line, message))
            return false;
        if (line->kind != DD_RECORD_STEP)
            return dd_text_refuse(message,
                                  "%.200s ends after %" PRIu64 " steps, and the other begins after "
                                  "%" PRIu64 ": there is nothing to compare",
                                  r->path, r->next, done);
    }
    return true;
}

bool dd_diff_steps_compare(dd_record record[2], dd_diff_steps *out, char message[DD_MESSAGE_MAX])
{
    dd_record_line line[2];
    memset(out, 0, sizeof *out);
    memset(line, 0, sizeof line);
    for (int i = 0; i < 2; i++)
        line[i] = (dd_record_line){.kind = DD_RECORD_STEP, .weights = record[i].head.start};
    bool going[2] = {true, true};
    for (int i = 0; i < 2; i++)
        out->first = record[i].head.began > out->first ? record[i].head.began : out->first;
    for (int i = 0; i < 2; i++)
        if (!go_on_to(&record[i], out->first, &line[i], message))
            return false;
    for (uint64_t point = out->first; going[0] || going[1]; point++) {
        const bool both = going[0] && going[1];
        const bool same = alike(&line[0], &line[1]);
        if (both && !out->parted && !same) {
            out->parted = true;
            out->point = point;
            memcpy(out->line, line, sizeof line);
        }
        if (both && out->parted && line[0].kind == DD_RECORD_STEP &&
            line[1].kind == DD_RECORD_STEP) {
            out->parted_points += !same;
            out->equal_points += same;
        }
        for (int i = 0; i < 2; i++) {
            if (!going[i])
                continue;
            out->steps[i] = record[i].next;
            out->end[i] = line[i];
            going[i] = line[i].kind == DD_RECORD_STEP;
            if (line[i].kind != DD_RECORD_NOTHING && !dd_record_next(&record[i], &line[i], message))
                return false;
        }
    }
    for (int i = 0; i < 2; i++)
        out->cut[i] = record[i].cut;
    return true;
}

/* ---- Numbers ---- */

/* Floats as integers in their order. */
static int64_t place_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int64_t size = bits & 0x7fffffffu;
    return bits >> 31 ? -size : size;
}

uint64_t dd_ulp_distance(float a, float b)
{
    if (isnan(a) || isnan(b))
        return UINT64_MAX;
    const int64_t d = place_of(a) - place_of(b);
    return (uint64_t)(d < 0 ? -d : d);
}

void dd_diff_tensors(const dd_layout *layout, const float *a, const float *b,
                     dd_diff_tensor out[DD_N_TENSORS])
{
    for (int k = 0; k < DD_N_TENSORS; k++) {
        const uint64_t begin = layout->offset[k], end = layout->offset[k + 1];
        dd_diff_tensor *t = &out[k];
        *t = (dd_diff_tensor){.size = end - begin};
        for (uint64_t e = begin; e < end; e++) {
            if (memcmp(&a[e], &b[e], sizeof *a) == 0)
                continue;
            const uint64_t ulp = dd_ulp_distance(a[e], b[e]);
            if (!t->differ++) {
                t->first = e - begin;
                t->first_ulp = ulp;
                t->at_first[0] = a[e];
                t->at_first[1] = b[e];
            }
            if (t->differ == 1 || ulp > t->most_ulp) {
                t->most = e - begin;
                t->most_ulp = ulp;
                t->at_most[0] = a[e];
                t->at_most[1] = b[e];
            }
        }
    }
}

dd_diff_place dd_diff_place_of(const dd_layout *layout, dd_tensor k, uint64_t element)
{
    dd_matrix matrix = {.K = layout->shape.C};
    dd_diff_place p = {.layer = UINT32_MAX, .row = UINT32_MAX};
    const bool is_matrix = dd_layout_matrix(layout, k, &matrix) || k == DD_WPE;
    if (k != DD_WTE && k != DD_WPE && k != DD_LNFW && k != DD_LNFB) {
        const uint64_t size = dd_layout_layer(layout, k, 1) - dd_layout_layer(layout, k, 0);
        p.layer = (uint32_t)(element / size);
        element %= size;
    }
    if (is_matrix)
        p.row = (uint32_t)(element / matrix.K);
    p.column = (uint32_t)(is_matrix ? element % matrix.K : element);
    return p;
}
