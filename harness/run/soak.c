/* SPDX-License-Identifier: MIT
 * Rounds, one after another. */
#include "soak.h"

#include "cell_body.h"
#include "progress.h"
#include "sweep_stop.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAY_NS 10000000000u /* between two lines of progress where there is no terminal */

typedef struct execution {
    dd_soak *soak;
    const dd_soak_options *options;
    dd_progress progress;
    uint64_t begin_ns, end_ns, said_ns;
    const char *label;
    uint64_t steps;
} execution;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Room for one more: at powers of two there is none left. */
static bool grow(void **list, size_t n, size_t size)
{
    if (n & (n - 1))
        return true;
    void *more = realloc(*list, (n ? 2 * n : 1) * size);
    if (more)
        *list = more;
    return more != NULL;
}

static bool give_up(execution *x, const char *why)
{
    (void)snprintf(x->soak->message, sizeof x->soak->message, "%s", why);
    return false;
}

/* ---- Progress ---- */

static void show(void *user, uint64_t step)
{
    execution *x = user;
    const uint64_t now = now_ns();
    double left_s = x->end_ns > now ? (double)(x->end_ns - now) * 1e-9 : 0;
    if (x->options->rounds)
        left_s = (double)NAN;
    dd_progress_show(&x->progress, x->soak->sums.rounds + 1, x->options->rounds, x->label, step,
                     x->steps, left_s);
}

static void say_totals(execution *x)
{
    const dd_soak_sums *s = &x->soak->sums;
    x->said_ns = now_ns();
    dd_progress_say(&x->progress,
                    "[%.0f s] %" PRIu64 " rounds, %" PRIu64 " steps, %" PRIu64 " changes, %" PRIu64
                    " pauses, %" PRIu64 " stops; %" PRIu64 " rounds did not pass",
                    (double)(x->said_ns - x->begin_ns) * 1e-9, s->rounds, s->steps, s->changes,
                    s->storm.pauses, s->storm.stops, s->rounds - s->passed - s->skipped);
}

static void say_failure(execution *x, const dd_round *round, dd_verdict verdict, const dd_run *run,
                        const dd_check_row *check)
{
    size_t n, i = 0;
    const dd_check *checks = dd_checks(&n);
    while (i + 1 < n && (!check[i].applies || check[i].verdict != verdict))
        i++;
    dd_progress_say(&x->progress,
                    "round %" PRIu64 ": %s (%.1f s) %s%s%s\n  %s\n  again: %s%" PRIu64,
                    x->soak->sums.rounds, dd_verdict_name(verdict), (double)run->wall_ns * 1e-9,
                    run->outcome == DD_RUN_ENDED ? checks[i].name : "",
                    run->outcome == DD_RUN_ENDED ? ": " : "", check[i].reason, round->label,
                    x->options->command, round->seed);
}

/* ---- One round ---- */

static void run_child(execution *x, const dd_settings *settings, dd_cell_body *body,
                      const char *label, dd_run *run)
{
    x->label = label;
    x->steps = settings->steps;
    dd_cell_job job = {.settings = settings,
                       .body = body,
                       .stop_fd = x->options->stop_fd,
                       .progress = show,
                       .user = x};
    dd_cell_run(&job, run);
    x->soak->interrupted = x->soak->interrupted || run->outcome == DD_RUN_NOT_RUN;
}

/* Finds the round's group, or adds it and runs its oracle.  returns  false: no memory */
static bool find_group(execution *x, const dd_round *round, size_t *at)
{
    dd_soak *soak = x->soak;
    for (*at = 0; *at < soak->n_groups; ++*at)
        if (strcmp(soak->group[*at].shape, round->shape) == 0)
            return true;
    char *shape = strdup(round->shape);
    if (!shape || !grow((void **)&soak->group, soak->n_groups, sizeof *soak->group)) {
        free(shape);
        return false;
    }
    dd_settings settings = round->settings;
    settings.perturb = 0;
    settings.hog = 0;
    settings.plant = DD_PLANT_NONE;
    dd_soak_group *group = &soak->group[soak->n_groups];
    *group = (dd_soak_group){.shape = shape};
    run_child(x, &settings, dd_cell_body_serial, "oracle", &group->oracle);
    soak->n_groups++;
    soak->oracles++;
    return true;
}

static void add(dd_soak_sums *sums, const dd_run *run, dd_verdict verdict)
{
    const dd_storm_done *s = &run->end.storm;
    sums->rounds++;
    sums->passed += verdict == DD_PASS;
    sums->skipped += verdict == DD_SKIP;
    sums->steps += run->n_steps;
    sums->changes += run->end.info.n_changes;
    sums->perturbations += run->perturbations;
    sums->storm.pauses += s->pauses;
    sums->storm.stops += s->stops;
    sums->storm.cancels += s->cancels;
    sums->storm.checkpoints += s->checkpoints;
    sums->storm.rebalances += s->rebalances;
    sums->storm.refused += s->refused;
    sums->storm.cut += s->cut;
}

