/* SPDX-License-Identifier: MIT
 * What a training goes on from: the newest generation of a checkpoint that is whole, or weights
 * alone. A checkpoint brings its settings; one that is given all the same must be equal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "train.h"

/* ---- Which file ---- */

/* Opens a checkpoint and checks all of it. */
static dd_status open_whole(const char *path, dd_checkpoint **out, dd_error *error)
{
    dd_status st = dd_checkpoint_open(path, out, error);
    if (st == DD_OK && (st = dd_checkpoint_verify(*out, error)) != DD_OK) {
        dd_checkpoint_close(*out);
        *out = NULL;
    }
    return st;
}

/* The file itself: a whole checkpoint, or weights in any format, whose shape is then told.
 * returns  false: neither, *error says why */
static bool open_named(dd_train_save *s, dd_checkpoint **out, dd_shape *shape, dd_error *error)
{
    dd_model_file *file;
    dd_model_file_info info;
    if (dd_model_file_open(s->load, &file, error) != DD_OK)
        return false;
    dd_model_file_info_get(file, &info);
    dd_model_file_close(file);
    *shape = info.shape;
    s->weights = info.format != DD_FILE_CHECKPOINT;
    return s->weights || open_whole(s->load, out, error) == DD_OK;
}

/* The newest generation before it that is whole. One may be missing where there are older ones: a
 * save that is killed may have moved it on, and not yet put the next in its place.
 * returns  false: there is none; *any: there are some that are not whole */
static bool open_earlier(dd_train_save *s, dd_checkpoint **out, bool *any)
{
    *any = false;
    for (int g = 1; g <= DD_TRAIN_KEEP_MAX; g++) {
        const int n = snprintf(s->from, sizeof s->from, "%s.%d", s->load, g);
        if (n < 0 || (size_t)n >= sizeof s->from)
            return false;
        if (access(s->from, F_OK) != 0)
            continue;
        *any = true;
        if (open_whole(s->from, out, NULL) == DD_OK)
            return true;
    }
    return false;
}

static bool find(dd_train_save *s, dd_checkpoint **out, dd_shape *shape, char *message)
{
    dd_error why = {""};
    dd_checkpoint_info info;
    if (strlen(s->load) >= sizeof s->from)
        return dd_text_refuse(message, "load: a path of %zu bytes; at most %zu are allowed",
                              strlen(s->load), sizeof s->from - 1);
    strcpy(s->from, s->load);
    if (open_named(s, out, shape, &why))
        return true;
    bool any;
    if (!open_earlier(s, out, &any))
        return dd_text_refuse(message, "load %.400s%s", why.message,
                              any ? "; no earlier generation is whole either" : "");
    s->damaged = true;
    dd_checkpoint_info_get(*out, &info);
    fprintf(stderr,
            "dodeca train: load %s: going on from the generation before, %s, step %" PRIu64 "\n",
            why.message, s->from, info.step);
    return true;
}

/* ---- Its settings ---- */

static void write_model(const dd_shape *s, char text[DD_SPEC_MAX])
{
    dd_shape named;
    for (size_t i = 0; dd_shape_name(i); i++)
        if (dd_shape_named(dd_shape_name(i), &named) && memcmp(&named, s, sizeof named) == 0) {
            (void)snprintf(text, DD_SPEC_MAX, "%s", dd_shape_name(i));
            return;
        }
    (void)snprintf(text, DD_SPEC_MAX, "L=%u,NH=%u,C=%u,V=%u,T=%u", s->L, s->NH, s->C, s->V,
                   s->T_max);
}

/* Whether the option's value is the file's. */
static bool agrees(const dd_settings *given, const dd_settings *saved, const dd_key *key)
{
    dd_shape shape;
    char message[DD_MESSAGE_MAX];
    if (strcmp(key->name, "model") == 0)
        return dd_text_model(given->model, &shape, message) &&
               memcmp(&shape, &saved->config.shape, sizeof shape) == 0;
    return memcmp((const char *)given + key->offset, (const char *)saved + key->offset,
                  key->size) == 0;
}

static bool refuse_other(const dd_train *t, const dd_settings *saved, const dd_key *key,
                         char *message)
{
    char value[DD_SPEC_MAX], was[DD_SPEC_MAX];
    dd_settings_get(&t->settings, key->name, value);
    dd_settings_get(saved, key->name, was);
    return dd_text_refuse(message,
                          "%s %.100s: %.200s has %s %.100s, and what decides the bits stays as it "
                          "was begun; leave the option out",
                          key->name, value, t->save.from, key->name, was);
}

/* Takes the file's value of the key `only` (of all that decide the bits, if NULL), or compares it
 * with the one that was given. Of data that is the spec alone, not the tokens: not here. */
static bool take(dd_train *t, const dd_settings *saved, const char *only, char *message)
{
    size_t n;
    const dd_key *keys = dd_keys(&n);
    for (size_t k = 0; k < n; k++) {
        const dd_key *key = &keys[k];
        if (!key->decides_bits || strncmp(key->name, "data", 4) == 0 ||
            (only && strcmp(key->name, only) != 0))
            continue;
        if (!(t->given >> k & 1))
            memcpy((char *)&t->settings + key->offset, (const char *)saved + key->offset,
                   key->size);
        else if (!agrees(&t->settings, saved, key))
            return refuse_other(t, saved, key, message);
    }
    return true;
}

