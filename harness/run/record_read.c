/* SPDX-License-Identifier: MIT
 * Reads records, which may hold anything: what is no record is refused with one line that says
 * where and why. */
#include "run_record.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { LINE_BYTES = 65536 }; /* several times the longest line that is ever written */

static bool refuse_line(const dd_record *r, char message[DD_MESSAGE_MAX], const char *why)
{
    char safe[DD_MESSAGE_MAX];
    (void)snprintf(safe, sizeof safe, "%s", why);
    dd_text_refuse(message, "%.200s:%" PRIu64 ": %.280s", r->path, r->line, safe);
    dd_text_one_line(message);
    return false;
}

/* ---- Lines ---- */

/* The next whole line as an object, which the caller releases; NULL without a message: the end. */
static json_t *next_object(dd_record *r, char message[DD_MESSAGE_MAX])
{
    message[0] = '\0';
    size_t n = 0;
    int c = EOF;
    while (n < LINE_BYTES && (c = getc(r->file)) != EOF && c != '\n')
        r->text[n++] = (char)c;
    if (c == EOF && ferror(r->file)) {
        dd_text_refuse(message, "%.200s: cannot be read: %s", r->path, strerror(errno));
        return NULL;
    }
    if (c == EOF) {
        r->cut = n > 0;
        return NULL;
    }
    r->line++;
    if (n == LINE_BYTES) {
        refuse_line(r, message, "no line of a record is as long as this one");
        return NULL;
    }
    json_error_t at;
    json_t *object = json_loadb(r->text, n, JSON_REJECT_DUPLICATES, &at);
    if (!object) {
        char why[DD_MESSAGE_MAX];
        (void)snprintf(why, sizeof why, "not JSON: %.200s", at.text);
        refuse_line(r, message, why);
    } else if (!json_is_object(object)) {
        refuse_line(r, message, "not a JSON object");
        json_decref(object);
        object = NULL;
    }
    return object;
}

/* ---- Members of a line ---- */

/* What is being read, and the first thing wrong with it. */
typedef struct reader {
    const json_t *from;
    char why[DD_MESSAGE_MAX];
    bool wrong;
} reader;

static void wrong(reader *in, const char *key, const char *what)
{
    if (!in->wrong)
        (void)snprintf(in->why, sizeof in->why, "\"%.64s\" must be %.200s", key, what);
    in->wrong = true;
}

static void get_text(reader *in, const char *key, char *to, size_t bytes)
{
    const char *text = json_string_value(json_object_get(in->from, key));
    char what[64];
    to[0] = '\0';
    (void)snprintf(what, sizeof what, "a text of less than %zu bytes", bytes);
    if (!text || strlen(text) >= bytes)
        wrong(in, key, what);
    else
        strcpy(to, text);
}

static uint64_t get_number(reader *in, const char *key, uint64_t most)
{
    const json_t *value = json_object_get(in->from, key);
    const json_int_t n = json_integer_value(value);
    char what[64];
    (void)snprintf(what, sizeof what, "a whole number from 0 to %" PRIu64, most);
    if (!json_is_integer(value) || n < 0 || (uint64_t)n > most) {
        wrong(in, key, what);
        return 0;
    }
    return (uint64_t)n;
}

