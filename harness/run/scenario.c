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

enum { KEYS_MAX = 40, FILE_MAX_BYTES = 1 << 20, NAME_MAX_CHARS = 64 };

/* What libcyaml fills; index = index in dd_keys(). */
struct sweep {
    char **item[KEYS_MAX];
    uint32_t n[KEYS_MAX];
};
struct document {
    char *name, *about;
    char *base[KEYS_MAX];
    struct sweep *sweep;
};

struct schema {
    cyaml_schema_value_t text, top;
    cyaml_schema_field_t field[KEYS_MAX + 4]; /* and name, about, sweep, end */
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
    const char **values;          /* n_cells * n_swept */
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
    for (char *c = s->message; *c; c++) /* a quoted key may hold what is no part of a line */
        if (iscntrl((unsigned char)*c))
            *c = '?';
    return false;
}

static unsigned line_of(const struct scenario *s, const char *section, const char *key,
                        const char *value)
{
    const dd_mark *m = dd_outline_find(&s->outline, section, key, value);
    return m ? m->line : 0;
}

/* ---- Schema ---- */

static void schema_make(struct schema *s)
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
        if (keys[i].scenario_only)
            continue;
        cyaml_schema_field_t list = {.key = keys[i].name};
        list.data_offset = (uint32_t)(offsetof(struct sweep, item) + i * sizeof(char **));
        list.count_offset = (uint32_t)(offsetof(struct sweep, n) + i * sizeof(uint32_t));
        list.count_size = sizeof(uint32_t);
        list.value = (cyaml_schema_value_t){
            CYAML_VALUE_SEQUENCE(optional, char *, &s->text, 1, DD_SCENARIO_CELLS_MAX)};
        s->swept[w++] = list;
    }
    s->field[f++] = (cyaml_schema_field_t){"sweep",
                                           offsetof(struct document, sweep),
                                           0,
                                           0,
                                           {CYAML_VALUE_MAPPING(optional, struct sweep, s->swept)}};
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
    const char *names[KEYS_MAX + 3];
    char list[512] = "";
    size_t n = 0, used = 0;
    for (; fields->key; fields++) {
        names[n++] = fields->key;
        used += (size_t)snprintf(list + used, sizeof list - used, " %s", fields->key);
    }
    const dd_key *known = dd_key_named(mark->key);
    if (known && known->scenario_only)
        return refuse(s, mark->line,
                      "%s cannot be swept: it says how the whole sweep is run; put it at the top",
                      mark->key);
    const char *nearest = dd_nearest(mark->key, names, n);
    return refuse(s, mark->line, "unknown key \"%.64s\"%s%s%s; allowed %s:%s", mark->key,
                  nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"" : "",
                  mark->section[0] ? "under sweep" : "here", list);
}

/* Turns libcyaml's verdict into one line. */
static bool refuse_schema(struct scenario *s, cyaml_err_t error, const struct capture *c)
{
    const dd_outline *o = &s->outline;
    for (size_t i = 0; error == CYAML_ERR_INVALID_KEY && i < o->n; i++) {
        const dd_mark *m = &o->mark[i];
        bool swept = strcmp(m->section, "sweep") == 0;
        const cyaml_schema_field_t *fields = swept ? s->schema.swept : s->schema.field;
        if (!m->value && (swept || !m->section[0]) && !is_field(fields, m->key))
            return refuse_key(s, m, fields);
    }
    for (size_t i = 0; error == CYAML_ERR_UNEXPECTED_EVENT && i < o->n; i++) {
        const dd_mark *m = &o->mark[i], *first = dd_outline_find(o, m->section, m->key, NULL);
        if (!m->value && first != m)
            return refuse(s, m->line, "key \"%.64s\" again; line %u has it already", m->key,
                          first->line);
    }
    bool swept = c->n_fields == 2 && strcmp(c->field[1], "sweep") == 0;
    const char *key = c->n_fields ? c->field[0] : "";
    if (error == CYAML_ERR_SEQUENCE_ENTRIES_MIN)
        return refuse(s, c->line, "sweep.%s: the list is empty; give it at least one value", key);
    if (error == CYAML_ERR_SEQUENCE_ENTRIES_MAX)
        return refuse(s, c->line, "sweep.%s: more than %d values", key, DD_SCENARIO_CELLS_MAX);
    if (error == CYAML_ERR_INVALID_VALUE && swept)
        return refuse(s, c->line, "sweep.%s: must be a list of single values, such as [1, 2]", key);
    if (error == CYAML_ERR_INVALID_VALUE && strcmp(key, "sweep") == 0)
        return refuse(s, c->line, "sweep: must hold keys with lists, such as workers: [1, 2]");
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
        schema_make(&s->schema);
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
        return refuse(s, line_of(s, "", "name", NULL),
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

static bool check_list(struct scenario *s, const dd_key *key, char *const *item, size_t n)
{
    dd_settings scratch;
    char message[DD_MESSAGE_MAX];
    dd_settings_default(&scratch);
    for (size_t i = 0; i < n; i++) {
        unsigned line = line_of(s, "sweep", key->name, item[i]);
        if (!dd_settings_set(&scratch, key->name, item[i], message))
            return refuse(s, line, "sweep: %s", message);
        for (size_t j = 0; j < i; j++)
            if (strcmp(item[i], item[j]) == 0)
                return refuse(s, line, "sweep.%s: %.64s is listed twice", key->name, item[i]);
    }
    return true;
}

/* Base values into s->single, swept keys in file order into s->swept, each value judged at its
 * line. */
static bool take_keys(struct scenario *s)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    dd_settings scratch;
    char message[DD_MESSAGE_MAX];
    dd_settings_default(&scratch);
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
        if (dd_outline_find(&s->outline, "", key->name, NULL))
            return refuse(s, mark->line,
                          "sweep.%s: line %u already gives it one value; keep one of the two",
                          key->name, line_of(s, "", key->name, NULL));
        if (!check_list(s, key, s->document->sweep->item[k], s->document->sweep->n[k]))
            return false;
        if (!s->by_set[k])
            s->swept[s->public.n_swept++] = key;
    }
    return true;
}

