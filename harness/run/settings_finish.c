/* SPDX-License-Identifier: MIT
 * What of the settings depends on more than one key, and the data that they name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "settings.h"
#include "text.h"
#include "timetable.h"

static uint32_t power_of_12(uint32_t exponent)
{
    return exponent ? 12 * power_of_12(exponent - 1) : 1;
}

/* The least depth with room for n; DD_SETTINGS_WORKERS_MAX is the most there are. */
static uint32_t depth_for(uint32_t n)
{
    uint32_t depth = 1;
    while (power_of_12(depth) < n)
        depth++;
    return depth;
}

static bool check_tokens(dd_settings *s, char message[DD_MESSAGE_MAX])
{
    dd_config *c = &s->config;
    c->horizon = s->steps;
    if (c->warmup == DD_SETTINGS_NO_WARMUP)
        c->warmup = s->steps / 10 < 10 ? s->steps / 10 : 10;
    if (c->warmup > s->steps)
        return dd_text_refuse(message, "warmup %llu: must be at most the %llu steps",
                              (unsigned long long)c->warmup, (unsigned long long)s->steps);
    if (c->seq == 0)
        c->seq = c->shape.T_max;
    if (c->seq > c->shape.T_max)
        return dd_text_refuse(
            message,
            "seq %u: model \"%.200s\" knows %u positions; take seq <= %u or model %.64s,T=%u",
            c->seq, s->model, c->shape.T_max, c->shape.T_max, s->model, c->seq);
    if ((uint64_t)c->batch * c->seq > DD_SETTINGS_TOKENS_MAX)
        return dd_text_refuse(message,
                              "batch %u: times %u tokens per sequence is 2^24 or more tokens per "
                              "step; take batch <= %u",
                              c->batch, c->seq, DD_SETTINGS_TOKENS_MAX / c->seq);
    return true;
}

/* n workers, which `key` asks for, need as many non-empty lanes. */
static bool check_lanes(const dd_settings *s, const char *key, uint32_t n,
                        char message[DD_MESSAGE_MAX])
{
    const dd_config *c = &s->config;
    uint32_t lanes = dd_config_non_empty_lanes(c);
    if (n <= lanes || c->allow_idle || s->subject == DD_SUBJECT_ORACLE)
        return true;
    dd_text_refuse(message, "%s %u: ", key, n);
    if (lanes == c->batch)
        dd_text_append(message, "batch %u fills only %u lanes; take ", c->batch, lanes);
    else
        dd_text_append(message, "lane-depth %u has only %u lanes; take ", c->lane_depth, lanes);
    if (depth_for(n) > c->lane_depth)
        dd_text_append(message, "lane-depth %u%s", depth_for(n), c->batch < n ? " and " : ", ");
    if (c->batch < n)
        dd_text_append(message, "batch >= %u, ", n);
    dd_text_append(message, "%s <= %u or allow-idle", key, lanes);
    return false;
}

static bool check_workers(const dd_settings *s, char message[DD_MESSAGE_MAX])
{
    const dd_config *c = &s->config;
    uint32_t room = c->depth == DD_DEPTH_AUTO ? DD_SETTINGS_WORKERS_MAX : power_of_12(c->depth);
    uint32_t better = depth_for(c->workers);
    if (c->workers > room)
        return dd_text_refuse(message, "workers %u: depth %u holds %u; depth %u holds %u",
                              c->workers, c->depth, room, better, power_of_12(better));
    if (c->max_workers && c->max_workers < c->workers)
        return dd_text_refuse(message, "max-workers %u: there are %u workers from the start",
                              c->max_workers, c->workers);
    return check_lanes(s, "workers", c->workers, message) &&
           check_lanes(s, "max-workers", c->max_workers, message);
}

