/* SPDX-License-Identifier: MIT
 * The table of settings, and the one parser that judges the command line and scenario files alike.
 */
#include "settings.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "plugin_options.h"
#include "storm.h"
#include "text.h"
#include "timetable.h"

/* Indexed by the enums of dodeca.h and settings.h. */
static const char *const simd_names[] = {"auto", "off", "avx2", "avx512", "neon", NULL};
static const char *const barrier_names[] = {"tree", "pthread", NULL};
static const char *const reduce_names[] = {"tree", "control", "sliced", "owner", "auto", NULL};
static const char *const nan_names[] = {"abort", "skip-step", NULL};
static const char *const subject_names[] = {"dodeca", "oracle", "locks", "locks-gradient", NULL};
static const char *const plant_names[] = {"none", "stray-write", NULL};

const char *dd_simd_name(dd_simd simd)
{
    return simd_names[simd];
}

#define AT(field) .offset = offsetof(dd_settings, field), .size = sizeof((dd_settings *)NULL)->field
#define MAX_STEPS 1000000000000u

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
     AT(config.batch), .decides_bits = true, .low = 1, .high = DD_SETTINGS_TOKENS_MAX},
    {"seq", DD_KEY_UINT, "T", "tokens per sequence (the model's T)",
     AT(config.seq), .decides_bits = true, .low = 1, .high = DD_SETTINGS_TOKENS_MAX},
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
    {"lane-depth", DD_KEY_UINT, "D", "12^D lanes, 1 to 3",
     AT(config.lane_depth), .decides_bits = true, .low = 1, .high = DD_SETTINGS_DEPTH_MAX,
     .why = "12^3 is 1728 lanes"},
    {"workers", DD_KEY_UINT, "N", "leaf threads; 0: what cores, non-empty lanes and depth allow",
     AT(config.workers), .high = DD_SETTINGS_WORKERS_MAX, .why = "depth 3 holds 1728"},
    {"depth", DD_KEY_UINT, "D", "levels of spheres, 1 to 3, or auto: they come and go by policy",
     AT(config.depth), .low = 1, .high = DD_SETTINGS_DEPTH_MAX, .zero = "auto",
     .why = "12, 144 and 1728 workers"},
    {"max-workers", DD_KEY_UINT, "N", "memory is held for as many (what the timetable reaches)",
     AT(config.max_workers), .low = 1, .high = DD_SETTINGS_WORKERS_MAX, .why = "depth 3 holds 1728"},
    {"timetable", DD_KEY_STRING, "TEXT",
     "commands, each before a step, the first of which is 0: \"5 spawn 0 4; 12 terminate 0\" or "
     "\"random 200 in 500 seed 7\"",
     AT(timetable)},
    {"storm", DD_KEY_STRING, "N seed S",
     "N commands from a second thread at random moments: pauses, stops, cancels, changes, checkpoints",
     AT(storm), .scenario_only = true},
    {"perturb", DD_KEY_UINT, "S", "threads are moved, crowded and stopped from outside, by seed S; 0: not",
     AT(perturb), .scenario_only = true, .high = UINT64_MAX},
    {"simd", DD_KEY_CHOICE, NULL, "kernel set; off: scalar reference",
     AT(config.simd), .choices = simd_names},
    {"barrier", DD_KEY_CHOICE, NULL, "how Points A to U are passed",
     AT(config.barrier), .choices = barrier_names},
    {"reduce", DD_KEY_CHOICE, NULL,
     "who adds the workers' gradients up. "
     "tree: the last to arrive at each fold; "
     "control: each control those of its children; "
     "sliced: after Point B every worker a slice of them; "
     "owner: as sliced, and a slice's weight gradients are computed only then: one gradient in all; "
     "auto: owner; tree with --guard, with --micro-batch, and where memory forbids",
     AT(config.reduce), .choices = reduce_names},
    {"micro-batch", DD_KEY_UINT, "N",
     "sequences of a lane that have activations at once, at most; 0: a whole lane, or what "
     "memory-limit allows",
     AT(config.micro_batch), .high = DD_SETTINGS_TOKENS_MAX},
    {"memory-limit", DD_KEY_BYTES, "SIZE",
     "the trainer holds no more, 512M or 2G: reduce (if auto) and micro-batch (if 0) are chosen so; "
     "a checkpoint in the making comes on top",
     AT(config.memory_limit), .zero = "none"},
    {"steal", DD_KEY_BOOL, NULL, "workers take lanes from touching neighbours",
     AT(config.steal)},
    {"guard", DD_KEY_BOOL, NULL, "rights to write are enforced: a stray write faults",
     AT(config.guard)},
    {"pin", DD_KEY_BOOL, NULL, "each worker to a core, nearer spheres to nearer cores",
     AT(config.pin)},
    {"allow-idle", DD_KEY_BOOL, NULL, "more workers than non-empty lanes: the rest idle",
     AT(config.allow_idle)},
    {"hog", DD_KEY_UINT, "N", "busy threads beside the first N workers, to slow them; needs pin",
     AT(hog), .high = DD_SETTINGS_WORKERS_MAX},
    {"subject", DD_KEY_CHOICE, NULL, "who trains; oracle: the plain single-threaded trainer",
     AT(subject), .choices = subject_names, .file_offset = offsetof(dd_settings, plugin)},
    {"subject-options", DD_KEY_STRING, "K=V,…", "of a subject that is a file, such as hidden=32,rate=0.1",
     AT(subject_options), .scenario_only = true},
    {"tolerance", DD_KEY_REAL, "X",
     "of a subject that is a file: losses and weights are those of one worker within X, relative; 0: bit for bit",
     AT(tolerance), .scenario_only = true, .most = 1},
    {"plant", DD_KEY_CHOICE, NULL, "a defect that must be caught",
     AT(plant), .scenario_only = true, .choices = plant_names},
    {"repeats", DD_KEY_UINT, "N", "runs of every cell",
     AT(repeats), .scenario_only = true, .not_swept = true, .low = 1, .high = DD_REPEATS_MAX},
    {"interval", DD_KEY_REAL, "X",
     "more runs of a cell until half its 95 % interval / step is at most X; 0: none",
     AT(interval), .scenario_only = true, .not_swept = true, .most = 1},
    {"repeats-max", DD_KEY_UINT, "N", "but no more than N of them (10, or repeats)",
     AT(repeats_max), .scenario_only = true, .not_swept = true, .low = 1, .high = DD_REPEATS_MAX},
    {"minutes-max", DD_KEY_REAL, "N",
     "and none once all runs together have taken so long; 0: however long it takes",
     AT(minutes_max), .scenario_only = true, .not_swept = true, .most = 100000},
    {"shuffle", DD_KEY_UINT, "S",
     "every repeat runs the cells in another order, drawn from seed S; 0: as in the file",
     AT(shuffle), .scenario_only = true, .not_swept = true, .high = UINT64_MAX},
    {"stall-limit", DD_KEY_REAL, "SECONDS", "without progress: HANG",
     AT(stall_limit_s), .scenario_only = true, .not_swept = true, .least = 0.1, .most = 86400},
};
/* clang-format on */
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

