/* SPDX-License-Identifier: MIT
 * The storm's thread: a plain pthread of the harness. */
#include "storm.h"

#include "random.h"
#include "text.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COMMANDS_MAX = 100000, CHILDREN_MAX = 4 };
#define DELAY_MAX_NS 300000u
#define PURPOSE_STORM 33 /* of random numbers, beside those of random.h and of timetables */

/* One command of the plan. */
typedef struct gust {
    uint64_t step; /* once this one was asked for */
    uint32_t what, where, delay_ns, pause_ns, n_children;
} gust;

struct dd_storm {
    dd_trainer *trainer;
    uint64_t n;
    gust *plan; /* (n) steps ascend */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t asked;     /* under lock: steps asked for */
    bool ended;         /* under lock: no step will come any more */
    bool stopped;       /* under lock: from before a stop until after its start */
    dd_storm_done done; /* the thread's, and the caller's after the join; `cut` is the caller's */
    dd_status failed;   /* likewise */
    dd_error why;
};

bool dd_storm_check(const char *text, char message[DD_MESSAGE_MAX])
{
    char n[24], seed[24], rest;
    uint64_t value;
    if (sscanf(text, "%23[0-9] seed %23[0-9]%c", n, seed, &rest) == 2 && dd_text_uint(n, &value) &&
        value >= 1 && value <= COMMANDS_MAX && dd_text_uint(seed, &value))
        return true;
    return dd_text_refuse(message,
                          "storm \"%.64s\": must be a number of commands, 1 to %d, and their seed, "
                          "such as \"40 seed 7\"",
                          text, COMMANDS_MAX);
}

/* Uniform in [0, n). */
static uint32_t draw(uint32_t random, uint32_t n)
{
    return (uint32_t)((uint64_t)random * n >> 32);
}

static int by_step(const void *left, const void *right)
{
    const gust *a = left, *b = right;
    return a->step < b->step ? -1 : a->step > b->step;
}

static void draw_plan(dd_storm *s, uint64_t seed, uint64_t steps)
{
    const uint32_t span = steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX;
    for (uint64_t i = 0; i < s->n; i++) {
        uint32_t a[4], b[4];
        dd_philox(seed, 2 * i, PURPOSE_STORM, a);
        dd_philox(seed, 2 * i + 1, PURPOSE_STORM, b);
        s->plan[i] = (gust){.step = draw(a[0], span),
                            .what = a[1],
                            .where = a[2],
                            .delay_ns = draw(a[3], DELAY_MAX_NS),
                            .pause_ns = draw(b[0], DELAY_MAX_NS),
                            .n_children = 1 + draw(b[1], CHILDREN_MAX)};
    }
    qsort(s->plan, s->n, sizeof *s->plan, by_step);
}

/* ---- Commands ---- */

static void spend(uint32_t ns)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000000000 + (now.tv_nsec - begin.tv_nsec) < (long)ns);
}

/* Whether the command was carried out; notes what nothing excuses. A sphere may be gone by the
 * time that a command reaches it, a machine may have no threads left: both leave all as it was. */
static bool carried_out(dd_storm *s, dd_status status, const dd_error *error)
{
    if (status == DD_OK)
        return true;
    s->done.refused++;
    if (status != DD_ERR_REFUSED && status != DD_ERR_THREAD && status != DD_ERR_MEMORY &&
        s->failed == DD_OK) {
        s->failed = status;
        s->why = *error;
    }
    return false;
}

static bool command(dd_storm *s, dd_command what)
{
    dd_error error = {""};
    return carried_out(s, dd_trainer_command(s->trainer, what, &error), &error);
}

/* What ends a pause or a stop is never refused. */
static void must_command(dd_storm *s, dd_command what)
{
    dd_error error = {""};
    dd_status status = dd_trainer_command(s->trainer, what, &error);
    if (status != DD_OK && s->failed == DD_OK) {
        s->failed = status;
        s->why = error;
    }
}

