/* SPDX-License-Identifier: MIT
 * Scenario files: keys and lists. Every scalar stays text and goes through dd_settings_set, so that
 * files and the command line have one judge; the outline adds file order and lines. */
#include "scenario.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario_parts.h"
#include "soak_draw.h"
#include "text.h"

__attribute__((format(printf, 3, 4))) bool dd_scenario_refuse_(struct scenario *s, unsigned line,
                                                               const char *format, ...)
{
    int used = line ? snprintf(s->message, DD_SCENARIO_MESSAGE_MAX, "%.300s:%u: ", s->file, line)
                    : snprintf(s->message, DD_SCENARIO_MESSAGE_MAX, "%.300s: ", s->file);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(s->message + used, (size_t)(DD_SCENARIO_MESSAGE_MAX - used), format, args);
    va_end(args);
    dd_text_one_line(s->message);
    return false;
}

unsigned dd_scenario_line_(const struct scenario *s, const char *section, unsigned block,
                           const char *key, const char *value)
{
    const dd_mark *m = dd_outline_find(&s->outline, section, block, key, value);
    return m ? m->line : 0;
}

/* The name becomes part of a folder's: letters, digits, dot, dash, underline. */
static bool take_name(struct scenario *s)
{
    const char *given = s->document->name;
    if (given) {
        (void)snprintf(s->name, sizeof s->name, "%s", given);
    } else {
        const char *slash = strrchr(s->file, '/');
        (void)snprintf(s->name, sizeof s->name, "%s", slash ? slash + 1 : s->file);
        char *dot = strrchr(s->name, '.');
        if (dot && dot != s->name)
            *dot = '\0';
    }
    bool good = s->name[0] && s->name[0] != '.' && (!given || strlen(given) <= NAME_MAX_CHARS);
    for (const char *c = s->name; *c; c++)
        good = good && (isalnum((unsigned char)*c) || strchr("._-", *c));
    if (!good)
        return dd_scenario_refuse_(
            s, dd_scenario_line_(s, "", 0, "name", NULL),
            "name \"%.64s\": must be up to %d letters, digits, dots, dashes and "
            "underlines, as it names a folder",
            given ? given : s->name, NAME_MAX_CHARS);
    char *about = s->document->about;
    for (size_t n = about ? strlen(about) : 0; n > 0 && isspace((unsigned char)about[n - 1]); n--)
        about[n - 1] = '\0';
    for (char *c = about; c && *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    return true;
}

/* --set: KEY=VALUE takes the place of the file's value or list. */
static bool take_sets(struct scenario *s, const char *const *sets, size_t n_sets)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    dd_settings scratch;
    dd_settings_default(&scratch);
    for (size_t i = 0; i < n_sets; i++) {
        char name[64], message[DD_MESSAGE_MAX];
        const char *equals = strchr(sets[i], '=');
        if (!equals || (size_t)(equals - sets[i]) >= sizeof name) {
            (void)snprintf(s->message, DD_SCENARIO_MESSAGE_MAX, "--set %.64s: must be KEY=VALUE",
                           sets[i]);
            return false;
        }
        memcpy(name, sets[i], (size_t)(equals - sets[i]));
        name[equals - sets[i]] = '\0';
        if (!dd_settings_set(&scratch, name, equals + 1, message)) {
            (void)snprintf(s->message, DD_SCENARIO_MESSAGE_MAX, "--set: %s", message);
            return false;
        }
        size_t k = (size_t)(dd_key_named(name) - keys);
        s->single[k] = equals + 1;
        s->by_set[k] = true;
    }
    return true;
}

static bool check_list(struct scenario *s, const dd_key *key, unsigned block)
{
    const struct sweep *sweep = &s->document->sweep[block];
    size_t k = (size_t)(key - dd_keys(&(size_t){0}));
    dd_settings scratch;
    char message[DD_MESSAGE_MAX], *const *item = sweep->item[k];
    dd_settings_default(&scratch);
    for (size_t i = 0; i < sweep->n[k]; i++) {
        unsigned line = dd_scenario_line_(s, "sweep", block, key->name, item[i]);
        if (!dd_settings_set(&scratch, key->name, item[i], message))
            return dd_scenario_refuse_(s, line, "sweep: %s", message);
        for (size_t j = 0; j < i; j++)
            if (strcmp(item[i], item[j]) == 0)
                return dd_scenario_refuse_(s, line, "sweep.%s: %.64s is listed twice", key->name,
                                           item[i]);
    }
    return true;
}

/* A key that a soak draws. */
static bool take_drawn(struct scenario *s, const dd_key *key)
{
    const size_t k = (size_t)(key - dd_keys(&(size_t){0}));
    const struct sweep *draw = s->document->draw;
    char message[DD_MESSAGE_MAX];
    for (size_t i = 0; i < draw->n[k]; i++)
        if (!dd_drawn_check(key, draw->item[k][i], message))
            return dd_scenario_refuse_(s,
                                       dd_scenario_line_(s, "draw", 0, key->name, draw->item[k][i]),
                                       "draw: %s", message);
    if (!s->by_set[k])
        s->drawn[s->public.n_drawn++] =
            (dd_drawn){.key = key, .item = draw->item[k], .n = draw->n[k]};
    return true;
}

/* A key that a block sweeps: into the block, and into the columns of the whole. */
static void take_swept(struct scenario *s, const dd_key *key, struct block *block)
{
    dd_scenario *p = &s->public;
    bool known = false;
    for (size_t v = 0; v < p->n_swept; v++)
        known = known || s->swept[v] == key;
    if (!known)
        s->swept[p->n_swept++] = key;
    block->key[block->n++] = key;
}