static double get_real(reader *in, const char *key)
{
    const json_t *value = json_object_get(in->from, key);
    if (!json_is_number(value) && !json_is_null(value))
        wrong(in, key, "a number or null");
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool hash_of(const json_t *value, uint8_t hash[16])
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) != 32 || strspn(text, "0123456789abcdef") != 32)
        return false;
    for (size_t i = 0; i < 16; i++) {
        const char byte[3] = {text[2 * i], text[2 * i + 1], '\0'};
        hash[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return true;
}

static void get_fingerprint(reader *in, dd_fingerprint *out)
{
    static const char what[] = "32 hex digits";
    const json_t *tensors = json_object_get(in->from, "tensor_hashes");
    if (!hash_of(json_object_get(in->from, "hash"), out->whole))
        wrong(in, "hash", what);
    if (!json_is_array(tensors) || json_array_size(tensors) != DD_N_TENSORS)
        wrong(in, "tensor_hashes", "sixteen times 32 hex digits");
    for (size_t k = 0; k < DD_N_TENSORS && !in->wrong; k++)
        if (!hash_of(json_array_get(tensors, k), out->tensor[k]))
            wrong(in, "tensor_hashes", what);
}

/* ---- The head ---- */

static void get_settings(reader *in, dd_settings *s)
{
    json_t *settings = json_object_get(in->from, "settings");
    const char *key;
    json_t *value;
    if (!json_is_object(settings)) {
        wrong(in, "settings", "an object");
        return;
    }
    dd_settings_default(s);
    json_object_foreach(settings, key, value)
    {
        const dd_key *known = dd_key_named(key);
        const char *text = json_string_value(value);
        if (!text || (known && known->scenario_only)) {
            wrong(in, key, text ? "left out: it is no option of train" : "a text");
            return;
        }
        if (!dd_settings_set(s, key, text, in->why)) {
            in->wrong = true;
            return;
        }
    }
    if (!dd_settings_finish(s, in->why))
        in->wrong = true;
}

/* Records of another order of tensors would be compared one with the other. */
static void check_tensors(reader *in)
{
    const json_t *names = json_object_get(in->from, "tensors");
    for (size_t k = 0; k < DD_N_TENSORS; k++) {
        const char *name = json_string_value(json_array_get(names, k));
        if (!name || strcmp(name, dd_tensor_name((dd_tensor)k)) != 0 ||
            json_array_size(names) != DD_N_TENSORS) {
            wrong(in, "tensors", "the names of this program's sixteen tensors, in their order");
            return;
        }
    }
}

static bool read_head(dd_record *r, const json_t *line, char message[DD_MESSAGE_MAX])
{
    dd_record_head *h = &r->head;
    reader in = {.from = line};
    uint8_t hash[16];
    if (!json_object_get(line, "dodeca_record"))
        return refuse_line(r, message,
                           "no head of a record; dodeca train --record FILE writes records");
    const uint64_t version = get_number(&in, "dodeca_record", UINT32_MAX);
    if (!in.wrong && version != DD_RECORD_VERSION) {
        (void)snprintf(in.why, sizeof in.why,
                       "a record of version %" PRIu64 "; this program reads version %d", version,
                       DD_RECORD_VERSION);
        return refuse_line(r, message, in.why);
    }
    get_text(&in, "version", h->version, sizeof h->version);
    get_text(&in, "commit", h->commit, sizeof h->commit);
    get_text(&in, "compiler", h->compiler, sizeof h->compiler);
    get_text(&in, "flags", h->flags, sizeof h->flags);
    get_text(&in, "program", h->program, sizeof h->program);
    get_text(&in, "program_hash", h->program_hash, sizeof h->program_hash);
    get_text(&in, "data_hash", h->data_hash, sizeof h->data_hash);
    get_text(&in, "kernels", h->kernels, sizeof h->kernels);
    get_text(&in, "reduce", h->reduce, sizeof h->reduce);
    h->workers = (uint32_t)get_number(&in, "workers", DD_SETTINGS_WORKERS_MAX);
    if (!hash_of(json_object_get(line, "data_hash"), hash))
        wrong(&in, "data_hash", "32 hex digits");
    if (json_object_get(line, "began"))
        h->began = get_number(&in, "began", INT64_MAX);
    check_tensors(&in);
    get_fingerprint(&in, &h->start);
    if (!in.wrong)
        get_settings(&in, &h->settings);
    if (!in.wrong && h->began > h->settings.steps)
        wrong(&in, "began", "at most the steps that its settings have");
    if (in.wrong)
        return refuse_line(r, message, in.why);
    r->next = h->began;
    dd_layout_make(&h->settings.config.shape, &h->layout);
    return true;
}

/* ---- Interface ---- */

bool dd_record_open(const char *path, dd_record *r, char message[DD_MESSAGE_MAX])
{
    memset(r, 0, sizeof *r);
    r->path = path;
    r->file = fopen(path, "re");
    if (!r->file)
        return dd_text_refuse(message, "%.200s: %s", path, strerror(errno));
    r->text = malloc(LINE_BYTES);
    if (!r->text)
        return dd_text_refuse(message, "out of memory");
    json_t *line = next_object(r, message);
    if (!line)
        return message[0] ? false
                          : dd_text_refuse(message, "%.200s: not one whole line: no record", path);
    const bool good = read_head(r, line, message);
    json_decref(line);
    return good;
}

bool dd_record_next(dd_record *r, dd_record_line *out, char message[DD_MESSAGE_MAX])
{
    message[0] = '\0';
    memset(out, 0, sizeof *out);
    out->kind = DD_RECORD_NOTHING;
    out->step = r->next;
    json_t *line = next_object(r, message);
    if (!line)
        return !message[0];
    reader in = {.from = line};
    if (r->ended) {
        in.wrong = true;
        strcpy(in.why, "nothing may follow the end of a record");
    } else if (json_object_get(line, "end")) {
        out->kind = DD_RECORD_END;
        get_text(&in, "end", out->end, sizeof out->end);
        if (get_number(&in, "steps", INT64_MAX) != r->next)
            wrong(&in, "steps", "the number of steps before");
        r->ended = true;
    } else {
        out->kind = DD_RECORD_STEP;
        if (get_number(&in, "step", INT64_MAX) != r->next)
            wrong(&in, "step", "one more than that of the line before");
        out->loss = get_real(&in, "loss");
        out->norm = get_real(&in, "norm");
        out->discarded = json_is_true(json_object_get(line, "discarded"));
        if (!json_is_boolean(json_object_get(line, "discarded")))
            wrong(&in, "discarded", "true or false");
        get_fingerprint(&in, &out->weights);
        if (r->next >= r->head.settings.steps)
            wrong(&in, "step", "less than the steps that the head has");
        r->next++;
    }
    json_decref(line);
    return in.wrong ? refuse_line(r, message, in.why) : true;
}

void dd_record_close(dd_record *r)
{
    if (r->file)
        fclose(r->file);
    free(r->text);
    memset(r, 0, sizeof *r);
}
