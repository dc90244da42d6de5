/* SPDX-License-Identifier: MIT
 * The program that drives a whole team: the caller opens it, posts requests, checks each by the
 * ledger, and closes it, while whatever the case allows goes wrong. */
#include "ledger.h"

/* The one thread that no contract lets anybody share: it only cancels. */
static void canceller_main(void *arg)
{
    dd_team_cancel(arg);
}

static dd_status request(dd_team *team, dd_ledger *l)
{
    dd_ledger_begin_(l);
    uint32_t culprit = 0, fp_env = 0;
    dd_status st =
        dd_team_request(team, l->how->each ? DD_TEAM_EACH : DD_TEAM_STEP, &culprit, &fp_env);
    DD_CHECK(st == DD_OK || st == DD_ERR_CANCELLED || st == DD_ERR_FP_ENV, "unexpected status", st,
             0);
    if (st == DD_ERR_FP_ENV)
        DD_CHECK((culprit < l->how->workers || culprit == DD_NODE_ZERO) &&
                     fp_env != DD_FP_ENV_DEFAULT,
                 "no culprit named", culprit, fp_env);
    dd_ledger_end_(l, st);
    return st;
}

/* Node Zero runs no lane, and every lane is either done or cancelled. */
static void check_counters(dd_team *team, const dd_ledger *l, uint64_t n_requests)
{
    dd_worker_counters c;
    uint64_t n = 0, n_lanes = (uint64_t)__builtin_popcount(l->how->lanes);
    for (uint32_t w = 0; w < l->how->workers; w++) {
        dd_team_counters(team, w, &c);
        n += c.lanes_done + c.lanes_cancelled;
    }
    DD_CHECK(n == n_requests * n_lanes, "lanes are unaccounted for", n, n_requests * n_lanes);
    dd_team_counters(team, DD_NODE_ZERO, &c);
    DD_CHECK(c.lanes_done + c.lanes_cancelled == 0, "Node Zero ran a lane", c.lanes_done, 0);
    DD_CHECK(dd_team_requests(team) == n_requests, "requests are unaccounted for",
             dd_team_requests(team), n_requests);
}

/* Opens plan and team.  returns false if that failed, as the case allows; nothing is then held */
static bool open(dd_ledger *l, const dd_team_case *how, dd_team **team)
{
    dd_status st = dd_ledger_open_(l, how);
    if (st == DD_OK) {
        const dd_team_options options = {.barrier = how->barrier,
                                         .reduce = how->reduce,
                                         .may_spin = how->may_spin,
                                         .generation = how->generation};
        const dd_work work = dd_ledger_work_(l);
        st = dd_team_open(l->plan, l->share, &work, &options, team);
        if (st != DD_OK)
            dd_ledger_close_(l);
    }
    DD_CHECK(st == DD_OK || how->may_not_open, "opening failed", st, 0);
    return st == DD_OK;
}

void dd_protocol_team_(const void *arg)
{
    const dd_team_case *how = arg;
    dd_ledger *l;
    dd_team *team;
    while (!(l = dd_alloc(sizeof *l)))
        continue;
    while (!open(l, how, &team))
        continue; /* whatever was to fail has failed now */

    dd_thread canceller;
    if (how->cancel)
        dd_thread_create(&canceller, "canceller", 0, canceller_main, team);
    uint64_t n_requests = 0, n_cancelled = 0;
    for (; n_requests < how->steps; n_requests++)
        n_cancelled += request(team, l) == DD_ERR_CANCELLED;
    if (how->cancel) {
        dd_thread_join(&canceller);
        if (n_cancelled == 0) { /* it came after the last lane was begun: it stands */
            n_cancelled += request(team, l) == DD_ERR_CANCELLED;
            n_requests++;
        }
        DD_CHECK(n_cancelled == 1, "one cancel, but not one request cancelled", n_cancelled, 1);
    }
    check_counters(team, l, n_requests);
    dd_team_close(team);
    dd_ledger_close_(l);
    dd_free(l);
}
