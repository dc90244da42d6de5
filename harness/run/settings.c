/* SPDX-License-Identifier: MIT
 * The table of settings, and the one parser that judges the command line and scenario files alike.
 */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nearest.h"

/* Indexed by the enums of dodeca.h. */
static const char *const simd_names[] = {"auto", "off", "avx2", NULL};
static const char *const barrier_names[] = {"tree", "pthread", NULL};
static const char *const reduce_names[] = {"tree", "control", NULL};
static const char *const nan_names[] = {"abort", "skip-step", NULL};

#define AT(field) .offset = offsetof(dd_settings, field), .size = sizeof((dd_settings *)NULL)->field
#define MAX_STEPS 1000000000000u
#define NO_WARMUP_YET UINT64_MAX
#define MAX_TOKENS 0xffffffu /* B * T < 2^24: 1 / (B * T) is rounded once from an exact float */

/* clang-format off */
static const dd_key keys[] = {
    {"data", DD_KEY_STRING, "SPEC", "kjv, builtin, bytes:FILE or tokens:FILE",
     AT(data), .decides_bits = true},
    {"data-else", DD_KEY_STRING, "SPEC", "taken, and said, where kjv is not installed",
     AT(data_else), .decides_bits = true},
    {"model", DD_KEY_STRING, "MODEL",
     "nano, micro or gpt2-124M, a change such as micro,T=64, or L=2,NH=2,C=32,V=256,T=16",
     AT(model), .decides_bits = true},
    {"steps", DD_KEY_UINT, "N", "steps of training, and of the schedule",
     AT(steps), .decides_bits = true, .low = 1, .high = MAX_STEPS},
    {"warmup", DD_KEY_UINT, "N", "of these, steps of linear warm-up (a tenth, at most 10)",
     AT(config.warmup), .decides_bits = true, .high = MAX_STEPS},
    {"batch", DD_KEY_UINT, "B", "sequences per step",
     AT(config.batch), .decides_bits = true, .low = 1, .high = MAX_TOKENS},
    {"seq", DD_KEY_UINT, "T", "tokens per sequence (the model's T)",
     AT(config.seq), .decides_bits = true, .low = 1, .high = MAX_TOKENS},
    {"seed", DD_KEY_UINT, "S", "of weights, data order and built-in data",
     AT(config.seed), .decides_bits = true, .high = UINT64_MAX},
    {"lr", DD_KEY_REAL, "X", "learning rate at its peak",
     AT(config.lr), .decides_bits = true, .least = 1e-30, .most = 1e6},
    {"min-lr-ratio", DD_KEY_REAL, "X", "last learning rate / peak",
     AT(config.min_lr_ratio), .decides_bits = true, .most = 1},
    {"beta1", DD_KEY_REAL, "X", "Adam: decay of the mean",
     AT(config.beta1), .decides_bits = true, .most = 0.999999},
    {"beta2", DD_KEY_REAL, "X", "Adam: decay of the mean square",
     AT(config.beta2), .decides_bits = true, .most = 0.999999},
    {"eps", DD_KEY_REAL, "X", "Adam: added to the root",
     AT(config.eps), .decides_bits = true, .least = 1e-30, .most = 1},
    {"weight-decay", DD_KEY_REAL, "X", "decoupled, on matrices",
     AT(config.weight_decay), .decides_bits = true, .most = 1000},
    {"grad-clip", DD_KEY_REAL, "X", "largest global gradient norm; 0: no clipping",
     AT(config.grad_clip), .decides_bits = true, .most = 1e30},
    {"nan-policy", DD_KEY_CHOICE, NULL, "at a non-finite step: end, or discard it",
     AT(config.nan_policy), .decides_bits = true, .choices = nan_names},
    {"lane-depth", DD_KEY_UINT, "D", "12^D lanes",
     AT(config.lane_depth), .decides_bits = true, .low = 1, .high = 1,
     .why = "this version has depth 1"},
    {"workers", DD_KEY_UINT, "N", "leaf threads; 0: what cores and non-empty lanes allow",
     AT(config.workers), .high = DD_MAX_WORKERS, .why = "depth 1 has 12 positions"},
    {"depth", DD_KEY_UINT, "D", "levels of spheres",
     AT(config.depth), .low = 1, .high = 1, .why = "this version has depth 1"},
    {"simd", DD_KEY_CHOICE, NULL, "kernel set; off: scalar reference",
     AT(config.simd), .choices = simd_names},
    {"barrier", DD_KEY_CHOICE, NULL, "how Points A to U are passed",
     AT(config.barrier), .choices = barrier_names},
    {"reduce", DD_KEY_CHOICE, NULL, "who folds: the last to arrive, or Node Zero",
     AT(config.reduce), .choices = reduce_names},
    {"allow-idle", DD_KEY_BOOL, NULL, "more workers than non-empty lanes: the rest idle",
     AT(config.allow_idle)},
    {"serial", DD_KEY_BOOL, NULL, "the single-threaded oracle instead of the trainer",
     AT(serial)},
    {"repeats", DD_KEY_UINT, "N", "runs of every cell",
     AT(repeats), .scenario_only = true, .low = 1, .high = 1000},
    {"stall-limit", DD_KEY_REAL, "SECONDS", "without progress: HANG",
     AT(stall_limit_s), .scenario_only = true, .least = 0.1, .most = 86400},
};
#undef AT
enum { N_KEYS = sizeof keys / sizeof keys[0] };

