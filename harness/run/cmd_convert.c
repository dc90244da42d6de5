/* SPDX-License-Identifier: MIT
 * `dodeca convert IN OUT`: a model's weights from one file format into another, bit for bit. Owns
 * the options, and refuses what cannot work before it reads the weights. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell_body.h"
#include "commands.h"
#include "hash.h"
#include "hub_config.h"
#include "model_load.h"
#include "options.h"
#include "text.h"

enum { OPTION_TO = DD_OPTION_OWN, OPTION_FORCE, OPTION_CONFIG };

typedef struct asked {
    const char *path[2];
    int n;
    dd_file_format to; /* DD_FILE_FORMATS: not said */
    bool force, config;
    char *config_path; /* where there is to be one */
} asked;

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca convert: %s\n", message);
    return code;
}

/* ---- What can be told from names ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool choose_format(asked *a, char message[DD_MESSAGE_MAX])
{
    const char *out = a->path[1];
    if (a->to == DD_FILE_FORMATS && ends_with(out, ".safetensors"))
        a->to = DD_FILE_SAFETENSORS;
    if (a->to == DD_FILE_FORMATS && ends_with(out, ".bin"))
        a->to = DD_FILE_LLMC;
    return a->to != DD_FILE_FORMATS ||
           dd_text_refuse(message,
                          "%.200s: its name tells no format: end it in .safetensors, or in .bin "
                          "for llm.c, or give --to",
                          out);
}

static bool check_folder(const char *out, char message[DD_MESSAGE_MAX])
{
    const char *slash = strrchr(out, '/');
    char *folder = slash ? strndup(out, slash == out ? 1 : (size_t)(slash - out)) : strdup(".");
    const bool writable = folder && access(folder, W_OK | X_OK) == 0;
    if (!writable)
        dd_text_refuse(message, "%.200s: its folder cannot be written: %s", out, strerror(errno));
    free(folder);
    return writable;
}

static bool check_target(const asked *a, const char *path, char message[DD_MESSAGE_MAX])
{
    struct stat in, out, target;
    if (lstat(path, &out) != 0)
        return check_folder(path, message);
    if (stat(a->path[0], &in) == 0 && stat(path, &target) == 0 && in.st_dev == target.st_dev &&
        in.st_ino == target.st_ino)
        return dd_text_refuse(message, "%.200s: is the file that is read; give OUT another name",
                              path);
    if (!S_ISREG(out.st_mode))
        return dd_text_refuse(message, "%.200s: is there, and no regular file: never replaced",
                              path);
    if (!a->force)
        return dd_text_refuse(message, "%.200s: is there already; --force replaces it", path);
    return check_folder(path, message);
}

static bool check_config(asked *a, char message[DD_MESSAGE_MAX])
{
    if (!a->config)
        return true;
    if (a->to != DD_FILE_SAFETENSORS)
        return dd_text_refuse(message,
                              "--config: goes with safetensors; llm.c's file says it all itself");
    a->config_path = dd_hub_config_path(a->path[1]);
    if (!a->config_path)
        return dd_text_refuse(message, "out of memory");
    return check_target(a, a->config_path, message);
}

/* ---- The work ---- */

static void tell(const asked *a, const dd_model_file_info *in, const float *weights)
{
    uint8_t hash[16];
    char text[33];
    dd_hash128(weights, in->n_parameters * sizeof *weights, hash);
    dd_hash_text(hash, text);
    printf("%s (%s) -> %s (%s): %" PRIu64 " parameters\nweights-hash: %s\n", a->path[0],
           dd_file_format_name(in->format), a->path[1], dd_file_format_name(a->to),
           in->n_parameters, text);
}

