/* SPDX-License-Identifier: MIT
 * speedup.json, whose form report.h states. */
#include "report_json.h"

#include <math.h>
#include <string.h>

enum { SCHEMA = 1 };

/* A number, or null where there is none. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? dd_json_text(text) : json_null();
}

static json_t *row_number(const dd_speedup *s, const dd_speedup_row *row)
{
    return row ? dd_json_whole((uint64_t)(row - s->rows)) : json_null();
}

/* ---- A row's parts ---- */

/* Whether a key is one that varies. */
static bool is_swept(const dd_scenario *scenario, const dd_key *key)
{
    for (size_t k = 0; k < scenario->n_swept; k++)
        if (scenario->swept[k] == key)
            return true;
    return false;
}

static json_t *settings_json(const dd_speedup *s, const dd_speedup_row *row, bool *ok)
{
    json_t *o = json_object();
    const dd_settings *settings = &row->cell->plan->settings;
    size_t n;
    const dd_key *keys = dd_keys(&n);
    for (size_t k = 0; k < n; k++) {
        char value[DD_SPEC_MAX];
        if (!keys[k].decides_bits && !is_swept(s->sweep->scenario, &keys[k]))
            continue;
        dd_settings_get(settings, keys[k].name, value);
        dd_json_put(o, keys[k].name,
                    text_or_null(dd_key_concerns(&keys[k], settings->subject) ? value : NULL), ok);
    }
    return o;
}

static json_t *repeats_json(const dd_speedup_row *row, bool *ok)
{
    json_t *a = json_array();
    for (uint32_t r = 0; !row->not_timed && r < row->cell->n_repeats; r++)
        dd_json_append(a, number(row->repeat_ns[r]), ok);
    return a;
}

static json_t *outliers_json(const dd_speedup_row *row, bool *ok)
{
    json_t *a = json_array();
    for (uint32_t r = 0; !row->not_timed && r < row->cell->n_repeats; r++)
        if (row->outlier[r])
            dd_json_append(a, dd_json_whole(r), ok);
    return a;
}

static json_t *step_json(const dd_speedup_row *row, bool *ok)
{
    if (row->not_timed)
        return json_null();
    json_t *o = json_object();
    dd_json_put(o, "median", number(row->step_ns), ok);
    dd_json_put(o, "low", number(row->step.low), ok);
    dd_json_put(o, "high", number(row->step.high), ok);
    return o;
}

/* divided_by: NULL where it is the number of a row. */
static json_t *ratio_json(const dd_speedup *s, const dd_ratio *ratio, const char *divided_by,
                          bool *ok)
{
    if (!isfinite(ratio->x))
        return json_null();
    json_t *o = json_object();
    dd_json_put(o, "x", number(ratio->x), ok);
    dd_json_put(o, "low", number(ratio->interval.low), ok);
    dd_json_put(o, "high", number(ratio->interval.high), ok);
    dd_json_put(o, "of_ns", number(ratio->to_ns), ok);
    dd_json_put(o, "divided_by", divided_by ? dd_json_text(divided_by) : row_number(s, ratio->to),
                ok);
    if (divided_by)
        dd_json_put(o, "row", row_number(s, ratio->to), ok);
    return o;
}

static json_t *ratios_json(const dd_speedup *s, const dd_speedup_row *row, bool *ok)
{
    json_t *o = json_object();
    dd_json_put(o, "parallel", ratio_json(s, &row->one, NULL, ok), ok);
    dd_json_put(o, "simd", ratio_json(s, &row->scalar, NULL, ok), ok);
    dd_json_put(o, "lock_free", ratio_json(s, &row->locks_gradient, NULL, ok), ok);
    dd_json_put(o, "locks", ratio_json(s, &row->locks, NULL, ok), ok);
    dd_json_put(o, "total", ratio_json(s, &row->oracle, "oracle", ok), ok);
    return o;
}

/* ---- Rows, and the whole ---- */

static json_t *row_json(const dd_speedup *s, const dd_speedup_row *row, bool *ok)
{
    char subject[DD_SPEC_MAX];
    json_t *o = json_object();
    dd_json_put(o, "index", row_number(s, row), ok);
    dd_json_put(o, "settings", settings_json(s, row, ok), ok);
    dd_settings_get(&row->cell->plan->settings, "subject", subject);
    dd_json_put(o, "subject", dd_json_text(subject), ok);
    dd_json_put(o, "workers", dd_json_whole(row->workers), ok);
    dd_json_put(o, "oversubscribed", json_boolean(row->oversubscribed), ok);
    dd_json_put(o, "verdict", dd_json_text(dd_verdict_name(row->cell->verdict)), ok);
    dd_json_put(o, "checks", dd_json_text(row->checks), ok);
    dd_json_put(o, "reason", dd_json_text(row->reason), ok);
    dd_json_put(o, "not_timed", text_or_null(row->not_timed), ok);
    dd_json_put(o, "hash", text_or_null(row->run ? row->run->end.hash : NULL), ok);
    dd_json_put(o, "loss", number(row->loss_last), ok);
    dd_json_put(o, "repeats", repeats_json(row, ok), ok);
    dd_json_put(o, "outliers", outliers_json(row, ok), ok);
    dd_json_put(o, "step_ns", step_json(row, ok), ok);
    dd_json_put(o, "tokens_per_s", number(row->tokens_per_s), ok);
    dd_json_put(o, "efficiency", number(row->efficiency), ok);
    dd_json_put(o, "narrow", json_boolean(!row->not_timed && row->end == DD_CELL_NARROW), ok);
    dd_json_put(o, "repeats_ended_by", dd_json_text(dd_cell_end_name(row->end)), ok);
    dd_json_put(o, "ratio", ratios_json(s, row, ok), ok);
    return o;
}

bool dd_speedup_json(const dd_report *report, const dd_speedup *s, FILE *out)
{
    bool ok = true;
    json_t *o = json_object(), *rows = json_array();
    dd_json_put(o, "schema", dd_json_whole(SCHEMA), &ok);
    dd_json_put(o, "scenario", dd_json_text(s->sweep->scenario->name), &ok);
    dd_json_put(o, "machine", dd_machine_json(&report->machine, &ok), &ok);
    dd_json_put(o, "build", dd_build_json(&ok), &ok);
    dd_json_put(o, "cores", dd_json_whole(s->cores), &ok);
    for (size_t i = 0; i < s->n_rows; i++)
        dd_json_append(rows, row_json(s, &s->rows[i], &ok), &ok);
    dd_json_put(o, "rows", rows, &ok);
    ok = ok && json_dumpf(o, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(o);
    return ok;
}
