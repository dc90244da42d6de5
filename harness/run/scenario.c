/* SPDX-License-Identifier: MIT
 * Scenario files. libcyaml holds the text against a schema made from the table of settings; every
 * scalar stays text and goes through dd_settings_set, so that files and the command line have one
 * judge; the outline adds file order and lines. */
#include "scenario.h"

#include <assert.h>
#include <ctype.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "outline.h"
#include "soak_draw.h"
#include "text.h"

enum {
    KEYS_MAX = 48,
    BLOCKS_MAX = 64,
    FILE_MAX_BYTES = 1 << 20,
    NAME_MAX_CHARS = 64,
    LABEL_MAX = 1024
};

/* What libcyaml fills; index = index in dd_keys(). */
struct sweep {
    char **item[KEYS_MAX];
    uint32_t n[KEYS_MAX];
};
struct document {
    char *name, *about;
    char *base[KEYS_MAX];
    struct sweep *sweep; /* (n_blocks), or one where `sweep` is no list of blocks */
    uint32_t n_blocks;
    struct sweep *draw; /* NULL: no soak */
};

struct schema {
    cyaml_schema_value_t text, block, top;
    cyaml_schema_field_t field[KEYS_MAX + 5]; /* and name, about, sweep, draw, end */
    cyaml_schema_field_t swept[KEYS_MAX + 1];
};

/* The first error libcyaml reports, and the first two places of its backtrace, innermost first. */
struct capture {
    char error[256];
    char field[2][64];
    unsigned n_fields, line;
};

/* dd_scenario with what it borrows from. */
struct scenario {
    dd_scenario public;
    struct schema schema;
    struct document *document;
    dd_outline outline;
    const dd_key *swept[KEYS_MAX];
    dd_drawn drawn[KEYS_MAX];
    size_t n_blocks; /* >= 1 */
    struct block {
        const dd_key *key[KEYS_MAX];
        size_t n;
    } block[BLOCKS_MAX];          /* what each sweeps, in file order */
    char **values;                /* n_cells * n_swept, owned */
    const char *single[KEYS_MAX]; /* base values, by key; NULL: default */
    bool by_set[KEYS_MAX];        /* the value comes from --set */
    char name[NAME_MAX_CHARS + 1];
    char *file;
    char *message;
};

__attribute__((format(printf, 3, 4))) static bool refuse(struct scenario *s, unsigned line,
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

static unsigned line_of(const struct scenario *s, const char *section, unsigned block,
                        const char *key, const char *value)
{
    const dd_mark *m = dd_outline_find(&s->outline, section, block, key, value);
    return m ? m->line : 0;
}

/* ---- Schema ---- */

/* blocks: `sweep` is a list of mappings, else one mapping; both fill the same fields. */
static void schema_make(struct schema *s, bool blocks)
{
    size_t n = 0, f = 0, w = 0;
    const dd_key *keys = dd_keys(&n);
    assert(n <= KEYS_MAX);
    const enum cyaml_flag optional = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
    s->text =
        (cyaml_schema_value_t){CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED)};
    cyaml_schema_value_t scalar = s->text;
    scalar.flags = optional;
    s->field[f++] = (cyaml_schema_field_t){"name", offsetof(struct document, name), 0, 0, scalar};
    s->field[f++] = (cyaml_schema_field_t){"about", offsetof(struct document, about), 0, 0, scalar};
    for (size_t i = 0; i < n; i++) {
        size_t at = offsetof(struct document, base) + i * sizeof(char *);
        s->field[f++] = (cyaml_schema_field_t){keys[i].name, (uint32_t)at, 0, 0, scalar};
        if (keys[i].not_swept)
            continue;
        cyaml_schema_field_t list = {.key = keys[i].name};
        list.data_offset = (uint32_t)(offsetof(struct sweep, item) + i * sizeof(char **));
        list.count_offset = (uint32_t)(offsetof(struct sweep, n) + i * sizeof(uint32_t));
        list.count_size = sizeof(uint32_t);
        list.value = (cyaml_schema_value_t){
            CYAML_VALUE_SEQUENCE(optional, char *, &s->text, 1, DD_SCENARIO_CELLS_MAX)};
        s->swept[w++] = list;
    }
    cyaml_schema_field_t sweep = {.key = "sweep", .data_offset = offsetof(struct document, sweep)};
    s->block =
        (cyaml_schema_value_t){CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct sweep, s->swept)};
    if (blocks) {
        sweep.count_offset = offsetof(struct document, n_blocks);
        sweep.count_size = sizeof(uint32_t);
        sweep.value = (cyaml_schema_value_t){
            CYAML_VALUE_SEQUENCE(optional, struct sweep, &s->block, 1, BLOCKS_MAX)};
    } else {
        sweep.value = (cyaml_schema_value_t){CYAML_VALUE_MAPPING(optional, struct sweep, s->swept)};
    }
    s->field[f++] = sweep;
    cyaml_schema_field_t draw = {.key = "draw", .data_offset = offsetof(struct document, draw)};
    draw.value = (cyaml_schema_value_t){CYAML_VALUE_MAPPING(optional, struct sweep, s->swept)};
    s->field[f++] = draw;
    s->field[f] = (cyaml_schema_field_t)CYAML_FIELD_END;
    s->swept[w] = (cyaml_schema_field_t)CYAML_FIELD_END;
    s->top =
        (cyaml_schema_value_t){CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct document, s->field)};
}

