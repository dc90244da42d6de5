/* SPDX-License-Identifier: MIT
 * `dodeca check`: the registered checks on a small set of cells that is built in. Needs no file and
 * writes none; takes some seconds. */
#include "checks.h"
#include "commands.h"
#include "kernels.h"
#include "nearest.h"
#include "options.h"
#include "sweep.h"
#include "sweep_stop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_LIST = DD_OPTION_OWN };

/* What all cells have. Batch 10 leaves two lanes empty, so 12 workers need allow-idle. */
static const char *const base[][2] = {{"data", "builtin"}, {"model", "L=2,NH=2,C=32,V=64,T=16"},
                                      {"steps", "20"},     {"warmup", "2"},
                                      {"lr", "0.01"},      {"allow-idle", "true"},
                                      {"repeats", "1"}};

/* What varies: blocks, each of which is multiplied out; what a block does not say has its default.
 */
typedef struct varied {
    const char *key;
    const char *values[5]; /* NULL-terminated */
} varied;

#define N_KEYS_MAX 6
static const varied blocks[][N_KEYS_MAX] = {
    {{"batch", {"12", "10"}},
     {"workers", {"1", "2", "5", "12"}},
     {"barrier", {"tree", "pthread"}},
     {"reduce", {"tree", "control", "sliced", "owner"}}},
    {{"simd", {"off", "avx2", "avx512", "neon"}}, /* those that this CPU runs */
     {"batch", {"12", "10"}},
     {"workers", {"2", "5"}},
     {"reduce", {"tree", "owner"}}},
    {{"depth", {"2"}},
     {"lane-depth", {"1", "2"}},
     {"workers", {"5", "13"}},
     {"barrier", {"tree", "pthread"}},
     {"reduce", {"tree", "control", "sliced", "owner"}},
     {"batch", {"24"}}},
    {{"steal", {"true"}},
     {"lane-depth", {"1", "2"}},
     {"workers", {"2", "5"}},
     {"reduce", {"tree", "control", "sliced", "owner"}},
     {"batch", {"24"}}},
    {{"timetable", {"3 spawn 0 4; 6 checkpoint; 12 terminate 0"}},
     {"workers", {"3"}},
     {"reduce", {"tree", "control", "sliced", "owner"}},
     {"batch", {"24"}},
     {"lane-depth", {"2"}}},
    {{"subject", {"locks", "locks-gradient"}}, {"workers", {"1", "3"}}},
};
#define N_BLOCKS (sizeof blocks / sizeof *blocks)
#define N_BASE (sizeof base / sizeof *base)

typedef struct cell_set {
    dd_scenario scenario;
    char (*labels)[192];
} cell_set;

/* Why this machine cannot have a value, NULL if it can: only kernel sets may be out of reach. */
static const char *why_not(const varied *v, const char *value)
{
    const char *const *sets = dd_key_named("simd")->choices, *why = NULL;
    for (size_t i = 0; strcmp(v->key, "simd") == 0 && sets[i]; i++)
        if (strcmp(sets[i], value) == 0)
            (void)dd_kernels_select((dd_simd)i, &why);
    return why;
}

/* The values that this machine can have; *value is number i of them. */
static size_t find_values(const varied *v, size_t i, const char **value)
{
    size_t n = 0;
    for (size_t k = 0; k < sizeof v->values / sizeof *v->values && v->values[k]; k++) {
        if (why_not(v, v->values[k]))
            continue;
        if (n++ == i)
            *value = v->values[k];
    }
    return n;
}

static size_t n_values(const varied *v)
{
    const char *any;
    return find_values(v, 0, &any);
}

static size_t n_keys(const varied *block)
{
    size_t n = 0;
    while (n < N_KEYS_MAX && block[n].key)
        n++;
    return n;
}

static size_t n_cells(const varied *block)
{
    size_t n = 1;
    for (size_t k = 0; k < n_keys(block); k++)
        n *= n_values(&block[k]);
    return n;
}

static void close_cells(cell_set *set)
{
    free(set->scenario.cells);
    free(set->labels);
}

/* Fills cell `at` with combination i of a block: the mixed-radix digits of i choose the values,
 * last key fastest. */