/* Keys that mean something to a subject without spheres, beside those that all runs have. */
static const char *const oracle_keys[] = {"subject", "hog", "perturb", NULL};
static const char *const locks_keys[] = {"subject", "workers",    "simd", "hog",
                                         "perturb", "allow-idle", NULL};
/* All that a plug-in is told, beside what says how a sweep is run. */
static const char *const plugin_keys[] = {"subject",   "subject-options", "tolerance", "workers",
                                          "steps",     "batch",           "seed",      "data",
                                          "data-else", "perturb",         NULL};
/* Of these, what means nothing to anybody else. */
static const char *const plugin_only[] = {"subject-options", "tolerance", NULL};

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names;
}

bool dd_key_concerns(const dd_key *key, dd_subject subject)
{
    if (key->not_swept)
        return true;
    if (subject == DD_SUBJECT_PLUGIN)
        return is_one_of(key->name, plugin_keys);
    if (is_one_of(key->name, plugin_only))
        return false;
    if (subject == DD_SUBJECT_DODECA || key->decides_bits)
        return true;
    return is_one_of(key->name, subject == DD_SUBJECT_ORACLE ? oracle_keys : locks_keys);
}

const char *dd_reduce_name(dd_reduce reduce)
{
    return reduce_names[reduce];
}

void dd_settings_default(dd_settings *s)
{
    memset(s, 0, sizeof *s);
    dd_config_default(&s->config);
    s->config.seq = 0;                        /* the model's, once that is known */
    s->config.warmup = DD_SETTINGS_NO_WARMUP; /* of the steps, once they are known */
    strcpy(s->data, "builtin");
    strcpy(s->model, "nano");
    s->steps = s->config.horizon;
    s->repeats = 1;
    s->shuffle = 1;
    s->stall_limit_s = 30;
}

/* ---- Values ---- */

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
    bool zero = key->zero && strcmp(text, key->zero) == 0;
    if (zero || (dd_text_uint(text, &value) && value >= key->low && value <= key->high)) {
        store_uint(s, key, value);
        return true;
    }
    dd_text_refuse(message, "%s \"%.64s\": must be ", key->name, text);
    dd_text_append(message, "a whole number from %llu to %llu", (unsigned long long)key->low,
                   (unsigned long long)key->high);
    if (key->zero)
        dd_text_append(message, " or %s", key->zero);
    if (key->why)
        dd_text_append(message, ": %s", key->why);
    return false;
}

static bool set_bytes(dd_settings *s, const dd_key *key, const char *text,
                      char message[DD_MESSAGE_MAX])
{
    uint64_t value = 0;
    if (strcmp(text, key->zero) != 0 && (!dd_text_bytes(text, &value) || value == 0))
        return dd_text_refuse(message,
                              "%s \"%.64s\": must be %s, or a number of bytes such as 512M or 2G "
                              "(K, M, G, T: powers of 1024)",
                              key->name, text, key->zero);
    store_uint(s, key, value);
    return true;
}

