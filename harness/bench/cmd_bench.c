/* SPDX-License-Identifier: MIT
 * `dodeca bench`: what is timed is what was compared before. Options only; the work is done by
 * kernel_bench.h and order_bench.h. */
#include "commands.h"
#include "kernel_bench.h"
#include "options.h"
#include "order_bench.h"

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
};

typedef struct wanted {
    bool kernels, order;
    dd_bench_options o;
} wanted;

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
        return 0;
    case OPTION_FILTER:
        w->o.filter = argument;
        return 0;
    case OPTION_JSON:
        w->o.json = true;
        return 0;
    case OPTION_LIST:
        w->o.list = true;
        return 0;
    case OPTION_THREADS:
        w->o.threads = (uint32_t)dd_option_number("threads", argument, 1, 64, state);
        return 0;
    case OPTION_ROUNDS:
        w->o.rounds = (uint32_t)dd_option_number("rounds", argument, 1, DD_ROUNDS_MAX, state);
        return 0;
    case OPTION_SEED:
        w->o.seed = dd_option_number("seed", argument, 0, UINT64_MAX, state);
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0, "\"%s\": there are only options; see --help",
                     argument);
        return 0;
    case ARGP_KEY_END:
        if (w->kernels == w->order)
            argp_failure(state, DD_EXIT_USAGE, 0, "one of --kernels and --order is needed");
        if (w->order && (w->o.peers || w->o.list || w->o.threads > 1))
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--peers, --list and --threads go with --kernels");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_bench(int argc, char **argv)
{
    static dd_options options;
    wanted w = {.o = {.threads = 1, .rounds = 5, .seed = 1}};
    dd_options_add(&options, "kernels", OPTION_KERNELS, NULL,
                   "compare every kernel with the reference bit by bit, then time it");
    dd_options_add(&options, "order", OPTION_ORDER, NULL,
                   "what a fixed order of additions costs: the same kernels with and without it");
    dd_options_add(&options, "peers", OPTION_PEERS, NULL,
                   "beside the products those of OpenBLAS, BLIS and oneDNN, where installed");
    dd_options_add(&options, "filter", OPTION_FILTER, "TEXT",
                   "only what has TEXT in its name, as --list prints it");
    dd_options_add(&options, "list", OPTION_LIST, NULL, "print the names of the cases");
    dd_options_add(&options, "threads", OPTION_THREADS, "N",
                   "time N threads at once, too, each on operands of its own (default 1)");
    dd_options_add(&options, "rounds", OPTION_ROUNDS, "N",
                   "turns that contenders and limits take (default 5)");
    dd_options_add(&options, "seed", OPTION_SEED, "N", "of the operands (default 1)");
    dd_options_add(&options, "json", OPTION_JSON, NULL, "the results as one JSON object");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc = "Time kernels that were found right. The shapes are those of a step of gpt2-124M at "
               "batch 4 with 64 and 256 tokens a sequence, and of micro at batch 8 with 128. "
               "Exit 1 if a kernel's result differs from the reference in a single bit. "
               "Measures best when nothing else runs.",
    };
    if (argp_parse(&argp, argc, argv, 0, NULL, &w) != 0)
        return DD_EXIT_USAGE;
    return w.kernels ? dd_bench_kernels(&w.o) : dd_bench_order(&w.o);
}