__attribute__((format(printf, 3, 0))) static void capture_log(cyaml_log_t level, void *context,
                                                              const char *format, va_list args)
{
    struct capture *c = context;
    char line[256], field[64];
    unsigned number = 0;
    if (level < CYAML_LOG_ERROR)
        return;
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    const char *place = strstr(line, "(line: ");
    if (place && sscanf(place, "(line: %u", &number) == 1) {
        if (!c->line)
            c->line = number;
        if (sscanf(line, " in mapping field '%63[^']'", field) == 1 && c->n_fields < 2)
            strcpy(c->field[c->n_fields++], field);
    } else if (!c->error[0]) {
        (void)snprintf(c->error, sizeof c->error, "%s", line);
    }
}

static bool is_field(const cyaml_schema_field_t *fields, const char *key)
{
    for (; fields->key; fields++)
        if (strcmp(fields->key, key) == 0)
            return true;
    return false;
}

static bool refuse_key(struct scenario *s, const dd_mark *mark, const cyaml_schema_field_t *fields)
{
    const char *names[KEYS_MAX + 4];
    char list[1024] = "";
    size_t n = 0, used = 0;
    for (; fields->key; fields++) {
        names[n++] = fields->key;
        used += (size_t)snprintf(list + used, sizeof list - used, " %s", fields->key);
    }
    const dd_key *known = dd_key_named(mark->key);
    if (known && known->not_swept)
        return refuse(s, mark->line,
                      "%s cannot be swept: it says how the whole sweep is run; put it at the top",
                      mark->key);
    const char *nearest = dd_nearest(mark->key, names, n);
    return refuse(s, mark->line, "unknown key \"%.64s\"%s%s%s; allowed %s%s:%s", mark->key,
                  nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"" : "",
                  mark->section[0] ? "under " : "here", mark->section, list);
}

/* Whether keys have lists there. */
static bool has_lists(const char *section)
{
    return strcmp(section, "sweep") == 0 || strcmp(section, "draw") == 0;
}

/* What a sweep must be, where it is something else, or nothing. */
static bool refuse_sweep(struct scenario *s, unsigned line)
{
    return refuse(s, line,
                  "sweep: must hold keys with lists, such as workers: [1, 2], or be a list of "
                  "blocks that do");
}

static bool refuse_draw(struct scenario *s, unsigned line)
{
    return refuse(s, line, "draw: must hold keys with lists, such as workers: [1, 4..12]");
}

