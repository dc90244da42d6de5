/* SPDX-License-Identifier: MIT
 * The speedup table for people, as Markdown or for a terminal. A column that says the same in every
 * row is told once above the table instead, so that a table holds what varies. What is too long for
 * a column gets a number there, and stands in full below. Where one table would be wider than
 * people read, each block of the sweep has its own. */
#include "speedup_page.h"

#include <stdlib.h>
#include <string.h>

enum {
    LINE = 100,    /* characters of a line of text on a terminal */
    WIDEST = 160,  /* of a table's */
    LONG_TEXT = 24 /* a column of texts up to this is shown as it is */
};

/* A column of dashes, or of nothing, tells nothing. */
static bool tells(const char *value)
{
    return *value && strcmp(value, "-") != 0;
}

/* Whether a column is told once for all its rows, and how. */
static const char *told_once(const dd_table *t, size_t c)
{
    return t->column[c].tag & ONCE ? dd_table_constant(t, c) : NULL;
}

/* Hides what never varies. above: the page of all rows, whose line tells what never varies there;
 * NULL: this is it. */
static void hide(page *p, const page *above)
{
    dd_table *t = &p->table;
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *value = dd_table_constant(t, c);
        bool empty = above && value && !tells(value);
        bool left_to_files = !value && (t->column[c].tag & FILES) && !p->markdown;
        t->column[c].hidden = told_once(t, c) || empty || left_to_files;
    }
}

/* What is hidden because it never varies, in one line, broken where a terminal ends. */
static void write_once(const page *p, const page *above, FILE *out)
{
    const dd_table *t = &p->table;
    size_t used = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *value = told_once(t, c), *heading = dd_table_text(t, c, 0);
        if (!value || !tells(value) || (above && told_once(&above->table, c)))
            continue;
        size_t wide = strlen(heading) + strlen(value) + 3;
        bool broken = !p->markdown && used && used + wide > LINE;
        if (!used && above)
            used = p->s->n_rows == 1 ? (size_t)fprintf(out, "in the next row: ")
                                     : (size_t)fprintf(out, "in the next %zu rows: ", p->s->n_rows);
        else if (!used)
            used = (size_t)fprintf(out, "in all rows that have it: ");
        else
            fputs(broken ? ",\n  " : ", ", out);
        used = (broken ? 2 : used) + wide;
        fprintf(out, "%s ", heading);
        if (p->markdown)
            dd_text_markdown(value, out);
        else
            fputs(value, out);
    }
    if (used)
        fputs("\n\n", out);
}

/* Numbers in place of what is long; what they stand for goes to the legend. */
static void shorten(page *p, FILE *legend)
{
    for (size_t c = 0; c < p->table.n_columns; c++) {
        const dd_column *column = &p->table.column[c];
        if (!column->hidden && (column->tag & LONG) && column->width > LONG_TEXT)
            dd_table_number(&p->table, c, p->markdown, p->markdown ? "- " : "  ", legend);
    }
}

/* A table with what belongs to it. above: as for hide. returns  false: there was no memory */
static bool write_table(page *p, const page *above, FILE *out)
{
    char *legend = NULL;
    size_t size = 0;
    FILE *to_legend = open_memstream(&legend, &size);
    if (!to_legend)
        return false;
    hide(p, above);
    write_once(p, above, out);
    shorten(p, to_legend);
    if (fclose(to_legend) != 0 || p->table.failed) {
        free(legend);
        return false;
    }
    if (p->markdown)
        dd_table_markdown(&p->table, out);
    else
        dd_table_plain(&p->table, out);
    fprintf(out, "%s%s\n", size ? "\n" : "", legend);
    free(legend);
    return true;
}

/* The rows that begin with `first` and are of one block. */
static dd_speedup block_of(const dd_speedup *s, size_t first)
{
    size_t end = first + 1;
    while (end < s->n_rows && s->rows[end].cell->plan->block == s->rows[first].cell->plan->block)
        end++;
    return (dd_speedup){
        .sweep = s->sweep, .cores = s->cores, .n_rows = end - first, .rows = s->rows + first};
}

/* Whether one table for all rows is one that people read: judged as it is on a terminal. */
static bool fits(const dd_speedup *s)
{
    page p = {.s = s, .whole = s};
    char *legend = NULL;
    size_t size;
    dd_page_open_(&p);
    FILE *nowhere = open_memstream(&legend, &size);
    hide(&p, NULL);
    if (nowhere && !p.table.failed)
        shorten(&p, nowhere);
    if (nowhere)
        (void)fclose(nowhere);
    free(legend);
    bool narrow = dd_table_width(&p.table) <= WIDEST;
    dd_table_close(&p.table);
    return narrow;
}

/* One table, or one for each block below what all have in common. returns  false: no memory */
static bool write_tables(const dd_speedup *s, bool markdown, FILE *out)
{
    page all = {.s = s, .whole = s, .markdown = markdown};
    dd_page_open_(&all);
    bool one = fits(s) || block_of(s, 0).n_rows == s->n_rows, ok = !all.table.failed;
    if (ok && one)
        ok = write_table(&all, NULL, out);
    else if (ok)
        write_once(&all, NULL, out);
    for (size_t first = 0; ok && !one && first < s->n_rows;) {
        dd_speedup block = block_of(s, first);
        page p = {.s = &block, .whole = s, .markdown = markdown};
        dd_page_open_(&p);
        ok = !p.table.failed && write_table(&p, &all, out);
        dd_table_close(&p.table);
        first += block.n_rows;
    }
    dd_table_close(&all.table);
    return ok;
}

/* The reason why nothing at all was timed, if there is one for all. */
static const char *all_not_timed(const dd_speedup *s)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (!s->rows[i].not_timed || strcmp(s->rows[i].not_timed, s->rows[0].not_timed) != 0)
            return NULL;
    return s->n_rows ? s->rows[0].not_timed : NULL;
}

void dd_speedup_write(const dd_speedup *s, bool markdown, FILE *out)
{
    const page p = {.s = s, .whole = s, .markdown = markdown};
    if (!write_tables(s, markdown, out)) {
        fputs("no memory for the table\n", out);
        return;
    }
    if (all_not_timed(s))
        fprintf(out, "%snot timed: %s\n", markdown ? "- " : "  ", all_not_timed(s));
    dd_page_write_below_(&p, out);
}
