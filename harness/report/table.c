/* SPDX-License-Identifier: MIT
 * Tables and escapes. */
#include "table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool dd_table_open(dd_table *t, size_t n_columns, size_t n_rows)
{
    *t = (dd_table){.n_columns = n_columns, .n_rows = n_rows};
    t->cells = calloc((n_rows + 1) * n_columns, sizeof *t->cells);
    t->right = calloc(n_columns, sizeof *t->right);
    if (t->cells && t->right)
        return true;
    dd_table_close(t);
    return false;
}

void dd_table_close(dd_table *t)
{
    for (size_t i = 0; t->cells && i < (t->n_rows + 1) * t->n_columns; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->right);
    *t = (dd_table){0};
}

void dd_table_set(dd_table *t, size_t row, size_t column, const char *format, ...)
{
    char **cell = &t->cells[row * t->n_columns + column];
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
        t->failed = true;
    }
    va_end(args);
    free(*cell);
    *cell = text;
}

static const char *cell_text(const dd_table *t, size_t row, size_t column)
{
    const char *text = t->cells[row * t->n_columns + column];
    return text ? text : "";
}

/* Columns on a terminal: code points, all taken as one wide. */
static int width(const char *utf8)
{
    int n = 0;
    for (; *utf8; utf8++)
        n += (*utf8 & 0xc0) != 0x80;
    return n;
}

static int column_width(const dd_table *t, size_t column)
{
    int most = 0;
    for (size_t row = 0; row <= t->n_rows; row++) {
        int w = width(cell_text(t, row, column));
        most = w > most ? w : most;
    }
    return most;
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

void dd_table_markdown(const dd_table *t, FILE *out)
{
    for (size_t row = 0; row <= t->n_rows; row++) {
        for (size_t c = 0; c < t->n_columns; c++) {
            fputs(c ? " | " : "| ", out);
            dd_text_markdown(cell_text(t, row, c), out);
        }
        fputs(" |\n", out);
        for (size_t c = 0; row == 0 && c < t->n_columns; c++)
            fprintf(out, "%s%s", t->right[c] ? "|---:" : "|---",
                    c + 1 == t->n_columns ? "|\n" : "");
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
        for (size_t c = 0; c < t->n_columns; c++) {
            if (c)
                fputc(',', out);
            csv_field(cell_text(t, row, c), out);
        }
        fputc('\n', out);
    }
}

void dd_table_plain(const dd_table *t, FILE *out)
{
    for (size_t row = 0; row <= t->n_rows; row++) {
        int pending = 0; /* blanks, written only before more text */
        for (size_t c = 0; c < t->n_columns; c++) {
            const char *text = cell_text(t, row, c);
            int room = column_width(t, c) - width(text);
            if (t->right[c])
                pending += room;
            if (*text) {
                fprintf(out, "%*s%s", pending, "", text);
                pending = 0;
            }
            pending += (t->right[c] ? 0 : room) + 2;
        }
        fputc('\n', out);
    }
}

/* Bytes of the UTF-8 character that begins here; 0 if none does, or one that XML 1.0 cannot hold.
 */
static size_t character_bytes(const unsigned char *s)
{
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
        size_t n = character_bytes((const unsigned char *)text);
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
