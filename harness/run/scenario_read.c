/* SPDX-License-Identifier: MIT
 * A scenario's text. libcyaml holds it against a schema made from the table of settings; what it
 * finds wrong is told in one line with the key's name and line, which the outline knows. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "scenario_parts.h"

enum { FILE_MAX_BYTES = 1 << 20 };

/* The first error libcyaml reports, and the first two places of its backtrace, innermost first. */
struct capture {
    char error[256];
    char field[2][64];
    unsigned n_fields, line;
};

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
        return dd_scenario_refuse_(
            s, mark->line,
            "%s cannot be swept: it says how the whole sweep is run; put it at the top", mark->key);
    const char *nearest = dd_nearest(mark->key, names, n);
    return dd_scenario_refuse_(s, mark->line, "unknown key \"%.64s\"%s%s%s; allowed %s%s:%s",
                               mark->key, nearest ? ", did you mean \"" : "",
                               nearest ? nearest : "", nearest ? "\"" : "",
                               mark->section[0] ? "under " : "here", mark->section, list);
}

/* Whether keys have lists there. */
static bool has_lists(const char *section)
{
    return strcmp(section, "sweep") == 0 || strcmp(section, "draw") == 0;
}

/* What a sweep must be, where it is something else, or nothing. */
bool dd_scenario_refuse_sweep_(struct scenario *s, unsigned line)
{
    return dd_scenario_refuse_(
        s, line,
        "sweep: must hold keys with lists, such as workers: [1, 2], or be a list of "
        "blocks that do");
}

bool dd_scenario_refuse_draw_(struct scenario *s, unsigned line)
{
    return dd_scenario_refuse_(s, line,
                               "draw: must hold keys with lists, such as workers: [1, 4..12]");
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
            return dd_scenario_refuse_(s, m->line, "key \"%.64s\" again; line %u has it already",
                                       m->key, first->line);
    }
    const char *section = c->n_fields == 2 && has_lists(c->field[1]) ? c->field[1] : "sweep";
    bool swept = c->n_fields == 2 && has_lists(c->field[1]);
    const char *key = c->n_fields ? c->field[0] : "";
    if (strcmp(key, "sweep") == 0 && error == CYAML_ERR_SEQUENCE_ENTRIES_MAX)
        return dd_scenario_refuse_(s, c->line, "sweep: more than %d blocks", BLOCKS_MAX);
    if (strcmp(key, "sweep") == 0)
        return dd_scenario_refuse_sweep_(s, c->line);
    if (strcmp(key, "draw") == 0)
        return dd_scenario_refuse_draw_(s, c->line);
    if (error == CYAML_ERR_SEQUENCE_ENTRIES_MIN)
        return dd_scenario_refuse_(
            s, c->line, "%s.%s: the list is empty; give it at least one value", section, key);
    if (error == CYAML_ERR_SEQUENCE_ENTRIES_MAX)
        return dd_scenario_refuse_(s, c->line, "%s.%s: more than %d values", section, key,
                                   DD_SCENARIO_CELLS_MAX);
    if (error == CYAML_ERR_INVALID_VALUE && swept)
        return dd_scenario_refuse_(
            s, c->line, "%s.%s: must be a list of single values, such as [1, 2]", section, key);
    if (error == CYAML_ERR_INVALID_VALUE && key[0])
        return dd_scenario_refuse_(
            s, c->line, "%s: must be a single value here; a list goes under sweep:", key);
    return dd_scenario_refuse_(s, c->line, "%s (%s)", cyaml_strerror(error), c->error);
}

/* ---- Reading ---- */

static bool read_file(struct scenario *s, unsigned char **text, size_t *bytes)
{
    FILE *f = fopen(s->file, "rb");
    if (!f)
        return dd_scenario_refuse_(s, 0, "cannot be read: %s", strerror(errno));
    *text = malloc(FILE_MAX_BYTES + 1);
    *bytes = *text ? fread(*text, 1, FILE_MAX_BYTES + 1, f) : 0;
    int failed = ferror(f) ? errno : 0;
    (void)fclose(f);
    if (!*text)
        return dd_scenario_refuse_(s, 0, "out of memory");
    if (failed)
        return dd_scenario_refuse_(s, 0, "cannot be read: %s", strerror(failed));
    if (*bytes > FILE_MAX_BYTES)
        return dd_scenario_refuse_(s, 0, "larger than 1 MiB: no scenario");
    return true;
}

bool dd_scenario_read_(struct scenario *s)
{
    unsigned char *text = NULL;
    size_t bytes = 0;
    unsigned line = 0;
    char fault[256] = "";
    bool ok = read_file(s, &text, &bytes);
    if (ok && !dd_outline_read(text, bytes, &s->outline, &line, fault, sizeof fault))
        ok = dd_scenario_refuse_(s, line, "%s", fault);
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
