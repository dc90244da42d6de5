/* SPDX-License-Identifier: MIT
 * The words and the JSON of `dodeca train`. Decides nothing. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell_body.h"
#include "platform.h"
#include "train.h"

#define MIB(bytes) ((double)(bytes) / 0x1p20)

uint64_t dd_train_last(const dd_train *t)
{
    return t->stop_after == DD_TRAIN_TO_THE_END ? t->settings.steps : t->stop_after;
}

/* "1 h 02 min", "3 min 05 s", "12 s" */
static void format_time(double seconds, char text[32])
{
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000u;
    if (s >= 3600)
        (void)snprintf(text, 32, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        (void)snprintf(text, 32, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
    else
        (void)snprintf(text, 32, "%" PRIu64 " s", s);
}

/* A NaN's sign means nothing, yet printf shows it. */
static double unsigned_nan(double x)
{
    return isnan(x) ? (double)NAN : x;
}

static double tokens_per_s(const dd_train *t)
{
    double tokens = (double)t->done * t->settings.config.batch * t->settings.config.seq;
    return t->step_ns ? tokens * 1e9 / (double)t->step_ns : 0;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- Before ---- */

/* The oracle obeys what decides the bits. What was said of threads is not passed over in silence;
 * busy threads beside it there are all the same. */
static void tell_ignored(const dd_train *t)
{
    size_t n = 0, told = 0;
    const dd_key *keys = dd_keys(&n);
    for (size_t k = 0; k < n; k++)
        if (t->given >> k & 1 && !keys[k].decides_bits && strcmp(keys[k].name, "subject") != 0 &&
            strcmp(keys[k].name, "hog") != 0)
            fprintf(stderr, "%s--%s",
                    told++ ? ", " : "note: the oracle is single-threaded, ignored: ", keys[k].name);
    if (told)
        fputc('\n', stderr);
}

/* What auto took is told with its reason. */
static const char *why_reduction(const dd_config *c, const dd_trainer_info *i)
{
    if (c->reduce != DD_REDUCE_AUTO)
        return "";
    return i->reduce == DD_REDUCE_OWNER ? " (auto)"
           : c->guard                   ? " (auto, with guard)"
                                        : " (auto, owner would take too much memory)";
}

static void describe_threads(const dd_train *t)
{
    const dd_config *c = &t->settings.config;
    dd_trainer_info i;
    char barrier[DD_SPEC_MAX];
    t->subject->describe(t->self, &i);
    dd_settings_get(&t->settings, "barrier", barrier);
    if (t->settings.subject == DD_SUBJECT_ORACLE) {
        fprintf(stderr, "subject: the oracle, one thread, kernels: %s\n", i.kernels);
        tell_ignored(t);
        return;
    }
    if (!t->trainer) {
        fprintf(stderr, "subject: %s, %u worker%s, kernels %s\n", t->subject->name, i.workers,
                plural(i.workers), i.kernels ? i.kernels : "its own");
        return;
    }
    fprintf(stderr,
            "threads: %u worker%s and Node Zero%s, depth %u%s, %u of %u lanes in use, kernels %s, "
            "barrier %s, reduce %s%s%s%s\n",
            i.workers, plural(i.workers), i.n_controls > 1 ? " with controls" : "", i.depth,
            c->depth == DD_DEPTH_AUTO ? " for now" : "", i.non_empty_lanes, i.n_lanes, i.kernels,
            barrier, dd_reduce_name(i.reduce), why_reduction(c, &i), c->steal ? ", stealing" : "",
            c->pin ? ", pinned" : "");
    fprintf(stderr,
            "memory: weights %.1f MiB, packed weights %.1f MiB, moments %.1f MiB, gradient "
            "segments %.1f MiB, activations %.1f MiB, other %.1f MiB; room for kernels' scratch "
            "%.1f MiB\n",
            MIB(i.weights_bytes), MIB(i.packed_weights_bytes), MIB(i.moments_bytes),
            MIB(i.segments_bytes), MIB(i.workspaces_bytes), MIB(i.other_bytes),
            MIB(i.scratch_bytes));
    if (c->trace)
        fprintf(stderr, "trace: room for %u events of each thread, %.1f MiB\n", c->trace,
                MIB(i.trace_bytes));
    if (c->guard && i.guard_keys)
        fprintf(stderr, "guard: weights and batches by page protection, segments by %u keys\n",
                i.guard_keys);
    else if (c->guard)
        fprintf(stderr,
                "guard: weights and batches by page protection, guard pages around segments; no "
                "keys for the segments themselves: %s\n",
                i.guard_why);
}

void dd_train_describe(const dd_train *t)
{
    const dd_config *c = &t->settings.config;
    dd_data_info info;
    dd_data_info_get(t->data, &info);
    fprintf(stderr, "data: %s, %" PRIu64 " tokens, vocabulary %" PRIu32 "\n", t->used,
            info.n_tokens, info.vocabulary);
    fprintf(stderr, "model: %s (L %u, NH %u, C %u, V %u, T %u), %" PRIu64 " parameters\n",
            t->settings.model, c->shape.L, c->shape.NH, c->shape.C, c->shape.V, c->shape.T_max,
            dd_shape_n_parameters(&c->shape));
    fprintf(stderr, "step: %u sequences of %u tokens\n", c->batch, c->seq);
    dd_data_split split;
    if (dd_data_split_get(t->data, c->seq, c->batch, &split, NULL) == DD_OK)
        fprintf(
            stderr,
            "epoch: %" PRIu64 " steps; %" PRIu64 " of %" PRIu64
            " training windows are left out of each, %" PRIu64 " more are kept for validation\n",
            split.steps_per_epoch, split.left_out, split.train_windows, split.validation_windows);
    describe_threads(t);
    if (t->timetable)
        fprintf(stderr, "timetable: %" PRIu64 " change%s, up to %u workers\n", t->timetable->n,
                plural(t->timetable->n), t->timetable->most_workers);
    if (t->hogs)
        fprintf(stderr, "hogs: %u busy thread%s beside the first workers\n", t->settings.hog,
                plural(t->settings.hog));
}

/* ---- Meanwhile ---- */

void dd_train_unpinned(const dd_train *t)
{
    dd_trainer_info i;
    if (!t->trainer || !t->settings.config.pin)
        return;
    dd_trainer_info_get(t->trainer, &i);
    if (i.n_unpinned)
        fprintf(stderr,
                "pin: %u of %u threads could not be pinned: they run where the system puts them\n",
                i.n_unpinned, i.n_threads);
}

void dd_train_close_line(dd_train *t)
{
    if (t->line_open)
        fputc('\n', stderr);
    t->line_open = false;
}

void dd_train_progress(dd_train *t)
{
    uint64_t now = dd_now_ns(), least = t->terminal ? 100000000u : 1000000000u;
    uint64_t last = dd_train_last(t);
    if (t->json || (now - t->shown_ns < least && t->done != last))
        return;
    t->shown_ns = now;
    char left[32];
    format_time((double)(last - t->done) * (double)t->step_ns / (double)t->done / 1e9, left);
    fprintf(stderr,
            "%s%" PRIu64 " of %" PRIu64
            " steps  loss %.4f  lr %.3g  norm %.3g  %.0f tokens/s  %s left%s",
            t->terminal ? "\r" : "", t->done, last, unsigned_nan(t->last.loss), (double)t->last.lr,
            unsigned_nan(t->last.norm), tokens_per_s(t), left, t->terminal ? "\033[K" : "\n");
    t->line_open = t->terminal;
}

void dd_train_change_failed(dd_train *t)
{
    dd_trainer_info i;
    if (!t->trainer || t->settings.config.depth != DD_DEPTH_AUTO)
        return;
    dd_trainer_info_get(t->trainer, &i);
    const uint32_t kind = 1u << i.change_failed;
    if (i.n_changes_failed == t->changes_failed)
        return;
    t->changes_failed = i.n_changes_failed;
    if (t->failures_told & kind)
        return;
    t->failures_told |= kind;
    dd_train_close_line(t);
    fprintf(stderr,
            "step %" PRIu64 ": depth auto wants other workers and cannot have them: %s; training "
            "goes on with %u worker%s\n",
            t->last.step, i.change_why, i.workers, plural(i.workers));
}

void dd_train_discarded(dd_train *t, const dd_step *step)
{
    const dd_culprit *c = &step->culprit;
    char where[64] = "the fold of lanes that are finite when run once more";
    if (c->lane != DD_NO_LANE && c->worker != DD_NO_LANE)
        (void)snprintf(where, sizeof where, "lane %" PRIu32 " (worker %" PRIu32 ")", c->lane,
                       c->worker);
    else if (c->lane != DD_NO_LANE)
        (void)snprintf(where, sizeof where, "lane %" PRIu32, c->lane);
    dd_train_close_line(t);
    fprintf(stderr, "step %" PRIu64 ": discarded, not finite first in %s: %s[%" PRIu64 "]\n",
            step->step, where, c->tensor ? c->tensor : "loss", c->index);
}

/* ---- JSON ---- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null(); /* JSON has no other numbers */
}

static void print_json(json_t *object)
{
    if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) != 0)
        fputs("{\"error\":\"out of memory\"}", stdout);
    putchar('\n');
    json_decref(object);
    (void)fflush(stdout);
}

