/* SPDX-License-Identifier: MIT
 * `dodeca explore`: goes through the interleavings of the protocols in the table, and prints what
 * that took and what it shows. Trains nothing. */
#include <argp.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "explore.h"
#include "explore_table.h"
#include "nearest.h"
#include "sweep_stop.h"

enum {
    OPTION_LIST = 0x100,
    OPTION_JSON,
    OPTION_ALL,
    OPTION_MEMORY,
    OPTION_TIER,
    OPTION_BOUND,
    OPTION_RUNS,
    OPTION_SEED,
    OPTION_STATES,
    OPTION_SECONDS,
    OPTION_REPLAY,
    MAX_NAMES = 64
};

#define BOUND 2              /* changes of thread, where --bound says nothing */
#define NAMED_SECONDS 1.0    /* at random, for each protocol named, tier and model */
#define UNNAMED_SECONDS 0.25 /* the same where none was named */
#define SHOW_S 0.2           /* between two progress lines */

typedef struct arguments {
    bool list, json, all, one_tier, bound_given, seed_given;
    bool memory[2]; /* by dd_memory */
    const char *replay;
    dd_explore_limits limits;
    uint32_t n_names;
    const char *name[MAX_NAMES];
} arguments;

/* ---- Options --------------------------------------------------------------------------------- */

/* A name may be a pattern. */
static void add_name(arguments *a, const char *text, struct argp_state *state)
{
    const char *names[256] = {NULL};
    size_t n = 0;
    bool known = false;
    for (const dd_program *p = dd_protocols; p->name && n < 256; p++) {
        known |= fnmatch(text, p->name, 0) == 0;
        names[n++] = p->name;
    }
    const char *nearest = dd_nearest(text, names, n);
    if (!known)
        argp_error(state, "unknown protocol \"%s\"%s%s%s", text,
                   nearest ? ", did you mean \"" : "; --list shows the protocols",
                   nearest ? nearest : "", nearest ? "\"?" : "");
    if (a->n_names == MAX_NAMES)
        argp_error(state, "more than %d protocols", MAX_NAMES);
    a->name[a->n_names++] = text;
}

static double parse_number(const char *text, const char *what, double low, double high,
                           struct argp_state *state)
{
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end || !(number >= low) || !(number <= high))
        argp_error(state, "%s must be a number from %g to %g, not \"%s\"", what, low, high, text);
    return number;
}

/* 1e6 is one, too. */
static double parse_whole(const char *text, const char *what, double low, double high,
                          struct argp_state *state)
{
    const double number = parse_number(text, what, low, high, state);
    if (number != trunc(number))
        argp_error(state, "%s must be a whole number, not \"%s\"", what, text);
    return number;
}

static void parse_memory(arguments *a, const char *text, struct argp_state *state)
{
    const bool both = strcmp(text, "both") == 0;
    a->memory[DD_MEMORY_SC] = both || strcmp(text, "sc") == 0;
    a->memory[DD_MEMORY_C11] = both || strcmp(text, "c11") == 0;
    if (!a->memory[DD_MEMORY_SC] && !a->memory[DD_MEMORY_C11])
        argp_error(state, "--memory must be sc, c11 or both, not \"%s\"", text);
}

static void parse_tier(arguments *a, const char *text, struct argp_state *state)
{
    for (dd_tier t = DD_TIER_EXHAUSTIVE; t <= DD_TIER_PCT; t++)
        if (strcmp(text, dd_tier_names[t]) == 0) {
            a->limits.tier = t;
            a->one_tier = true;
            return;
        }
    char all[128] = "";
    for (dd_tier t = DD_TIER_EXHAUSTIVE; t <= DD_TIER_PCT; t++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s %s", t ? "," : "",
                 dd_tier_names[t]);
    argp_error(state, "--tier must be one of%s, not \"%s\"", all, text);
}