static bool set_real(dd_settings *s, const dd_key *key, const char *text,
                     char message[DD_MESSAGE_MAX])
{
    double value = 0;
    if (!dd_text_real(text, &value) || !(value >= key->least && value <= key->most))
        return dd_text_refuse(message, "%s \"%.64s\": must be a number from %g to %g", key->name,
                              text, key->least, key->most);
    memcpy((char *)s + key->offset, &value, sizeof value);
    return true;
}

static bool set_bool(dd_settings *s, const dd_key *key, const char *text,
                     char message[DD_MESSAGE_MAX])
{
    bool value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0)
        return dd_text_refuse(message, "%s \"%.64s\": must be true or false", key->name, text);
    memcpy((char *)s + key->offset, &value, sizeof value);
    return true;
}

/* A path, and so no choice: it has a slash, or is called as shared libraries are. */
static bool is_file(const char *text)
{
    const size_t n = strlen(text);
    return strchr(text, '/') || (n > 3 && strcmp(text + n - 3, ".so") == 0);
}

static bool set_choice(dd_settings *s, const dd_key *key, const char *text,
                       char message[DD_MESSAGE_MAX])
{
    uint32_t i = 0;
    while (key->choices[i] && strcmp(key->choices[i], text) != 0)
        i++;
    const bool file = !key->choices[i] && key->file_offset && is_file(text);
    if (file && strlen(text) >= DD_SPEC_MAX)
        return dd_text_refuse(message, "%s: %zu characters, at most %d are allowed", key->name,
                              strlen(text), DD_SPEC_MAX - 1);
    if (key->choices[i] || file) {
        memcpy((char *)s + key->offset, &i, sizeof i);
        if (key->file_offset)
            strcpy((char *)s + key->file_offset, file ? text : "");
        return true;
    }
    dd_text_refuse(message, "%s \"%.64s\": this build has ", key->name, text);
    for (i = 0; key->choices[i]; i++)
        dd_text_append(message, "%s%s", i ? ", " : "", key->choices[i]);
    if (key->file_offset)
        dd_text_append(message, ", and takes a file such as ./libmine.so");
    return false;
}

/* ---- Data specs ---- */

static bool check_spec(const dd_key *key, const char *text, char message[DD_MESSAGE_MAX])
{
    bool is_else = strcmp(key->name, "data-else") == 0;
    bool file = (strncmp(text, "bytes:", 6) == 0 && text[6]) ||
                (strncmp(text, "tokens:", 7) == 0 && text[7]);
    if (file || strcmp(text, "builtin") == 0 || (!is_else && strcmp(text, "kjv") == 0))
        return true;
    return dd_text_refuse(message, "%s \"%.64s\": must be %sbuiltin, bytes:FILE or tokens:FILE",
                          key->name, text, is_else ? "" : "kjv, ");
}

static bool set_string(dd_settings *s, const dd_key *key, const char *text,
                       char message[DD_MESSAGE_MAX])
{
    dd_shape shape;
    if (strlen(text) >= DD_SPEC_MAX)
        return dd_text_refuse(message, "%s: %zu characters, at most %d are allowed", key->name,
                              strlen(text), DD_SPEC_MAX - 1);
    bool good = strcmp(key->name, "model") == 0       ? dd_text_model(text, &shape, message)
                : strcmp(key->name, "timetable") == 0 ? dd_timetable_check(text, message)
                : strcmp(key->name, "storm") == 0     ? dd_storm_check(text, message)
                : strcmp(key->name, "subject-options") == 0
                    ? dd_plugin_options_read(text, &(dd_plugin_options){.n = 0}, message)
                    : check_spec(key, text, message);
    if (good)
        strcpy((char *)s + key->offset, text);
    return good;
}

/* ---- Interface ---- */

static bool refuse_key(const char *name, char message[DD_MESSAGE_MAX])
{
    const char *names[N_KEYS];
    for (size_t i = 0; i < N_KEYS; i++)
        names[i] = keys[i].name;
    const char *nearest = dd_nearest(name, names, N_KEYS);
    dd_text_refuse(message, "unknown key \"%.64s\"%s%s%s; there are", name,
                   nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"" : "");
    for (size_t i = 0; i < N_KEYS; i++)
        dd_text_append(message, " %s", names[i]);
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
    case DD_KEY_BYTES:
        return set_bytes(s, key, value, message);
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
    dd_text_one_line(message);
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
        if (key->zero && load_uint(s, key) == 0)
            strcpy(value, key->zero);
        else if (load_uint(s, key) >= key->low && load_uint(s, key) <= key->high)
            /* else not known yet */
            (void)snprintf(value, DD_SPEC_MAX, "%llu", (unsigned long long)load_uint(s, key));
        break;
    case DD_KEY_BYTES:
        if (load_uint(s, key))
            dd_text_write_bytes(load_uint(s, key), value);
        else
            strcpy(value, key->zero);
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
        /* a file's value comes after the last choice: there the list ends */
        strcpy(value,
               key->choices[choice] ? key->choices[choice] : (const char *)s + key->file_offset);
        break;
    }
}
