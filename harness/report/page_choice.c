/* SPDX-License-Identifier: MIT
 * Divides the cells of a kind of figure into plots, and names what a plot shows. */
#include "page_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MAX = 16, /* of one plot */
    LABEL_MAX = 36 /* characters of a row's label */
};

/* ---- What is shown together ---- */

const dd_page_cell *dd_choice_cell_(const dd_choice *c, size_t i)
{
    return &c->r->cell[c->cell[i]];
}

static bool is_shown(const dd_page_results *r, size_t i, dd_figure_kind kind)
{
    const dd_page_cell *cell = &r->cell[i];
    if (kind == DD_FIGURE_PHASES)
        return cell->n_phases > 0;
    if (!dd_page_timed(cell))
        return false;
    const dd_gain *gain = cell->row->gain;
    switch (kind) {
    case DD_FIGURE_SPEEDUP:
        return isfinite(gain[DD_GAIN_PARALLEL].x);
    case DD_FIGURE_SIMD:
        return isfinite(gain[DD_GAIN_SIMD].x) && gain[DD_GAIN_SIMD].to != i;
    case DD_FIGURE_LOCK_FREE:
        return strcmp(cell->row->subject, "dodeca") == 0 &&
               (isfinite(gain[DD_GAIN_LOCK_FREE].x) || isfinite(gain[DD_GAIN_LOCKS].x));
    default:
        return isfinite(gain[DD_GAIN_TOTAL].x) && strcmp(cell->row->subject, "oracle") != 0;
    }
}

/* Keys that divide plots first come first: what is trained, then what computes it, then how. */
static size_t rank_of(const char *key)
{
    static const char *const order[] = {"model", "data",  "batch",   "seq",   "lane-depth",
                                        "simd",  "depth", "subject", "steal", "barrier"};
    const size_t n = sizeof order / sizeof *order;
    for (size_t i = 0; i < n; i++)
        if (strcmp(order[i], key) == 0)
            return i;
    return strcmp(key, "reduce") == 0 ? n + 1 : n;
}

static bool differs(const dd_choice *c, const char *key)
{
    for (size_t i = 1; i < c->n_cells; i++)
        if (strcmp(dd_page_value(dd_choice_cell_(c, 0), key),
                   dd_page_value(dd_choice_cell_(c, i), key)) != 0)
            return true;
    return false;
}

/* Inserts the key at its rank. */
static void add_key(dd_choice *c, const char *key)
{
    if (c->n_keys == DD_CHOICE_KEYS_MAX || strcmp(key, "workers") == 0 || !differs(c, key))
        return;
    for (size_t i = 0; i < c->n_keys; i++)
        if (strcmp(c->key[i], key) == 0)
            return;
    size_t at = c->n_keys++;
    for (; at > 0 && rank_of(c->key[at - 1]) > rank_of(key); at--)
        c->key[at] = c->key[at - 1];
    c->key[at] = key;
}

/* Whether two cells agree in keys from to to - 1. */
bool dd_choice_agree_(const dd_choice *c, size_t i, size_t j, size_t from, size_t to)
{
    for (size_t k = from; k < to; k++)
        if (strcmp(dd_page_value(dd_choice_cell_(c, i), c->key[k]),
                   dd_page_value(dd_choice_cell_(c, j), c->key[k])) != 0)
            return false;
    return true;
}

/* Whether cell i is the first of its plot, or (series) of its curve there. */
bool dd_choice_first_(const dd_choice *c, size_t i, bool series)
{
    for (size_t j = 0; j < i; j++)
        if (dd_choice_agree_(c, i, j, 0, series ? c->n_keys : c->n_panel))
            return false;
    return true;
}

/* ---- Texts ---- */

/* "simd auto, barrier tree": keys from to to - 1 of cell i. A reduction's name says what it is.
 * returns  the text's length */
size_t dd_choice_describe_(const dd_choice *c, size_t i, size_t from, size_t to, char *text,
                           size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t k = from; k < to && used + 1 < size; k++) {
        const char *value = dd_page_value(dd_choice_cell_(c, i), c->key[k]);
        const bool known = strcmp(c->key[k], "reduce") == 0 && strcmp(value, "auto") != 0;
        const int n = snprintf(text + used, size - used, "%s%s%s%s", used ? ", " : "",
                               known ? "" : c->key[k], known ? "" : " ", value);
        used += n > 0 ? (size_t)n : 0;
    }
    return used < size ? used : size - 1;
}

/* returns  the label's length */
static size_t write_words(const dd_choice *c, size_t i, char *text, size_t size)
{
    const dd_page_row *row = dd_choice_cell_(c, i)->row;
    const size_t used = dd_choice_describe_(c, i, c->n_panel, c->n_keys, text, size - 32);
    const int n =
        row ? snprintf(text + used, size - used, "%s%u%s worker%s", used ? ", " : "", row->workers,
                       row->oversubscribed ? "+" : "", row->workers == 1 ? "" : "s")
            : 0;
    return used + (n > 0 ? (size_t)n : 0);
}

/* ---- Dividing ---- */

/* Curves, or rows, of the plot that cell i is in. */
static size_t crowd(const dd_choice *c, size_t i)
{
    size_t n = 0;
    for (size_t j = 0; j < c->n_cells; j++)
        n += dd_choice_agree_(c, i, j, 0, c->n_panel) &&
             (c->kind != DD_FIGURE_SPEEDUP || dd_choice_first_(c, j, true));
    return n;
}

static bool is_crowded(const dd_choice *c)
{
    char text[DD_CHOICE_TEXT_BYTES];
    const bool rows = c->kind != DD_FIGURE_SPEEDUP;
    for (size_t i = 0; i < c->n_cells; i++)
        if ((dd_choice_first_(c, i, false) && crowd(c, i) > (rows ? ROWS_MAX : DD_SERIES_MAX)) ||
            (rows && write_words(c, i, text, sizeof text) > LABEL_MAX))
            return true;
    return false;
}

bool dd_choice_open_(dd_choice *c, const dd_page_results *r, dd_figure_kind kind)
{
    *c = (dd_choice){.r = r, .kind = kind};
    c->cell = calloc(r->n_cells + 1, sizeof *c->cell);
    if (!c->cell)
        return false;
    for (size_t i = 0; i < r->n_cells; i++)
        if (is_shown(r, i, kind))
            c->cell[c->n_cells++] = i;
    for (size_t i = 0; i < c->n_cells; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(dd_choice_cell_(c, i)->varies, key, value)
        {
            add_key(c, key);
        }
    }
    while (c->n_panel < c->n_keys && is_crowded(c))
        c->n_panel++;
    return true;
}

/* ---- Labels ---- */

/* A label that is too long though the plots are divided by everything loses its beginning. */
void dd_choice_label_(const dd_choice *c, size_t i, FILE *out)
{
    char text[DD_CHOICE_TEXT_BYTES], cut[LABEL_MAX + 8];
    const size_t used = write_words(c, i, text, sizeof text);
    const char *shown = text;
    if (used > LABEL_MAX) {
        shown = text + used - LABEL_MAX;
        while (((unsigned char)*shown & 0xc0) == 0x80)
            shown++;
        (void)snprintf(cut, sizeof cut, "…%.*s", LABEL_MAX, shown);
        shown = cut;
    }
    dd_plot_text(shown, true, out);
}
