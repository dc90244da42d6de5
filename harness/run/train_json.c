/* SPDX-License-Identifier: MIT
 * The JSON of `dodeca train`: one vocabulary for stdout and for the log (train_log.h has it).
 * Decides nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cell_body.h"
#include "json_line.h"
#include "platform.h"
#include "report_json.h"
#include "train.h"

static json_t *elapsed(const dd_train *t)
{
    return dd_json_whole(dd_now_ns() - t->began_ns);
}

/* ---- Where lines go ---- */

static bool told(const dd_train *t)
{
    return t->json || t->log;
}

/* Takes the line; NULL: there was no memory for it. */
static void tell(dd_train *t, json_t *line)
{
    if (t->json) {
        if (!line || json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) != 0)
            fputs("{\"error\":\"out of memory\"}", stdout);
        putchar('\n');
        (void)fflush(stdout);
    }
    dd_error error = {""};
    if (!t->log) {
        json_decref(line);
    } else if (dd_train_log_write(t->log, line, &error) != DD_OK) {
        dd_train_close_line(t);
        fprintf(stderr, "dodeca train: %s; nothing more is logged\n", error.message);
        dd_train_log_close(t->log);
        t->log = NULL;
        t->unlogged = true;
    }
}

/* ---- The head ---- */

static json_t *shape_json(const dd_shape *s, bool *ok)
{
    json_t *o = json_object();
    dd_json_put(o, "L", dd_json_whole(s->L), ok);
    dd_json_put(o, "NH", dd_json_whole(s->NH), ok);
    dd_json_put(o, "C", dd_json_whole(s->C), ok);
    dd_json_put(o, "V", dd_json_whole(s->V), ok);
    dd_json_put(o, "T", dd_json_whole(s->T_max), ok);
    return o;
}

static void put_data(const dd_train *t, json_t *o, bool *ok)
{
    const dd_config *c = &t->settings.config;
    dd_data_info info;
    dd_data_split split = {0};
    char hash[33];
    dd_data_info_get(t->data, &info);
    (void)dd_data_split_get(t->data, c->seq, c->batch, &split, NULL);
    dd_hash_text(info.hash, hash);
    dd_json_put(o, "data", json_string(t->used), ok);
    dd_json_put(o, "data_hash", json_string(hash), ok);
    dd_json_put(o, "tokens", dd_json_whole(info.n_tokens), ok);
    dd_json_put(o, "token_is_byte", json_boolean(!isnan(dd_train_bits(t, 1))), ok);
    dd_json_put(o, "floor", dd_json_number(info.floor_nats), ok);
    dd_json_put(o, "train_windows", dd_json_whole(split.train_windows), ok);
    dd_json_put(o, "validation_windows", dd_json_whole(split.validation_windows), ok);
    dd_json_put(o, "validation_batches", dd_json_whole(dd_train_validation_batches(t)), ok);
    dd_json_put(o, "steps_per_epoch", dd_json_whole(split.steps_per_epoch), ok);
}

