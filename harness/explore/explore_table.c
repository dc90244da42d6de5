/* SPDX-License-Identifier: MIT
 * The table of `dodeca explore`. */
#include "explore_table.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "states.h"

const char *const dd_tier_names[] = {
    [DD_TIER_EXHAUSTIVE] = "exhaustive",
    [DD_TIER_REDUCED] = "reduced",
    [DD_TIER_BOUNDED] = "bounded",
    [DD_TIER_DFS] = "dfs",
    [DD_TIER_DPOR] = "dpor",
    [DD_TIER_RANDOM] = "random",
    [DD_TIER_PCT] = "pct",
};

const char *const dd_memory_names[] = {[DD_MEMORY_SC] = "sc", [DD_MEMORY_C11] = "c11"};

struct dd_explored {
    json_t *rows;      /* NULL: for people */
    uint32_t tiers;    /* that occurred, a bit each */
    uint32_t memories; /* the same */
};

static bool keeps_states(dd_tier tier)
{
    return tier <= DD_TIER_BOUNDED;
}

static bool is_random(dd_tier tier)
{
    return tier == DD_TIER_RANDOM || tier == DD_TIER_PCT;
}

dd_tier_text dd_tier_told(const dd_explore_limits *limits)
{
    dd_tier_text t;
    if (limits->tier == DD_TIER_BOUNDED)
        (void)snprintf(t.text, sizeof t.text, "bounded %" PRIu32, limits->bound);
    else
        (void)snprintf(t.text, sizeof t.text, "%s", dd_tier_names[limits->tier]);
    return t;
}

/* "PASS" only where all of something was seen. */
static const char *verdict(const dd_explored_row *row, const dd_explore_result *r)
{
    if (r->verdict == DD_EXPLORE_PASS && is_random(row->limits.tier))
        return "none found";
    return dd_explore_verdict_name(r->verdict);
}

static double per_second(const dd_explored_row *row, const dd_explore_result *r)
{
    return keeps_states(row->limits.tier) || r->seconds <= 0 ? 0 : r->executions / r->seconds;
}

/* ---- For people ------------------------------------------------------------------------------ */

static void print_head(void)
{
    printf("%-23s %7s %5s %6s %-10s %10s %9s %7s %9s %8s  %s\n", "protocol", "workers", "steps",
           "memory", "tier", "executions", "states", "longest", "per s", "seconds", "verdict");
}

/* A count, "-" for none. */
static const char *number(char text[32], double n)
{
    if (n <= 0)
        return "-";
    (void)snprintf(text, 32, n < 1e9 ? "%.0f" : "%.1e", n);
    return text;
}

static void print_depths(const dd_explore_result *r)
{
    const char *before = "; an execution finds a defect of depth ";
    for (uint32_t d = 1; d <= DD_PCT_DEPTHS; d++) {
        if (!r->runs_at[d - 1])
            continue;
        printf("%s%" PRIu32 " with >= %.1e (%" PRIu64 " done)", before, d,
               dd_pct_bound(r->threads, r->longest, d), r->runs_at[d - 1]);
        before = ", ";
    }
}

static void print_row(const dd_explored_row *row, const dd_explore_result *r)
{
    char executions[32], states[32], longest[32], rate[32];
    const dd_explore_limits *l = &row->limits;
    const dd_tier_text tier = dd_tier_told(l);
    printf("%-23s %7" PRIu32 " %5" PRIu32 " %6s %-10s %10s %9s %7s %9s %8.2f  %s\n",
           row->program->name, row->program->workers, row->program->steps,
           dd_memory_names[l->memory], tier.text, number(executions, r->executions),
           number(states, (double)r->states), number(longest, (double)r->longest),
           number(rate, per_second(row, r)), r->seconds, verdict(row, r));
    if (is_random(l->tier)) {
        printf("    seed %" PRIu64 ", at most %" PRIu32 " threads", l->seed, r->threads);
        if (l->tier == DD_TIER_PCT)
            print_depths(r);
        putchar('\n');
    }
    if (r->trace)
        printf("%s%s", r->replay ? "" : "  ", r->trace);
    if (r->replay)
        printf("  again: dodeca explore --replay %s\n", r->replay);
    if (r->trace)
        putchar('\n');
    fflush(stdout);
}

