/* SPDX-License-Identifier: MIT
 * Node Zero: takes requests and commands from the mailbox in the order they came, runs a generation
 * for each request, and between generations carries commands out. Membership changes in
 * membership.c.
 *
 * From A to U it sleeps where the last to arrive acts for it. After U the caller's request is
 * answered, but not before the policy has had its say: between requests nothing moves by itself. */
#include "command_table.h"
#include "error.h"
#include "inside.h"

/* ---- A generation ---- */

static void release_all(dd_member *self)
{
    dd_points_release(self->formation->points, DD_NODE_ZERO);
}

static void collect_all(dd_member *self, uint32_t point)
{
    const bool until_u = point == DD_WAIT_U || self->team->climb;
    dd_member_at_(self, until_u ? DD_AT_U : DD_AT_B, until_u ? 0 : self->part);
    dd_points_collect(self->formation->points, DD_NODE_ZERO);
    dd_member_waited_(self, point);
    if (until_u)
        dd_member_at_(self, DD_AT_ORDERS, 0);
    self->part = DD_PART_LANES;
}

void dd_node_zero_publish_(dd_member *self, dd_doing doing, dd_formation *next)
{
    dd_descriptor *d = &self->team->descriptor;
    DD_WRITE(d, sizeof *d);
    *d = (dd_descriptor){.generation = d->generation + 1, .doing = doing, .next = next};
    if (next)
        next->generation = d->generation;
    release_all(self);
    dd_timeline_pass(&self->timeline, d->generation);
    dd_member_enters_(self, d->generation, DD_AT_ORDERS);
}

/* Cuts the slices anew by what they took in the last step. With more workers than cores such times
 * tell of the scheduler, not of the workers. */
static void adapt_slices(dd_team *team)
{
    dd_formation *f = team->formation;
    const dd_hierarchy *h = f->hierarchy;
    if (h->n_workers > team->options.cores || h->n_workers == 1)
        return;
    for (uint32_t w = 0; w < h->n_workers; w++) {
        const dd_report *r = &team->member[f->thread[h->worker[w]]].report;
        DD_READ(r, sizeof *r);
        f->slice_ns[w] = r->slice_ns;
    }
    DD_WRITE(f->slices.first, (f->slices.n_workers + 1) * sizeof *f->slices.first);
    dd_slices_adapt(&f->slices, f->slice_ns);
}

/* From A, released, to U where nobody climbs to the root: Node Zero is there at every point. */
static void cross_points(dd_member *self, dd_doing doing)
{
    const dd_team *team = self->team;
    const bool step = doing == DD_DOING_STEP;
    uint32_t root;
    if (step && team->options.reduce == DD_REDUCE_CONTROL) {
        dd_member_at_(self, DD_AT_COMBINE, 0);
        if (dd_combine_fold_control(self->formation->combine, DD_NODE_ZERO, &self->folder, &root))
            dd_act_root_(self, root);
    }
    if (step && team->slices) {
        self->part = DD_PART_FOLDED;
        dd_act_slices_(self);
        release_all(self);
        collect_all(self, DD_WAIT_B);
    }
    dd_tally_set(&self->health.folds, self->folder.n_folds);
    dd_act_verdict_(self, doing);
    release_all(self);
    dd_member_worked_(self);
    collect_all(self, DD_WAIT_U);
}