json_t *dd_train_json_head(const dd_train *t)
{
    bool ok = true;
    dd_trainer_info i;
    dd_machine machine;
    json_t *o = json_object();
    t->subject->describe(t->self, &i);
    dd_machine_get(&machine);
    dd_json_put(o, "dodeca_log", dd_json_whole(DD_TRAIN_LOG_VERSION), &ok);
    dd_json_put(o, "steps_done", dd_json_whole(t->began), &ok);
    dd_json_put(o, "started", dd_json_whole((uint64_t)time(NULL)), &ok);
    dd_json_put(o, "settings", dd_record_settings_json(&t->settings, t->used, i.workers), &ok);
    dd_json_put(o, "shape", shape_json(&t->settings.config.shape, &ok), &ok);
    dd_json_put(o, "parameters", dd_json_whole(dd_shape_n_parameters(&t->settings.config.shape)),
                &ok);
    put_data(t, o, &ok);
    dd_json_put(o, "workers", dd_json_whole(i.workers), &ok);
    dd_json_put(o, "kernels", dd_json_text(i.kernels ? i.kernels : ""), &ok);
    dd_json_put(o, "reduce", dd_json_text(t->trainer ? dd_reduce_name(i.reduce) : ""), &ok);
    dd_json_put(o, "machine", dd_machine_json(&machine, &ok), &ok);
    dd_json_put(o, "build", dd_build_json(&ok), &ok);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

/* ---- Meanwhile ---- */

void dd_train_json_step(dd_train *t, const dd_step *s)
{
    const dd_config *c = &t->settings.config;
    if (!told(t))
        return;
    const double tokens = (double)c->batch * c->seq;
    tell(t, json_pack("{s:I, s:o, s:o, s:o, s:b, s:I, s:o, s:o}", "step", (json_int_t)s->step,
                      "loss", dd_json_number(s->loss), "norm", dd_json_number(s->norm), "lr",
                      dd_json_number((double)s->lr), "discarded", (int)s->discarded, "wall_ns",
                      (json_int_t)s->wall_ns, "tokens_per_s",
                      dd_json_number(tokens * 1e9 / (double)s->wall_ns), "elapsed_ns", elapsed(t)));
}

void dd_train_json_validation(dd_train *t)
{
    if (told(t))
        tell(t, json_pack("{s:I, s:o, s:o, s:I, s:b, s:I, s:o}", "validation",
                          (json_int_t)t->validated_done, "loss", dd_json_number(t->validation),
                          "bits_per_byte", dd_json_number(dd_train_bits(t, t->validation)),
                          "batches", (json_int_t)dd_train_validation_batches(t), "best",
                          (int)(t->best_done == t->validated_done && !isnan(t->best)), "wall_ns",
                          (json_int_t)t->validation_ns, "elapsed_ns", elapsed(t)));
}

void dd_train_json_save(dd_train *t, uint64_t done, const char *file, const char *failed)
{
    if (told(t))
        tell(t, json_pack("{s:I, s:o, s:o, s:o}", "save", (json_int_t)done, "file",
                          dd_json_text(file), "failed", failed ? dd_json_text(failed) : json_null(),
                          "elapsed_ns", elapsed(t)));
}

void dd_train_json_health(dd_train *t, uint64_t now_ns)
{
    if (told(t))
        tell(t, dd_health_json(t->health, t->done, now_ns));
}

/* ---- The end ---- */

static json_t *json_of_info(const dd_train *t)
{
    dd_trainer_info i;
    t->subject->describe(t->self, &i);
    json_t *o = json_pack("{s:s, s:I, s:I, s:o, s:s}", "subject", t->subject->name, "workers",
                          (json_int_t)i.workers, "non_empty_lanes", (json_int_t)i.non_empty_lanes,
                          "lane_bound", dd_json_number(i.lane_bound), "kernels",
                          i.kernels ? i.kernels : "");
    if (!o || !t->trainer)
        return o;
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"depth", i.depth},
        {"spheres", i.n_spheres},
        {"controls", i.n_controls},
        {"threads", i.n_threads},
        {"unpinned", i.n_unpinned},
        {"changes", i.n_changes},
        {"changes_failed", i.n_changes_failed},
        {"change_ns", t->command_ns},
        {"lanes_done", i.lanes_done},
        {"folds", i.folds},
        {"steals", i.steals},
        {"control_lanes", i.control_lanes},
        {"micro_batch", i.micro_batch},
        {"segments", i.n_segments},
        {"most_segments", i.most_segments},
        {"segments_bytes", i.segments_bytes},
        {"weights_bytes", i.weights_bytes},
        {"packed_weights_bytes", i.packed_weights_bytes},
        {"moments_bytes", i.moments_bytes},
        {"activations_bytes", i.workspaces_bytes},
        {"lanes_bytes", i.lanes_bytes},
        {"scratch_bytes", i.scratch_bytes},
        {"other_bytes", i.other_bytes},
        {"trace_bytes", i.trace_bytes},
        {"snapshot_pages", i.snapshot_pages},
        {"snapshot_pages_copied", i.snapshot_pages_copied},
        {"guard_keys", i.guard_keys},
    };
    (void)json_object_set_new(o, "reduce", dd_json_text(dd_reduce_name(i.reduce)));
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        (void)json_object_set_new(o, numbers[k].name, dd_json_whole(numbers[k].value));
    (void)json_object_set_new(o, "guard_share", dd_json_number(i.guard_share));
    (void)json_object_set_new(o, "guard_why", dd_json_text(i.guard_why ? i.guard_why : ""));
    if (t->settings.config.profile)
        (void)json_object_set_new(o, "profile", dd_train_profile_json(&t->profile));
    return o;
}

void dd_train_json_end(dd_train *t, dd_status status, const char *why, const char *hash)
{
    dd_data_info info;
    char data_hash[33];
    if (!told(t))
        return;
    dd_data_info_get(t->data, &info);
    dd_hash_text(info.hash, data_hash);
    const dd_usage u = dd_usage_now();
    const bool stepped = t->done > t->began;
    json_t *o = json_pack(
        "{s:b, s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:s, "
        "s:I, s:I, s:o}",
        "final", 1, "status", dd_status_name(status), "why", why ? dd_json_text(why) : json_null(),
        "steps", (json_int_t)t->done, "horizon", (json_int_t)t->settings.steps, "discarded",
        (json_int_t)t->discarded, "loss", dd_json_number(stepped ? t->last.loss : (double)NAN),
        "floor", dd_json_number(info.floor_nats), "validation", (json_int_t)t->validated_done,
        "validation_loss", dd_json_number(t->validation), "validation_bits_per_byte",
        dd_json_number(dd_train_bits(t, t->validation)), "best_validation_loss",
        dd_json_number(t->best), "best_validation", (json_int_t)t->best_done, "tokens_per_s",
        dd_json_number(dd_train_tokens_per_s(t)), "data", dd_json_text(t->used), "data_hash",
        data_hash, "weights_hash", hash, "cpu_ns", (json_int_t)u.cpu_ns, "peak_rss_bytes",
        (json_int_t)u.peak_rss_bytes, "elapsed_ns", elapsed(t));
    json_t *more = json_of_info(t);
    if (o)
        (void)json_object_update(o, more);
    json_decref(more);
    tell(t, o);
}