static bool keep_row(dd_soak *soak, const dd_round *round, size_t group, dd_verdict verdict,
                     const dd_run *run)
{
    char *label = strdup(round->label);
    if (!label || !grow((void **)&soak->row, soak->n_rows, sizeof *soak->row)) {
        free(label);
        return false;
    }
    soak->row[soak->n_rows++] = (dd_soak_row){.verdict = verdict,
                                              .group = (uint32_t)group,
                                              .seed = round->seed,
                                              .steps = run->n_steps,
                                              .wall_ns = run->wall_ns,
                                              .label = label};
    return true;
}

/* Takes the run over, where it is kept. */
static bool keep_failure(dd_soak *soak, const dd_round *round, dd_verdict verdict, dd_run *run,
                         const dd_check_row *check)
{
    if (soak->n_failures == DD_SOAK_KEPT)
        return true;
    if (!grow((void **)&soak->failure, soak->n_failures, sizeof *soak->failure))
        return false;
    dd_soak_failure *f = &soak->failure[soak->n_failures++];
    *f = (dd_soak_failure){
        .number = soak->sums.rounds - 1, .round = *round, .run = *run, .verdict = verdict};
    memcpy(f->check, check, sizeof f->check);
    f->run.end.info.kernels = f->run.end.info.guard_why = NULL; /* they pointed into *run */
    *run = (dd_run){0};
    return true;
}

/* returns  false: the soak cannot go on */
static bool run_round(execution *x)
{
    dd_soak *soak = x->soak;
    dd_round round;
    dd_run run = {0};
    dd_check_row check[DD_CHECKS_MAX];
    size_t at;
    if (!dd_round_draw(soak->scenario, soak->seed + soak->sums.rounds, &round, soak->message))
        return false;
    if (!find_group(x, &round, &at))
        return give_up(x, "out of memory");
    if (soak->interrupted)
        return false;
    run_child(x, &round.settings, x->options->train ? x->options->train : dd_cell_body_train,
              round.label, &run);
    if (soak->interrupted) {
        dd_run_clear(&run);
        return false;
    }
    const dd_verdict verdict =
        dd_checks_judge(&round.settings, &run, &soak->group[at].oracle, NULL, check);
    const bool failed = verdict > DD_SKIP;
    if (failed)
        say_failure(x, &round, verdict, &run, check);
    bool kept = keep_row(soak, &round, at, verdict, &run);
    add(&soak->group[at].sums, &run, verdict);
    add(&soak->sums, &run, verdict);
    if (verdict != DD_PASS)
        kept = keep_failure(soak, &round, verdict, &run, check) && kept;
    dd_run_clear(&run);
    soak->wall_ns = now_ns() - x->begin_ns;
    const bool due = now_ns() - x->said_ns >= SAY_NS;
    if (x->options->on_round && (failed || due))
        x->options->on_round(x->options->user, soak);
    if (due && !x->options->terminal)
        say_totals(x);
    return kept || give_up(x, "out of memory");
}

void dd_soak_run(const dd_scenario *scenario, const dd_soak_options *options, dd_soak *out)
{
    *out = (dd_soak){.scenario = scenario,
                     .minutes = options->minutes,
                     .seed = options->seed,
                     .command = options->command,
                     .started = time(NULL)};
    execution x = {.soak = out,
                   .options = options,
                   .progress = {.out = options->log, .terminal = options->terminal},
                   .begin_ns = now_ns()};
    x.said_ns = x.begin_ns;
    x.end_ns = x.begin_ns + (uint64_t)(options->minutes * 60e9);
    while ((options->rounds ? out->sums.rounds < options->rounds : now_ns() < x.end_ns)) {
        out->interrupted = out->interrupted || dd_stop_asked(options->stop_fd);
        if (out->interrupted || !run_round(&x))
            break;
    }
    dd_progress_clear(&x.progress);
    out->wall_ns = now_ns() - x.begin_ns;
    if (options->on_round)
        options->on_round(options->user, out);
}

void dd_soak_close(dd_soak *soak)
{
    for (size_t i = 0; i < soak->n_groups; i++) {
        dd_run_clear(&soak->group[i].oracle);
        free(soak->group[i].shape);
    }
    for (size_t i = 0; i < soak->n_rows; i++)
        free(soak->row[i].label);
    for (size_t i = 0; i < soak->n_failures; i++)
        dd_run_clear(&soak->failure[i].run);
    free(soak->group);
    free(soak->row);
    free(soak->failure);
    *soak = (dd_soak){0};
}

dd_verdict dd_soak_verdict(const dd_soak *soak)
{
    dd_verdict worst = DD_SKIP;
    for (size_t i = 0; i < soak->n_rows; i++)
        worst = dd_verdict_join(worst, soak->row[i].verdict);
    return worst;
}