static void set_stopped(dd_storm *s, bool stopped)
{
    pthread_mutex_lock(&s->lock);
    s->stopped = stopped;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

/* A sphere as it was a moment ago: a worker to expand, or a control to collapse. */
static bool find_sphere(const dd_storm *s, bool control, uint32_t random, char sphere[16])
{
    dd_sphere_info info;
    uint32_t n = 0;
    for (uint32_t i = 1; dd_trainer_sphere_get(s->trainer, i, false, &info); i++)
        n += !info.parked && info.control == control;
    uint32_t pick = draw(random, n);
    for (uint32_t i = 1; n && dd_trainer_sphere_get(s->trainer, i, false, &info); i++)
        if (!info.parked && info.control == control && pick-- == 0) {
            memcpy(sphere, info.sphere, sizeof info.sphere);
            return strcmp(sphere, "zero") != 0;
        }
    return false;
}

static void change(dd_storm *s, const gust *g, bool collapse)
{
    char sphere[16];
    dd_error error = {""};
    if (!find_sphere(s, collapse, g->where, sphere)) {
        s->done.refused++;
        return;
    }
    dd_status status = collapse ? dd_trainer_terminate(s->trainer, sphere, &error)
                                : dd_trainer_spawn(s->trainer, sphere, g->n_children, &error);
    s->done.changes += carried_out(s, status, &error);
}

static void carry_out(dd_storm *s, const gust *g)
{
    switch (draw(g->what, 9)) {
    case 0:
    case 1:
        if (command(s, DD_COMMAND_PAUSE)) {
            s->done.pauses++;
            spend(g->pause_ns);
            must_command(s, DD_COMMAND_RESUME);
        }
        break;
    case 2:
        set_stopped(s, true);
        must_command(s, DD_COMMAND_STOP);
        s->done.stops++;
        spend(g->pause_ns);
        must_command(s, DD_COMMAND_START);
        set_stopped(s, false);
        break;
    case 3:
        dd_trainer_cancel(s->trainer);
        s->done.cancels++;
        break;
    case 4:
        s->done.checkpoints += command(s, DD_COMMAND_CHECKPOINT);
        break;
    case 5:
        s->done.rebalances += command(s, DD_COMMAND_REBALANCE);
        break;
    default:
        change(s, g, draw(g->where, 2));
        break;
    }
}

static void *blow(void *arg)
{
    dd_storm *s = arg;
    for (uint64_t i = 0; i < s->n; i++) {
        pthread_mutex_lock(&s->lock);
        while (s->asked <= s->plan[i].step && !s->ended)
            pthread_cond_wait(&s->moved, &s->lock);
        pthread_mutex_unlock(&s->lock);
        spend(s->plan[i].delay_ns);
        carry_out(s, &s->plan[i]);
    }
    return NULL;
}

/* ---- For the caller ---- */

static void release(dd_storm *s)
{
    pthread_cond_destroy(&s->moved);
    pthread_mutex_destroy(&s->lock);
    free(s->plan);
    free(s);
}

dd_status dd_storm_open(const char *text, uint64_t steps, dd_trainer *trainer, dd_storm **out,
                        dd_error *error)
{
    uint64_t n = 0, seed = 0;
    char message[DD_MESSAGE_MAX];
    *out = NULL;
    if (!dd_storm_check(text, message) ||
        sscanf(text, "%" SCNu64 " seed %" SCNu64, &n, &seed) != 2) {
        snprintf(error->message, sizeof error->message, "%s", message);
        return DD_ERR_ARGUMENT;
    }
    dd_storm *s = calloc(1, sizeof *s);
    if (s)
        s->plan = calloc(n, sizeof *s->plan);
    if (!s || !s->plan) {
        free(s);
        return DD_ERR_MEMORY;
    }
    s->trainer = trainer;
    s->n = n;
    draw_plan(s, seed, steps);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* inherited: signals are for others */
    int e = pthread_create(&s->thread, NULL, blow, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) {
        snprintf(error->message, sizeof error->message, "storm: %s", strerror(e));
        release(s);
        return DD_ERR_THREAD;
    }
    pthread_setname_np(s->thread, "dd-storm");
    *out = s;
    return DD_OK;
}

dd_status dd_storm_close(dd_storm *s, dd_storm_done *done, dd_error *error)
{
    if (!s)
        return DD_OK;
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    const dd_status failed = s->failed;
    if (done)
        *done = s->done;
    if (failed != DD_OK && error)
        snprintf(error->message, sizeof error->message, "storm: %.480s", s->why.message);
    release(s);
    return failed;
}

void dd_storm_begin(dd_storm *s, uint64_t i)
{
    pthread_mutex_lock(&s->lock);
    s->asked = i + 1;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

bool dd_storm_again(dd_storm *s, dd_status status)
{
    if (status != DD_ERR_STOPPED && status != DD_ERR_CANCELLED)
        return false;
    s->done.cut++;
    pthread_mutex_lock(&s->lock);
    while (s->stopped)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return true;
}
