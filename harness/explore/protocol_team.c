/* SPDX-License-Identifier: MIT
 * The program that drives a whole team: the caller opens it, posts requests, checks each by the
 * ledger, and closes it, while others ask for whatever the case says, and whatever it allows goes
 * wrong. */
#include "ledger.h"

#define TRACE_ROOM 48 /* moments of a thread, more than there are from one request to the next */

typedef struct session {
    const dd_team_case *how;
    dd_team *team;
    dd_ledger *ledger;
    uint64_t n_cancelled, n_stopped; /* the caller's: requests so answered */
    /* of whoever changes membership, then the caller's: changes carried out, and workers since */
    uint64_t n_changes, n_workers;
} session;

typedef struct sender {
    session *session;
    const dd_deed *deeds;
    dd_thread thread;
} sender;

/* ---- Deeds ----------------------------------------------------------------------------------- */

static bool has_deed(const dd_deed *deeds, dd_deed_kind kind, dd_command command)
{
    for (; deeds && deeds->kind != DD_DEED_NONE; deeds++)
        if (deeds->kind == kind && (kind != DD_DEED_COMMAND || deeds->command == command))
            return true;
    return false;
}

/* What membership must be after a change that was carried out. */
static void note_change(session *s, const dd_deed *deed)
{
    const dd_spread before = s->how->spread;
    DD_WRITE(&s->n_changes, 2 * sizeof s->n_changes);
    s->n_changes++;
    if (deed->command == DD_COMMAND_SPAWN)
        s->n_workers += deed->n_children - 1;
    else
        s->n_workers -= (before.workers - before.beside) / before.controls - 1;
}

/* An onlooker never sees a state older than one it has seen, and with STOPPED sees all that the
 * threads did before. */
static void see_state(const session *s)
{
    const dd_state before = dd_team_state(s->team), now = dd_team_state(s->team);
    if (before == DD_STATE_STOPPING)
        DD_CHECK(now == DD_STATE_STOPPING || now == DD_STATE_STOPPED,
                 "a stop that was seen is gone", before, now);
    if (before == DD_STATE_STOPPED)
        DD_CHECK(now == DD_STATE_STOPPED, "stopped, and then not", before, now);
    if (now == DD_STATE_STOPPED)
        DD_READ(s->ledger, dd_ledger_bytes_(s->how));
}

/* An onlooker sees only threads that were made: the last is the youngest. */
static void see_threads(const session *s)
{
    dd_thread_report r;
    dd_team_report(s->team, dd_team_n_threads(s->team) - 1, &r);
}

static void do_deeds(session *s, const dd_deed *deeds)
{
    for (; deeds && deeds->kind != DD_DEED_NONE; deeds++) {
        if (deeds->kind == DD_DEED_CANCEL) {
            dd_team_cancel(s->team);
            continue;
        }
        if (deeds->kind == DD_DEED_SEE_STATE || deeds->kind == DD_DEED_SEE_THREADS) {
            deeds->kind == DD_DEED_SEE_STATE ? see_state(s) : see_threads(s);
            continue;
        }
        dd_status st =
            dd_team_command(s->team, deeds->command, deeds->place, deeds->n_children, NULL);
        DD_CHECK(st == DD_OK || (st == DD_ERR_REFUSED && s->how->may_refuse) ||
                     ((st == DD_ERR_MEMORY || st == DD_ERR_THREAD) && s->how->may_fail),
                 "a command failed", deeds->command, st);
        if (st == DD_OK &&
            (deeds->command == DD_COMMAND_SPAWN || deeds->command == DD_COMMAND_TERMINATE))
            note_change(s, deeds);
        if (st == DD_OK && deeds->command == DD_COMMAND_PAUSE)
            DD_READ(s->ledger, dd_ledger_bytes_(s->how)); /* nobody moves until it is resumed */
    }
}