/* Turns libcyaml's verdict into one line. */
static bool refuse_schema(struct scenario *s, cyaml_err_t error, const struct capture *c)
{
    const dd_outline *o = &s->outline;
    for (size_t i = 0; error == CYAML_ERR_INVALID_KEY && i < o->n; i++) {
        const dd_mark *m = &o->mark[i];
        bool swept = has_lists(m->section);
        const cyaml_schema_field_t *fields = swept ? s->schema.swept : s->schema.field;
        if (!m->value && (swept || !m->section[0]) && !is_field(fields, m->key))
            return refuse_key(s, m, fields);
    }
    for (size_t i = 0; error == CYAML_ERR_UNEXPECTED_EVENT && i < o->n; i++) {
        const dd_mark *m = &o->mark[i],
                      *first = dd_outline_find(o, m->section, m->block, m->key, NULL);
        if (!m->value && first != m)
            return refuse(s, m->line, "key \"%.64s\" again; line %u has it already", m->key,
                          first->line);
    }
    const char *section = c->n_fields == 2 && has_lists(c->field[1]) ? c->field[1] : "sweep";
    bool swept = c->n_fields == 2 && has_lists(c->field[1]);
    const char *key = c->n_fields ? c->field[0] : "";
    if (strcmp(key, "sweep") == 0 && error == CYAML_ERR_SEQUENCE_ENTRIES_MAX)
        return refuse(s, c->line, "sweep: more than %d blocks", BLOCKS_MAX);
    if (strcmp(key, "sweep") == 0)
        return refuse_sweep(s, c->line);
    if (strcmp(key, "draw") == 0)
        return refuse_draw(s, c->line);
    if (error == CYAML_ERR_SEQUENCE_ENTRIES_MIN)
        return refuse(s, c->line, "%s.%s: the list is empty; give it at least one value", section,
                      key);
    if (error == CYAML_ERR_SEQUENCE_ENTRIES_MAX)
        return refuse(s, c->line, "%s.%s: more than %d values", section, key,
                      DD_SCENARIO_CELLS_MAX);
    if (error == CYAML_ERR_INVALID_VALUE && swept)
        return refuse(s, c->line, "%s.%s: must be a list of single values, such as [1, 2]", section,
                      key);
    if (error == CYAML_ERR_INVALID_VALUE && key[0])
        return refuse(s, c->line, "%s: must be a single value here; a list goes under sweep:", key);
    return refuse(s, c->line, "%s (%s)", cyaml_strerror(error), c->error);
}

/* ---- Reading ---- */

static bool read_file(struct scenario *s, unsigned char **text, size_t *bytes)
{
    FILE *f = fopen(s->file, "rb");
    if (!f)
        return refuse(s, 0, "cannot be read: %s", strerror(errno));
    *text = malloc(FILE_MAX_BYTES + 1);
    *bytes = *text ? fread(*text, 1, FILE_MAX_BYTES + 1, f) : 0;
    int failed = ferror(f) ? errno : 0;
    (void)fclose(f);
    if (!*text)
        return refuse(s, 0, "out of memory");
    if (failed)
        return refuse(s, 0, "cannot be read: %s", strerror(failed));
    if (*bytes > FILE_MAX_BYTES)
        return refuse(s, 0, "larger than 1 MiB: no scenario");
    return true;
}

static bool read_document(struct scenario *s)
{
    unsigned char *text = NULL;
    size_t bytes = 0;
    unsigned line = 0;
    char fault[256] = "";
    bool ok = read_file(s, &text, &bytes);
    if (ok && !dd_outline_read(text, bytes, &s->outline, &line, fault, sizeof fault))
        ok = refuse(s, line, "%s", fault);
    if (ok) {
        struct capture capture = {0};
        const dd_mark *sweep = dd_outline_find(&s->outline, "", 0, "sweep", NULL);
        schema_make(&s->schema, sweep && sweep->list);
        cyaml_config_t config = {.log_fn = capture_log,
                                 .log_ctx = &capture,
                                 .log_level = CYAML_LOG_ERROR,
                                 .mem_fn = cyaml_mem,
                                 .flags = CYAML_CFG_NO_ALIAS};
        cyaml_err_t error = cyaml_load_data(text, bytes, &config, &s->schema.top,
                                            (cyaml_data_t **)&s->document, NULL);
        if (error != CYAML_OK)
            ok = refuse_schema(s, error, &capture);
    }
    free(text);
    return ok;
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
        return refuse(s, line_of(s, "", 0, "name", NULL),
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
        unsigned line = line_of(s, "sweep", block, key->name, item[i]);
        if (!dd_settings_set(&scratch, key->name, item[i], message))
            return refuse(s, line, "sweep: %s", message);
        for (size_t j = 0; j < i; j++)
            if (strcmp(item[i], item[j]) == 0)
                return refuse(s, line, "sweep.%s: %.64s is listed twice", key->name, item[i]);
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
            return refuse(s, line_of(s, "draw", 0, key->name, draw->item[k][i]), "draw: %s",
                          message);
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
            return refuse_sweep(s, line_of(s, "", 0, "sweep", NULL));
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
        return refuse(s, line_of(s, "", 0, "draw", NULL),
                      "draw: a scenario sweeps its lists or draws from them; take out one of draw "
                      "and sweep");
    bool draws = false;
    for (size_t m = 0; m < s->outline.n; m++)
        draws = draws || strcmp(s->outline.mark[m].section, "draw") == 0;
    if (s->document->draw && !draws)
        return refuse_draw(s, line_of(s, "", 0, "draw", NULL));
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
                return refuse(s, mark->line, "%s", message);
            if (!s->by_set[k])
                s->single[k] = value;
            continue;
        }
        const bool drawn = strcmp(mark->section, "draw") == 0;
        if (!(drawn ? take_drawn(s, key) : check_list(s, key, mark->block)))
            return false;
        if (!drawn && !s->by_set[k])
            take_swept(s, key, &s->block[mark->block]);
        unsigned top = line_of(s, "", 0, key->name, NULL);
        if (++swept_in[k] == s->n_blocks && top) /* no block is left that would use it */
            return refuse(s, mark->line,
                          "%s.%s: line %u already gives it one value; keep one of the two",
                          mark->section, key->name, top);
    }
    return true;
}