/* One generation, from A to U. */
static dd_status run_generation(dd_member *self, dd_request request)
{
    dd_team *team = self->team;
    const dd_doing doing = (dd_doing)request;
    const uint64_t begin_ns = dd_timeline_begin(&self->timeline);
    if (team->work.begin)
        team->work.begin(team->work.user, request);
    if (request == DD_TEAM_STEP)
        adapt_slices(team);
    DD_WRITE(&self->report, sizeof self->report);
    self->report.fp_env = dd_fp_env();
    const uint64_t wall_ns = dd_now_ns(), cpu_ns = dd_thread_cpu_ns();
    self->clock_ns = wall_ns;
    dd_node_zero_publish_(self, doing, NULL);
    collect_all(self, DD_WAIT_B); /* until B; until U, where somebody acts for it */
    const uint64_t idle_cpu_ns = dd_thread_cpu_ns() - cpu_ns;
    team->idle_cpu_ns += idle_cpu_ns;
    if (idle_cpu_ns > team->idle_most_cpu_ns)
        team->idle_most_cpu_ns = idle_cpu_ns;
    team->idle_wall_ns += dd_now_ns() - wall_ns;
    if (!team->climb)
        cross_points(self, doing);
    if (team->work.end)
        team->work.end(team->work.user, request);
    DD_READ(&team->status, sizeof team->status);
    team->n_requests++;
    dd_timeline_end(&self->timeline, DD_TRACE_REQUEST, request != DD_TEAM_STEP, begin_ns,
                    team->status, 0, 0);
    dd_tally_set(&self->health.cpu_ns, dd_thread_cpu_ns());
    return team->status;
}

/* ---- States ---- */

static dd_state state_of(const dd_team *team)
{
    return (dd_state)dd_u32_load(&team->state, DD_RELAXED); /* Node Zero's own stores */
}

static void state_set(dd_team *team, dd_state state)
{
    dd_u32_store(&team->state, state, DD_RELEASE); /* partner: dd_team_state */
}

/* Where an epoch ends and a pause was asked for. */
static void pause_at_epoch_end(dd_team *team)
{
    if (!team->until_epoch_end || !team->at_epoch_end)
        return;
    team->until_epoch_end = false;
    state_set(team, DD_STATE_PAUSED);
}

/* ---- Requests ---- */

static void answer(dd_team *team, dd_order_mail *m, dd_status status)
{
    DD_WRITE(&m->reply, sizeof m->reply);
    m->reply.status = status;
    if (status == DD_ERR_FP_ENV) {
        m->reply.culprit = team->culprit;
        m->reply.fp_env = team->fp_env;
    }
    dd_timeline_show(&team->member[DD_NODE_ZERO].timeline);
    dd_mailbox_answer(&team->mailbox, &m->mail);
}

/* The cancel that stands has been answered for, as have all asked before. */
static void cancel_answered(dd_team *team)
{
    dd_u32_fetch_add(&team->cancel, -DD_CANCEL_ASKED, DD_RELAXED);
}

/* What follows a step that went through: an epoch's end, a change by the policy. */
static void after_step(dd_member *self)
{
    dd_team *team = self->team;
    if (team->work.epoch_ended)
        team->at_epoch_end = team->work.epoch_ended(team->work.user);
    pause_at_epoch_end(team);
    if (team->options.automatic && !dd_u32_load(&team->cancel, DD_RELAXED)) /* a stop goes first */
        dd_membership_decide_(self);
}

/* The request held, if there is one: runs it, refuses it or leaves it held, as the state is. */
static void serve_held(dd_member *self)
{
    dd_team *team = self->team;
    dd_order_mail *m = team->held;
    if (!m)
        return;
    dd_status status;
    switch (state_of(team)) {
    case DD_STATE_PAUSED:
        if (!(dd_u32_load(&team->cancel, DD_RELAXED) & DD_CANCEL_ASKED))
            return;
        status = DD_ERR_CANCELLED;
        break;
    case DD_STATE_STOPPED:
        status = DD_ERR_STOPPED;
        break;
    default:
        state_set(team, DD_STATE_RUNNING);
        status = run_generation(self, m->request);
        if (status == DD_OK && m->request == DD_TEAM_STEP)
            after_step(self);
        break;
    }
    if (status == DD_ERR_CANCELLED)
        cancel_answered(team);
    team->held = NULL;
    answer(team, m, status);
}

/* ---- Commands ---- */

