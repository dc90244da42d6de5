/* SPDX-License-Identifier: MIT
 * The progress line: its parts, in words and in short, and what is left out where room is scarce.
 */
#include "train_line.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "progress.h"

enum { PART_STEPS, PART_LOSS, PART_NATS, PART_BITS, PART_LR, PART_NORM, PART_SPEED, PART_LEFT };
enum { N_PARTS = PART_LEFT + 1 };

typedef struct parts {
    char text[N_PARTS][64]; /* "": not known */
} parts;

double dd_unsigned_nan(double x)
{
    return isnan(x) ? (double)NAN : x;
}

/* "1:02:03", "2:03"; "?" where it is not known. */
static void clock_of(double seconds, char text[32])
{
    if (isfinite(seconds))
        dd_progress_clock(seconds, text);
    else
        strcpy(text, "?");
}

__attribute__((format(printf, 3, 4))) static void put(parts *p, int part, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(p->text[part], sizeof p->text[part], format, args);
    va_end(args);
}

static void in_words(const dd_train_line *l, parts *p)
{
    char left[32];
    clock_of(l->left_s, left);
    put(p, PART_STEPS, "%" PRIu64 " of %" PRIu64 " steps", l->done, l->last);
    put(p, PART_LOSS, "loss %.4f", dd_unsigned_nan(l->loss));
    if (!isnan(l->validation))
        put(p, PART_NATS, "validation %.4f", l->validation);
    if (!isnan(l->bits))
        put(p, PART_BITS, "%.3f bits/byte", l->bits);
    put(p, PART_LR, "lr %.2g", l->lr);
    put(p, PART_NORM, "norm %.2g", dd_unsigned_nan(l->norm));
    put(p, PART_SPEED, "%.0f tokens/s", l->tokens_per_s);
    put(p, PART_LEFT, "%s left", left);
}

static void in_short(const dd_train_line *l, parts *p)
{
    char left[32];
    clock_of(l->left_s, left);
    put(p, PART_STEPS, "%" PRIu64 "/%" PRIu64, l->done, l->last);
    put(p, PART_LOSS, "loss %.3f", dd_unsigned_nan(l->loss));
    if (!isnan(l->validation))
        put(p, PART_NATS, "val %.3f", l->validation);
    if (!isnan(l->bits))
        put(p, PART_BITS, "bpb %.3f", l->bits);
    put(p, PART_LR, "lr %.2g", l->lr);
    put(p, PART_NORM, "norm %.2g", dd_unsigned_nan(l->norm));
    put(p, PART_SPEED, "%.0f tok/s", l->tokens_per_s);
    put(p, PART_LEFT, "%s", left);
}

/* returns  characters with `gap` between parts; as many may be written */
static size_t join(const parts *p, const char *gap, char *text, size_t room)
{
    size_t n = 0;
    text[0] = '\0';
    for (int k = 0; k < N_PARTS; k++)
        if (p->text[k][0] && n < room)
            n += (size_t)snprintf(text + n, room - n, "%s%s", n ? gap : "", p->text[k]);
    return n;
}

size_t dd_train_line_format(const dd_train_line *line, size_t columns, char *text, size_t room)
{
    static const int dispensable[] = {PART_NORM, PART_LR, PART_SPEED, PART_NATS, PART_BITS};
    enum { N_DISPENSABLE = sizeof dispensable / sizeof *dispensable };
    const size_t most = columns && columns < room ? columns : room - 1;
    parts p = {0};
    in_words(line, &p);
    size_t n = join(&p, "  ", text, room);
    if (n > most)
        n = join(&p, " ", text, room);
    if (n <= most)
        return n;
    p = (parts){0};
    in_short(line, &p);
    n = join(&p, " ", text, room);
    for (int k = 0; k < N_DISPENSABLE && n > most; k++) {
        p.text[dispensable[k]][0] = '\0';
        n = join(&p, " ", text, room);
    }
    if (n > most) { /* narrower than any terminal */
        text[most] = '\0';
        n = most;
    }
    return n;
}