/* The schema has no word for a mapping that must not be empty. */
static bool check_blocks(struct scenario *s)
{
    bool holds[BLOCKS_MAX] = {false};
    for (size_t m = 0; m < s->outline.n; m++)
        if (s->outline.mark[m].section[0])
            holds[s->outline.mark[m].block] = true;
    for (size_t b = 0; s->document->sweep && b < s->n_blocks; b++)
        if (!holds[b])
            return dd_scenario_refuse_sweep_(s, dd_scenario_line_(s, "", 0, "sweep", NULL));
    return true;
}

/* Base values into s->single, swept keys in file order into the blocks, each value judged at its
 * line. */
static bool take_keys(struct scenario *s)
{
    size_t n = 0, swept_in[KEYS_MAX] = {0};
    const dd_key *keys = dd_keys(&n);
    dd_settings scratch;
    char message[DD_MESSAGE_MAX];
    dd_settings_default(&scratch);
    s->n_blocks = s->document->n_blocks ? s->document->n_blocks : 1;
    if (s->document->draw && s->document->sweep)
        return dd_scenario_refuse_(
            s, dd_scenario_line_(s, "", 0, "draw", NULL),
            "draw: a scenario sweeps its lists or draws from them; take out one of draw "
            "and sweep");
    bool draws = false;
    for (size_t m = 0; m < s->outline.n; m++)
        draws = draws || strcmp(s->outline.mark[m].section, "draw") == 0;
    if (s->document->draw && !draws)
        return dd_scenario_refuse_draw_(s, dd_scenario_line_(s, "", 0, "draw", NULL));
    if (!check_blocks(s))
        return false;
    for (size_t m = 0; m < s->outline.n; m++) {
        const dd_mark *mark = &s->outline.mark[m];
        const dd_key *key = dd_key_named(mark->key);
        if (mark->value || !key)
            continue;
        size_t k = (size_t)(key - keys);
        if (!mark->section[0]) {
            const char *value = s->document->base[k] ? s->document->base[k] : "";
            if (!dd_settings_set(&scratch, key->name, value, message))
                return dd_scenario_refuse_(s, mark->line, "%s", message);
            if (!s->by_set[k])
                s->single[k] = value;
            continue;
        }
        const bool drawn = strcmp(mark->section, "draw") == 0;
        if (!(drawn ? take_drawn(s, key) : check_list(s, key, mark->block)))
            return false;
        if (!drawn && !s->by_set[k])
            take_swept(s, key, &s->block[mark->block]);
        unsigned top = dd_scenario_line_(s, "", 0, key->name, NULL);
        if (++swept_in[k] == s->n_blocks && top) /* no block is left that would use it */
            return dd_scenario_refuse_(
                s, mark->line, "%s.%s: line %u already gives it one value; keep one of the two",
                mark->section, key->name, top);
    }
    return true;
}

/* What bounds the repeats that an interval asks for does nothing without one. An interval of 0 says
 * that none is wanted: as --set it turns off what a file asks for. */
static bool check_bounds(struct scenario *s)
{
    static const char *const bounds[] = {"repeats-max", "minutes-max"};
    const dd_key *keys = dd_keys(&(size_t){0});
    if (s->single[dd_key_named("interval") - keys])
        return true;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const size_t k = (size_t)(dd_key_named(bounds[i]) - keys);
        if (s->single[k])
            return dd_scenario_refuse_(
                s, s->by_set[k] ? 0 : dd_scenario_line_(s, "", 0, bounds[i], NULL),
                "%s %.64s: bounds the repeats that \"interval\" asks for, and there is none; add "
                "one, such as \"interval: 0.03\", or leave %s out",
                bounds[i], s->single[k], bounds[i]);
    }
    return true;
}

bool dd_scenario_open(const char *file, const char *const *sets, size_t n_sets, dd_scenario **out,
                      char message[DD_SCENARIO_MESSAGE_MAX])
{
    message[0] = '\0';
    *out = NULL;
    struct scenario *s = calloc(1, sizeof *s);
    if (s)
        s->file = strdup(file);
    if (!s || !s->file) {
        free(s);
        (void)snprintf(message, DD_SCENARIO_MESSAGE_MAX, "%.300s: out of memory", file);
        return false;
    }
    s->message = message;
    s->public.swept = s->swept; /* filled as blocks are read */
    if (!dd_scenario_read_(s) || !take_name(s) || !take_sets(s, sets, n_sets) || !take_keys(s) ||
        !check_bounds(s) || !dd_scenario_multiply_(s)) {
        dd_scenario_close(&s->public);
        return false;
    }
    s->public.file = s->file;
    s->public.name = s->name;
    s->public.about = s->document->about ? s->document->about : "";
    s->public.draws = s->document->draw != NULL;
    s->public.drawn = s->drawn;
    s->public.base = s->single;
    if (!s->by_set[dd_key_named("data") - dd_keys(&(size_t){0})])
        s->public.data_line = dd_scenario_line_(s, NULL, DD_ANY_BLOCK, "data", NULL);
    s->message = NULL;
    *out = &s->public;
    return true;
}

void dd_scenario_close(dd_scenario *scenario)
{
    if (!scenario)
        return;
    struct scenario *s = (struct scenario *)scenario; /* public is its first member */
    for (size_t c = 0; c < s->public.n_cells; c++)
        dd_scenario_drop_cell_(s, &s->public.cells[c]);
    free(s->public.cells);
    free(s->values);
    cyaml_config_t config = {.mem_fn = cyaml_mem};
    if (s->document)
        (void)cyaml_free(&config, &s->schema.top, s->document, 0);
    dd_outline_free(&s->outline);
    free(s->file);
    free(s);
}