static bool take_settings(dd_train *t, const dd_checkpoint *c, char *message)
{
    dd_checkpoint_info info;
    dd_checkpoint_info_get(c, &info);
    dd_settings saved = t->settings;
    const dd_config *from = &info.config;
    dd_config *to = &saved.config;
    to->shape = from->shape;
    to->batch = from->batch;
    to->seq = from->seq;
    to->lane_depth = from->lane_depth;
    to->seed = from->seed;
    saved.steps = to->horizon = from->horizon;
    to->warmup = from->warmup;
    to->lr = from->lr;
    to->min_lr_ratio = from->min_lr_ratio;
    to->beta1 = from->beta1;
    to->beta2 = from->beta2;
    to->eps = from->eps;
    to->weight_decay = from->weight_decay;
    to->grad_clip = from->grad_clip;
    to->nan_policy = from->nan_policy;
    write_model(&to->shape, saved.model);
    t->save.at = info.step;
    if (!take(t, &saved, NULL, message))
        return false;
    const ptrdiff_t data = dd_key_named("data") - dd_keys(&(size_t){0});
    t->save.names_data = !(t->given >> data & 1);
    return !t->save.names_data || dd_settings_set(&t->settings, "data", info.data, message);
}

/* Saves rename what has the checkpoint's name, or an earlier generation's: a dot and a number. */
static bool is_renamed(const char *save, const char *other)
{
    const size_t n = strlen(save);
    if (!other || strncmp(save, other, n) != 0)
        return false;
    const char *rest = other + n;
    return !rest[0] || (rest[0] == '.' && rest[1] && rest[1 + strspn(rest + 1, "0123456789")] == 0);
}

static bool check_others(const dd_train *t, char *message)
{
    const struct {
        const char *option, *path;
    } other[] = {{"log", t->log_path},
                 {"record", t->record_path},
                 {"dump-weights", t->dump_path},
                 {"trace", t->trace_path}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (is_renamed(t->save.path, other[i].path))
            return dd_text_refuse(message,
                                  "%s %.200s: is a name that checkpoints take with --save %.200s; "
                                  "name another file",
                                  other[i].option, other[i].path, t->save.path);
    return true;
}

bool dd_train_load_settle(dd_train *t, char message[DD_MESSAGE_MAX])
{
    dd_train_save *s = &t->save;
    const char *const own = s->load ? "load" : s->path ? "save" : NULL;
    if (s->every && !s->path)
        return dd_text_refuse(message, "save-every: to which file? --save FILE");
    if (s->keep && !s->path)
        return dd_text_refuse(message, "keep: generations of which file? --save FILE");
    if (own && t->settings.subject != DD_SUBJECT_DODECA)
        return dd_text_refuse(message,
                              "%s: only subject dodeca keeps checkpoints and goes on from "
                              "files",
                              own);
    if (own && t->settings.storm[0])
        return dd_text_refuse(message, "%s: not beside a storm", own);
    if (s->path && !check_others(t, message))
        return false;
    if (!s->load)
        return true;
    dd_checkpoint *c = NULL;
    dd_settings saved = t->settings;
    if (!find(s, &c, &saved.config.shape, message))
        return false;
    bool ok;
    if (s->weights && t->record_path) { /* a replay would begin with others */
        ok = dd_text_refuse(message,
                            "record: begins with the weights that its seed gives, or goes "
                            "on from a checkpoint; %.300s has weights alone",
                            s->load);
    } else if (s->weights) {
        write_model(&saved.config.shape, saved.model);
        ok = take(t, &saved, "model", message);
    } else {
        ok = take_settings(t, c, message);
    }
    dd_checkpoint_close(c);
    return ok;
}

/* ---- Loading ---- */

static dd_status load_weights(dd_train *t, dd_error *error)
{
    uint64_t n = 0;
    (void)dd_trainer_weights(t->trainer, &n);
    dd_model_file *file = NULL;
    dd_status st = dd_model_file_open(t->save.from, &file, error);
    if (st != DD_OK)
        return st;
    dd_model_file_info info;
    dd_model_file_info_get(file, &info);
    float *weights = malloc(n * sizeof *weights);
    if (!weights) {
        (void)snprintf(error->message, sizeof error->message, "out of memory for the weights");
        st = DD_ERR_MEMORY;
    } else if (info.n_parameters != n) {
        (void)snprintf(error->message, sizeof error->message,
                       "load %.300s: the file has become another one meanwhile", t->save.from);
        st = DD_ERR_DATA;
    } else if ((st = dd_model_file_read(file, weights, error)) == DD_OK) {
        st = dd_trainer_set_weights(t->trainer, 0, n, weights, error);
    }
    if (st == DD_OK)
        fprintf(stderr, "load: weights of %s (%s); a new training begins with them\n", t->save.from,
                dd_file_format_name(info.format));
    free(weights);
    dd_model_file_close(file);
    return st;
}

dd_status dd_train_load(dd_train *t, dd_error *error)
{
    const dd_train_save *s = &t->save;
    if (!s->load)
        return DD_OK;
    if (s->weights)
        return load_weights(t, error);
    const dd_status st = dd_trainer_load(t->trainer, s->from, error);
    if (st != DD_OK)
        return st;
    t->done = t->began = s->at;
    const uint64_t last = dd_train_last(t);
    fprintf(stderr, "load: %s, %" PRIu64 " of %" PRIu64 " steps are done%s\n", s->from, t->done,
            t->settings.steps, t->done < last ? "" : "; there is nothing left to train");
    return DD_OK;
}
