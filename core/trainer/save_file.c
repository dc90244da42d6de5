/* SPDX-License-Identifier: MIT
 * Checkpoint files of a training that goes on. Owns the one save that may be under way: its
 * snapshot, which updates copy pages for, and the thread that writes them out. That thread reads
 * copies and what dd_trainer_save left for it, which nobody writes until it is joined; it shares
 * nothing else with anybody. Its creation and join, and one flag that says it is through, are all
 * the synchronisation there is; the step's own is untouched. */
#include "save_file.h"

#include "checkpoint.h"
#include "error.h"
#include "packed.h"
#include "trainer_parts.h"

#include <string.h>

_Static_assert(DD_KEPT_WEIGHTS == (int)DD_CHECKPOINT_WEIGHTS && DD_KEPT_M == (int)DD_CHECKPOINT_M &&
                   DD_KEPT_V == (int)DD_CHECKPOINT_V && DD_KEPT_ARRAYS == (int)DD_CHECKPOINT_ARRAYS,
               "arrays by the same numbers");

/* The caller's, between steps; of the writing thread while `threaded`, but for `done`. */
struct dd_saving {
    bool under_way, threaded;
    bool told; /* the error of the last one, if it had one */
    dd_thread thread;
    dd_atomic_u32 done; /* the thread stores release at its end; dd_saving_look_ loads acquire */
    dd_whole_file *file;
    uint32_t keep;
    dd_checkpoint_info info;
    dd_snapshot *snapshot; /* the trainer's saved */
    dd_status status;      /* of the last one, whose message is `error` */
    dd_error error;
    uint64_t pages, pages_copied;
    uint64_t n_saved, n_failed;
};

static dd_status open_snapshot(dd_trainer *t)
{
    const void *array[DD_KEPT_ARRAYS];
    size_t size[DD_KEPT_ARRAYS];
    for (uint32_t i = 0; i < DD_KEPT_ARRAYS; i++) {
        array[i] = t->kept_array[i];
        size[i] = t->P * sizeof(float);
    }
    return dd_snapshot_open(array, size, DD_KEPT_ARRAYS, &t->saved);
}

static dd_status open_saving(dd_trainer *t)
{
    dd_saving *s = t->saving;
    if (!s) {
        if (!(s = dd_alloc(sizeof *s)))
            return DD_ERR_MEMORY;
        dd_u32_init(&s->done, 0);
        t->saving = s;
    }
    const dd_status st = t->saved ? DD_OK : open_snapshot(t);
    s->snapshot = t->saved;
    return st;
}

/* ---- Writing ---- */

static void read_kept(void *user, dd_checkpoint_array array, size_t first, size_t bytes, void *out)
{
    const dd_saving *s = user;
    dd_snapshot_read(s->snapshot, array, first, bytes, out);
}

static void write_file(dd_saving *s)
{
    s->status = dd_checkpoint_write(s->file, &s->info, read_kept, s, &s->error);
    if (s->status)
        dd_whole_file_abandon(s->file);
    else
        s->status = dd_whole_file_commit(s->file, s->keep, &s->error);
    s->file = NULL;
}

static void write_beside(void *saving)
{
    dd_saving *s = saving;
    write_file(s);
    dd_u32_store(&s->done, 1, DD_RELEASE); /* pairs with dd_saving_look_ */
}

/* What was written, or not, is the caller's again; copies go back. Nobody writes the arrays now. */
static void end_save(dd_trainer *t)
{
    dd_saving *s = t->saving;
    if (s->threaded)
        dd_thread_join(&s->thread);
    s->pages = dd_snapshot_pages(s->snapshot, &s->pages_copied);
    dd_snapshot_drop(s->snapshot);
    s->under_way = s->threaded = false;
    s->told = false;
    s->n_saved += s->status == DD_OK;
    s->n_failed += s->status != DD_OK;
}

/* Ends a save under way, in this thread if it has none. Shared pages are read as they are: between
 * requests nobody writes them. */
static void finish(dd_trainer *t)
{
    dd_saving *s = t->saving;
    if (!s || !s->under_way)
        return;
    if (!s->threaded)
        write_file(s);
    end_save(t);
}

void dd_saving_look_(dd_trainer *t)
{
    dd_saving *s = t->saving;
    if (!s || !s->under_way)
        return;
    if (s->threaded) {
        if (dd_u32_load(&s->done, DD_ACQUIRE)) /* pairs with write_beside */
            end_save(t);
        return;
    }
    uint64_t copied;
    if (dd_snapshot_pages(s->snapshot, &copied) != copied)
        return; /* the step changed nothing: pages are still shared */
    dd_u32_store(&s->done, 0, DD_RELAXED);
    s->threaded = dd_thread_create(&s->thread, "dd-save", t->stack_bytes, write_beside, s) == 0;
    if (!s->threaded) /* later would be no better, and holds the copies' memory for longer */
        finish(t);
}

void dd_saving_close_(dd_trainer *t)
{
    dd_saving *s = t->saving;
    if (!s)
        return;
    finish(t);
    dd_u32_forget(&s->done);
    dd_free(s);
    t->saving = NULL;
}

/* ---- For the caller ---- */

