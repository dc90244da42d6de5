/* SPDX-License-Identifier: MIT
 * `dodeca bench`: what is timed is what was compared before. Options only; the work is done by
 * suite.h, kernel_bench.h and order_bench.h. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "gbench.h"
#include "kernel_bench.h"
#include "options.h"
#include "order_bench.h"
#include "suite.h"

enum {
    OPTION_KERNELS = DD_OPTION_OWN,
    OPTION_ORDER,
    OPTION_PEERS,
    OPTION_FILTER,
    OPTION_JSON,
    OPTION_LIST,
    OPTION_THREADS,
    OPTION_ROUNDS,
    OPTION_SEED,
    OPTION_LIBRARY, /* the first of Google Benchmark's */
};

/* Google Benchmark's flags: here for --help, and for those that it did not take. */
static const struct flag {
    const char *name, *argument, *about;
} flags[] = {
    {"benchmark_list_tests", "true|false", "print the names and run nothing"},
    {"benchmark_filter", "REGEX", "only names that match; -REGEX: only those that do not"},
    {"benchmark_min_time", "SECONDS", "run each at least so long (0.5)"},
    {"benchmark_min_warmup_time", "SECONDS", "and so long before, unmeasured (0)"},
    {"benchmark_repetitions", "N", "run each N times; adds mean, median, deviation (1)"},
    {"benchmark_enable_random_interleaving", "true|false",
     "repetitions of all benchmarks in random order, so that what the machine does meanwhile hits "
     "all of them"},
    {"benchmark_report_aggregates_only", "true|false", "of repetitions mean, median, deviation"},
    {"benchmark_display_aggregates_only", "true|false", "the same, but all of them in the file"},
    {"benchmark_format", "console|json|csv", "what goes to stdout"},
    {"benchmark_out", "FILE", "the results also in FILE, called FILE.tmp until they are whole"},
    {"benchmark_out_format", "json|console|csv", "what goes there (json)"},
    {"benchmark_color", "auto|true|false", "on the console"},
    {"benchmark_counters_tabular", "true|false", "counters as columns on the console"},
    {"benchmark_context", "KEY=VALUE,…", "more lines for the head of the report"},
    {"benchmark_time_unit", "ns|us|ms|s", "of all times"},
    {"v", "LEVEL", "what Google Benchmark logs on stderr (0)"},
};
enum { N_FLAGS = sizeof flags / sizeof flags[0] };

static const char about[] =
    "Time what was found right.\n\n"
    "By itself it runs benchmarks through Google Benchmark: kernels, barriers, reductions, empty "
    "and whole steps, sampling. Take it to compare two builds or two machines in one table, or by "
    "any tool that "
    "reads Google Benchmark's JSON.\n\n"
    "--kernels tells what share of the machine's limit every kernel reaches, and with --peers what "
    "other libraries reach: kernel and limit take turns in one run. --order tells what a fixed "
    "order "
    "of additions costs. These two made kernels.md and order.md in results/tables/."
    "\v"
    "Names of benchmarks:\n"
    "  barrier/dodeca-tree/threads:4     or pthread, libgomp, libomp, spin, ck-mcs\n"
    "  reduce/owner/workers:2            or tree, sliced, control, one-thread, lock\n"
    "  empty_step/tree/workers:2         caller to caller, nothing is computed\n"
    "  step/nano/owner/tree/workers:2    MODEL/REDUCE/BARRIER, a step of training\n"
    "  decode/micro/avx512               MODEL/SET, a token of `dodeca sample', one thread;\n"
    "                           share_of_sweep: of the rate at which weights can be read\n"
    "  step_traced/nano/tree/tree/workers:2      the same, its timeline kept\n"
    "  kernel/gelu/avx2/micro-B8xT128/128x1024   NAME/SET/MODEL/SHAPE, one thread;\n"
    "                           x_reference: the scalar reference's time / own\n"
    "\n"
    "Examples:\n"
    "  dodeca bench --benchmark_list_tests\n"
    "  dodeca bench --benchmark_filter='^barrier/.*threads:[24]/'\n"
    "  dodeca bench --benchmark_filter='^kernel/.*/micro' --benchmark_out=a.json\n"
    "  dodeca bench --benchmark_filter='^step/micro' --benchmark_repetitions=9 \\\n"
    "      --benchmark_enable_random_interleaving=true\n"
    "  python3 /usr/share/benchmark/compare.py benchmarks a.json b.json\n"
    "      # Debian: libbenchmark-tools, python3-scipy\n"
    "  dodeca bench --kernels --filter micro --peers\n"
    "\n"
    "All of them take long, most of it to compare the kernels of gpt2-124M with the scalar "
    "reference: choose by a filter. The column CPU is the calling thread's: of barriers and steps "
    "it "
    "says little. With kernels in random order each turn compares again. Debian's Google Benchmark "
    "calls itself a DEBUG build; how dodeca was built is told by dodeca_build.\n"
    "\n"
    "Exit: 0; 1 a result differs from what it has to be in a single bit; 2 bad usage; 3 something "
    "could not be had here. Measures best when nothing else runs (dodeca doctor).";

typedef struct wanted {
    bool kernels, order;
    const char *of_a_mode; /* an option that goes with one of these alone */
    bool library;          /* Google Benchmark took flags */
    dd_bench_options o;
} wanted;

/* The library takes its flags where they are well formed; what is left of them is not. */
static error_t refuse_flag(int id, struct argp_state *state)
{
    const struct flag *f = &flags[id - OPTION_LIBRARY];
    argp_failure(state, DD_EXIT_USAGE, 0, "--%s: write it out, as --%s=%s", f->name, f->name,
                 f->argument);
    return 0;
}

