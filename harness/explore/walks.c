/* SPDX-License-Identifier: MIT
 * Random executions. */
#include "walks.h"

#define RUNS 10000
#define SURVEYS 20   /* uniform walks that measure how long executions are */
#define SPURIOUS 16u /* one step in so many may be a return for no reason */

/* A step of one of the fibres in `set`, all outcomes alike. */
static uint32_t pick_outcome(dd_dice *dice, const dd_options_now *now, uint32_t fibre)
{
    uint32_t first = 0, n = 0;
    for (uint32_t i = 0; i < now->n; i++)
        if (now->choice[i].fibre == fibre) {
            first = n++ ? first : i;
        }
    return first + dd_dice_below(dice, n);
}

/* Those that can move; sleepers only now and then, and once an execution each. */
static uint32_t movable(dd_dice *dice, const dd_options_now *now, uint32_t *returned)
{
    uint32_t set = 0, sleepers = 0;
    for (uint32_t i = 0; i < now->n; i++)
        if (now->choice[i].spurious)
            sleepers |= 1u << now->choice[i].fibre & ~*returned;
        else
            set |= 1u << now->choice[i].fibre;
    return sleepers && dd_dice_below(dice, SPURIOUS) == 0 ? set | sleepers : set;
}

static uint32_t any_of(dd_dice *dice, uint32_t set)
{
    for (uint32_t skip = dd_dice_below(dice, (uint32_t)__builtin_popcount(set)); skip > 0; skip--)
        set &= set - 1;
    return (uint32_t)__builtin_ctz(set);
}

static uint32_t pick(dd_dice *dice, const dd_options_now *now, uint32_t fibre, uint32_t *returned)
{
    const uint32_t index = pick_outcome(dice, now, fibre);
    if (now->choice[index].spurious)
        *returned |= 1u << fibre;
    return index;
}

/* ---- Uniform --------------------------------------------------------------------------------- */

typedef struct uniform {
    dd_dice first, dice;
    uint32_t returned;
} uniform;

static void uniform_again(void *user)
{
    uniform *u = user;
    u->dice = u->first;
    u->returned = 0;
}

static uint32_t pick_uniform(void *user, const dd_options_now *now)
{
    uniform *u = user;
    return pick(&u->dice, now, any_of(&u->dice, movable(&u->dice, now, &u->returned)),
                &u->returned);
}

/* ---- PCT ------------------------------------------------------------------------------------- */

typedef struct pct {
    dd_dice first, dice;
    uint32_t depth, returned;
    uint64_t longest; /* steps among which the changes fall */
    uint64_t priority[DD_FIBRES], change[DD_PCT_DEPTHS];
} pct;

static void pct_again(void *user)
{
    pct *p = user;
    p->dice = p->first;
    p->returned = 0;
    for (uint32_t f = 0; f < DD_FIBRES; f++)
        p->priority[f] = DD_PCT_DEPTHS + (dd_dice_roll(&p->dice) >> 1);
    for (uint32_t i = 0; i + 1 < p->depth; i++)
        p->change[i] = dd_dice_roll(&p->dice) % p->longest;
}

static uint32_t foremost(const pct *p, uint32_t set)
{
    uint32_t best = (uint32_t)__builtin_ctz(set);
    for (uint32_t f = best + 1; f < DD_FIBRES; f++)
        if (set >> f & 1 && p->priority[f] > p->priority[best])
            best = f;
    return best;
}

static uint32_t pick_pct(void *user, const dd_options_now *now)
{
    pct *p = user;
    const uint32_t set = movable(&p->dice, now, &p->returned);
    for (uint32_t i = 0; i + 1 < p->depth; i++)
        if (p->change[i] == now->step)
            p->priority[foremost(p, set)] = i;
    return pick(&p->dice, now, foremost(p, set), &p->returned);
}

double dd_pct_bound(uint32_t threads, uint64_t longest, uint32_t depth)
{
    double bound = threads ? 1.0 / threads : 1;
    for (uint32_t d = 1; d < depth && longest; d++)
        bound /= (double)longest;
    return bound;
}

/* ---- Walks ----------------------------------------------------------------------------------- */

static dd_end walk_uniform(const dd_stage *stage, uint64_t seed, dd_execution *e)
{
    uniform u = {.first = {seed}};
    uniform_again(&u);
    return dd_execution_run(stage, pick_uniform, uniform_again, &u, e);
}

static dd_end walk_pct(const dd_stage *stage, uint64_t seed, uint32_t depth, uint64_t longest,
                       dd_execution *e)
{
    pct p = {.first = {seed}, .depth = depth, .longest = longest ? longest : 1};
    pct_again(&p);
    return dd_execution_run(stage, pick_pct, pct_again, &p, e);
}

static void count(dd_explore_result *r, const dd_execution *e)
{
    r->steps += e->n;
    if (r->longest < e->n)
        r->longest = e->n;
    if (r->threads < e->n_fibres)
        r->threads = e->n_fibres;
}

static dd_outcome fail_by(const dd_execution *e, dd_schedule *failed)
{
    failed->n = 0;
    for (uint64_t i = 0; i < e->n; i++)
        dd_schedule_add(failed, e->step[i].choice);
    return DD_OUTCOME_FAILED;
}

dd_outcome dd_walks_search(const dd_stage *stage, const dd_explore_limits *limits, double until,
                           dd_explore_result *result, dd_schedule *failed)
{
    const bool by_priority = limits->tier == DD_TIER_PCT;
    const uint64_t runs = limits->runs || until > 0 ? limits->runs : RUNS;
    dd_dice seeds = {limits->seed};
    dd_execution e = {0};
    dd_outcome o = DD_OUTCOME_COMPLETE;
    for (uint32_t n = 0; by_priority && n < SURVEYS && o == DD_OUTCOME_COMPLETE; n++) {
        if (walk_uniform(stage, dd_dice_roll(&seeds), &e) == DD_END_FAILED)
            o = fail_by(&e, failed);
        count(result, &e);
    }
    for (uint64_t n = 0; o == DD_OUTCOME_COMPLETE && (runs == 0 || n < runs); n++) {
        const uint64_t seed = dd_dice_roll(&seeds);
        const uint32_t depth = limits->bound ? limits->bound : 1 + (uint32_t)(n % DD_PCT_DEPTHS);
        const dd_end end = by_priority ? walk_pct(stage, seed, depth, result->longest, &e)
                                       : walk_uniform(stage, seed, &e);
        count(result, &e);
        result->executions++;
        result->runs_at[by_priority ? depth - 1 : 0]++;
        if (end == DD_END_FAILED)
            o = fail_by(&e, failed);
        else {
            if (until > 0 && dd_clock_s() > until)
                break; /* that was all that was asked for */
            result->interrupted = limits->watch && !limits->watch(limits->user, result);
            if (result->interrupted)
                o = DD_OUTCOME_GIVEN_UP;
        }
    }
    dd_execution_release(&e);
    return o;
}