/* What only some subjects can do, or only together with something else. */
static bool check_subject(const dd_settings *s, char message[DD_MESSAGE_MAX])
{
    const dd_config *c = &s->config;
    if (s->hog && !c->pin)
        return dd_text_refuse(
            message, "hog %u: needs pin, or the workers would be moved to other cores", s->hog);
    if (s->subject != DD_SUBJECT_ORACLE && c->workers && s->hog > c->workers)
        return dd_text_refuse(message, "hog %u: there are %u workers to slow", s->hog, c->workers);
    if (s->plant != DD_PLANT_NONE && s->subject != DD_SUBJECT_DODECA)
        return dd_text_refuse(message, "plant stray-write: only subject dodeca has it");
    if (s->plant == DD_PLANT_STRAY_WRITE && !c->guard)
        return dd_text_refuse(message, "plant stray-write: needs guard, or the write goes unseen");
    if (c->guard && c->reduce == DD_REDUCE_OWNER && s->subject == DD_SUBJECT_DODECA)
        return dd_text_refuse(message, "guard: protects gradients that one worker holds, with "
                                       "reduce owner none does; choose tree, sliced or control");
    if (c->micro_batch && c->reduce == DD_REDUCE_OWNER && s->subject == DD_SUBJECT_DODECA)
        return dd_text_refuse(message,
                              "micro-batch %u: reduce owner keeps the activations of the whole "
                              "batch; choose auto, tree, sliced or control",
                              c->micro_batch);
    if (s->storm[0] && s->timetable[0])
        return dd_text_refuse(message,
                              "storm %.64s: leaves no sphere where a timetable expects "
                              "it; take one of the two",
                              s->storm);
    if (s->subject != DD_SUBJECT_LOCKS && s->subject != DD_SUBJECT_LOCKS_GRADIENT)
        return true;
    if (c->micro_batch || c->memory_limit)
        return dd_text_refuse(message,
                              "%s: the lock-based subjects run every lane whole; leave it out or "
                              "take subject dodeca",
                              c->micro_batch ? "micro-batch" : "memory-limit");
    const char *key = s->timetable[0] ? "timetable"
                      : s->storm[0]   ? "storm"
                      : c->steal      ? "steal"
                      : c->guard      ? "guard"
                      : c->pin        ? "pin"
                      : !c->depth     ? "depth"
                                      : NULL;
    if (!key)
        return true;
    char value[DD_SPEC_MAX];
    dd_settings_get(s, key, value);
    return dd_text_refuse(message,
                          "%s %.100s: the lock-based subjects have no hierarchy; leave it out or "
                          "take subject dodeca",
                          key, value);
}

/* Carried out on paper: what it reaches is what memory is held for. */
static bool check_timetable(dd_settings *s, char message[DD_MESSAGE_MAX])
{
    dd_timetable *t = NULL;
    if (!s->timetable[0])
        return true;
    if (!dd_timetable_of(s, &t, message))
        return false;
    if (!s->config.max_workers && t->most_workers > s->config.workers)
        s->config.max_workers = t->most_workers;
    dd_timetable_close(t);
    return true;
}

/* An interval of one repeat cannot be had; of two it says little, but that is the user's choice. */
static bool check_repeats(dd_settings *s, char message[DD_MESSAGE_MAX])
{
    enum { MOST = 10 }; /* where nothing is said */
    if (!s->repeats_max)
        s->repeats_max = s->interval > 0 && s->repeats < MOST ? MOST : s->repeats;
    if (s->interval > 0 && s->repeats < 2)
        return dd_text_refuse(message,
                              "interval %g: one repeat has none; take repeats >= 2 (3 or more "
                              "are better)",
                              s->interval);
    if (s->repeats_max < s->repeats)
        return dd_text_refuse(message, "repeats-max %u: every cell has %u repeats at least",
                              s->repeats_max, s->repeats);
    return true;
}

/* A plug-in has a model, an optimiser and threads of its own: what it is not told of must be as if
 * nobody had said anything. */
static bool check_plugin(dd_settings *s, char message[DD_MESSAGE_MAX])
{
    size_t n;
    const dd_key *keys = dd_keys(&n);
    dd_settings plain;
    dd_settings_default(&plain);
    for (size_t k = 0; k < n; k++) {
        char value[DD_SPEC_MAX], usual[DD_SPEC_MAX];
        dd_settings_get(s, keys[k].name, value);
        dd_settings_get(&plain, keys[k].name, usual);
        if (!dd_key_concerns(&keys[k], DD_SUBJECT_PLUGIN) && strcmp(value, usual) != 0)
            return dd_text_refuse(message,
                                  "%s %.100s: a plug-in is not told of it, its model, optimiser "
                                  "and threads are its own; leave it out or say it in "
                                  "subject-options",
                                  keys[k].name, value);
    }
    s->config.horizon = s->steps;
    return true;
}

/* What is for plug-ins alone. */
static bool check_no_plugin(const dd_settings *s, char message[DD_MESSAGE_MAX])
{
    if (!s->subject_options[0] && s->tolerance == 0)
        return true;
    return dd_text_refuse(message,
                          "%s: only a subject that is a file, such as ./libmine.so, has %s",
                          s->subject_options[0] ? "subject-options" : "tolerance",
                          s->subject_options[0] ? "options of its own" : "a tolerance");
}

bool dd_settings_finish(dd_settings *s, char message[DD_MESSAGE_MAX])
{
    message[0] = '\0';
    bool ok;
    if (s->subject == DD_SUBJECT_PLUGIN)
        ok = check_plugin(s, message) && check_repeats(s, message);
    else
        ok = dd_text_model(s->model, &s->config.shape, message) && check_tokens(s, message) &&
             check_workers(s, message) && check_subject(s, message) && check_repeats(s, message) &&
             check_timetable(s, message) && check_no_plugin(s, message);
    dd_text_one_line(message);
    return ok;
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
            (void)dd_text_refuse(note,
                                 "the King James text is not at %.300s: training on %.120s instead "
                                 "(scripts/setup.sh "
                                 "installs it)",
                                 where, s->data_else);
            strcpy(used, s->data_else);
        }
    }
    return dd_data_open(used, s->config.seed, out, error);
}