static error_t check(const wanted *w, struct argp_state *state)
{
    if (w->kernels && w->order)
        argp_failure(state, DD_EXIT_USAGE, 0, "--kernels and --order are two runs");
    if (w->order && (w->o.peers || w->o.list || w->o.threads > 1))
        argp_failure(state, DD_EXIT_USAGE, 0, "--peers, --list and --threads go with --kernels");
    if ((w->kernels || w->order) && w->library)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--kernels and --order do not run through Google Benchmark: its flags go "
                     "without them");
    if (!w->kernels && !w->order && w->of_a_mode)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--%s goes with --kernels or --order; without them there are the "
                     "--benchmark_… flags, see --help",
                     w->of_a_mode);
    return 0;
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    wanted *w = state->input;
    switch (id) {
    case OPTION_KERNELS:
        w->kernels = true;
        return 0;
    case OPTION_ORDER:
        w->order = true;
        return 0;
    case OPTION_PEERS:
        w->o.peers = true;
        w->of_a_mode = "peers";
        return 0;
    case OPTION_FILTER:
        w->o.filter = argument;
        w->of_a_mode = "filter";
        return 0;
    case OPTION_JSON:
        w->o.json = true;
        w->of_a_mode = "json";
        return 0;
    case OPTION_LIST:
        w->o.list = true;
        w->of_a_mode = "list";
        return 0;
    case OPTION_THREADS:
        w->o.threads = (uint32_t)dd_option_number("threads", argument, 1, 64, state);
        w->of_a_mode = "threads";
        return 0;
    case OPTION_ROUNDS:
        w->o.rounds = (uint32_t)dd_option_number("rounds", argument, 1, DD_ROUNDS_MAX, state);
        w->of_a_mode = "rounds";
        return 0;
    case OPTION_SEED:
        w->o.seed = dd_option_number("seed", argument, 0, UINT64_MAX, state);
        w->of_a_mode = "seed";
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0, "\"%s\": there are only options; see --help",
                     argument);
        return 0;
    case ARGP_KEY_END:
        return check(w, state);
    default:
        if (id >= OPTION_LIBRARY && id < OPTION_LIBRARY + N_FLAGS)
            return refuse_flag(id, state);
        return ARGP_ERR_UNKNOWN;
    }
}

static void add_options(dd_options *to)
{
    dd_options_add(to, NULL, 0, NULL, "Through Google Benchmark:");
    for (int i = 0; i < N_FLAGS; i++)
        dd_options_add(to, flags[i].name, OPTION_LIBRARY + i, flags[i].argument, flags[i].about);
    dd_options_add(to, NULL, 0, NULL, "Or by itself:");
    dd_options_add(to, "kernels", OPTION_KERNELS, NULL,
                   "compare every kernel with the reference bit by bit, then time it beside the "
                   "machine's limits");
    dd_options_add(to, "order", OPTION_ORDER, NULL,
                   "what a fixed order of additions costs: the same kernels with and without it");
    dd_options_add(to, NULL, 0, NULL, "With one of these two:");
    dd_options_add(to, "filter", OPTION_FILTER, "TEXT", "only what has TEXT in its name");
    dd_options_add(to, "rounds", OPTION_ROUNDS, "N",
                   "turns that contenders and limits take (default 5)");
    dd_options_add(to, "seed", OPTION_SEED, "N", "of the operands (default 1)");
    dd_options_add(to, "json", OPTION_JSON, NULL, "the results as one JSON object");
    dd_options_add(to, NULL, 0, NULL, "With --kernels:");
    dd_options_add(to, "peers", OPTION_PEERS, NULL,
                   "beside the products those of OpenBLAS, BLIS and oneDNN, where installed");
    dd_options_add(to, "list", OPTION_LIST, NULL, "print the names of the cases");
    dd_options_add(to, "threads", OPTION_THREADS, "N",
                   "N threads at once, too, each on operands of its own (default 1)");
}

int dd_cmd_bench(int argc, char **argv)
{
    static dd_options options;
    wanted w = {.o = {.threads = 1, .rounds = 5, .seed = 1}};
    const int given = argc;
    bool empty_file = false; /* which Google Benchmark takes for none */
    for (int i = 1; i < argc; i++)
        empty_file |= strcmp(argv[i], "--benchmark_out=") == 0;
    const gb_status status = gb_init(&argc, argv);
    if (status == GB_BAD_VALUE || status == GB_FAILED) {
        fprintf(stderr, "dodeca bench: %s\n",
                status == GB_FAILED ? gb_failure()
                                    : "--benchmark_format and --benchmark_out_format take console, "
                                      "json or csv, --benchmark_time_unit ns, us, ms or s, "
                                      "--benchmark_color auto, true or false, "
                                      "--benchmark_repetitions 1 or more, --benchmark_min_time "
                                      "more than 0, --benchmark_min_warmup_time 0 or more");
        return status == GB_FAILED ? DD_EXIT_ENVIRONMENT : DD_EXIT_USAGE;
    }
    if (empty_file) {
        fputs("dodeca bench: --benchmark_out: the file has no name\n", stderr);
        return DD_EXIT_USAGE;
    }
    w.library = argc != given;
    add_options(&options);
    const struct argp argp = {.options = options.option, .parser = parse, .doc = about};
    if (argp_parse(&argp, argc, argv, 0, NULL, &w) != 0)
        return DD_EXIT_USAGE;
    return w.kernels ? dd_bench_kernels(&w.o) : w.order ? dd_bench_order(&w.o) : dd_suite_run();
}
