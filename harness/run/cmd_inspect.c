/* SPDX-License-Identifier: MIT
 * `dodeca inspect FILE`: what a file of weights or tokens holds. Owns the options; what is found
 * and said is in inspection.c and inspection_tell.c. */
#include <stdio.h>

#include "commands.h"
#include "inspection.h"
#include "model_load.h"
#include "options.h"

enum { OPTION_JSON = DD_OPTION_OWN };

typedef struct asked {
    const char *path;
    int n;
    bool json;
} asked;

static error_t parse(int id, char *argument, struct argp_state *state)
{
    asked *a = state->input;
    switch (id) {
    case OPTION_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        a->path = argument;
        a->n++;
        return 0;
    case ARGP_KEY_END:
        if (a->n != 1)
            argp_failure(state, DD_EXIT_USAGE, 0, "one file is inspected, %d given", a->n);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_inspect(int argc, char **argv)
{
    static dd_options options;
    dd_options_add(&options, "json", OPTION_JSON, NULL, "one JSON object");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .args_doc = "FILE",
        .doc =
            "Say what a file of weights or tokens holds: shapes, ranges, NaN, hashes.\v"
            "Examples:\n"
            "  dodeca inspect model.safetensors\n"
            "  dodeca inspect run.ckpt\n"
            "  dodeca inspect run.ckpt --json | jq .weights_hash\n"
            "  dodeca inspect tokens.bin\n"
            "\n"
            "The file is told by its content: a checkpoint of dodeca, whose checksums are all "
            "checked; a model in safetensors or llm.c's form; a token shard of llm.c. Of any other "
            "safetensors file the tensors are listed. A model's tensors are told as dodeca holds "
            "them, all layers of a kind together; least, largest and mean are of finite values. "
            "The last line is the hash that dodeca train --print-hash ends with.\n"
            "\n"
            "Exit: 0 told; 2 bad usage, or the file is damaged or of no kind that is known; 3 "
            "memory does not suffice.",
    };
    asked a = {.n = 0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return DD_EXIT_USAGE;
    dd_inspection inspection;
    dd_error error = {""};
    const dd_status st = dd_inspection_begin(a.path, &inspection, &error);
    if (st != DD_OK) {
        fprintf(stderr, "dodeca inspect: %s\n", error.message);
        return dd_model_exit_code(st);
    }
    if (a.json)
        dd_inspection_print_json(&inspection);
    else
        dd_inspection_print(&inspection);
    dd_inspection_end(&inspection);
    return DD_EXIT_HELD;
}
