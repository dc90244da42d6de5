/* SPDX-License-Identifier: MIT
 * Walks the events of libyaml once. */
#include "outline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEEPEST = 8 };

struct walk {
    yaml_parser_t parser;
    dd_outline *out;
    unsigned line; /* of the fault */
    char *message;
    size_t message_size;
};

static bool fault(struct walk *w, size_t line, const char *text)
{
    w->line = (unsigned)line;
    (void)snprintf(w->message, w->message_size, "%s", text);
    return false;
}

static bool next(struct walk *w, yaml_event_t *event)
{
    if (yaml_parser_parse(&w->parser, event))
        return true;
    const yaml_parser_t *p = &w->parser;
    const char *problem = p->problem ? p->problem : "out of memory";
    bool reader = p->error == YAML_READER_ERROR; /* such a fault has a place in bytes only */
    (void)fault(w, reader ? 0 : p->problem_mark.line + 1, "");
    if (reader)
        (void)snprintf(w->message, w->message_size, "not YAML: %s at byte %zu", problem,
                       p->problem_offset);
    else
        (void)snprintf(w->message, w->message_size, "not YAML: %s%s%s%s", problem,
                       p->context ? " " : "", p->context ? p->context : "",
                       strstr(problem, "tab") || strstr(problem, "cannot start any token")
                           ? "; YAML is indented with spaces, never with tabs"
                           : "");
    return false;
}

/* Where a value stands. */
struct spot {
    const char *section;
    unsigned block;
    const char *key;
};

static bool record(struct walk *w, const struct spot *at, const char *value, size_t line)
{
    dd_outline *o = w->out;
    if ((o->n & (o->n - 1)) == 0) { /* full at every power of two */
        dd_mark *grown = realloc(o->mark, (o->n ? 2 * o->n : 1) * sizeof *grown);
        if (!grown)
            return fault(w, 0, "out of memory");
        o->mark = grown;
    }
    dd_mark *m = &o->mark[o->n++];
    *m = (dd_mark){.section = strdup(at->section),
                   .block = at->block,
                   .key = strdup(at->key),
                   .value = value ? strdup(value) : NULL,
                   .line = (unsigned)line};
    return (m->section && m->key && (!value || m->value)) || fault(w, 0, "out of memory");
}

static bool walk_mapping(struct walk *w, const char *section, unsigned block, int depth);
static bool walk_value(struct walk *w, yaml_event_t *event, const struct spot *at, unsigned block,
                       int depth);

/* The rest of a list whose start is read. */
static bool walk_list(struct walk *w, const struct spot *at, int depth)
{
    for (unsigned i = 0;; i++) {
        yaml_event_t item;
        if (!next(w, &item))
            return false;
        if (item.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&item);
            return true;
        }
        if (!walk_value(w, &item, at, i, depth + 1))
            return false;
    }
}

/* The value that `event` begins; as a mapping it is the block-th under its key. Takes the event
 * over. */
static bool walk_value(struct walk *w, yaml_event_t *event, const struct spot *at, unsigned block,
                       int depth)
{
    size_t line = event->start_mark.line + 1;
    size_t mark = w->out->n - 1; /* of the key, where the value is the key's own */
    bool ok = true;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        ok = record(w, at, (const char *)event->data.scalar.value, line);
        break;
    case YAML_SEQUENCE_START_EVENT:
        ok = (depth < DEEPEST || fault(w, line, "nested deeper than any scenario")) &&
             walk_list(w, at, depth);
        w->out->mark[mark].list = true;
        break;
    case YAML_MAPPING_START_EVENT:
        ok = walk_mapping(w, at->key, block, depth);
        break;
    case YAML_ALIAS_EVENT:
        ok = fault(w, line, "an alias (*name): scenarios do not use them, write the value out");
        break;
    default:
        ok = fault(w, line, "not YAML");
        break;
    }
    yaml_event_delete(event);
    return ok;
}

/* The rest of a mapping whose start is read. */
static bool walk_mapping(struct walk *w, const char *section, unsigned block, int depth)
{
    for (;;) {
        yaml_event_t event;
        if (!next(w, &event))
            return false;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        size_t line = event.start_mark.line + 1;
        if (event.type != YAML_SCALAR_EVENT || depth >= DEEPEST) {
            yaml_event_delete(&event);
            return fault(w, line,
                         depth >= DEEPEST ? "nested deeper than any scenario"
                                          : "a key must be a plain word");
        }
        char *key = strdup((const char *)event.data.scalar.value);
        yaml_event_delete(&event);
        struct spot at = {section, block, key};
        bool ok = key ? record(w, &at, NULL, line) : fault(w, 0, "out of memory");
        ok = ok && next(w, &event) && walk_value(w, &event, &at, 0, depth + 1);
        free(key);
        if (!ok)
            return false;
    }
}

/* The stream: one document, which is one mapping. */
static bool walk_stream(struct walk *w)
{
    bool seen = false;
    for (;;) {
        yaml_event_t event;
        if (!next(w, &event))
            return false;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line + 1;
        bool nothing = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            return seen || fault(w, 0, "empty: a scenario is a mapping such as \"model: nano\"");
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (type == YAML_DOCUMENT_START_EVENT && !seen)
            continue;
        if (type == YAML_DOCUMENT_START_EVENT)
            return fault(w, line, "a second document (---): a file holds one scenario");
        if (nothing)
            return fault(w, 0, "empty: a scenario is a mapping such as \"model: nano\"");
        if (type != YAML_MAPPING_START_EVENT)
            return fault(w, line,
                         "a scenario is a mapping of keys to values, such as \"model: nano\"");
        seen = true;
        if (!walk_mapping(w, "", 0, 0))
            return false;
    }
}

bool dd_outline_read(const unsigned char *text, size_t bytes, dd_outline *out, unsigned *line,
                     char *message, size_t message_size)
{
    struct walk w = {.out = out, .message = message, .message_size = message_size};
    *out = (dd_outline){0};
    *line = 0;
    if (!yaml_parser_initialize(&w.parser))
        return fault(&w, 0, "out of memory");
    yaml_parser_set_input_string(&w.parser, text, bytes);
    bool ok = walk_stream(&w);
    yaml_parser_delete(&w.parser);
    *line = w.line;
    return ok;
}

void dd_outline_free(dd_outline *outline)
{
    for (size_t i = 0; i < outline->n; i++) {
        free(outline->mark[i].section);
        free(outline->mark[i].key);
        free(outline->mark[i].value);
    }
    free(outline->mark);
    *outline = (dd_outline){0};
}

const dd_mark *dd_outline_find(const dd_outline *outline, const char *section, unsigned block,
                               const char *key, const char *value)
{
    for (size_t i = 0; i < outline->n; i++) {
        const dd_mark *m = &outline->mark[i];
        if (strcmp(m->key, key) == 0 && (!section || strcmp(m->section, section) == 0) &&
            (block == DD_ANY_BLOCK || m->block == block) &&
            (value ? m->value && strcmp(m->value, value) == 0 : !m->value))
            return m;
    }
    return NULL;
}
