/* SPDX-License-Identifier: MIT
 * dodeca sample: a model from a file goes on with a text. Owns the options, the window of tokens
 * that the model sees, and what is told of it. */
#include <argp.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"
#include "platform.h"
#include "sample_text.h"
#include "text.h"

enum {
    OPTION_LOAD = DD_OPTION_OWN,
    OPTION_PROMPT,
    OPTION_PROMPT_FILE,
    OPTION_PROMPT_TOKENS,
    OPTION_BYTES,
    OPTION_TOKENS,
    OPTION_TEMPERATURE,
    OPTION_TOP_K,
    OPTION_SEED,
    OPTION_STATS,
};

typedef struct sample {
    dd_settings settings; /* of them simd */
    const char *load, *prompt, *prompt_file, *prompt_tokens;
    bool bytes, stats;
    uint64_t n_tokens;
    dd_drawing how;
    /* what is open */
    dd_model_file *file;
    dd_model_file_info info;
    dd_sampler *sampler;
    dd_prompt text;   /* the prompt */
    uint32_t *window; /* (T_max) the tokens that the sampler has been fed */
    bool as_bytes;
    /* how far it is */
    uint64_t drawn, prompt_ns, drawn_ns;
    uint32_t last; /* token written */
} sample;

static atomic_int interrupted; /* the signal, 0: none */

