/* SPDX-License-Identifier: MIT
 * A speedup table as text. */
#include "speedup_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

char *text_of(const fixture *f, void (*write)(const dd_speedup *, FILE *))
{
    dd_speedup s;
    char *text = NULL;
    size_t size;
    assert_true(dd_speedup_open(&s, f->sweep, 4, NULL));
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(&s, out);
    assert_int_equal(fclose(out), 0);
    dd_speedup_close(&s);
    return text;
}

void markdown(const dd_speedup *s, FILE *out)
{
    dd_speedup_write(s, true, out);
}

void plain(const dd_speedup *s, FILE *out)
{
    dd_speedup_write(s, false, out);
}

size_t csv_record(const char **at, char fields[COLUMNS_MAX][512])
{
    size_t n = 0, used = 0;
    bool quoted = false;
    for (const char *p = *at;; p++) {
        assert_true(*p != '\0' && n < COLUMNS_MAX && used < 511);
        if (*p == '"' && quoted && p[1] == '"') {
            fields[n][used++] = *p++;
        } else if (*p == '"') {
            quoted = !quoted;
        } else if ((*p == ',' || *p == '\n') && !quoted) {
            fields[n++][used] = '\0';
            used = 0;
            if (*p == '\n') {
                *at = p + 1;
                return n;
            }
        } else {
            fields[n][used++] = *p;
        }
    }
}

const char *csv_value(char heading[COLUMNS_MAX][512], char row[COLUMNS_MAX][512], size_t n,
                      const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(heading[i], name) == 0)
            return row[i];
    fail_msg("no column %s", name);
    return "";
}
