/* SPDX-License-Identifier: MIT
 * Verdicts on defects, and the table. */
#include "matrix.h"

#include <inttypes.h>
#include <string.h>

#include "build_info.h"

enum { NAME_MOST = 72, CELL = 9 };

const char *dd_row_verdict_name(dd_row_verdict verdict)
{
    static const char *const names[] = {"not run", "caught",   "equivalent", "broken",
                                        "missed",  "survives", "stale"};
    return names[verdict];
}

/* No end, or a crash, is what these means look for as much as a wrong result. */
static bool takes_any_failure(dd_means means)
{
    return means == DD_MEANS_UNIT || means == DD_MEANS_SERIAL;
}

static bool holds(const dd_hunt_row *row, dd_means means)
{
    const dd_finding_kind kind = row->cell[means].kind;
    return kind == DD_FOUND_IT ||
           ((kind == DD_FOUND_HANG || kind == DD_FOUND_CRASH) && takes_any_failure(means));
}

dd_row_verdict dd_row_judge(const dd_defect *d, const dd_hunt_row *row)
{
    bool caught = false, missed = false, unfit = false;
    if (!row->done)
        return DD_ROW_NOT_RUN;
    for (dd_means m = 0; m < DD_N_MEANS; m++) {
        const dd_finding_kind kind = row->cell[m].kind;
        caught |= kind == DD_FOUND_IT || kind == DD_FOUND_HANG || kind == DD_FOUND_CRASH;
        missed |= row->named[m] && !holds(row, m);
        unfit |= kind == DD_FOUND_UNFIT;
    }
    if (row->problem[0] || unfit)
        return DD_ROW_BROKEN;
    if (d->equivalent)
        return caught ? DD_ROW_STALE : DD_ROW_EQUIVALENT;
    return missed ? DD_ROW_MISSED : caught ? DD_ROW_CAUGHT : DD_ROW_SURVIVES;
}

bool dd_matrix_holds(const dd_hunt *h)
{
    for (size_t i = 0; i < h->all->n; i++)
        if (h->chosen[i] && dd_row_judge(&h->all->defect[i], &h->row[i]) >= DD_ROW_BROKEN)
            return false;
    return true;
}

/* ---- Text ---- */

static void print_cell(const dd_finding *cell, bool named)
{
    char text[24] = "-";
    const char *mark = named ? "*" : "";
    switch (cell->kind) {
    case DD_FOUND_NOT_RUN:
        break;
    case DD_FOUND_NOTHING:
        snprintf(text, sizeof text, "MISSED%s", mark);
        break;
    case DD_FOUND_IT:
        snprintf(text, sizeof text, "%.1f%s", cell->seconds, mark);
        break;
    case DD_FOUND_HANG:
        snprintf(text, sizeof text, "hang%s", mark);
        break;
    case DD_FOUND_CRASH:
        snprintf(text, sizeof text, "crash%s", mark);
        break;
    case DD_FOUND_UNFIT:
        snprintf(text, sizeof text, "unfit%s", mark);
        break;
    }
    printf(" %*s", CELL, text);
}

/* The means that were tried on any defect of the kind. */
static bool used(const dd_hunt *h, dd_defect_kind kind, bool column[DD_N_MEANS], int *width)
{
    bool any = false;
    for (size_t i = 0; i < h->all->n; i++) {
        if (!h->chosen[i] || h->all->defect[i].kind != kind || !h->row[i].done)
            continue;
        any = true;
        for (dd_means m = 0; m < DD_N_MEANS; m++)
            column[m] |= h->row[i].cell[m].kind != DD_FOUND_NOT_RUN;
        const int n = (int)strlen(h->all->defect[i].name);
        *width = n < *width ? *width : n > NAME_MOST ? NAME_MOST : n;
    }
    return any;
}

static void print_kind(const dd_hunt *h, dd_defect_kind kind)
{
    bool column[DD_N_MEANS] = {false};
    int width = 10;
    if (!used(h, kind, column, &width))
        return;
    printf("%-*s", width, dd_defect_kind_name(kind));
    for (dd_means m = 0; m < DD_N_MEANS; m++)
        if (column[m])
            printf(" %*s", CELL, dd_means_name(m));
    puts("  verdict");
    for (size_t i = 0; i < h->all->n; i++) {
        const dd_defect *d = &h->all->defect[i];
        const dd_hunt_row *row = &h->row[i];
        if (!h->chosen[i] || d->kind != kind || !row->done)
            continue;
        printf("%-*s", width, d->name);
        for (dd_means m = 0; m < DD_N_MEANS; m++)
            if (column[m])
                print_cell(&row->cell[m], row->named[m]);
        printf("  %s\n", dd_row_verdict_name(dd_row_judge(d, row)));
    }
    putchar('\n');
}