/* The first signal asks for an end after the token in progress, the second leaves at once. */
static void on_signal(int number)
{
    if (atomic_exchange(&interrupted, number) != 0)
        _exit(128 + number);
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static int exit_code(dd_status st)
{
    switch (st) {
    case DD_OK:
        return DD_EXIT_HELD;
    case DD_ERR_ARGUMENT:
    case DD_ERR_DATA:
        return DD_EXIT_USAGE;
    case DD_ERR_NONFINITE:
        return DD_EXIT_FAILED;
    default:
        return DD_EXIT_ENVIRONMENT;
    }
}

/* ---- The prompt ---- */

/* Whether tokens are bytes, and whether that is what was asked for. */
static bool settle_text(sample *s, char message[DD_MESSAGE_MAX])
{
    const uint32_t V = s->info.shape.V;
    if (s->bytes && V < 256)
        return dd_text_refuse(message,
                              "bytes: the model's vocabulary has 0 to %" PRIu32
                              ", a byte may be 255; --prompt-tokens takes numbers",
                              V - 1);
    s->as_bytes = s->bytes || (V == 256 && !s->prompt_tokens);
    if (s->as_bytes && V > 256)
        s->how.below = 256;
    if (s->as_bytes || s->prompt_tokens || s->prompt_file)
        return true;
    return dd_text_refuse(message,
                          "%s: the model's vocabulary has %" PRIu32
                          " tokens and there is no tokenizer here; give numbers as --prompt-tokens "
                          "%" PRIu32 ",%" PRIu32 "%s",
                          s->prompt ? "prompt" : "no prompt", V, V / 2, V / 3,
                          V > 256 ? "; or --bytes, if it was trained on bytes" : "");
}

static bool read_prompt(sample *s, char message[DD_MESSAGE_MAX])
{
    char *content = NULL;
    const char *text = s->prompt_tokens ? s->prompt_tokens : s->prompt ? s->prompt : "\n";
    size_t n = strlen(text);
    if (!settle_text(s, message) ||
        (s->prompt_file && !dd_prompt_file(s->prompt_file, &content, &n, message)))
        return false;
    if (content)
        text = content;
    const bool ok = s->as_bytes ? dd_prompt_bytes(text, n, &s->text, message)
                                : dd_prompt_numbers(text, n, s->info.shape.V, &s->text, message);
    free(content);
    if (ok && s->text.n == 0)
        return dd_text_refuse(message,
                              "the prompt is empty: a model goes on from a token at least%s",
                              s->as_bytes ? "; without --prompt from a new line" : "");
    return ok;
}

/* ---- The model ---- */

/* The weights stand in memory twice while they are copied. The system grants more than it has, and
 * ends the process when that is touched: better to say so before. */
static bool fits_memory(const sample *s, char message[DD_MESSAGE_MAX])
{
    const double least = 8 * (double)s->info.n_parameters;
    const double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    return !(least > machine) ||
           dd_text_refuse(message, "%s needs at least %.1f GiB of memory, this machine has %.1f",
                          s->load, least / 0x1p30, machine / 0x1p30);
}

static dd_status open_sampler(sample *s, dd_error *error)
{
    float *weights = malloc(s->info.n_parameters * sizeof *weights);
    s->window = malloc(s->info.shape.T_max * sizeof *s->window);
    dd_status st = DD_ERR_MEMORY;
    if (weights && s->window)
        st = dd_model_file_read(s->file, weights, error);
    else
        (void)snprintf(error->message, sizeof error->message,
                       "%s: out of memory for %" PRIu64 " parameters", s->load,
                       s->info.n_parameters);
    if (st == DD_OK)
        st = dd_sampler_open(&s->info.shape, weights, s->settings.config.simd, &s->sampler, error);
    free(weights);
    return st;
}

static void close_all(sample *s)
{
    dd_sampler_close(s->sampler);
    dd_model_file_close(s->file);
    free(s->window);
    free(s->text.token);
}

/* ---- Sampling ---- */

/* The last tokens of the prompt that the model has positions for. */
static dd_status feed_prompt(sample *s, dd_error *error)
{
    const uint32_t T = s->info.shape.T_max;
    const uint32_t n = s->text.n < T ? (uint32_t)s->text.n : T;
    memcpy(s->window, s->text.token + (s->text.n - n), n * sizeof *s->window);
    const uint64_t begin = dd_now_ns();
    const dd_status st = dd_sampler_feed(s->sampler, s->window, n, error);
    s->prompt_ns = dd_now_ns() - begin;
    return st;
}

/* Where all positions are taken, the newest half of the window moves to the first ones. */
static dd_status feed_one(sample *s, uint32_t token, dd_error *error)
{
    const uint32_t T = s->info.shape.T_max, kept = (T - 1) / 2;
    dd_sampler_info info;
    dd_sampler_info_get(s->sampler, &info);
    if (info.length < T) {
        s->window[info.length] = token;
        return dd_sampler_feed(s->sampler, &token, 1, error);
    }
    memmove(s->window, s->window + (T - kept), kept * sizeof *s->window);
    s->window[kept] = token;
    dd_sampler_clear(s->sampler);
    return dd_sampler_feed(s->sampler, s->window, kept + 1, error);
}

/* returns  false: the token could not be written, which ends it */
static bool write_one(sample *s, uint32_t token)
{
    s->drawn++;
    s->last = token;
    return dd_sample_write(&token, 1, s->as_bytes, false);
}

static dd_status go_on(sample *s, dd_error *error)
{
    uint32_t token = 0;
    dd_status st = feed_prompt(s, error);
    if (st != DD_OK || !dd_sample_write(s->text.token, s->text.n, s->as_bytes, true))
        return st;
    s->last = s->text.token[s->text.n - 1];
    const uint64_t begin = dd_now_ns();
    while (st == DD_OK && s->drawn < s->n_tokens && !atomic_load(&interrupted)) {
        if (s->drawn > 0)
            st = feed_one(s, token, error);
        if (st == DD_OK)
            st = dd_sampler_draw(s->sampler, &s->how, s->drawn, &token, error);
        if (st == DD_OK && !write_one(s, token))
            break;
    }
    s->drawn_ns = dd_now_ns() - begin;
    if (!s->as_bytes || (s->last != '\n' && isatty(STDOUT_FILENO) == 1))
        (void)putchar('\n');
    return st;
}

/* ---- What is told ---- */

static void tell(const sample *s)
{
    const dd_shape *shape = &s->info.shape;
    dd_sampler_info info;
    dd_sampler_info_get(s->sampler, &info);
    const uint64_t fed = s->text.n < shape->T_max ? s->text.n : shape->T_max;
    const double seconds = (double)s->drawn_ns * 1e-9;
    fprintf(stderr, "%s, %s", s->load, dd_file_format_name(s->info.format));
    if (s->info.format == DD_FILE_CHECKPOINT)
        fprintf(stderr, " after %" PRIu64 " steps", s->info.step);
    fprintf(stderr,
            ": L %" PRIu32 ", NH %" PRIu32 ", C %" PRIu32 ", V %" PRIu32 ", T_max %" PRIu32
            "; kernels %s, one thread\n"
            "prompt: %" PRIu64 " of %zu tokens read in %.2f ms\n"
            "%" PRIu64 " tokens in %.3f s: %.1f tokens/s, %.2f GB/s of weights\n",
            shape->L, shape->NH, shape->C, shape->V, shape->T_max, info.kernels, fed, s->text.n,
            (double)s->prompt_ns * 1e-6, s->drawn, seconds, (double)s->drawn / seconds,
            (double)s->drawn * (double)info.matrices_bytes * 1e-9 / seconds);
}

static int run(sample *s)
{
    dd_error error = {""};
    dd_status st = dd_model_file_open(s->load, &s->file, &error);
    int code = DD_EXIT_USAGE;
    if (st != DD_OK)
        goto fail;
    dd_model_file_info_get(s->file, &s->info);
    if (!read_prompt(s, error.message))
        goto refused;
    code = DD_EXIT_ENVIRONMENT;
    if (!fits_memory(s, error.message))
        goto refused;
    if ((st = open_sampler(s, &error)) != DD_OK)
        goto fail;
    watch_signals();
    st = go_on(s, &error);
    if (s->drawn > 0 && (s->stats || isatty(STDERR_FILENO) == 1))
        tell(s);
    const int number = atomic_load(&interrupted);
    if (st == DD_OK && number) {
        fprintf(stderr, "dodeca sample: stopped by %s after %" PRIu64 " of %" PRIu64 " tokens\n",
                number == SIGTERM ? "SIGTERM" : "Ctrl-C", s->drawn, s->n_tokens);
        return 128 + number;
    }
    if (st == DD_OK)
        return DD_EXIT_HELD;

fail:
    code = exit_code(st);
refused:
    fprintf(stderr, "dodeca sample: %s\n", error.message);
    return code;
}

/* ---- Options ---- */

static void finish(sample *s, struct argp_state *state)
{
    if (!s->load)
        argp_failure(state, DD_EXIT_USAGE, 0, "which model? --load FILE");
    if (!!s->prompt + !!s->prompt_file + !!s->prompt_tokens > 1)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "one prompt: --prompt, --prompt-file or --prompt-tokens");
    if (s->bytes && s->prompt_tokens)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--prompt-tokens gives and takes numbers, --bytes bytes: leave one out");
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    sample *s = state->input;
    if (dd_option_key(id)) {
        dd_option_set(&s->settings, id, argument, state);
        return 0;
    }
    switch (id) {
    case OPTION_LOAD:
        s->load = argument;
        return 0;
    case OPTION_PROMPT:
        s->prompt = argument;
        return 0;
    case OPTION_PROMPT_FILE:
        s->prompt_file = argument;
        return 0;
    case OPTION_PROMPT_TOKENS:
        s->prompt_tokens = argument;
        return 0;
    case OPTION_BYTES:
        s->bytes = true;
        return 0;
    case OPTION_TOKENS:
        s->n_tokens = dd_option_number("tokens", argument, 1, INT64_MAX, state);
        return 0;
    case OPTION_TEMPERATURE:
        if (!dd_text_real(argument, &s->how.temperature) || !(s->how.temperature >= 0) ||
            !isfinite(s->how.temperature))
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--temperature \"%.64s\": must be a number, 0 or greater", argument);
        return 0;
    case OPTION_TOP_K:
        s->how.top_k = (uint32_t)dd_option_number("top-k", argument, 0, UINT32_MAX, state);
        return 0;
    case OPTION_SEED:
        s->how.seed = dd_option_number("seed", argument, 0, UINT64_MAX, state);
        return 0;
    case OPTION_STATS:
        s->stats = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "\"%s\": there are only options, such as --load %s; see --help", argument,
                     argument);
        return 0;
    case ARGP_KEY_END:
        finish(s, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_sample(int argc, char **argv)
{
    static dd_options options;
    static const char *const settings[] = {"simd", NULL};
    dd_options_add(&options, "load", OPTION_LOAD, "FILE",
                   "the model: a checkpoint, a safetensors file with GPT-2's names, or an llm.c "
                   "model");
    dd_options_add(&options, "prompt", OPTION_PROMPT, "TEXT",
                   "the text to go on with, its bytes the tokens; for models of bytes");
    dd_options_add(&options, "prompt-file", OPTION_PROMPT_FILE, "FILE",
                   "the same from FILE, - for stdin; for other models numbers");
    dd_options_add(
        &options, "prompt-tokens", OPTION_PROMPT_TOKENS, "LIST",
        "the tokens to go on with, as numbers with commas between them; numbers are then "
        "written, too");
    dd_options_add(&options, "bytes", OPTION_BYTES, NULL,
                   "the tokens are bytes, whatever the vocabulary, and only 0 to 255 are drawn; a "
                   "model of 256 tokens is taken for one of bytes without being asked");
    dd_options_add(&options, "tokens", OPTION_TOKENS, "N", "draw N of them (default 200)");
    dd_options_add(&options, "temperature", OPTION_TEMPERATURE, "X",
                   "below 1 likelier tokens come more often still, above 1 less; 0: always the "
                   "likeliest (default 1)");
    dd_options_add(&options, "top-k", OPTION_TOP_K, "K",
                   "only the K likeliest tokens may come; 0: all (default 0)");
    dd_options_add(&options, "seed", OPTION_SEED, "S",
                   "of the random numbers; the same seed, the same text (default 1)");
    dd_options_add(
        &options, "stats", OPTION_STATS, NULL,
        "at the end model, tokens per second and the rate at which weights were read, to "
        "stderr; on a terminal without being asked");
    dd_options_add_settings(&options, settings);
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc =
            "Go on with a text, as a trained model would.\v"
            "The prompt comes first on stdout, then token after token as it is drawn: bytes as "
            "they are, or numbers with commas between them, which --prompt-tokens takes back. "
            "Without a prompt a model of bytes begins after a new line.\n"
            "\n"
            "Examples:\n"
            "  dodeca sample --load kjv.ckpt --prompt 'In the beginning' --tokens 500\n"
            "  dodeca sample --load kjv.ckpt --temperature 0.8 --top-k 40 --seed 7\n"
            "  dodeca sample --load kjv.ckpt --prompt-file chapter.txt --temperature 0\n"
            "  dodeca sample --load gpt2.safetensors --prompt-tokens 15496,995 --tokens 20\n"
            "\n"
            "The text depends on the weights, the prompt, temperature, top-k and seed alone, not "
            "on the machine or on --simd. The logits are those that training computes for the "
            "same tokens, bit for bit.\n"
            "\n"
            "A model sees as many tokens as it has positions, T_max: of a longer prompt the last "
            "T_max. When all positions are taken it goes on with the newest half of them.\n"
            "\n"
            "Exit: 0 the text is told; 1 a number of the model is not finite; 2 bad usage or "
            "input; 3 the machine lacks something.",
    };
    sample s = {.n_tokens = 200, .how = {.temperature = 1, .seed = 1}};
    dd_settings_default(&s.settings);
    if (argp_parse(&argp, argc, argv, 0, NULL, &s) != 0)
        return DD_EXIT_USAGE;
    const int code = run(&s);
    close_all(&s);
    return code;
}