/* ---- Multiplying out ---- */

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

/* "workers=4 simd=off": of all cells that are not the same, no two have the same one. */
static void write_label(const struct combination *c, char label[LABEL_MAX])
{
    label[0] = '\0';
    for (size_t v = 0, used = 0; v < c->block->n && used < LABEL_MAX; v++)
        used += (size_t)snprintf(label + used, LABEL_MAX - used, "%s%s=%s", v ? " " : "",
                                 c->block->key[v]->name, c->value[v]);
}

/* The message begins with the key to blame; its line, if the file has one. */
static bool refuse_cell(struct scenario *s, const struct combination *c, const char *message)
{
    char blamed[64] = "", label[LABEL_MAX];
    write_label(c, label);
    (void)sscanf(message, "%63[a-z0-9-]", blamed);
    const dd_key *key = dd_key_named(blamed);
    unsigned line = 0;
    if (key && !s->by_set[key - dd_keys(&(size_t){0})]) {
        line = line_of(s, "sweep", (unsigned)(c->block - s->block), blamed, NULL);
        line = line ? line : line_of(s, "", 0, blamed, NULL);
    }
    return refuse(s, line, "%s%s%s%s", message, label[0] ? " (cell " : "", label,
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
            return refuse(s, 0, "out of memory");
    }
    write_label(c, label);
    cell->label = strdup(label);
    return cell->label || refuse(s, 0, "out of memory");
}

/* Whether an earlier cell has the same values. */
static bool is_known(const dd_scenario *p, const dd_scenario_cell *cell)
{
    for (size_t c = 0; &p->cells[c] != cell; c++) {
        size_t v = 0;
        while (v < p->n_swept && strcmp(p->cells[c].values[v], cell->values[v]) == 0)
            v++;
        if (v == p->n_swept)
            return true;
    }
    return false;
}

static void drop_cell(struct scenario *s, dd_scenario_cell *cell)
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
            return refuse(s, line_of(s, "", 0, "sweep", NULL),
                          "sweep: the lists multiply out to more than %d cells; shorten them",
                          DD_SCENARIO_CELLS_MAX);
    }
    return true;
}

static bool multiply(struct scenario *s)
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
        return refuse(s, 0, "out of memory");
    for (size_t b = 0; b < s->n_blocks; b++)
        for (size_t i = 0; i < count[b]; i++) {
            dd_scenario_cell *cell = &p->cells[p->n_cells];
            struct combination c = combine(s, b, i);
            cell->block = (unsigned)b;
            cell->values = (const char *const *)&s->values[p->n_cells * p->n_swept];
            p->n_cells++; /* close() frees what it has */
            if (!finish_cell(s, cell, &c))
                return false;
            if (b > 0 && is_known(p, cell)) {
                drop_cell(s, cell);
                p->n_cells--;
            }
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
    if (!read_document(s) || !take_name(s) || !take_sets(s, sets, n_sets) || !take_keys(s) ||
        !multiply(s)) {
        dd_scenario_close(&s->public);
        return false;
    }
    s->public.file = s->file;
    s->public.name = s->name;
    s->public.about = s->document->about ? s->document->about : "";
    s->public.swept = s->swept;
    s->public.draws = s->document->draw != NULL;
    s->public.drawn = s->drawn;
    s->public.base = s->single;
    if (!s->by_set[dd_key_named("data") - dd_keys(&(size_t){0})])
        s->public.data_line = line_of(s, NULL, DD_ANY_BLOCK, "data", NULL);
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
        drop_cell(s, &s->public.cells[c]);
    free(s->public.cells);
    free(s->values);
    cyaml_config_t config = {.mem_fn = cyaml_mem};
    if (s->document)
        (void)cyaml_free(&config, &s->schema.top, s->document, 0);
    dd_outline_free(&s->outline);
    free(s->file);
    free(s);
}
