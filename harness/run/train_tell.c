/* SPDX-License-Identifier: MIT
 * The words of `dodeca train`. Decides nothing. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell_body.h"
#include "platform.h"
#include "progress.h"
#include "train.h"
#include "train_line.h"

#define MIB(bytes) ((double)(bytes) / 0x1p20)

uint64_t dd_train_last(const dd_train *t)
{
    return t->stop_after == DD_TRAIN_TO_THE_END ? t->settings.steps : t->stop_after;
}

double dd_train_tokens_per_s(const dd_train *t)
{
    const dd_config *c = &t->settings.config;
    const double tokens = (double)(t->done - t->began) * c->batch * c->seq;
    return t->step_ns ? tokens * 1e9 / (double)t->step_ns : 0;
}

double dd_train_bits(const dd_train *t, double nats)
{
    return strncmp(t->used, "bytes:", 6) == 0 ? nats / log(2) : (double)NAN;
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
           : c->micro_batch             ? " (auto, with micro-batches)"
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
    if (i.micro_batch)
        fprintf(stderr,
                "micro-batches: %u sequence%s of a lane at a time%s; gradients of lanes in work "
                "%.1f MiB\n",
                i.micro_batch, plural(i.micro_batch), c->micro_batch ? "" : ", by --memory-limit",
                MIB(i.lanes_bytes));
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

uint64_t dd_train_validation_batches(const dd_train *t)
{
    const dd_config *c = &t->settings.config;
    dd_data_split split = {0};
    (void)dd_data_split_get(t->data, c->seq, c->batch, &split, NULL);
    const uint64_t all = split.validation_windows / c->batch;
    return t->validation_batches < all ? t->validation_batches : all;
}

/* Steps at the speed of the latest ones, and validations as long as the last one was. */
double dd_train_left_s(const dd_train *t)
{
    const uint64_t last = dd_train_last(t), every = t->validate_every;
    uint64_t validations = last > t->done && t->validation_batches;
    if (every) /* those after whole multiples, and one at the end */
        validations = last / every - t->done / every + (last % every && last > t->done);
    return ((double)(last - t->done) * t->recent_ns +
            (double)validations * (double)t->validation_ns) /
           1e9;
}

void dd_train_progress(dd_train *t)
{
    const uint64_t now = dd_now_ns(), least = t->terminal ? 100000000u : 1000000000u;
    const dd_config *c = &t->settings.config;
    if (t->json || (now - t->shown_ns < least && t->done != dd_train_last(t)))
        return;
    t->shown_ns = now;
    const dd_train_line line = {
        .done = t->done,
        .last = dd_train_last(t),
        .loss = t->last.loss,
        .validation = t->validation,
        .bits = dd_train_bits(t, t->validation),
        .lr = (double)t->last.lr,
        .norm = t->last.norm,
        .tokens_per_s = (double)c->batch * c->seq * 1e9 / t->recent_ns,
        .left_s = dd_train_left_s(t),
    };
    char text[256];
    const size_t columns = t->terminal ? (size_t)dd_progress_columns(stderr) - 1 : 0;
    (void)dd_train_line_format(&line, columns, text, sizeof text);
    fprintf(stderr, "%s%s%s", t->terminal ? "\r" : "", text, t->terminal ? "\033[K" : "\n");
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

void dd_train_status(dd_train *t, uint64_t now_ns)
{
    dd_train_close_line(t);
    dd_train_json_health(t, now_ns);
    if (!t->json)
        dd_health_print(t->health, t->done, now_ns, stderr);
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

/* "1.3456", ", 1.941 bits per byte" where a token is a byte */
static void print_nats(const dd_train *t, double nats)
{
    const double bits = dd_train_bits(t, nats);
    printf("%.4f", dd_unsigned_nan(nats));
    if (isfinite(bits))
        printf(", %.3f bits per byte", bits);
}

static void print_validation(const dd_train *t)
{
    if (!t->validated && !t->why_not[0])
        return;
    printf("validation loss  ");
    if (t->validated)
        print_nats(t, t->validation);
    else
        printf("none: %s", t->why_not);
    if (t->validated && t->validated_done != t->done) /* something ended the run early */
        printf(", after %" PRIu64 " steps", t->validated_done);
    putchar('\n');
    if (isnan(t->best) || t->best_done == t->validated_done)
        return;
    printf("best validation  ");
    print_nats(t, t->best);
    printf(", after %" PRIu64 " steps\n", t->best_done);
}

void dd_train_end(const dd_train *t)
{
    dd_data_info info;
    dd_data_info_get(t->data, &info);
    printf("steps            %" PRIu64 " of %" PRIu64 "\n", t->done, t->settings.steps);
    if (t->discarded)
        printf("discarded        %" PRIu64 " steps were not finite\n", t->discarded);
    if (t->done > t->began && isfinite(info.floor_nats))
        printf("loss             %.4f nats per token (floor %.4f)\n", dd_unsigned_nan(t->last.loss),
               info.floor_nats);
    else if (t->done > t->began)
        printf("loss             %.4f nats per token\n", dd_unsigned_nan(t->last.loss));
    print_validation(t);
    printf("tokens/s         %.0f\n", dd_train_tokens_per_s(t));
    if (t->trainer)
        summarise_trainer(t);
    dd_usage u = dd_usage_now();
    printf("process          CPU %.1f s, memory at most %.1f MiB\n", (double)u.cpu_ns / 1e9,
           MIB(u.peak_rss_bytes));
    if (t->settings.config.profile)
        dd_train_profile_print(&t->profile, stdout);
}
