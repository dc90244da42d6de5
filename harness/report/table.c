/* SPDX-License-Identifier: MIT
 * Tables and escapes. */
#include "table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BETWEEN = 2 }; /* blanks between columns on a terminal */

void dd_table_open(dd_table *t, size_t n_rows)
{
    *t = (dd_table){.n_rows = n_rows};
}

void dd_table_close(dd_table *t)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        for (size_t row = 0; row <= t->n_rows; row++)
            free(t->column[c].cell[row]);
        free(t->column[c].cell);
    }
    free(t->column);
    *t = (dd_table){0};
}

/* Columns on a terminal: code points, all taken as one wide. */
static int width(const char *utf8)
{
    int n = 0;
    for (; *utf8; utf8++)
        n += (*utf8 & 0xc0) != 0x80;
    return n;
}

void dd_table_add(dd_table *t, const char *heading, bool right)
{
    dd_column *more = realloc(t->column, (t->n_columns + 1) * sizeof *more);
    char **cell = calloc(t->n_rows + 1, sizeof *cell);
    t->column = more ? more : t->column;
    if (!more || !cell || !(cell[0] = strdup(heading))) {
        free(cell);
        t->failed = true;
        return;
    }
    t->column[t->n_columns++] = (dd_column){.cell = cell, .right = right, .width = width(heading)};
}

void dd_table_put(dd_table *t, size_t row, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    if (t->failed) /* the last column may be another than the caller means */
        return;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
        t->failed = true;
    }
    va_end(args);
    dd_column *column = &t->column[t->n_columns - 1];
    int w = text ? width(text) : 0;
    column->width = w > column->width ? w : column->width;
    free(column->cell[row + 1]);
    column->cell[row + 1] = text;
}

const char *dd_table_text(const dd_table *t, size_t column, size_t row)
{
    const char *text = t->column[column].cell[row];
    return text ? text : "";
}

const char *dd_table_constant(const dd_table *t, size_t column)
{
    const char *all = "";
    for (size_t row = 1; row <= t->n_rows; row++) {
        const char *text = dd_table_text(t, column, row);
        if (*text && *all && strcmp(text, all) != 0)
            return NULL;
        all = *text ? text : all;
    }
    return all;
}

int dd_table_width(const dd_table *t)
{
    int n = 0;
    for (size_t c = 0; c < t->n_columns; c++)
        if (!t->column[c].hidden)
            n += t->column[c].width + (n ? BETWEEN : 0);
    return n;
}

void dd_text_markdown(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '\\' || *text == '`' || *text == '*' || *text == '_' ||
            *text == '<' || *text == '[')
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

void dd_text_code(const char *text, FILE *out)
{
    size_t longest = 0, n;
    for (const char *p = text; (p = strchr(p, '`')); p += n) {
        n = strspn(p, "`");
        longest = n > longest ? n : longest;
    }
    const char *pad = longest ? " " : ""; /* one on each side is no part of the text */
    for (n = 0; n <= longest; n++)
        fputc('`', out);
    fprintf(out, "%s%s%s", pad, text, pad);
    for (n = 0; n <= longest; n++)
        fputc('`', out);
}

void dd_table_number(dd_table *t, size_t column, bool markdown, const char *item, FILE *legend)
{
    dd_column *c = &t->column[column];
    char **cell = c->cell + 1; /* below the heading */
    size_t *number = calloc(t->n_rows + 1, sizeof *number), n = 0;
    if (!number) {
        t->failed = true;
        return;
    }
    for (size_t i = 0; i < t->n_rows; i++) {
        for (size_t j = 0; cell[i] && *cell[i] && !number[i] && j < i; j++)
            if (cell[j] && strcmp(cell[i], cell[j]) == 0)
                number[i] = number[j];
        if (!cell[i] || !*cell[i] || number[i])
            continue;
        number[i] = ++n;
        fprintf(legend, "%s%s #%zu: ", item, c->cell[0], n);
        if (markdown)
            dd_text_markdown(cell[i], legend);
        else
            fputs(cell[i], legend);
        fputc('\n', legend);
    }
    c->width = width(c->cell[0]);
    for (size_t i = 0; i < t->n_rows; i++) {
        char *text = NULL;
        if (!number[i])
            continue;
        if (asprintf(&text, "#%zu", number[i]) < 0) {
            text = NULL;
            t->failed = true;
        }
        free(cell[i]);
        cell[i] = text;
        c->width = text && width(text) > c->width ? width(text) : c->width;
    }
    free(number);
}

void dd_table_markdown(const dd_table *t, FILE *out)
{
    for (size_t row = 0; row <= t->n_rows; row++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            if (t->column[c].hidden)
                continue;
            fputs("| ", out);
            dd_text_markdown(dd_table_text(t, c, row), out);
            fputc(' ', out);
        }
        fputs("|\n", out);
        for (size_t c = 0; row == 0 && c < t->n_columns; c++)
            if (!t->column[c].hidden)
                fputs(t->column[c].right ? "|---:" : "|---", out);
        fputs(row == 0 ? "|\n" : "", out);
    }
}

static void csv_field(const char *text, FILE *out)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void dd_table_csv(const dd_table *t, FILE *out)
{
    for (size_t row = 0; row <= t->n_rows; row++) {
        const char *between = "";
        for (size_t c = 0; c < t->n_columns; c++) {
            if (t->column[c].hidden)
                continue;
            fputs(between, out);
            csv_field(dd_table_text(t, c, row), out);
            between = ",";
        }
        fputc('\n', out);
    }
}

void dd_table_plain(const dd_table *t, FILE *out)
{
    for (size_t row = 0; row <= t->n_rows; row++) {
        int pending = 0; /* blanks, written only before more text */
        for (size_t c = 0; c < t->n_columns; c++) {
            if (t->column[c].hidden)
                continue;
            const char *text = dd_table_text(t, c, row);
            int room = t->column[c].width - width(text);
            if (t->column[c].right)
                pending += room;
            if (*text) {
                fprintf(out, "%*s%s", pending, "", text);
                pending = 0;
            }
            pending += (t->column[c].right ? 0 : room) + BETWEEN;
        }
        fputc('\n', out);
    }
}

size_t dd_text_character(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    if (s[0] >= 0xf8 || (s[0] & 0xc0) == 0x80)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) /* ends at the terminating zero, too */
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    bool control = c < ' ' && c != '\n' && c != '\t' && c != '\r';
    bool surrogate = c >= 0xd800 && c < 0xe000;
    return control || surrogate || c == 0xfffe || c == 0xffff || c > 0x10ffff || c < least[n] ? 0
                                                                                              : n;
}

void dd_text_xml(const char *text, FILE *out)
{
    while (*text) {
        size_t n = dd_text_character(text);
        const char *escape = n == 0          ? "?"
                             : *text == '&'  ? "&amp;"
                             : *text == '<'  ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '"'  ? "&quot;"
                             : *text == '\n' ? "&#10;"
                             : *text == '\r' ? "&#13;"
                             : *text == '\t' ? "&#9;"
                                             : NULL;
        if (escape)
            fputs(escape, out);
        else
            fwrite(text, 1, n, out);
        text += n ? n : 1;
    }
}
