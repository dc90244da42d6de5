/* SPDX-License-Identifier: MIT
 * `dodeca explore`: exhausts the interleavings of the protocols in the table and prints what that
 * took. Trains nothing. */
#include <argp.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "explore.h"

enum {
    OPTION_LIST = 0x100,
    OPTION_JSON,
    OPTION_ALL,
    OPTION_STATES,
    OPTION_SECONDS,
    MAX_NAMES = 64
};

typedef struct arguments {
    bool list, json, all;
    dd_explore_limits limits;
    uint32_t n_names;
    const char *name[MAX_NAMES];
} arguments;

static const dd_program *program_named(const char *name)
{
    for (const dd_program *p = dd_protocols; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static void parse_limit(const char *text, const char *what, double *out, struct argp_state *state)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= 1) || *out > 4e9)
        argp_error(state, "%s must be a number from 1 to 4e9, not \"%s\"", what, text);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    arguments *a = state->input;
    double number;
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
    case OPTION_STATES:
        parse_limit(text, "--states", &number, state);
        a->limits.states = (uint64_t)number;
        return 0;
    case OPTION_SECONDS:
        parse_limit(text, "--seconds", &a->limits.seconds, state);
        return 0;
    case ARGP_KEY_ARG:
        if (!program_named(text))
            argp_error(state, "unknown protocol \"%s\"; dodeca explore --list shows them", text);
        if (a->n_names == MAX_NAMES)
            argp_error(state, "more than %d protocols", MAX_NAMES);
        a->name[a->n_names++] = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_asked_for(const arguments *a, const dd_program *p)
{
    if (a->n_names == 0)
        return a->all || !p->slow;
    for (uint32_t i = 0; i < a->n_names; i++)
        if (strcmp(a->name[i], p->name) == 0)
            return true;
    return false;
}

static const char *faults(const dd_program *p)
{
    if (p->thread_failures || p->alloc_failures)
        return "1 creation or allocation";
    return p->fp_changes ? "1 changed fp environment" : "-";
}

static void list(void)
{
    for (const dd_program *p = dd_protocols; p->name; p++)
        printf("%-23s %s%s\n", p->name, p->about, p->slow ? " (slow)" : "");
}

static json_t *json_row(const dd_program *p, const dd_explore_result *r)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:b, s:I, s:I, s:f, s:I, s:f, s:s, s:s?}",
                     "protocol", p->name, "about", p->about, "workers", (int)p->workers, "steps",
                     (int)p->steps, "memory_model", "SC", "faults", faults(p), "spurious_wakeups",
                     (int)p->spurious, "states", (json_int_t)r->states, "transitions",
                     (json_int_t)r->transitions, "executions", r->executions, "longest_execution",
                     (json_int_t)r->longest, "seconds", r->seconds, "verdict",
                     dd_explore_verdict_name(r->verdict), "trace", r->trace);
}

static void print_head(void)
{
    printf("%-23s %7s %5s %6s %9s %11s %10s %7s %8s  %s\n", "protocol", "workers", "steps",
           "memory", "states", "transitions", "executions", "longest", "seconds", "verdict");
}

static void print_row(const dd_program *p, const dd_explore_result *r)
{
    printf("%-23s %7" PRIu32 " %5" PRIu32 " %6s %9" PRIu64 " %11" PRIu64 " %10.1e %7" PRIu64
           " %8.2f  %s\n",
           p->name, p->workers, p->steps, "SC", r->states, r->transitions, r->executions,
           r->longest, r->seconds, dd_explore_verdict_name(r->verdict));
    if (r->trace)
        printf("%s\n", r->trace);
    fflush(stdout);
}

static void print_foot(uint32_t n_left_out)
{
    if (n_left_out)
        printf("%" PRIu32 " slow protocols were left out: --all runs them\n", n_left_out);
    /* clang-format off */
    puts("\n"
         "PASS means: the sources of core/spheres, core/sync and core/control, run by the threads of the\n"
         "protocol (a caller, Node Zero, controls, workers, and whoever else sends commands), were taken\n"
         "through every reachable state: every order of their atomic operations, futex calls, barrier waits,\n"
         "thread starts and joins, under sequential consistency. Where points, eventcounts, mailboxes and\n"
         "queues run alone, futex sleepers also return for no reason any number of times. In none was there\n"
         "a data race, a deadlock or lost wake-up, an execution that need not end, a failed check or\n"
         "assertion, memory used after free or leaked, or a thread left behind. `executions` counts the\n"
         "interleavings that these states cover, without spurious returns; `longest` is the most steps of\n"
         "any of them.\n"
         "Not covered: memory orders weaker than seq_cst (an acquire written as relaxed passes here; that\n"
         "is ThreadSanitizer's part), the kernel's futex and the C library's barrier and threads, which\n"
         "are modelled, more workers, levels or steps than shown, and the arithmetic, which a ledger stands\n"
         "in for.");
    /* clang-format on */
}

int dd_cmd_explore(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"list", OPTION_LIST, NULL, 0, "list the protocols and leave", 0},
        {"json", OPTION_JSON, NULL, 0, "results as JSON", 0},
        {"all", OPTION_ALL, NULL, 0, "also the slow ones, of some seconds to some minutes each", 0},
        {"states", OPTION_STATES, "N", 0, "give a protocol up after N states (default 5e7)", 0},
        {"seconds", OPTION_SECONDS, "S", 0, "give a protocol up after S seconds (default: never)",
         0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[PROTOCOL...]",
        .doc = "Takes the synchronisation protocol, the real sources, through every interleaving "
               "under "
               "sequential consistency, and looks for races, deadlocks, lost wake-ups, executions "
               "without end, failed checks and leaks.\vExit: 0 all passed, 1 one did not (or was "
               "given up: nothing is then proved), 2 bad usage.",
    };
    arguments a = {0};
    argp_err_exit_status = DD_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.list) {
        list();
        return DD_EXIT_HELD;
    }

    bool held = true;
    uint32_t n_left_out = 0;
    json_t *rows = a.json ? json_array() : NULL;
    if (!a.json)
        print_head();
    for (const dd_program *p = dd_protocols; p->name; p++) {
        if (!is_asked_for(&a, p)) {
            n_left_out += a.n_names == 0;
            continue;
        }
        dd_explore_result r;
        dd_explore(p, &a.limits, &r);
        held &= r.verdict == DD_EXPLORE_PASS;
        if (a.json)
            (void)json_array_append_new(rows, json_row(p, &r));
        else
            print_row(p, &r);
        dd_explore_release(&r);
    }
    if (a.json) {
        (void)json_dumpf(rows, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(rows);
    } else {
        print_foot(n_left_out);
    }
    return held ? DD_EXIT_HELD : DD_EXIT_FAILED;
}