static bool make_cell(cell_set *set, size_t at, const varied *block, size_t i,
                      char message[DD_MESSAGE_MAX])
{
    dd_scenario_cell *cell = &set->scenario.cells[at];
    const char *values[N_KEYS_MAX] = {NULL};
    char *label = set->labels[at];
    size_t used = 0, n = n_keys(block);
    dd_settings_default(&cell->settings);
    for (size_t k = 0; k < N_BASE; k++)
        if (!dd_settings_set(&cell->settings, base[k][0], base[k][1], message))
            return false;
    for (size_t k = n; k-- > 0; i /= n_values(&block[k]))
        (void)find_values(&block[k], i % n_values(&block[k]), &values[k]);
    for (size_t k = 0; k < n; k++) {
        if (!dd_settings_set(&cell->settings, block[k].key, values[k], message))
            return false;
        used += (size_t)snprintf(label + used, sizeof *set->labels - used, "%s%s=%s", k ? " " : "",
                                 block[k].key, values[k]);
    }
    cell->label = label;
    return dd_settings_finish(&cell->settings, message);
}

static bool make_cells(cell_set *set, char message[DD_MESSAGE_MAX])
{
    size_t n = 0, at = 0;
    for (size_t b = 0; b < N_BLOCKS; b++)
        n += n_cells(blocks[b]);
    set->labels = calloc(n, sizeof *set->labels);
    set->scenario = (dd_scenario){.file = "dodeca check",
                                  .name = "check",
                                  .about = "",
                                  .n_cells = n,
                                  .cells = calloc(n, sizeof *set->scenario.cells)};
    if (!set->labels || !set->scenario.cells) {
        snprintf(message, DD_MESSAGE_MAX, "no memory for the cells");
        return false;
    }
    for (size_t b = 0; b < N_BLOCKS; b++)
        for (size_t i = 0; i < n_cells(blocks[b]); i++)
            if (!make_cell(set, at++, blocks[b], i, message))
                return false;
    return true;
}

/* ---- Result ---- */

typedef struct tally {
    size_t cells; /* to which the check applies */
    size_t n[DD_CRASH + 1];
    const dd_sweep_cell *worst_cell; /* the first of the worst verdict, SKIP included */
    dd_verdict worst;
} tally;

static tally count(const dd_sweep *sweep, size_t check)
{
    tally t = {.worst = DD_PASS};
    for (size_t i = 0; i < sweep->scenario->n_cells; i++) {
        const dd_sweep_cell *cell = &sweep->cells[i];
        const dd_check_row *row = &cell->repeats[0].check[check];
        if (!row->applies)
            continue;
        t.cells++;
        t.n[row->verdict]++;
        if (row->verdict > t.worst) {
            t.worst = row->verdict;
            t.worst_cell = cell;
        }
    }
    return t;
}

static dd_verdict print_check(const dd_sweep *sweep, size_t check)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    tally t = count(sweep, check);
    if (!t.cells) {
        printf("%-5s  %-18s  none of these cells calls for it: scenarios/guard.yaml does\n",
               dd_verdict_name(DD_SKIP), checks[check].name);
        return DD_SKIP;
    }
    dd_verdict verdict = t.worst == DD_SKIP && t.n[DD_SKIP] < t.cells ? DD_PASS : t.worst;
    printf("%-5s  %-18s  %zu of %zu cells passed", dd_verdict_name(verdict), checks[check].name,
           t.n[DD_PASS], t.cells);
    for (dd_verdict v = DD_SKIP; v <= DD_CRASH; v++)
        if (t.n[v])
            printf(", %zu %s", t.n[v], dd_verdict_name(v));
    putchar('\n');
    if (t.worst_cell)
        printf("       first: %s: %s\n", t.worst_cell->plan->label,
               t.worst_cell->repeats[0].check[check].reason);
    return verdict;
}

static void print_out_of_reach(void)
{
    for (size_t b = 0; b < N_BLOCKS; b++)
        for (size_t k = 0; k < n_keys(blocks[b]); k++) {
            const varied *v = &blocks[b][k];
            for (size_t i = 0; i < sizeof v->values / sizeof *v->values && v->values[i]; i++) {
                const char *why = why_not(v, v->values[i]);
                if (why)
                    printf("%s  %s %s: %.*s\n", dd_verdict_name(DD_SKIP), v->key, v->values[i],
                           (int)strcspn(why, ":"), why);
            }
        }
}

