/* SPDX-License-Identifier: MIT
 * A worker between A and B: which lanes it runs into which segments, and the folds that are its
 * own. By the plan, or when stealing is on, from queues: its own, then those of its siblings. Lanes
 * of a bundle begin together, or none does; all that is counted or measured is of lanes. */
#include <assert.h>

#include "edges.h"
#include "inside.h"

/* Before n lanes. Once a worker has skipped a lane it skips all others too, and every value it
 * posts from then on lacks one of them. */
static bool skips_lanes(dd_member *self, bool skipping, uint32_t n)
{
    if (!skipping && dd_u32_load(&self->team->cancel, DD_RELAXED))
        skipping = self->report.cancelled = true;
    if (skipping)
        dd_tally_add(&self->health.lanes_cancelled, n);
    return skipping;
}

/* What a worker ran in a step. */
typedef struct amount {
    uint64_t tokens, ns;
} amount;

/* The time since the last is shared out by tokens to n non-empty lanes from `lane` on; what is over
 * is the last one's. */
static void share_time(dd_member *self, uint32_t lane, uint32_t n, amount *done)
{
    const uint64_t *weight = self->team->weight;
    uint64_t ns = dd_member_worked_(self), tokens = 0;
    for (uint32_t l = lane, k = 0; k < n; l++) {
        tokens += weight[l];
        k += weight[l] > 0;
    }
    done->tokens += tokens;
    done->ns += ns;
    const uint64_t token_ns = ns / tokens;
    for (; n > 0; lane++) {
        if (!weight[lane])
            continue;
        const uint64_t lane_ns = n > 1 ? token_ns * weight[lane] : ns;
        self->team->lane_ns[lane] = lane_ns;
        ns -= lane_ns;
        n--;
    }
}

/* So many lanes were run in the time since the last. */
static void lanes_done(dd_member *self, uint32_t lane, uint32_t n, amount *done)
{
    const bool control = self->formation->hierarchy->sphere[self->sphere].n_children > 0;
    dd_tally_add(&self->health.lanes_done, n);
    dd_tally_add(&self->health.lanes_as_control, control ? n : 0);
    dd_tally_add(&self->health.heartbeat, n);
    dd_member_at_(self, DD_AT_FOLDS, 0);
    share_time(self, lane, n, done);
}

/* Speed of lanes, smoothed: a single step moves it by a quarter at most. */
static void measured(dd_member *self, const amount *done)
{
    if (!done->tokens || !done->ns)
        return;
    const double before = self->report.speed, now = (double)done->tokens / (double)done->ns;
    if (!(before > 0))
        self->report.speed = now;
    else if (now > before)
        self->report.speed = now < 1.25 * before ? now : 1.25 * before;
    else
        self->report.speed = now > 0.75 * before ? now : 0.75 * before;
}

/* ---- By the plan ---- */

static void own_fold(dd_member *self, const dd_op *op)
{
    const dd_work *work = &self->team->work;
    const uint64_t begin = dd_timeline_begin(&self->timeline);
    work->fold(work->user, self->number, op->into, op->from);
    self->folder.n_folds++;
    dd_timeline_end(&self->timeline, DD_TRACE_FOLD, 0, begin, DD_NO_NODE, op->into, op->from);
}

static void run_plan(dd_member *self, bool skipping)
{
    const dd_formation *f = self->formation;
    const dd_work *work = &self->team->work;
    amount done = {0};
    uint32_t n_ops, root;
    const dd_op *ops = dd_plan_ops(f->plan, self->worker, &n_ops);
    for (const dd_op *op = ops; op < ops + n_ops; op++) {
        switch (op->kind) {
        case DD_OP_RUN_STORE:
        case DD_OP_RUN_FOLD:
            skipping = skips_lanes(self, skipping, op->n_lanes);
            if (skipping)
                break;
            dd_member_worked_(self); /* folds are none of the lane's time */
            dd_member_at_(self, DD_AT_LANE, op->lane);
            dd_timeline_amount(&self->timeline, op->n_lanes, op->kind == DD_OP_RUN_FOLD);
            work->lane(work->user, self->worker, op->lane, op->n_lanes, op->into,
                       op->kind == DD_OP_RUN_FOLD);
            self->folder.n_folds += op->kind == DD_OP_RUN_FOLD;
            lanes_done(self, op->lane, op->n_lanes, &done);
            break;
        case DD_OP_FOLD:
            if (skipping)
                break;
            own_fold(self, op);
            break;
        case DD_OP_POST:
            if (dd_combine_arrive(f->combine, op->node, op->right, op->acting,
                                  skipping ? DD_NO_SEGMENT : op->from, &self->folder, NULL, NULL,
                                  &root))
                dd_act_root_(self, root);
            break;
        }
    }
    measured(self, &done);
}