const dd_key *dd_keys(size_t *n)
{
    *n = N_KEYS;
    return keys;
}

const dd_key *dd_key_named(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

__attribute__((format(printf, 2, 3))) static bool refuse(char message[DD_MESSAGE_MAX],
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, DD_MESSAGE_MAX, format, args);
    va_end(args);
    return false;
}

/* Appends to a line of fixed size; what does not fit is cut. */
__attribute__((format(printf, 3, 4))) static void append(char *line, size_t size,
                                                         const char *format, ...)
{
    size_t used = strlen(line);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line + used, size - used, format, args);
    va_end(args);
}

void dd_settings_default(dd_settings *s)
{
    memset(s, 0, sizeof *s);
    dd_config_default(&s->config);
    s->config.seq = 0;                /* the model's, once that is known */
    s->config.warmup = NO_WARMUP_YET; /* of the steps, once they are known */
    strcpy(s->data, "builtin");
    strcpy(s->model, "nano");
    s->steps = s->config.horizon;
    s->repeats = 1;
    s->stall_limit_s = 30;
}

/* ---- Values ---- */

/* Digits and nothing else: no sign, no blank, no base but ten. */
static bool read_uint(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool read_real(const char *text, double *out)
{
    /* strtod alone would take blanks, hexadecimals, "inf" and "nan" */
    if (text[0] == '\0' || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    char *end = NULL;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static void store_uint(dd_settings *s, const dd_key *key, uint64_t value)
{
    char *at = (char *)s + key->offset;
    uint32_t narrow = (uint32_t)value;
    if (key->size == sizeof value)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

static uint64_t load_uint(const dd_settings *s, const dd_key *key)
{
    const char *at = (const char *)s + key->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (key->size == sizeof wide)
        memcpy(&wide, at, sizeof wide);
    else
        memcpy(&narrow, at, sizeof narrow);
    return key->size == sizeof wide ? wide : narrow;
}

static bool set_uint(dd_settings *s, const dd_key *key, const char *text,
                     char message[DD_MESSAGE_MAX])
{
    uint64_t value = 0;
    if (read_uint(text, &value) && value >= key->low && value <= key->high) {
        store_uint(s, key, value);
        return true;
    }
    refuse(message, "%s \"%.64s\": must be ", key->name, text);
    if (key->low == key->high)
        append(message, DD_MESSAGE_MAX, "%llu", (unsigned long long)key->low);
    else
        append(message, DD_MESSAGE_MAX, "a whole number from %llu to %llu",
               (unsigned long long)key->low, (unsigned long long)key->high);
    if (key->why)
        append(message, DD_MESSAGE_MAX, ": %s", key->why);
    return false;
}

static bool set_real(dd_settings *s, const dd_key *key, const char *text,
                     char message[DD_MESSAGE_MAX])
{
    double value = 0;
    if (!read_real(text, &value) || !(value >= key->least && value <= key->most))
        return refuse(message, "%s \"%.64s\": must be a number from %g to %g", key->name, text,
                      key->least, key->most);
    memcpy((char *)s + key->offset, &value, sizeof value);
    return true;
}

static bool set_bool(dd_settings *s, const dd_key *key, const char *text,
                     char message[DD_MESSAGE_MAX])
{
    bool value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0)
        return refuse(message, "%s \"%.64s\": must be true or false", key->name, text);
    memcpy((char *)s + key->offset, &value, sizeof value);
    return true;
}

static bool set_choice(dd_settings *s, const dd_key *key, const char *text,
                       char message[DD_MESSAGE_MAX])
{
    for (uint32_t i = 0; key->choices[i]; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            memcpy((char *)s + key->offset, &i, sizeof i);
            return true;
        }
    }
    refuse(message, "%s \"%.64s\": this build has ", key->name, text);
    for (uint32_t i = 0; key->choices[i]; i++)
        append(message, DD_MESSAGE_MAX, "%s%s", i ? ", " : "", key->choices[i]);
    return false;
}

/* ---- Model: [NAME][,K=V]… ---- */

static uint32_t *shape_field(dd_shape *shape, const char *name)
{
    return strcmp(name, "L") == 0    ? &shape->L
           : strcmp(name, "NH") == 0 ? &shape->NH
           : strcmp(name, "C") == 0  ? &shape->C
           : strcmp(name, "V") == 0  ? &shape->V
           : strcmp(name, "T") == 0  ? &shape->T_max
                                     : NULL;
}

static bool model_override(dd_shape *shape, uint32_t given[5], char *pair, const char *text,
                           char message[DD_MESSAGE_MAX])
{
    static const char *const names[] = {"L", "NH", "C", "V", "T"};
    char *equals = strchr(pair, '=');
    if (equals)
        *equals = '\0';
    uint32_t *field = shape_field(shape, pair);
    if (!equals || !field)
        return refuse(message,
                      "model \"%.200s\": \"%.64s\" is not one of L=, NH=, C=, V=, T=", text, pair);
    uint64_t value = 0;
    if (!read_uint(equals + 1, &value) || value < 1 || value > MAX_TOKENS)
        return refuse(message, "model \"%.200s\": %s must be a whole number from 1 to %u", text,
                      pair, MAX_TOKENS);
    for (uint32_t i = 0; i < 5; i++)
        if (strcmp(names[i], pair) == 0 && given[i]++)
            return refuse(message, "model \"%.200s\": %s is given twice", text, pair);
    *field = (uint32_t)value;
    return true;
}

/* Reads a model's text into a shape. */
static bool read_model(const char *text, dd_shape *shape, char message[DD_MESSAGE_MAX])
{
    char buffer[DD_SPEC_MAX];
    if (strlen(text) >= sizeof buffer)
        return refuse(message, "model: %zu characters, at most %d are allowed", strlen(text),
                      DD_SPEC_MAX - 1);
    strcpy(buffer, text);
    memset(shape, 0, sizeof *shape);
    uint32_t given[5] = {0};
    bool first = true, named = false;
    for (char *part = buffer, *next; part; part = next, first = false) {
        next = strchr(part, ',');
        if (next)
            *next++ = '\0';
        if (first && !strchr(part, '=')) {
            named = dd_shape_named(part, shape);
            if (!named) {
                refuse(message, "model \"%.200s\": no model \"%.64s\"; there are ", text, part);
                for (size_t i = 0; dd_shape_name(i); i++)
                    append(message, DD_MESSAGE_MAX, "%s, ", dd_shape_name(i));
                append(message, DD_MESSAGE_MAX, "and shapes such as L=2,NH=2,C=32,V=256,T=16");
                return false;
            }
        } else if (!model_override(shape, given, part, text, message)) {
            return false;
        }
    }
    if (!named && !(given[0] && given[1] && given[2] && given[3] && given[4]))
        return refuse(message,
                      "model \"%.200s\": a shape without a name needs all of L, NH, C, V, T", text);
    if (shape->C % shape->NH != 0)
        return refuse(
            message,
            "model \"%.200s\": C %u is not divisible by NH %u heads; C must be a multiple of NH",
            text, shape->C, shape->NH);
    if (dd_shape_n_parameters(shape) == 0)
        return refuse(message, "model \"%.200s\": more parameters than can be addressed, 2^43",
                      text);
    return true;
}

/* ---- Data specs ---- */

static bool check_spec(const dd_key *key, const char *text, char message[DD_MESSAGE_MAX])
{
    bool is_else = strcmp(key->name, "data-else") == 0;
    bool file = (strncmp(text, "bytes:", 6) == 0 && text[6]) ||
                (strncmp(text, "tokens:", 7) == 0 && text[7]);
    if (strlen(text) >= DD_SPEC_MAX)
        return refuse(message, "%s: %zu characters, at most %d are allowed", key->name,
                      strlen(text), DD_SPEC_MAX - 1);
    if (file || strcmp(text, "builtin") == 0 || (!is_else && strcmp(text, "kjv") == 0))
        return true;
    return refuse(message, "%s \"%.64s\": must be %sbuiltin, bytes:FILE or tokens:FILE", key->name,
                  text, is_else ? "" : "kjv, ");
}

static bool set_string(dd_settings *s, const dd_key *key, const char *text,
                       char message[DD_MESSAGE_MAX])
{
    dd_shape shape;
    bool is_model = strcmp(key->name, "model") == 0;
    if (is_model ? !read_model(text, &shape, message) : !check_spec(key, text, message))
        return false;
    strcpy((char *)s + key->offset, text);
    return true;
}

/* ---- Interface ---- */

static bool refuse_key(const char *name, char message[DD_MESSAGE_MAX])
{
    const char *names[N_KEYS];
    for (size_t i = 0; i < N_KEYS; i++)
        names[i] = keys[i].name;
    const char *nearest = dd_nearest(name, names, N_KEYS);
    refuse(message, "unknown key \"%.64s\"%s%s%s; there are", name,
           nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"" : "");
    for (size_t i = 0; i < N_KEYS; i++)
        append(message, DD_MESSAGE_MAX, " %s", names[i]);
    return false;
}

static bool set_value(dd_settings *s, const dd_key *key, const char *value,
                      char message[DD_MESSAGE_MAX])
{
    switch (key->type) {
    case DD_KEY_STRING:
        return set_string(s, key, value, message);
    case DD_KEY_UINT:
        return set_uint(s, key, value, message);
    case DD_KEY_REAL:
        return set_real(s, key, value, message);
    case DD_KEY_BOOL:
        return set_bool(s, key, value, message);
    case DD_KEY_CHOICE:
        return set_choice(s, key, value, message);
    }
    return false;
}

bool dd_settings_set(dd_settings *s, const char *name, const char *value,
                     char message[DD_MESSAGE_MAX])
{
    message[0] = '\0';
    const dd_key *key = dd_key_named(name);
    bool ok = key ? set_value(s, key, value, message) : refuse_key(name, message);
    for (char *c = message; *c; c++) /* the text at fault is quoted: keep it one line */
        if (iscntrl((unsigned char)*c))
            *c = '?';
    return ok;
}

void dd_settings_get(const dd_settings *s, const char *name, char value[DD_SPEC_MAX])
{
    value[0] = '\0';
    const dd_key *key = dd_key_named(name);
    if (!key)
        return;
    const char *at = (const char *)s + key->offset;
    double real = 0;
    bool flag = false;
    uint32_t choice = 0;
    switch (key->type) {
    case DD_KEY_STRING:
        strcpy(value, at);
        break;
    case DD_KEY_UINT:
        if (load_uint(s, key) >= key->low &&
            load_uint(s, key) <= key->high) /* else not known yet */
            (void)snprintf(value, DD_SPEC_MAX, "%llu", (unsigned long long)load_uint(s, key));
        break;
    case DD_KEY_REAL:
        memcpy(&real, at, sizeof real);
        /* the shortest form that reads back as the same double; %g drops zeros at the end */
        for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
            (void)snprintf(value, DD_SPEC_MAX, "%.*g", digits, real);
            if (memcmp(&real, &(double){strtod(value, NULL)}, sizeof real) == 0)
                break;
        }
        break;
    case DD_KEY_BOOL:
        memcpy(&flag, at, sizeof flag);
        strcpy(value, flag ? "true" : "false");
        break;
    case DD_KEY_CHOICE:
        memcpy(&choice, at, sizeof choice);
        strcpy(value, key->choices[choice]);
        break;
    }
}

bool dd_settings_finish(dd_settings *s, char message[DD_MESSAGE_MAX])
{
    dd_config *c = &s->config;
    message[0] = '\0';
    if (!read_model(s->model, &c->shape, message))
        return false;
    c->horizon = s->steps;
    if (c->warmup == NO_WARMUP_YET)
        c->warmup = s->steps / 10 < 10 ? s->steps / 10 : 10;
    if (c->warmup > s->steps)
        return refuse(message, "warmup %llu: must be at most the %llu steps",
                      (unsigned long long)c->warmup, (unsigned long long)s->steps);
    if (c->seq == 0)
        c->seq = c->shape.T_max;
    if (c->seq > c->shape.T_max)
        return refuse(
            message,
            "seq %u: model \"%.200s\" knows %u positions; take seq <= %u or model %.64s,T=%u",
            c->seq, s->model, c->shape.T_max, c->shape.T_max, s->model, c->seq);
    if ((uint64_t)c->batch * c->seq > MAX_TOKENS)
        return refuse(message,
                      "batch %u: times %u tokens per sequence is 2^24 or more tokens per step; "
                      "take batch <= %u",
                      c->batch, c->seq, MAX_TOKENS / c->seq);
    uint32_t non_empty = c->batch < 12 ? c->batch : 12;
    if (c->workers > non_empty && !c->allow_idle && !s->serial)
        return refuse(message,
                      "workers %u: batch %u fills only %u lanes; take batch >= %u, workers <= %u "
                      "or allow-idle",
                      c->workers, c->batch, non_empty, c->workers, non_empty);
    return true;
}

/* The file that scripts/setup.sh writes. */
static bool kjv_path(char path[DD_SPEC_MAX])
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = 0;
    if (cache && cache[0] == '/') /* the XDG rule: a relative one is ignored */
        n = snprintf(path, DD_SPEC_MAX, "bytes:%s/dodeca/kjv.txt", cache);
    else if (home && home[0])
        n = snprintf(path, DD_SPEC_MAX, "bytes:%s/.cache/dodeca/kjv.txt", home);
    return n > 0 && n < DD_SPEC_MAX;
}

dd_status dd_settings_open_data(const dd_settings *s, dd_data **out, char used[DD_SPEC_MAX],
                                char note[DD_MESSAGE_MAX], dd_error *error)
{
    note[0] = '\0';
    strcpy(used, s->data);
    if (strcmp(s->data, "kjv") == 0) {
        bool known = kjv_path(used);
        if (!known || access(used + strlen("bytes:"), R_OK) != 0) {
            const char *where = known ? used + strlen("bytes:")
                                      : "the cache folder (neither XDG_CACHE_HOME nor HOME is set)";
            if (!s->data_else[0]) {
                if (error)
                    (void)snprintf(error->message, sizeof error->message,
                                   "data kjv: the King James text is not at %.300s; "
                                   "scripts/setup.sh installs it, or take "
                                   "data builtin",
                                   where);
                return DD_ERR_DATA;
            }
            (void)refuse(note,
                         "the King James text is not at %.300s: training on %.120s instead "
                         "(scripts/setup.sh "
                         "installs it)",
                         where, s->data_else);
            strcpy(used, s->data_else);
        }
    }
    return dd_data_open(used, s->config.seed, out, error);
}
