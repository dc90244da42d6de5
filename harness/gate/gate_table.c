/* SPDX-License-Identifier: MIT
 * A gate's result as a table and as JSON. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "gate.h"
#include "table.h"

/* ---- The table ---- */

static void put_value(dd_table *t, size_t i, const dd_gate_row *row, double value)
{
    if (isnan(value))
        return;
    if (row->kind == DD_GATE_COUNT)
        dd_table_put(t, i, "%.0f", value);
    else if (value >= 1e6)
        dd_table_put(t, i, "%.2f ms", 1e-6 * value);
    else if (value >= 1e4)
        dd_table_put(t, i, "%.1f us", 1e-3 * value);
    else
        dd_table_put(t, i, "%.0f ns", value);
}

static void columns_add(dd_table *t, const dd_gate_result *r)
{
    dd_table_add(t, "what", false);
    for (size_t i = 0; i < r->n_rows; i++)
        dd_table_put(t, i, "%s", dd_gate_kind_name(r->row[i].kind));
    dd_table_add(t, "name", false);
    for (size_t i = 0; i < r->n_rows; i++)
        dd_table_put(t, i, "%s", r->row[i].name);
    dd_table_add(t, "base", true);
    for (size_t i = 0; i < r->n_rows; i++)
        put_value(t, i, &r->row[i], r->row[i].base);
    dd_table_add(t, "head", true);
    for (size_t i = 0; i < r->n_rows; i++)
        put_value(t, i, &r->row[i], r->row[i].head);
    dd_table_add(t, "ratio", true);
    for (size_t i = 0; i < r->n_rows; i++)
        if (!isnan(r->row[i].ratio))
            dd_table_put(t, i, r->row[i].kind == DD_GATE_COUNT ? "%.5f" : "%.3f", r->row[i].ratio);
    dd_table_add(t, "interval", true);
    for (size_t i = 0; i < r->n_rows; i++)
        if (!isnan(r->row[i].low))
            dd_table_put(t, i, "%.3f to %.3f", r->row[i].low, r->row[i].high);
        else if (!isnan(r->row[i].ratio))
            dd_table_put(t, i, "exact");
    dd_table_add(t, "pairs", true);
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->row[i].pairs)
            dd_table_put(t, i, "%u", r->row[i].pairs);
    dd_table_add(t, "limit", true);
    for (size_t i = 0; i < r->n_rows; i++)
        dd_table_put(t, i, r->row[i].kind == DD_GATE_FLOOR ? ">= %.3g" : "<= %.4g",
                     r->row[i].limit);
    dd_table_add(t, "verdict", false);
    for (size_t i = 0; i < r->n_rows; i++)
        dd_table_put(t, i, "%s", dd_gate_verdict_name(r->row[i].verdict));
}

static bool has(const dd_gate_result *r, dd_gate_kind kind)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->row[i].kind == kind)
            return true;
    return false;
}

void dd_gate_print(const dd_gate_result *r, const dd_gate_side *base, const dd_gate_side *head,
                   bool markdown, FILE *out)
{
    const char *item = markdown ? "- " : "  ";
    dd_table t;
    dd_table_open(&t, r->n_rows);
    columns_add(&t, r);
    (markdown ? dd_table_markdown : dd_table_plain)(&t, out);
    if (t.failed)
        fprintf(out, "(no memory: some cells are missing)\n");
    dd_table_close(&t);
    fputc('\n', out);
    for (size_t i = 0; i < r->n_rows; i++)
        if (*r->row[i].why)
            fprintf(out, "%s%s, %s: %s\n", item, dd_gate_verdict_name(r->row[i].verdict),
                    r->row[i].name, r->row[i].why);
    fprintf(out, "%sbase: %s. head: %s.\n", item, base->name, head->name);
    if (has(r, DD_GATE_COUNT))
        fprintf(out, "%scount: user-space instructions, by %s%s. ratio: head / base.\n", item,
                dd_counter_name(r->counter),
                r->counter == DD_COUNTER_CALLGRIND ? ", which knows no AVX-512" : "");
    if (has(r, DD_GATE_TIME))
        fprintf(out,
                "%stime: medians over processes that take turns on %u core%s, of each its lower "
                "quartile.\n%s  ratio: head / base, the median over pairs; a regression where its "
                "95 %% interval lies\n%s  above the limit, twice.\n",
                item, r->cores, r->cores == 1 ? "" : "s", markdown ? "" : item,
                markdown ? "" : item);
    if (has(r, DD_GATE_FLOOR))
        fprintf(out,
                "%sfloor: the first (in column base) / the second (head), both of head; fails "
                "where the interval\n%s  lies below the limit, twice.\n",
                item, markdown ? "" : item);
    unsigned n[4] = {0};
    for (size_t i = 0; i < r->n_rows; i++)
        n[r->row[i].verdict]++;
    fprintf(out, "\n%u passed, %u failed, %u skipped, %u new, in %.0f s.\n", n[DD_GATE_PASS],
            n[DD_GATE_FAIL], n[DD_GATE_SKIP], n[DD_GATE_NEW], r->seconds);
}

/* ---- JSON ---- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *json_of_row(const dd_gate_row *row)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:f, s:I, s:o, s:s, s:s}", "kind",
                     dd_gate_kind_name(row->kind), "name", row->name, "unit",
                     row->kind == DD_GATE_COUNT ? "instructions" : "ns", "base", number(row->base),
                     "head", number(row->head), "ratio", number(row->ratio), "low",
                     number(row->low), "high", number(row->high), "limit", row->limit, "pairs",
                     (json_int_t)row->pairs, "first_ratio", number(row->first_ratio), "verdict",
                     dd_gate_verdict_name(row->verdict), "why", row->why);
}

bool dd_gate_json(const dd_gate_result *r, const dd_gate_side *base, const dd_gate_side *head,
                  FILE *out)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < r->n_rows; i++)
        if (json_array_append_new(rows, json_of_row(&r->row[i])) != 0) {
            json_decref(rows);
            return false;
        }
    json_t *all = json_pack("{s:i, s:s, s:s, s:s, s:I, s:f, s:i, s:o}", "schema", 1, "base",
                            base->name, "head", head->name, "counter", dd_counter_name(r->counter),
                            "cores", (json_int_t)r->cores, "seconds", r->seconds, "exit",
                            dd_gate_exit_code(r), "rows", rows);
    const bool written = all &&
                         json_dumpf(all, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0 &&
                         fputc('\n', out) != EOF && fflush(out) == 0;
    json_decref(all);
    return written;
}