/* keep and back. */
static dd_status call_back(const dd_team *team, dd_order_mail *m,
                           dd_status (*command)(void *user, dd_error *error))
{
    if (!command)
        return dd_error_set(&m->reply.error, DD_ERR_REFUSED,
                            "%s refused: there is nothing to keep here",
                            dd_command_name(m->command));
    return command(team->work.user, &m->reply.error);
}

/* What a legal command does besides changing the state. */
static dd_status carry_out(dd_member *self, dd_order_mail *m)
{
    dd_team *team = self->team;
    switch (m->command) {
    case DD_COMMAND_CHECKPOINT:
        return call_back(team, m, team->work.keep);
    case DD_COMMAND_RESTORE: {
        const dd_status st = call_back(team, m, team->work.back);
        team->at_epoch_end &= st != DD_OK; /* the last step is not the one before the next */
        return st;
    }
    case DD_COMMAND_REBALANCE:
        return dd_membership_rebalance_(self, &m->reply.error);
    case DD_COMMAND_SPAWN:
        return dd_membership_spawn_(self, m->place, m->n_children, &m->reply.error);
    case DD_COMMAND_TERMINATE:
        return dd_membership_terminate_(self, m->place, &m->reply.error);
    case DD_COMMAND_START_EPOCH:
        team->until_epoch_end = true;
        team->at_epoch_end = false; /* the next step begins another */
        return DD_OK;
    case DD_COMMAND_END_EPOCH:
        team->until_epoch_end = true;
        return DD_OK;
    case DD_COMMAND_STOP:
    case DD_COMMAND_START:
        team->until_epoch_end = false;
        return DD_OK;
    default:
        return DD_OK;
    }
}

static void run_command(dd_member *self, dd_order_mail *m)
{
    dd_team *team = self->team;
    const uint64_t begin_ns = dd_timeline_begin(&self->timeline);
    const bool stop = m->command == DD_COMMAND_STOP;
    /* A stop does not stand behind itself. Those counted here were counted before they were posted,
     * so a mail behind this one was, and one that is still to come may be. */
    const uint32_t stops = dd_u32_load(&team->cancel, DD_RELAXED) / DD_STOP_ASKED;
    const dd_state state = stops > stop ? DD_STATE_STOPPING : state_of(team);
    const dd_rule rule = dd_command_rule(state, m->command);
    DD_WRITE(&m->reply, sizeof m->reply);
    dd_status status = DD_OK;
    if (!rule.legal)
        status = dd_error_set(&m->reply.error, DD_ERR_REFUSED, "%s refused: %s",
                              dd_command_name(m->command), rule.why);
    else
        status = carry_out(self, m);
    if (status == DD_OK && rule.next != DD_STATE_STOPPING)
        state_set(team, rule.next);
    if (stop) /* release: whoever sees it gone in dd_team_state sees the state it left */
        dd_u32_fetch_add(&team->cancel, -DD_STOP_ASKED, DD_RELEASE);
    if (m->command == DD_COMMAND_END_EPOCH && status == DD_OK)
        pause_at_epoch_end(team);
    dd_timeline_end(&self->timeline, DD_TRACE_COMMAND, m->command, begin_ns, status, m->place.level,
                    m->place.path);
    answer(team, m, status);
}

/* ---- Life ---- */

void dd_node_zero_main_(dd_member *self)
{
    dd_team *team = self->team;
    for (;;) {
        dd_member_at_(self, DD_AT_MAIL, 0);
        dd_order_mail *m = (dd_order_mail *)dd_mailbox_take(&team->mailbox);
        dd_member_at_(self, DD_AT_ORDERS, 0);
        if (m) {
            DD_READ(m, sizeof *m);
            switch (m->kind) {
            case DD_MAIL_REQUEST:
                team->held = m;
                break;
            case DD_MAIL_COMMAND:
                run_command(self, m);
                break;
            case DD_MAIL_CLOSE:
                dd_node_zero_publish_(self, DD_DOING_END, NULL);
                dd_mailbox_answer(&team->mailbox, &m->mail);
                return;
            }
        }
        serve_held(self);
    }
}