static int convert(const asked *a)
{
    dd_error error = {""};
    dd_model_file *in = NULL;
    dd_model_file_info info;
    float *weights = NULL;
    dd_status st = dd_model_file_open(a->path[0], &in, &error);
    if (st == DD_OK) {
        dd_model_file_info_get(in, &info);
        st = dd_model_load(in, a->path[0], &weights, &error);
    }
    int code = dd_model_exit_code(st);
    if (st == DD_OK) {
        st = dd_model_file_write(a->path[1], a->to, &info.shape, weights, &error);
        if (st == DD_OK && a->config_path)
            st = dd_hub_config_write(a->config_path, &info.shape, &error);
        code = st == DD_OK             ? DD_EXIT_HELD
               : st == DD_ERR_ARGUMENT ? DD_EXIT_USAGE
                                       : DD_EXIT_ENVIRONMENT; /* no room, for one */
    }
    if (st == DD_OK)
        tell(a, &info, weights);
    else
        complain(code, error.message);
    free(weights);
    dd_model_file_close(in);
    return code;
}

/* ---- Options ---- */

static void set_format(asked *a, const char *text, struct argp_state *state)
{
    if (strcmp(text, "safetensors") == 0)
        a->to = DD_FILE_SAFETENSORS;
    else if (strcmp(text, "llm.c") == 0)
        a->to = DD_FILE_LLMC;
    else
        argp_failure(state, DD_EXIT_USAGE, 0, "--to \"%.64s\": must be safetensors or llm.c", text);
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    asked *a = state->input;
    switch (id) {
    case OPTION_TO:
        set_format(a, argument, state);
        return 0;
    case OPTION_FORCE:
        a->force = true;
        return 0;
    case OPTION_CONFIG:
        a->config = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->n < 2)
            a->path[a->n] = argument;
        a->n++;
        return 0;
    case ARGP_KEY_END:
        if (a->n != 2)
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "a file to read and one to write are needed, %d given", a->n);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_convert(int argc, char **argv)
{
    static dd_options options;
    dd_options_add(&options, "to", OPTION_TO, "FORMAT",
                   "safetensors or llm.c; as the name of OUT ends: .safetensors, .bin");
    dd_options_add(&options, "force", OPTION_FORCE, NULL,
                   "replace OUT, when the new file is whole");
    dd_options_add(&options, "config", OPTION_CONFIG, NULL,
                   "also write config.json beside OUT, which libraries that load models from "
                   "folders want; --force replaces it, too");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .args_doc = "IN OUT",
        .doc =
            "Write a model's weights into another file format, bit for bit.\v"
            "Examples:\n"
            "  dodeca train --steps 200 --save run.ckpt\n"
            "  dodeca convert run.ckpt model.safetensors\n"
            "  mkdir mine && dodeca convert run.ckpt mine/model.safetensors --config\n"
            "  dodeca convert model.safetensors model.bin\n"
            "  dodeca convert gpt2/model.safetensors gpt2_124M.bin\n"
            "  dodeca convert gpt2_124M.bin out --to safetensors --force\n"
            "\n"
            "IN is told by its content: a checkpoint of dodeca; safetensors with the names that "
            "GPT-2 has on model hubs, in F32, F16 or BF16, which are widened exactly; or a model "
            "file of llm.c (version 3, FP32). Hub files that do not tell their number of heads "
            "want their config.json beside them, or have 64 channels a head.\n"
            "\n"
            "OUT is F32. A checkpoint's moments and settings do not fit into these formats: keep "
            "it to go on training.\n"
            "\n"
            "Exit: 0 written; 2 bad usage, IN is no model that dodeca can hold, or OUT may not be "
            "there; 3 writing OUT failed, or memory does not suffice. Then OUT is as it was; it is "
            "whole if config.json alone could not be written.",
    };
    asked a = {.to = DD_FILE_FORMATS};
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return DD_EXIT_USAGE;
    char message[DD_MESSAGE_MAX];
    const bool may = choose_format(&a, message) && check_target(&a, a.path[1], message) &&
                     check_config(&a, message);
    const int code = may ? convert(&a) : complain(DD_EXIT_USAGE, message);
    free(a.config_path);
    return code;
}