static void sender_main(void *arg)
{
    const sender *self = arg;
    do_deeds(self->session, self->deeds);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* What every thread has shown is the caller's now. returns  lanes that were told of */
static uint32_t take_timelines(const session *s)
{
    uint32_t told = 0;
    for (uint32_t t = 0; s->how->trace && t < dd_team_n_threads(s->team); t++) {
        dd_timeline *timeline = dd_team_timeline(s->team, t);
        for (dd_moment m; dd_timeline_take(timeline, &m);)
            if (m.kind == DD_TRACE_ACTIVITY && m.what == DD_AT_LANE)
                told += m.number[1];
        DD_CHECK(dd_timeline_lost(timeline) == 0, "no room on a timeline", t, 0);
    }
    return told;
}

/* No lane is told of twice, and after a request that went through none is missing. */
static void check_timelines(const session *s, dd_status status)
{
    uint32_t lanes = 0;
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        lanes += s->how->lanes >> l & 1;
    const uint32_t told = take_timelines(s);
    DD_CHECK(told <= lanes && (status != DD_OK || told == lanes), "lanes on the timelines", told,
             lanes);
}

static dd_status request(session *s)
{
    const uint64_t begun = dd_ledger_begin_(s->ledger);
    uint32_t culprit = 0, fp_env = 0;
    const dd_status st =
        dd_team_request(s->team, s->how->each ? DD_TEAM_EACH : DD_TEAM_STEP, &culprit, &fp_env);
    DD_CHECK(st == DD_OK || st == DD_ERR_CANCELLED || st == DD_ERR_STOPPED || st == DD_ERR_FP_ENV,
             "unexpected status", st, 0);
    if (st == DD_ERR_FP_ENV)
        DD_CHECK(culprit < dd_team_n_threads(s->team) && fp_env != DD_FP_ENV_DEFAULT,
                 "no culprit named", culprit, fp_env);
    dd_ledger_end_(s->ledger, begun, st);
    if (s->how->trace)
        check_timelines(s, st);
    s->n_cancelled += st == DD_ERR_CANCELLED;
    s->n_stopped += st == DD_ERR_STOPPED;
    return st;
}

/* No thread with children ran a lane, and a change that failed left the old membership. */
static void check_end(const session *s)
{
    dd_thread_report r;
    for (uint32_t t = 0; t < dd_team_n_threads(s->team); t++) {
        dd_team_report(s->team, t, &r);
        DD_CHECK(r.lanes_as_control == 0, "a thread with children ran a lane", t, 0);
        DD_CHECK(t > 0 || r.lanes_done == 0, "Node Zero ran a lane", r.lanes_done, 0);
    }
    DD_CHECK(dd_team_requests(s->team) == s->ledger->begun, "requests are unaccounted for",
             dd_team_requests(s->team), s->ledger->begun);
    dd_membership m;
    dd_team_membership(s->team, &m);
    DD_READ(&s->n_changes, 2 * sizeof s->n_changes);
    DD_CHECK(m.n_changes == s->n_changes && m.hierarchy->n_workers == s->n_workers,
             "membership is not what was asked for", m.n_changes, m.hierarchy->n_workers);
}

/* ---- The program ----------------------------------------------------------------------------- */

/* returns  false if that failed, as the case allows; nothing is then held */
static bool open(session *s)
{
    const dd_team_case *how = s->how;
    const uint32_t max_workers = how->max_workers ? how->max_workers : how->spread.workers;
    const dd_team_options options = {.barrier = how->barrier,
                                     .reduce = how->reduce,
                                     .stealing = how->stealing,
                                     .cores = how->spins ? 2 * max_workers : 1,
                                     .max_workers = max_workers,
                                     .max_segments = dd_ledger_segments_(how),
                                     .n_blocks = DD_LEDGER_BLOCKS,
                                     .trace = how->trace ? TRACE_ROOM : 0,
                                     .generation = how->generation};
    const dd_work work = dd_ledger_work_(s->ledger);
    dd_ledger_open_(s->ledger, how);
    dd_hierarchy *hierarchy;
    dd_status st = dd_spread_open_(how->spread, &hierarchy);
    if (st == DD_OK)
        st = dd_team_open(hierarchy, s->ledger->weight, 1, &work, &options, &s->team);
    DD_CHECK(st == DD_OK || how->may_fail, "opening failed", st, 0);
    return st == DD_OK;
}

/* After the senders' deeds: a stop was answered, a cancel was or stands. */
static void settle(session *s, bool cancelled, bool stopped)
{
    if (stopped) {
        DD_CHECK(dd_team_state(s->team) == DD_STATE_STOPPED, "not stopped", 0, 0);
        DD_CHECK(request(s) == DD_ERR_STOPPED, "stopped, but a request was not", 0, 0);
    }
    do_deeds(s, s->how->last);
    if (cancelled && s->n_cancelled == 0) /* it came after the last lane was begun: it stands */
        request(s);
    DD_CHECK(s->n_cancelled == cancelled, "not as many requests cancelled as cancels",
             s->n_cancelled, cancelled);
    if (s->how->last)
        DD_CHECK(request(s) == DD_OK, "the last request failed", 0, 0);
    DD_CHECK(stopped || s->n_stopped == 0, "stopped, and nobody asked for that", s->n_stopped, 0);
}

void dd_protocol_team_(const void *arg)
{
    static const char *const name[2] = {"sender-0", "sender-1"};
    session s = {.how = arg};
    s.n_workers = s.how->spread.workers;
    while (!(s.ledger = dd_alloc(dd_ledger_bytes_(s.how))))
        continue;
    while (!open(&s))
        continue; /* whatever was to fail has failed now */
    do_deeds(&s, s.how->first);
    (void)take_timelines(&s);

    sender others[2];
    bool cancelled = false, stopped = false;
    for (uint32_t i = 0; i < 2 && s.how->sender[i]; i++) {
        others[i] = (sender){.session = &s, .deeds = s.how->sender[i]};
        cancelled |= has_deed(others[i].deeds, DD_DEED_CANCEL, DD_COMMANDS);
        stopped |= has_deed(others[i].deeds, DD_DEED_COMMAND, DD_COMMAND_STOP);
        dd_thread_create(&others[i].thread, name[i], 0, sender_main, &others[i]);
    }
    for (uint32_t n = 0; n < s.how->steps; n++) {
        request(&s);
        if (n == 0)
            do_deeds(&s, s.how->between);
    }
    for (uint32_t i = 0; i < 2 && s.how->sender[i]; i++)
        dd_thread_join(&others[i].thread);
    settle(&s, cancelled, stopped);
    check_end(&s);
    dd_team_close(s.team);
    dd_free(s.ledger);
}