void dd_train_status(dd_train *t, uint64_t now_ns)
{
    dd_train_close_line(t);
    if (t->json)
        print_json(dd_health_json(t->health, t->done, now_ns));
    else
        dd_health_print(t->health, t->done, now_ns, stderr);
}

void dd_train_json_step(const dd_step *s)
{
    print_json(json_pack("{s:I, s:o, s:o, s:o, s:b, s:I}", "step", (json_int_t)s->step, "loss",
                         number(s->loss), "norm", number(s->norm), "lr", number((double)s->lr),
                         "discarded", (int)s->discarded, "wall_ns", (json_int_t)s->wall_ns));
}

static json_t *json_of_info(const dd_train *t)
{
    dd_trainer_info i;
    t->subject->describe(t->self, &i);
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:o, s:s}", "subject", t->subject->name, "workers",
                  (json_int_t)i.workers, "non_empty_lanes", (json_int_t)i.non_empty_lanes,
                  "lane_bound", number(i.lane_bound), "kernels", i.kernels ? i.kernels : "");
    if (!o || !t->trainer)
        return o;
    json_t *more = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:I, s:I}",
        "reduce", dd_reduce_name(i.reduce), "depth", (json_int_t)i.depth, "spheres",
        (json_int_t)i.n_spheres, "controls", (json_int_t)i.n_controls, "threads",
        (json_int_t)i.n_threads, "unpinned", (json_int_t)i.n_unpinned, "changes",
        (json_int_t)i.n_changes, "changes_failed", (json_int_t)i.n_changes_failed, "change_ns",
        (json_int_t)t->command_ns, "lanes_done", (json_int_t)i.lanes_done, "folds",
        (json_int_t)i.folds, "steals", (json_int_t)i.steals, "control_lanes",
        (json_int_t)i.control_lanes, "segments", (json_int_t)i.n_segments, "most_segments",
        (json_int_t)i.most_segments, "segments_bytes", (json_int_t)i.segments_bytes,
        "weights_bytes", (json_int_t)i.weights_bytes, "packed_weights_bytes",
        (json_int_t)i.packed_weights_bytes, "moments_bytes", (json_int_t)i.moments_bytes,
        "activations_bytes", (json_int_t)i.workspaces_bytes, "scratch_bytes",
        (json_int_t)i.scratch_bytes, "other_bytes", (json_int_t)i.other_bytes, "trace_bytes",
        (json_int_t)i.trace_bytes, "guard_keys", (json_int_t)i.guard_keys, "guard_share",
        number(i.guard_share), "guard_why", i.guard_why ? i.guard_why : "", "snapshot_pages",
        (json_int_t)i.snapshot_pages, "snapshot_pages_copied", (json_int_t)i.snapshot_pages_copied);
    (void)json_object_update(o, more);
    json_decref(more);
    if (t->settings.config.profile)
        (void)json_object_set_new(o, "profile", dd_train_profile_json(&t->profile));
    return o;
}