static void print_wrong(const dd_hunt *h)
{
    for (size_t i = 0; i < h->all->n; i++) {
        const dd_defect *d = &h->all->defect[i];
        const dd_hunt_row *row = &h->row[i];
        const dd_row_verdict verdict = dd_row_judge(d, row);
        if (!h->chosen[i] || verdict < DD_ROW_BROKEN)
            continue;
        printf("%s: %s\n    %s\n", d->name, dd_row_verdict_name(verdict), d->about);
        if (row->problem[0])
            printf("    %s\n", row->problem);
        for (dd_means m = 0; m < DD_N_MEANS; m++)
            if (row->cell[m].how[0])
                printf("    %s: %s\n", dd_means_name(m), row->cell[m].how);
    }
}

static void print_summary(const dd_hunt *h)
{
    size_t n = 0, of[DD_ROW_STALE + 1] = {0}, by[DD_N_MEANS] = {0}, tried[DD_N_MEANS] = {0};
    for (size_t i = 0; i < h->all->n; i++) {
        if (!h->chosen[i])
            continue;
        n++;
        of[dd_row_judge(&h->all->defect[i], &h->row[i])]++;
        for (dd_means m = 0; h->row[i].done && m < DD_N_MEANS; m++) {
            const dd_finding_kind kind = h->row[i].cell[m].kind;
            tried[m] += kind != DD_FOUND_NOT_RUN;
            by[m] += kind == DD_FOUND_IT || kind == DD_FOUND_HANG || kind == DD_FOUND_CRASH;
        }
    }
    puts("\nA number is the seconds until it was caught; hang, crash: the trial did not end, or");
    puts("was ended by a signal; *: the defect names this means; -: not tried.\n");
    printf("%zu defects:", n);
    for (dd_row_verdict v = DD_ROW_NOT_RUN; v <= DD_ROW_STALE; v++)
        if (of[v])
            printf(" %zu %s", of[v], dd_row_verdict_name(v));
    printf("; caught, of those tried, by");
    for (dd_means m = 0; m < DD_N_MEANS; m++)
        if (tried[m])
            printf(" %s %zu/%zu", dd_means_name(m), by[m], tried[m]);
    putchar('\n');
}

void dd_matrix_print(const dd_hunt *h)
{
    for (dd_defect_kind kind = DD_CATALOGUE; kind <= DD_GENERATED; kind++)
        print_kind(h, kind);
    print_wrong(h);
    print_summary(h);
}

/* ---- JSON ---- */

static json_t *json_cells(const dd_hunt_row *row)
{
    static const char *const names[] = {"not run", "nothing", "caught", "hang", "crash", "unfit"};
    json_t *cells = json_object();
    for (dd_means m = 0; m < DD_N_MEANS; m++) {
        const dd_finding *cell = &row->cell[m];
        if (cell->kind != DD_FOUND_NOT_RUN)
            (void)json_object_set_new(cells, dd_means_name(m),
                                      json_pack("{s:s, s:f, s:s, s:b}", "found", names[cell->kind],
                                                "seconds", cell->seconds, "how", cell->how, "named",
                                                (int)row->named[m]));
    }
    return cells;
}

json_t *dd_matrix_json(const dd_hunt *h)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < h->all->n; i++) {
        const dd_defect *d = &h->all->defect[i];
        if (h->chosen[i])
            (void)json_array_append_new(
                rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:o}", "defect", d->name,
                                "kind", dd_defect_kind_name(d->kind), "source", d->source, "about",
                                d->about, "catalogue", d->catalogue, "equivalent", d->equivalent,
                                "verdict", dd_row_verdict_name(dd_row_judge(d, &h->row[i])),
                                "problem", h->row[i].problem, "cells", json_cells(&h->row[i])));
    }
    char revision[20];
    (void)snprintf(revision, sizeof revision, "%016" PRIx64, h->workshop->revision);
    return json_pack("{s:s, s:s, s:s, s:o}", "commit", dd_build.commit, "compiler",
                     dd_build.compiler, "sources", revision, "defects", rows);
}