/* DD_ERR_… of the last save, once. */
static dd_status tell(dd_saving *s, dd_error *error)
{
    if (s->told || s->status == DD_OK)
        return DD_OK;
    s->told = true;
    return dd_error_set(error, s->status, "%s", s->error.message);
}

/* The number of the step that the checkpoint goes on with. A step that policy abort ended has
 * changed nothing, and whoever resumes is to meet it as the run did. */
static uint64_t next_step(const dd_trainer *t)
{
    const uint64_t step = dd_u64_load(&t->step, DD_RELAXED);
    const dd_step *last = &t->result;
    const bool ended = t->config.nan_policy == DD_NAN_ABORT && last->discarded;
    return ended && step == last->step + 1 ? last->step : step;
}

dd_status dd_trainer_save(dd_trainer *t, const char *path, uint32_t keep, dd_error *error)
{
    if (!t || !path || !path[0] || !keep)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_trainer_save: %s",
                            !t                  ? "trainer is NULL"
                            : !path || !path[0] ? "path must name a file"
                                                : "keep 0: at least the new file is kept");
    finish(t);
    dd_status st = t->saving ? tell(t->saving, error) : DD_OK;
    if (st)
        return st;
    if ((st = open_saving(t)))
        return dd_error_set(error, st, "%.200s: out of memory for a checkpoint", path);
    dd_saving *s = t->saving;
    if ((st = dd_whole_file_create(path, &s->file, error)))
        return st;
    dd_data_info data;
    dd_data_info_get(t->data, &data);
    s->info = (dd_checkpoint_info){.config = t->config,
                                   .data = data.spec,
                                   .n_tokens = data.n_tokens,
                                   .step = next_step(t),
                                   .updates = t->adam_t};
    memcpy(s->info.data_hash, data.hash, sizeof data.hash);
    s->keep = keep;
    s->status = DD_OK;
    s->under_way = true;
    dd_snapshot_take(s->snapshot);
    return DD_OK;
}

dd_status dd_trainer_save_wait(dd_trainer *t, dd_error *error)
{
    if (!t)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_trainer_save_wait: trainer is NULL");
    finish(t);
    return t->saving ? tell(t->saving, error) : DD_OK;
}

void dd_trainer_save_info_get(dd_trainer *t, dd_save_info *out)
{
    *out = (dd_save_info){0};
    dd_saving *s = t->saving;
    if (!s)
        return;
    if (s->under_way && s->threaded && dd_u32_load(&s->done, DD_ACQUIRE)) /* as dd_saving_look_ */
        end_save(t);
    *out = (dd_save_info){.under_way = s->under_way,
                          .step = s->info.step,
                          .pages = s->pages,
                          .pages_copied = s->pages_copied,
                          .n_saved = s->n_saved,
                          .n_failed = s->n_failed};
    if (s->under_way)
        out->pages = dd_snapshot_pages(s->snapshot, &out->pages_copied);
}

/* ---- Loading ---- */

static dd_status read_all(const dd_checkpoint *c, uint64_t n, float *array[DD_KEPT_ARRAYS],
                          dd_error *error)
{
    dd_status st = DD_OK;
    for (int i = 0; i < DD_KEPT_ARRAYS && !st; i++) {
        array[i] = dd_alloc(n * sizeof *array[i]);
        st = array[i] ? dd_checkpoint_read(c, (dd_checkpoint_array)i, array[i], error)
                      : dd_error_set(error, DD_ERR_MEMORY,
                                     "out of memory to load a checkpoint of %zu bytes",
                                     (size_t)(DD_KEPT_ARRAYS * n * sizeof *array[i]));
    }
    return st;
}

static void become(dd_trainer *t, float *const array[DD_KEPT_ARRAYS],
                   const dd_checkpoint_info *info)
{
    const size_t bytes = t->P * sizeof(float);
    for (uint32_t i = 0; i < DD_KEPT_ARRAYS; i++) {
        dd_before_write_(t, i, 0, bytes);
        memcpy(t->kept_array[i], array[i], bytes);
    }
    dd_packed_write(t->model.kernels, &t->model.layout, 0, t->P, t->kept_array[DD_KEPT_WEIGHTS],
                    t->packed);
    dd_u64_store(&t->step, info->step, DD_RELAXED);
    t->adam_t = info->updates;
    t->result.discarded = false;
}

dd_status dd_trainer_load(dd_trainer *t, const char *path, dd_error *error)
{
    if (!t || !path)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_trainer_load: trainer and path must not be NULL");
    finish(t);
    dd_checkpoint *c;
    dd_checkpoint_info info;
    float *array[DD_KEPT_ARRAYS] = {NULL};
    dd_status st = dd_checkpoint_open(path, &c, error);
    if (st)
        return st;
    dd_checkpoint_info_get(c, &info);
    st = dd_checkpoint_fits(c, &t->config, t->data, error);
    if (!st)
        st = read_all(c, t->P, array, error);
    if (!st && !dd_trainer_lift_(t))
        st = dd_error_set(error, DD_ERR_MEMORY,
                          "load: the system refuses to let the weights' pages be written");
    if (!st)
        become(t, array, &info);
    for (int i = 0; i < DD_KEPT_ARRAYS; i++)
        dd_free(array[i]);
    dd_checkpoint_close(c);
    return st;
}