static void print_foot(const dd_explored *t, uint32_t n_left_out, bool interrupted)
{
    const uint32_t random = 1u << DD_TIER_RANDOM | 1u << DD_TIER_PCT;
    putchar('\n');
    if (interrupted)
        puts("Interrupted: the last row is what was done of it, and further ones are missing.");
    if (n_left_out)
        printf("%" PRIu32 " slow explorations were left out: --all runs them\n", n_left_out);
    /* clang-format off */
    puts("The sources of core/spheres, core/sync and core/control, and of core/memory's snapshots, are run by\n"
         "the threads of each protocol: a caller, Node Zero, controls, workers, and whoever else sends commands,\n"
         "looks on or saves.");
    if (t->tiers & 1u << DD_TIER_EXHAUSTIVE)
        puts("exhaustive, PASS: they were taken through every reachable state, so through every order of their\n"
             "  atomic operations, futex calls, barrier waits, thread starts and joins. Where points, eventcounts,\n"
             "  mailboxes and queues run alone, futex sleepers also return for no reason any number of times.\n"
             "  `executions` counts the interleavings that these states cover, without such returns; `longest` is\n"
             "  the most steps of any of them.");
    if (t->tiers & 1u << DD_TIER_REDUCED)
        puts("reduced, PASS: the same, but that steps which cannot meet those of others were not tried in every\n"
             "  order (persistent sets): every end and every failure is reached. `executions` counts what was tried.");
    if (t->tiers & 1u << DD_TIER_BOUNDED)
        puts("bounded N, PASS: the same for executions with at most N changes of thread that are not forced;\n"
             "  nothing is said of others.");
    if (t->tiers & 1u << DD_TIER_DFS)
        puts("dfs, PASS: every execution was carried out, where sleepers may return for no reason each at most once.");
    if (t->tiers & 1u << DD_TIER_DPOR)
        puts("dpor, PASS: of executions that differ only in the order of steps that cannot matter to each other,\n"
             "  at least one was carried out to its end; sleepers return for no reason at most once each.");
    if (t->tiers & random)
        puts("random, pct, none found: none of these executions showed a defect, and nothing is proved. PCT finds a\n"
             "  defect of depth d in an execution with at least the probability shown.");
    puts("A defect is a data race, a deadlock or lost wake-up, an execution that need not end, a failed check or\n"
         "assertion, memory used after free or leaked, or a thread left behind.");
    if (t->memories & 1u << DD_MEMORY_SC)
        puts("sc: every load sees the latest store, whatever its order: one too weak passes.");
    if (t->memories & 1u << DD_MEMORY_C11)
        puts("c11: loads see what the orders in the source allow, but for values that are stored only later (load\n"
             "  buffering), and at most two older values of a word in a row.");
    puts("Not covered: the kernel's futex and the C library's barrier and threads, which are modelled; more\n"
         "workers, levels or steps than shown; the arithmetic, which a ledger stands in for.");
    /* clang-format on */
}

/* ---- For programs ---------------------------------------------------------------------------- */

static const char *faults(const dd_program *p)
{
    if (p->thread_failures || p->alloc_failures)
        return "1 creation or allocation";
    if (p->fp_changes > 1)
        return "2 changed fp environments";
    return p->fp_changes ? "1 changed fp environment" : "-";
}

static json_t *json_row(const dd_explored_row *row, const dd_explore_result *r)
{
    const dd_program *p = row->program;
    const dd_explore_limits *l = &row->limits;
    json_t *j = json_pack(
        "{s:s, s:s, s:i, s:i, s:s, s:s, s:b, s:s, s:f, s:I, s:I, s:I, s:f, s:f, s:s, s:s?, s:s?}",
        "protocol", p->name, "about", p->about, "workers", (int)p->workers, "steps", (int)p->steps,
        "memory", dd_memory_names[l->memory], "faults", faults(p), "spurious_wakeups",
        (int)p->spurious, "tier", dd_tier_names[l->tier], "executions", r->executions, "states",
        (json_int_t)r->states, "transitions", (json_int_t)r->transitions, "longest_execution",
        (json_int_t)r->longest, "executions_per_second", per_second(row, r), "seconds", r->seconds,
        "verdict", verdict(row, r), "trace", r->trace, "replay", r->replay);
    if (l->tier == DD_TIER_BOUNDED)
        (void)json_object_set_new(j, "bound", json_integer(l->bound));
    if (!keeps_states(l->tier))
        (void)json_object_set_new(j, "cut_short", json_integer((json_int_t)r->cut));
    if (is_random(l->tier)) {
        (void)json_object_set_new(j, "seed", json_integer((json_int_t)l->seed));
        (void)json_object_set_new(j, "threads", json_integer(r->threads));
    }
    for (uint32_t d = 1; l->tier == DD_TIER_PCT && d <= DD_PCT_DEPTHS; d++) {
        char key[32];
        (void)snprintf(key, sizeof key, "depth_%" PRIu32, d);
        (void)json_object_set_new(j, key,
                                  json_pack("{s:I, s:f}", "executions",
                                            (json_int_t)r->runs_at[d - 1], "probability",
                                            dd_pct_bound(r->threads, r->longest, d)));
    }
    return j;
}

/* ---- The table ------------------------------------------------------------------------------- */

dd_explored *dd_explored_open(bool json)
{
    dd_explored *t = dd_states_memory(NULL, sizeof *t);
    *t = (dd_explored){.rows = json ? json_array() : NULL};
    if (!json)
        print_head();
    return t;
}

void dd_explored_add(dd_explored *t, const dd_explored_row *row, const dd_explore_result *r)
{
    t->tiers |= 1u << row->limits.tier;
    t->memories |= 1u << row->limits.memory;
    if (t->rows)
        (void)json_array_append_new(t->rows, json_row(row, r));
    else
        print_row(row, r);
}

void dd_explored_close(dd_explored *t, uint32_t n_left_out, bool interrupted)
{
    if (t->rows) {
        (void)json_dumpf(t->rows, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(t->rows);
    } else {
        print_foot(t, n_left_out, interrupted);
    }
    free(t);
}