/* ---- From queues ---- */

/* A segment is of no more use in this step. Another worker's stays unused until the next. */
static void segment_freed(void *arg, uint32_t segment)
{
    dd_member *self = arg;
    uint32_t first, n = dd_plan_segments(self->formation->plan, self->worker, &first);
    if (segment - first < n)
        self->free_segment[self->n_free++] = segment;
}

/* Lanes bring their own segments. */
static bool is_apart(const dd_member *self)
{
    return self->team->options.reduce == DD_REDUCE_OWNER;
}

static uint32_t take_segment(dd_member *self, dd_leaf leaf)
{
    if (leaf.segment != DD_NO_SEGMENT)
        return leaf.segment;
    assert(self->n_free > 0);
    return self->free_segment[--self->n_free];
}

/* Runs a lane, own or stolen, and hands it to the fold tree. If it is the right operand of what
 * this worker handed in last, its products do the fold. */
static bool run_queued(dd_member *self, uint32_t lane, bool skipping, amount *done)
{
    const dd_formation *f = self->formation;
    const dd_work *work = &self->team->work;
    dd_folder *folder = &self->folder;
    const dd_leaf leaf = dd_plan_leaf(f->plan, lane);
    skipping = skips_lanes(self, skipping, 1);
    const bool resume =
        !skipping && leaf.right && leaf.node != DD_NO_NODE && leaf.node == folder->waits_at;
    uint32_t segment = DD_NO_SEGMENT;
    if (!skipping) {
        segment = resume ? folder->waiting : take_segment(self, leaf);
        dd_member_worked_(self);
        dd_member_at_(self, DD_AT_LANE, lane);
        dd_timeline_amount(&self->timeline, 1, resume);
        work->lane(work->user, self->worker, lane, 1, segment, resume);
        lanes_done(self, lane, 1, done);
    }
    uint32_t root;
    folder->n_folds += resume;
    if (resume
            ? dd_combine_resume(f->combine, leaf.node, segment, folder, segment_freed, self, &root)
            : dd_combine_arrive(f->combine, leaf.node, leaf.right, leaf.acting, segment, folder,
                                segment_freed, self, &root))
        dd_act_root_(self, root);
    return skipping;
}

static void run_queues(dd_member *self, bool skipping)
{
    const dd_formation *f = self->formation;
    uint32_t lane, victim, n, first;
    const uint32_t *lanes;
    self->n_free = 0;
    n = dd_plan_segments(f->plan, self->worker, &first);
    while (!is_apart(self) && n-- > 0)
        self->free_segment[self->n_free++] = first + n;
    self->folder.waits_at = DD_NO_NODE;

    amount done = {0};
    while (dd_queues_take(f->queues, self->worker, &lane))
        skipping = run_queued(self, lane, skipping, &done);
    /* A stolen subtree takes one segment, unless it has its own; cancelled lanes take none, and are
     * left to their owners. */
    while (!skipping && (is_apart(self) || self->n_free > 0) &&
           (n = dd_queues_steal(f->queues, self->worker, &lanes, &victim)) > 0) {
        dd_tally_add(&self->health.steals, n);
        for (uint32_t i = 0; i < n; i++)
            skipping = run_queued(self, lanes[i], skipping, &done);
    }
    measured(self, &done);
}

/* ---- Both ---- */

void dd_lanes_step_(dd_member *self, bool skipping)
{
    if (self->team->options.stealing)
        run_queues(self, skipping);
    else
        run_plan(self, skipping);
    dd_tally_set(&self->health.folds, self->folder.n_folds);
}

void dd_lanes_refill_(dd_member *self)
{
    if (self->team->options.stealing)
        dd_queues_fill(self->formation->queues, self->worker);
}

void dd_lanes_each_(dd_member *self, bool skipping)
{
    const dd_plan *plan = self->formation->plan;
    const dd_work *work = &self->team->work;
    amount done = {0}; /* forward alone is no measure of a step's speed */
    uint32_t n, first_segment;
    const uint32_t *lanes = dd_plan_lanes(plan, self->worker, &n);
    dd_plan_segments(plan, self->worker, &first_segment);
    for (uint32_t i = 0; i < n; i++) {
        skipping = skips_lanes(self, skipping, 1);
        if (skipping)
            continue;
        dd_member_worked_(self);
        dd_member_at_(self, DD_AT_LANE, lanes[i]);
        dd_timeline_amount(&self->timeline, 1, 0);
        work->each(work->user, self->worker, lanes[i], first_segment);
        lanes_done(self, lanes[i], 1, &done);
    }
}