static void print_covered(const dd_sweep *sweep)
{
    printf("\n%zu cells, each in a process of its own:\n", sweep->scenario->n_cells);
    for (size_t b = 0; b < N_BLOCKS; b++) {
        printf("  %3zu ", n_cells(blocks[b]));
        for (size_t k = 0; k < n_keys(blocks[b]); k++) {
            const varied *v = &blocks[b][k];
            const char *value = NULL;
            printf("%s %s", k ? " x" : "", v->key);
            for (size_t i = 0; i < find_values(v, i, &value); i++)
                printf("%s%s", i ? "," : " ", value);
        }
        putchar('\n');
    }
    print_out_of_reach();
    printf("all with");
    for (size_t k = 0; k < N_BASE; k++)
        printf("%s %s %s", k ? "," : "", base[k][0], base[k][1]);
    printf("; %zu oracle runs; %.1f s\n", sweep->n_oracles, (double)sweep->wall_ns * 1e-9);
}

static void list_checks(void)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    for (size_t i = 0; i < n; i++)
        printf("%c  %-18s  %s\n", checks[i].letter, checks[i].name, checks[i].asserts);
}

/* ---- Command ---- */

typedef struct request {
    bool wanted[DD_CHECKS_MAX];
    bool some; /* names were given */
    bool list;
} request;

static int run_checks(const request *r)
{
    char message[DD_SCENARIO_MESSAGE_MAX];
    cell_set set = {0};
    dd_sweep *sweep = NULL;
    int code = DD_EXIT_ENVIRONMENT;
    if (!make_cells(&set, message) || !(sweep = dd_sweep_open(&set.scenario)) ||
        dd_sweep_validate(sweep, message) != DD_OK) {
        fprintf(stderr, "dodeca check: %s\n", set.scenario.cells ? message : "no memory");
        goto out;
    }
    int stop_fd = dd_stop_open();
    bool terminal = isatty(STDERR_FILENO);
    dd_sweep_options options = {
        .stop_fd = stop_fd, .log = terminal ? stderr : NULL, .terminal = terminal};
    dd_sweep_run_all(sweep, &options);
    size_t n;
    dd_verdict worst = DD_SKIP;
    (void)dd_checks(&n);
    for (size_t i = 0; i < n; i++)
        if (!r->some || r->wanted[i])
            worst = dd_verdict_join(worst, print_check(sweep, i));
    print_covered(sweep);
    code = sweep->interrupted ? DD_EXIT_INTERRUPTED
           : worst == DD_PASS ? DD_EXIT_HELD
           : worst == DD_SKIP ? DD_EXIT_ENVIRONMENT /* nothing could be judged here */
                              : DD_EXIT_FAILED;
    fflush(stdout);
    int number = dd_stop_close(stop_fd);
    if (code == DD_EXIT_INTERRUPTED && number)
        code = 128 + number;
out:
    dd_sweep_close(sweep);
    close_cells(&set);
    return code;
}

static void want(request *r, const char *name, const struct argp_state *state)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    const char *names[DD_CHECKS_MAX];
    for (size_t i = 0; i < n; i++) {
        names[i] = checks[i].name;
        if (strcmp(names[i], name) == 0) {
            r->wanted[i] = r->some = true;
            return;
        }
    }
    const char *nearest = dd_nearest(name, names, n);
    argp_failure(state, DD_EXIT_USAGE, 0, "unknown check \"%s\"%s%s%s; --list explains them all",
                 name, nearest ? ", did you mean \"" : "", nearest ? nearest : "",
                 nearest ? "\"" : "");
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    request *r = state->input;
    switch (id) {
    case OPTION_LIST:
        r->list = true;
        return 0;
    case ARGP_KEY_ARG:
        want(r, argument, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_check(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"list", OPTION_LIST, NULL, 0, "say what each check asserts and run nothing", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[NAME…]",
        .doc = "Run the checks, or those named, on a small built-in set of cells.\v"
               "Examples:\n"
               "  dodeca check --list\n"
               "  dodeca check no-hang serial-equivalence\n"
               "\n"
               "Exit: 0 all held; 1 a check failed; 2 bad usage; 130 interrupted by Ctrl-C, 143 by "
               "SIGTERM.",
    };
    request r = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &r) != 0)
        return DD_EXIT_USAGE;
    if (r.list) {
        list_checks();
        return DD_EXIT_HELD;
    }
    return run_checks(&r);
}