/* ---- Multiplying out ---- */

static bool finish_cell(struct scenario *s, dd_scenario_cell *cell)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    char message[DD_MESSAGE_MAX], label[1024] = "";
    size_t used = 0;
    dd_settings_default(&cell->settings);
    bool ok = true;
    for (size_t k = 0; ok && k < n; k++)
        if (s->single[k])
            ok = dd_settings_set(&cell->settings, keys[k].name, s->single[k], message);
    for (size_t v = 0; ok && v < s->public.n_swept; v++) {
        ok = dd_settings_set(&cell->settings, s->swept[v]->name, cell->values[v], message);
        if (used < sizeof label)
            used += (size_t)snprintf(label + used, sizeof label - used, "%s%s=%s", v ? " " : "",
                                     s->swept[v]->name, cell->values[v]);
    }
    cell->label = strdup(label);
    if (!cell->label)
        return refuse(s, 0, "out of memory");
    if (ok && dd_settings_finish(&cell->settings, message))
        return true;
    /* the message begins with the key to blame; its line, if the file has one */
    char blamed[64] = "";
    (void)sscanf(message, "%63[a-z0-9-]", blamed);
    const dd_key *key = dd_key_named(blamed);
    unsigned line = key && !s->by_set[key - keys] ? line_of(s, NULL, blamed, NULL) : 0;
    return refuse(s, line, "%s%s%s%s", message, label[0] ? " (cell " : "", label,
                  label[0] ? ")" : "");
}

static bool multiply(struct scenario *s)
{
    dd_scenario *p = &s->public;
    size_t all = 0, total = 1;
    const dd_key *keys = dd_keys(&all);
    for (size_t v = 0; v < p->n_swept; v++) {
        total *= s->document->sweep
                     ->n[s->swept[v] - keys]; /* each at most the limit: no overflow in 64 bits */
        if (total > DD_SCENARIO_CELLS_MAX)
            return refuse(s, line_of(s, "", "sweep", NULL),
                          "sweep: the lists multiply out to more than %d cells; shorten them",
                          DD_SCENARIO_CELLS_MAX);
    }
    p->cells = calloc(total, sizeof *p->cells);
    s->values = calloc(total * p->n_swept + 1, sizeof *s->values);
    if (!p->cells || !s->values)
        return refuse(s, 0, "out of memory");
    for (size_t c = 0; c < total; c++) {
        dd_scenario_cell *cell = &p->cells[p->n_cells++];
        const char **values = &s->values[c * p->n_swept];
        size_t rest = c;
        for (size_t v = p->n_swept; v-- > 0;) { /* the last key runs fastest */
            size_t k = (size_t)(s->swept[v] - keys), n = s->document->sweep->n[k];
            values[v] = s->document->sweep->item[k][rest % n];
            rest /= n;
        }
        cell->values = values;
        if (!finish_cell(s, cell))
            return false;
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
    if (!s->by_set[dd_key_named("data") - dd_keys(&(size_t){0})])
        s->public.data_line = line_of(s, NULL, "data", NULL);
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
        free(s->public.cells[c].label);
    free(s->public.cells);
    free(s->values);
    cyaml_config_t config = {.mem_fn = cyaml_mem};
    if (s->document)
        (void)cyaml_free(&config, &s->schema.top, s->document, 0);
    dd_outline_free(&s->outline);
    free(s->file);
    free(s);
}