/* What goes together; then fills in what was left open. */
static void check(arguments *a, struct argp_state *state)
{
    const dd_tier tier = a->limits.tier;
    if (a->bound_given && tier != DD_TIER_BOUNDED && tier != DD_TIER_PCT)
        argp_error(state, "--bound is for --tier bounded and --tier pct");
    if (a->bound_given && tier == DD_TIER_PCT &&
        (a->limits.bound < 1 || a->limits.bound > DD_PCT_DEPTHS))
        argp_error(state, "--bound with --tier pct is a depth from 1 to %d", DD_PCT_DEPTHS);
    if (a->one_tier && a->limits.runs && tier <= DD_TIER_BOUNDED)
        argp_error(state, "--runs is for tiers that carry out executions: dfs, dpor, random, pct");
    if (a->one_tier && a->limits.states && tier > DD_TIER_BOUNDED)
        argp_error(state, "--states is for tiers that keep states: exhaustive, reduced, bounded");
    if (a->one_tier && a->seed_given && tier < DD_TIER_RANDOM)
        argp_error(state, "--seed is for tiers that are at random: random, pct");
    if (a->list && a->json)
        argp_error(state, "--list is a text, no JSON");
    if (a->replay && (a->n_names || a->one_tier || a->list || a->json || a->all))
        argp_error(state, "--replay says which execution of what, and prints it: it stands alone");
    if (tier == DD_TIER_BOUNDED && !a->bound_given)
        a->limits.bound = BOUND;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    arguments *a = state->input;
    char *end;
    switch (key) {
    case OPTION_LIST:
        a->list = true;
        return 0;
    case OPTION_JSON:
        a->json = true;
        return 0;
    case OPTION_ALL:
        a->all = true;
        return 0;
    case OPTION_MEMORY:
        parse_memory(a, text, state);
        return 0;
    case OPTION_TIER:
        parse_tier(a, text, state);
        return 0;
    case OPTION_BOUND:
        a->limits.bound = (uint32_t)parse_whole(text, "--bound", 0, 100, state);
        a->bound_given = true;
        return 0;
    case OPTION_RUNS:
        a->limits.runs = (uint64_t)parse_whole(text, "--runs", 1, 1e15, state);
        return 0;
    case OPTION_SEED:
        errno = 0;
        a->limits.seed = strtoull(text, &end, 0);
        a->seed_given = true;
        if (end == text || *end || errno || text[0] == '-')
            argp_error(state, "--seed must be a number from 0 to 2^64 - 1, not \"%s\"", text);
        return 0;
    case OPTION_STATES:
        a->limits.states = (uint64_t)parse_whole(text, "--states", 1, 4e9, state);
        return 0;
    case OPTION_SECONDS:
        a->limits.seconds = parse_number(text, "--seconds", 0.001, 1e7, state);
        return 0;
    case OPTION_REPLAY:
        a->replay = text;
        return 0;
    case ARGP_KEY_ARG:
        add_name(a, text, state);
        return 0;
    case ARGP_KEY_END:
        check(a, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"list", OPTION_LIST, NULL, 0,
     "list the protocols, each with the tier for it under sc and c11 (with --all: that of --all), "
     "and leave",
     0},
    {"all", OPTION_ALL, NULL, 0,
     "also the slow ones; and those to their end that take minutes, up to 25 each, and up to 5 GB, "
     "of which else --tier bounded must do",
     0},
    {"memory", OPTION_MEMORY, "sc|c11|both", 0,
     "sequential consistency, C11's memory model, or (default) one after the other", 0},
    {"tier", OPTION_TIER, "TIER", 0,
     "exhaustive: every reachable state. reduced: of them, enough to reach every end and every "
     "failure. bounded: with at most --bound changes of thread. dpor: of "
     "executions that no thread can tell apart, one. dfs: every execution. random, pct: executions "
     "at random. Default: the first of these that the protocol is small enough for",
     0},
    {"bound", OPTION_BOUND, "N", 0,
     "bounded: changes of thread that are not forced (default 2); pct: depth of the defects looked "
     "for, 1 to 5 (default: each in turn)",
     0},
    {"runs", OPTION_RUNS, "N", 0, "dfs, dpor, random, pct: at most N executions", 0},
    {"seed", OPTION_SEED, "N", 0, "random, pct: begin here (default 0)", 0},
    {"seconds", OPTION_SECONDS, "S", 0,
     "give a protocol up after S seconds (default: never); random, pct: go on for S seconds "
     "(default 1, or 0.25 if no protocol is named)",
     0},
    {"states", OPTION_STATES, "N", 0, "give a protocol up after N states (default 5e7)", 0},
    {"replay", OPTION_REPLAY, "STRING", 0,
     "carry out the one execution that a failure named, and print every step", 0},
    {"json", OPTION_JSON, NULL, 0, "results as JSON", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[PROTOCOL...]",
    .doc =
        "Takes the synchronisation protocol, the real sources, through its interleavings, and "
        "looks "
        "for races, deadlocks, lost wake-ups, executions without end, failed checks and leaks. A "
        "PROTOCOL may be a pattern: 'trace-*'."
        "\v"
        "Examples:\n"
        "  dodeca explore                                    # what is quick\n"
        "  dodeca explore points-tree --tier dpor --memory sc\n"
        "  dodeca explore 'points-wide*' --all               # to the end: some minutes\n"
        "  dodeca explore stop-two --tier reduced --memory sc\n"
        "  dodeca explore --tier bounded --bound 3 spawn-tree\n"
        "  dodeca explore --tier random --seconds 60 --seed 7 twelve-tree\n"
        "  dodeca explore --replay points-tree:sc:0x3.1:1add\n"
        "\n"
        "Exit: 0 nothing was found, 1 something was, or a protocol was given up; 2 bad usage; 130 "
        "interrupted.",
};

/* ---- While it runs --------------------------------------------------------------------------- */

typedef struct vigil {
    int stop; /* readable once Ctrl-C came */
    bool terminal, shown;
    double shown_s;
    const dd_explored_row *row;
} vigil;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool watch(void *user, const dd_explore_result *so_far)
{
    vigil *v = user;
    struct pollfd stop = {.fd = v->stop, .events = POLLIN};
    if (v->stop >= 0 && poll(&stop, 1, 0) == 1)
        return false;
    if (v->terminal && now_s() - v->shown_s > SHOW_S) {
        v->shown_s = now_s();
        v->shown = true;
        fprintf(stderr, "\r\033[K%s %s %s: %.0f executions, %" PRIu64 " states",
                v->row->program->name, dd_memory_names[v->row->limits.memory],
                dd_tier_names[v->row->limits.tier], so_far->executions, so_far->states);
    }
    return true;
}

static void clear(vigil *v)
{
    if (v->shown)
        fputs("\r\033[K", stderr);
    v->shown = false;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

typedef struct session {
    const arguments *a;
    dd_explored *table;
    vigil vigil;
    bool held, interrupted;
    uint32_t n_left_out;
} session;

static bool is_asked_for(const arguments *a, const dd_program *p)
{
    for (uint32_t i = 0; i < a->n_names; i++)
        if (fnmatch(a->name[i], p->name, 0) == 0)
            return true;
    return false;
}

/* Without names: what is quick, or with --all all of it. */
static bool is_due(const arguments *a, const dd_program *p, dd_memory memory)
{
    if (a->n_names > 0 || a->all || dd_explore_is_large(p, memory) ||
        (a->one_tier && a->limits.tier >= DD_TIER_RANDOM))
        return true;
    return !(memory == DD_MEMORY_C11 ? p->slow_c11 : p->slow);
}

static void explore(session *s, const dd_program *p, dd_memory memory, dd_tier tier, uint32_t bound)
{
    dd_explored_row row = {.program = p, .limits = s->a->limits};
    dd_explore_result r;
    row.limits.memory = memory;
    row.limits.tier = tier;
    row.limits.bound = bound;
    row.limits.watch = watch;
    row.limits.user = &s->vigil;
    if (tier >= DD_TIER_RANDOM && !row.limits.runs && row.limits.seconds <= 0)
        row.limits.seconds = s->a->n_names ? NAMED_SECONDS : UNNAMED_SECONDS;
    s->vigil.row = &row;
    dd_explore(p, &row.limits, &r);
    clear(&s->vigil);
    s->held &= r.verdict == DD_EXPLORE_PASS;
    s->interrupted |= r.interrupted;
    dd_explored_add(s->table, &row, &r);
    dd_explore_release(&r);
}

/* Unasked, only a glance: uniform walks under one model, PCT under the other. */
static void explore_large(session *s, const dd_program *p, dd_memory memory)
{
    const arguments *a = s->a;
    const bool glance = a->n_names == 0 && !a->all && a->memory[0] && a->memory[1];
    if (!glance || memory == DD_MEMORY_SC)
        explore(s, p, memory, DD_TIER_RANDOM, 0);
    if (!s->interrupted && (!glance || memory == DD_MEMORY_C11))
        explore(s, p, memory, DD_TIER_PCT, 0);
}

static void explore_usual(session *s, const dd_program *p, dd_memory memory)
{
    const dd_explore_limits usual = dd_explore_usual(p, memory, s->a->all);
    explore(s, p, memory, usual.tier, usual.bound);
}

static void explore_program(session *s, const dd_program *p)
{
    const arguments *a = s->a;
    for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11 && !s->interrupted; m++) {
        const bool large = dd_explore_is_large(p, m);
        const bool in_vain = large && a->one_tier && a->limits.tier < DD_TIER_RANDOM;
        if (!a->memory[m] || (in_vain && a->n_names == 0))
            continue;
        if (!is_due(a, p, m))
            s->n_left_out++;
        else if (a->one_tier)
            explore(s, p, m, a->limits.tier, a->limits.bound);
        else if (large)
            explore_large(s, p, m);
        else
            explore_usual(s, p, m);
    }
}

static int run(const arguments *a)
{
    session s = {.a = a, .held = true, .vigil = {.stop = dd_stop_open()}};
    s.vigil.terminal = isatty(STDERR_FILENO) == 1;
    s.table = dd_explored_open(a->json);
    for (const dd_program *p = dd_protocols; p->name && !s.interrupted; p++)
        if (!a->n_names || is_asked_for(a, p))
            explore_program(&s, p);
    dd_explored_close(s.table, s.n_left_out, s.interrupted);
    const int number = dd_stop_close(s.vigil.stop);
    if (s.interrupted)
        return number ? 128 + number : DD_EXIT_INTERRUPTED;
    return s.held ? DD_EXIT_HELD : DD_EXIT_FAILED;
}

static int replay(const char *text)
{
    dd_explore_result r;
    char *wrong = dd_explore_replay(dd_protocols, text, &r);
    if (wrong) {
        fprintf(stderr, "dodeca explore: %s\n", wrong);
        free(wrong);
        return DD_EXIT_USAGE;
    }
    printf("%.*s\n%s", (int)strcspn(text, ":"), text, r.trace);
    const bool passed = r.verdict == DD_EXPLORE_PASS;
    dd_explore_release(&r);
    return passed ? DD_EXIT_HELD : DD_EXIT_FAILED;
}

/* A protocol, the tier that goes through all of it or as much as can be under each model, and what
 * it is. Names begin the lines, and what is slow is in brackets: others read this, too. */
static void list(const dd_program *p, bool all)
{
    dd_tier_text tier[2];
    for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11; m++) {
        dd_explore_limits usual = dd_explore_usual(p, m, all);
        if (dd_explore_is_large(p, m))
            usual.tier = DD_TIER_RANDOM;
        tier[m] = dd_tier_told(&usual);
    }
    printf("%-23s sc %-10s c11 %-10s %s%s\n", p->name, tier[DD_MEMORY_SC].text,
           tier[DD_MEMORY_C11].text, p->about,
           p->large                 ? " (at random only)"
           : p->slow && p->slow_c11 ? " (slow)"
           : p->slow                ? " (slow under sc)"
           : p->slow_c11            ? " (slow under c11)"
                                    : "");
}

int dd_cmd_explore(int argc, char **argv)
{
    arguments a = {.memory = {true, true}};
    argp_err_exit_status = DD_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.replay)
        return replay(a.replay);
    if (!a.list)
        return run(&a);
    for (const dd_program *p = dd_protocols; p->name; p++)
        if (!a.n_names || is_asked_for(&a, p))
            list(p, a.all);
    return DD_EXIT_HELD;
}