void dd_train_json_end(const dd_train *t, dd_status status, const char *hash)
{
    dd_data_info info;
    dd_data_info_get(t->data, &info);
    char data_hash[33];
    dd_hash_text(info.hash, data_hash);
    dd_usage u = dd_usage_now();
    json_t *o =
        json_pack("{s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:I, s:I}", "final",
                  1, "status", dd_status_name(status), "steps", (json_int_t)t->done, "horizon",
                  (json_int_t)t->settings.steps, "discarded", (json_int_t)t->discarded, "loss",
                  number(t->done ? t->last.loss : (double)NAN), "floor", number(info.floor_nats),
                  "validation_loss", number(t->validation), "tokens_per_s", number(tokens_per_s(t)),
                  "data", t->used, "data_hash", data_hash, "weights_hash", hash, "cpu_ns",
                  (json_int_t)u.cpu_ns, "peak_rss_bytes", (json_int_t)u.peak_rss_bytes);
    json_t *more = json_of_info(t);
    if (o)
        (void)json_object_update(o, more);
    json_decref(more);
    print_json(o);
}

/* ---- The end ---- */

static void summarise_trainer(const dd_train *t)
{
    dd_trainer_info i;
    dd_trainer_info_get(t->trainer, &i);
    printf("lane bound       %.2f for %u worker%s on %u lanes\n", i.lane_bound, i.workers,
           plural(i.workers), i.non_empty_lanes);
    printf("hierarchy        depth %u, %u spheres: %u worker%s, %u control%s with Node Zero; %u "
           "threads made\n",
           i.depth, i.n_spheres, i.workers, plural(i.workers), i.n_controls, plural(i.n_controls),
           i.n_threads);
    if (t->commands)
        printf("timetable        %" PRIu64 " command%s carried out, %.3f ms each\n", t->commands,
               plural(t->commands), (double)t->command_ns / (double)t->commands / 1e6);
    if (i.n_changes)
        printf("membership       changed %" PRIu64 " time%s\n", i.n_changes, plural(i.n_changes));
    if (i.n_changes_failed)
        printf("membership       %" PRIu64 " change%s could not be had: %s\n", i.n_changes_failed,
               plural(i.n_changes_failed), i.change_why);
    printf("lanes            %" PRIu64 " run, %" PRIu64 " of them stolen, %" PRIu64
           " by controls; %" PRIu64 " folds\n",
           i.lanes_done, i.steals, i.control_lanes, i.folds);
    if (i.reduce == DD_REDUCE_OWNER)
        printf("segments         1 for all workers, with a record for each lane %.1f MiB\n",
               MIB(i.segments_bytes));
    else
        printf("segments         %u, at most %u on one worker, %.1f MiB\n", i.n_segments,
               i.most_segments, MIB(i.segments_bytes));
    if (i.guard_keys)
        printf("guard            %.1f %% of the segments in flight had one of %u keys\n",
               100 * i.guard_share, i.guard_keys);
    if (i.snapshot_pages)
        printf("checkpoint       %" PRIu64 " pages, %" PRIu64 " of them copied on first write\n",
               i.snapshot_pages, i.snapshot_pages_copied);
}

void dd_train_end(const dd_train *t)
{
    dd_data_info info;
    dd_data_info_get(t->data, &info);
    printf("steps            %" PRIu64 " of %" PRIu64 "\n", t->done, t->settings.steps);
    if (t->discarded)
        printf("discarded        %" PRIu64 " steps were not finite\n", t->discarded);
    if (t->done && isfinite(info.floor_nats))
        printf("loss             %.4f nats per token (floor %.4f)\n", unsigned_nan(t->last.loss),
               info.floor_nats);
    else if (t->done)
        printf("loss             %.4f nats per token\n", unsigned_nan(t->last.loss));
    if (t->validated)
        printf("validation loss  %.4f\n", unsigned_nan(t->validation));
    else if (t->why_not[0])
        printf("validation loss  none: %s\n", t->why_not);
    printf("tokens/s         %.0f\n", tokens_per_s(t));
    if (t->trainer)
        summarise_trainer(t);
    dd_usage u = dd_usage_now();
    printf("process          CPU %.1f s, memory at most %.1f MiB\n", (double)u.cpu_ns / 1e9,
           MIB(u.peak_rss_bytes));
    if (t->settings.config.profile)
        dd_train_profile_print(&t->profile, stdout);
}
