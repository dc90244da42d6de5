/* SPDX-License-Identifier: MIT
 * Runs single executions. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "execution.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "states.h"

#define REHEARSALS 300
#define REHEARSED_STEPS 12000 /* in all of them */

uint64_t dd_dice_roll(dd_dice *d)
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t dd_dice_below(dd_dice *d, uint32_t n)
{
    return (uint32_t)((dd_dice_roll(d) >> 32) * n >> 32);
}

double dd_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void dd_schedule_add(dd_schedule *s, dd_choice choice)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 256;
        s->choice = dd_states_memory(s->choice, s->room * sizeof *s->choice);
    }
    s->choice[s->n++] = choice;
}

void dd_schedule_release(dd_schedule *s)
{
    free(s->choice);
    *s = (dd_schedule){0};
}

static bool has_failed(void)
{
    return dd_world_failure()->verdict != DD_EXPLORE_PASS;
}

static void record(dd_execution *e, const dd_options_now *now, uint32_t index)
{
    if (e->n == e->room) {
        e->room = e->room ? 2 * e->room : 256;
        e->step = dd_states_memory(e->step, e->room * sizeof *e->step);
        e->index = dd_states_memory(e->index, e->room * sizeof *e->index);
    }
    const dd_choice choice = now->choice[index];
    e->step[e->n] = (dd_step){.choice = choice, .event = *dd_world_event(choice.fibre)};
    e->index[e->n] = index;
    e->changes += choice.spurious || (choice.fibre != now->last && !now->choice[0].spurious &&
                                      now->choice[0].fibre == now->last);
}

static void note_result(dd_step *s)
{
    s->result = dd_world_result();
    if (s->event.kind == DD_EVENT_CREATE)
        (void)snprintf(s->name, sizeof s->name, "%s", dd_world_fibre_name((uint32_t)s->result));
}

static dd_end run_once(dd_pick_fn *pick, void *user, dd_execution *e)
{
    dd_choice choice[DD_CHOICES];
    dd_options_now now = {.choice = choice};
    e->n = e->changes = 0;
    e->n_fibres = 0;
    while (!has_failed()) {
        if (e->n_fibres < dd_world_n_fibres())
            e->n_fibres = dd_world_n_fibres();
        now.n = dd_world_choices(now.last, choice, &now.n_spurious);
        if (has_failed())
            break;
        if (dd_world_ended()) {
            dd_world_check_end();
            return has_failed() ? DD_END_FAILED : DD_END_PASSED;
        }
        if (now.n == now.n_spurious) {
            dd_world_fail_stuck();
            break;
        }
        if (e->n == DD_EXECUTION_STEPS) {
            dd_world_fail_endless(DD_EXECUTION_STEPS);
            break;
        }
        now.step = e->n;
        const uint32_t index = pick(user, &now);
        if (index >= now.n)
            return has_failed() ? DD_END_FAILED : DD_END_BROKEN_OFF;
        record(e, &now, index);
        dd_world_step(choice[index]);
        note_result(&e->step[e->n++]);
        now.last = choice[index].fibre;
    }
    return DD_END_FAILED;
}

dd_end dd_execution_run(const dd_stage *stage, dd_pick_fn *pick, void (*again)(void *user),
                        void *user, dd_execution *e)
{
    for (;;) {
        dd_world_start(stage->program, stage->mode);
        const dd_end end = run_once(pick, user, e);
        if (!dd_world_sharing_grew())
            return end;
        if (again)
            again(user);
    }
}

void dd_execution_release(dd_execution *e)
{
    free(e->step);
    free(e->index);
    *e = (dd_execution){0};
}

/* ---- Rehearsal ------------------------------------------------------------------------------- */

static uint32_t pick_any(void *user, const dd_options_now *now)
{
    return dd_dice_below(user, now->n - now->n_spurious);
}

void dd_stage_rehearse(const dd_stage *stage)
{
    dd_dice dice = {1};
    dd_execution e = {0};
    dd_world_forget_sharing();
    for (uint64_t k = 0, steps = 0; k < REHEARSALS && steps < REHEARSED_STEPS; k++) {
        dd_world_start(stage->program, stage->mode);
        run_once(pick_any, &dice, &e);
        steps += e.n;
    }
    (void)dd_world_sharing_grew();
    dd_execution_release(&e);
}

/* ---- Repetition ------------------------------------------------------------------------------ */

typedef struct repetition {
    const dd_choice *choice;
    uint64_t n;
} repetition;

static uint32_t pick_same(void *user, const dd_options_now *now)
{
    const repetition *r = user;
    if (now->step >= r->n)
        return DD_PICK_NONE;
    const dd_choice want = r->choice[now->step];
    for (uint32_t i = 0; i < now->n; i++)
        if (now->choice[i].fibre == want.fibre && now->choice[i].alternative == want.alternative &&
            now->choice[i].spurious == want.spurious)
            return i;
    return DD_PICK_NONE;
}

dd_end dd_execution_repeat(const dd_stage *stage, const dd_choice *choice, uint64_t n,
                           dd_execution *e)
{
    repetition r = {choice, n};
    return dd_execution_run(stage, pick_same, NULL, &r, e);
}
