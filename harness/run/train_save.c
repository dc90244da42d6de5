/* SPDX-License-Identifier: MIT
 * When a training is saved, and what is told of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoint.h"
#include "train.h"

enum {
    OPTION_SAVE = DD_OPTION_OWN + 0x40, /* beside those of train_options.c */
    OPTION_SAVE_EVERY,
    OPTION_KEEP,
    OPTION_LOAD,
    KEEP = 2
};

void dd_train_save_options(dd_options *o)
{
    dd_options_add(o, "save", OPTION_SAVE, "FILE",
                   "at the end, Ctrl-C included, write a checkpoint that --load goes on from; of a "
                   "FILE that is there, which must be a checkpoint of this training, earlier ones "
                   "are kept as FILE.1 and so on");
    dd_options_add(o, "save-every", OPTION_SAVE_EVERY, "N",
                   "and after every N steps, while training goes on");
    dd_options_add(o, "keep", OPTION_KEEP, "K",
                   "keep K checkpoints, the newest one included (default 2)");
    dd_options_add(o, "load", OPTION_LOAD, "FILE",
                   "go on from a checkpoint, with its settings and its data, and with any workers, "
                   "depth, simd, reduce; if FILE is damaged, from the newest of FILE.1 and so on "
                   "that is not. Of a safetensors or llm.c file: begin with its weights");
}

bool dd_train_save_option(dd_train_save *s, int id, char *argument, struct argp_state *state)
{
    switch (id) {
    case OPTION_SAVE:
        s->path = argument;
        return true;
    case OPTION_SAVE_EVERY:
        s->every = dd_option_number("save-every", argument, 1, UINT64_MAX, state);
        return true;
    case OPTION_KEEP:
        s->keep = (uint32_t)dd_option_number("keep", argument, 1, DD_TRAIN_KEEP_MAX, state);
        return true;
    case OPTION_LOAD:
        s->load = argument;
        return true;
    default:
        return false;
    }
}

/* ---- Before ---- */

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;
    return a && b && stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Whether a checkpoint of another training is there, perhaps of one that runs beside this one. */
static bool is_taken(const dd_train *t, dd_error *error)
{
    dd_error why = {""};
    dd_checkpoint *c;
    if (dd_checkpoint_open(t->save.path, &c, NULL) != DD_OK)
        return false;
    const bool fits = dd_checkpoint_fits(c, &t->settings.config, t->data, &why) == DD_OK;
    dd_checkpoint_close(c);
    if (!fits)
        (void)snprintf(error->message, sizeof error->message,
                       "%.100s: another training is saved there, and is not overwritten: %.300s",
                       t->save.path, why.message);
    return !fits;
}

static dd_status check_there(dd_train *t, dd_error *error)
{
    dd_train_save *s = &t->save;
    struct stat about;
    dd_error why = {""};
    dd_checkpoint *c;
    if (lstat(s->path, &about) != 0)
        return DD_OK; /* nothing is there, or nothing can be: then it cannot be begun either */
    if (s->damaged && same_file(s->path, s->load)) {
        s->replace = true;
        return DD_OK;
    }
    dd_status st = dd_checkpoint_open(s->path, &c, &why);
    if (st == DD_ERR_DATA)
        (void)snprintf(error->message, sizeof error->message,
                       "save %.150s: there is such a file, and it is no checkpoint that could be "
                       "kept behind the new one (%.200s); remove it or name another",
                       s->path, why.message);
    else if (st != DD_OK)
        *error = why;
    if (st != DD_OK)
        return st;
    dd_checkpoint_close(c);
    return is_taken(t, error) ? DD_ERR_DATA : DD_OK;
}

dd_status dd_train_save_check(dd_train *t, dd_error *error)
{
    dd_whole_file *file;
    if (!t->save.path)
        return DD_OK;
    dd_error why = {""};
    const dd_status st = dd_whole_file_create(t->save.path, &file, &why);
    if (st != DD_OK) {
        (void)snprintf(error->message, sizeof error->message, "save %.450s", why.message);
        return st;
    }
    dd_whole_file_abandon(file);
    return check_there(t, error);
}

/* ---- Meanwhile ---- */

static void ended(dd_train *t, const dd_error *why)
{
    dd_train_save *s = &t->save;
    s->under_way = false;
    if (why) {
        s->failed = true;
        dd_train_close_line(t);
        fprintf(stderr, "dodeca train: the checkpoint after %" PRIu64 " steps was not saved: %s\n",
                s->begun_at, why->message);
    } else {
        s->saved = true;
        s->saved_at = s->begun_at;
        s->replace = false;
    }
    dd_train_json_save(t, s->begun_at, s->path, why ? why->message : NULL);
}

/* Until the save under way, if any, has ended. */
static void wait_and_tell(dd_train *t)
{
    dd_error error = {""};
    if (t->save.under_way)
        ended(t, dd_trainer_save_wait(t->trainer, &error) == DD_OK ? NULL : &error);
}

static void begin(dd_train *t)
{
    dd_train_save *s = &t->save;
    dd_error error = {""};
    const uint32_t keep = s->replace ? 1 : s->keep ? s->keep : KEEP;
    wait_and_tell(t);
    s->begun_at = t->done;
    if (!is_taken(t, &error) && dd_trainer_save(t->trainer, s->path, keep, &error) == DD_OK)
        s->under_way = true;
    else
        ended(t, &error);
}

void dd_train_save_step(dd_train *t)
{
    dd_train_save *s = &t->save;
    if (!s->path)
        return;
    if (s->under_way) {
        dd_save_info info;
        dd_trainer_save_info_get(t->trainer, &info);
        if (!info.under_way)
            wait_and_tell(t);
    }
    if (s->every && t->done % s->every == 0 && t->done < dd_train_last(t))
        begin(t);
}

void dd_train_save_end(dd_train *t)
{
    dd_train_save *s = &t->save;
    if (!s->path)
        return;
    wait_and_tell(t);
    const bool same = !s->weights && t->done == t->began && same_file(s->from, s->path);
    if (!same && !(s->saved && s->saved_at == t->done)) {
        begin(t);
        wait_and_tell(t);
    }
    if (s->saved)
        fprintf(stderr, "saved: %s, after %" PRIu64 " steps\n", s->path, s->saved_at);
}
