/* SPDX-License-Identifier: MIT
 * A scenario's lists multiplied out to cells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario_parts.h"

enum { LABEL_MAX = 1024 };

/* The i-th combination of a block. */
struct combination {
    const struct block *block;
    const char *value[KEYS_MAX]; /* of block->key */
};

static struct combination combine(const struct scenario *s, size_t b, size_t i)
{
    struct combination c = {.block = &s->block[b]};
    for (size_t v = c.block->n; v-- > 0;) { /* the last key runs fastest */
        size_t k = (size_t)(c.block->key[v] - dd_keys(&(size_t){0}));
        size_t n = s->document->sweep[b].n[k];
        c.value[v] = s->document->sweep[b].item[k][i % n];
        i /= n;
    }
    return c;
}

/* "workers=4 simd=off", without what means nothing to the subject: of all cells that are not the
 * same, no two have the same one. */
static void write_label(const struct combination *c, dd_subject subject, char label[LABEL_MAX])
{
    label[0] = '\0';
    for (size_t v = 0, used = 0; v < c->block->n && used < LABEL_MAX; v++)
        if (dd_key_concerns(c->block->key[v], subject))
            used += (size_t)snprintf(label + used, LABEL_MAX - used, "%s%s=%s", used ? " " : "",
                                     c->block->key[v]->name, c->value[v]);
}

/* The message begins with the key to blame; its line, if the file has one. */
static bool refuse_cell(struct scenario *s, const struct combination *c, const char *message)
{
    char blamed[64] = "", label[LABEL_MAX];
    write_label(c, DD_SUBJECT_DODECA, label); /* all of it: one of them is to blame */
    (void)sscanf(message, "%63[a-z0-9-]", blamed);
    const dd_key *key = dd_key_named(blamed);
    unsigned line = 0;
    if (key && !s->by_set[key - dd_keys(&(size_t){0})]) {
        line = dd_scenario_line_(s, "sweep", (unsigned)(c->block - s->block), blamed, NULL);
        line = line ? line : dd_scenario_line_(s, "", 0, blamed, NULL);
    }
    return dd_scenario_refuse_(s, line, "%s%s%s%s", message, label[0] ? " (cell " : "", label,
                               label[0] ? ")" : "");
}

/* Settings, a value in each column of the whole (those that the block does not sweep have their
 * base), and the label. */
static bool finish_cell(struct scenario *s, dd_scenario_cell *cell, const struct combination *c)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    char message[DD_MESSAGE_MAX], label[LABEL_MAX];
    dd_settings_default(&cell->settings);
    bool ok = true;
    for (size_t k = 0; ok && k < n; k++)
        if (s->single[k])
            ok = dd_settings_set(&cell->settings, keys[k].name, s->single[k], message);
    for (size_t v = 0; ok && v < c->block->n; v++)
        ok = dd_settings_set(&cell->settings, c->block->key[v]->name, c->value[v], message);
    if (!ok || !dd_settings_finish(&cell->settings, message))
        return refuse_cell(s, c, message);
    for (size_t v = 0; v < s->public.n_swept; v++) {
        char value[DD_SPEC_MAX];
        dd_settings_get(&cell->settings, s->swept[v]->name, value);
        for (size_t w = 0; w < c->block->n; w++)
            if (c->block->key[w] == s->swept[v])
                (void)snprintf(value, sizeof value, "%s", c->value[w]); /* as it is written */
        char **own = &s->values[(size_t)(cell - s->public.cells) * s->public.n_swept + v];
        *own = strdup(value);
        if (!*own)
            return dd_scenario_refuse_(s, 0, "out of memory");
    }
    write_label(c, cell->settings.subject, label);
    cell->label = strdup(label);
    return cell->label || dd_scenario_refuse_(s, 0, "out of memory");
}

/* Whether two cells differ in nothing that means anything to their subject. */
static bool is_same(const dd_scenario *p, const dd_scenario_cell *a, const dd_scenario_cell *b)
{
    if (a->settings.subject != b->settings.subject)
        return false;
    for (size_t v = 0; v < p->n_swept; v++)
        if (dd_key_concerns(p->swept[v], a->settings.subject) &&
            strcmp(a->values[v], b->values[v]) != 0)
            return false;
    return true;
}

static bool is_known(const dd_scenario *p, const dd_scenario_cell *cell)
{
    for (const dd_scenario_cell *before = p->cells; before != cell; before++)
        if (is_same(p, before, cell))
            return true;
    return false;
}

void dd_scenario_drop_cell_(struct scenario *s, dd_scenario_cell *cell)
{
    size_t n = s->public.n_swept;
    char **values = &s->values[(size_t)(cell - s->public.cells) * n];
    for (size_t v = 0; v < n; v++) {
        free(values[v]);
        values[v] = NULL;
    }
    free(cell->label);
    cell->label = NULL; /* its place may be taken by a cell that is refused before it has one */
}

/* Combinations of every block. */
static bool count_cells(struct scenario *s, size_t count[BLOCKS_MAX], size_t *total)
{
    const dd_key *keys = dd_keys(&(size_t){0});
    *total = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        count[b] = 1;
        for (size_t v = 0; v < s->block[b].n && count[b] <= DD_SCENARIO_CELLS_MAX; v++)
            count[b] *= s->document->sweep[b].n[s->block[b].key[v] - keys];
        *total += count[b];
        if (*total > DD_SCENARIO_CELLS_MAX)
            return dd_scenario_refuse_(
                s, dd_scenario_line_(s, "", 0, "sweep", NULL),
                "sweep: the lists multiply out to more than %d cells; shorten them",
                DD_SCENARIO_CELLS_MAX);
    }
    return true;
}

bool dd_scenario_multiply_(struct scenario *s)
{
    dd_scenario *p = &s->public;
    size_t count[BLOCKS_MAX], total;
    if (s->document->draw)
        return true; /* soak_draw.c makes the settings of each round */
    if (!count_cells(s, count, &total))
        return false;
    p->cells = calloc(total, sizeof *p->cells);
    s->values = calloc(total * p->n_swept + 1, sizeof *s->values);
    if (!p->cells || !s->values)
        return dd_scenario_refuse_(s, 0, "out of memory");
    for (size_t b = 0; b < s->n_blocks; b++)
        for (size_t i = 0; i < count[b]; i++) {
            dd_scenario_cell *cell = &p->cells[p->n_cells];
            struct combination c = combine(s, b, i);
            cell->block = (unsigned)b;
            cell->values = (const char *const *)&s->values[p->n_cells * p->n_swept];
            p->n_cells++; /* close() frees what it has */
            if (!finish_cell(s, cell, &c))
                return false;
            /* within one block of one subject all are different */
            if ((b > 0 || cell->settings.subject != DD_SUBJECT_DODECA) && is_known(p, cell)) {
                dd_scenario_drop_cell_(s, cell);
                p->n_cells--;
            }
        }
    return true;
}
