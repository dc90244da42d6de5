/* SPDX-License-Identifier: MIT
 * `dodeca predict`: a cost model fitted on measured cells, and what it says of more cores than
 * there are. Measures nothing itself. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "cost_write.h"
#include "options.h"
#include "text.h"

enum { OPTION_CORES = DD_OPTION_OWN, OPTION_MODEL, OPTION_SEQ, OPTION_BATCH, OPTION_JSON };
enum { FOLDERS_MAX = 64, CORES_MAX = 32, PAGES_MAX = 16, REDUCTIONS = 4 };

typedef struct asked {
    const char *folder[FOLDERS_MAX], *model;
    int n_folders;
    uint32_t cores[CORES_MAX];
    size_t n_cores;
    uint32_t seq, batch; /* 0: not given */
    bool json;
} asked;

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca predict: %s\n", message);
    return code;
}

/* ---- What to predict ---- */

static bool same_shape(const dd_shape *a, const dd_shape *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool measured(const dd_cost_model *m, const dd_cost_wanted *w)
{
    for (size_t i = 0; i < m->n; i++)
        if (same_shape(&m->cell[i]->is.shape, &w->shape))
            return true;
    return false;
}

/* The model asked for; else every model of a name that was measured, else every one. seq: as asked
 * for, else the longest measured, else the model's. returns  how many */
static size_t wanted_models(const dd_cost_model *m, const asked *a, dd_cost_wanted *wanted)
{
    size_t n = 0;
    char message[DD_MESSAGE_MAX];
    if (a->model) {
        snprintf(wanted[0].model, sizeof wanted[0].model, "%s", a->model);
        (void)dd_text_model(a->model, &wanted[0].shape, message); /* looked at before */
        n = 1;
    }
    for (int named = 1; named >= 0 && n == 0; named--)
        for (size_t i = 0; i < m->n; i++) {
            dd_shape shape;
            size_t k = 0;
            while (k < n && !same_shape(&wanted[k].shape, &m->cell[i]->is.shape))
                k++;
            if (k < n || n == PAGES_MAX || (named && !dd_shape_named(m->cell[i]->model, &shape)))
                continue;
            snprintf(wanted[n].model, sizeof wanted[n].model, "%s", m->cell[i]->model);
            wanted[n++].shape = m->cell[i]->is.shape;
        }
    for (size_t k = 0; k < n; k++) {
        wanted[k].measured = measured(m, &wanted[k]);
        wanted[k].batch = a->batch;
        wanted[k].seq = a->seq;
        for (size_t i = 0; !a->seq && i < m->n; i++)
            if (same_shape(&wanted[k].shape, &m->cell[i]->is.shape) &&
                m->cell[i]->is.seq > wanted[k].seq)
                wanted[k].seq = m->cell[i]->is.seq;
        if (!wanted[k].seq)
            wanted[k].seq = wanted[k].shape.T_max;
    }
    return n;
}

/* Every number of cores, depth that holds as many workers and reduction. returns  false: no memory
 */
static bool fill(const dd_cost_model *m, const asked *a, dd_cost_page *page)
{
    page->forecast =
        calloc(a->n_cores * DD_SETTINGS_DEPTH_MAX * REDUCTIONS, sizeof *page->forecast);
    if (!page->forecast)
        return false;
    static const dd_reduce reduce[REDUCTIONS] = {DD_REDUCE_OWNER, DD_REDUCE_TREE, DD_REDUCE_SLICED,
                                                 DD_REDUCE_CONTROL};
    for (size_t i = 0; i < a->n_cores; i++)
        for (uint32_t depth = 1; depth <= DD_SETTINGS_DEPTH_MAX; depth++)
            for (size_t r = 0; r < REDUCTIONS; r++) {
                const dd_status st = dd_cost_predict(m, &page->wanted, a->cores[i], depth,
                                                     reduce[r], &page->forecast[page->n]);
                if (st == DD_ERR_MEMORY)
                    return false;
                page->n += st == DD_OK;
            }
    return true;
}

static int print(const dd_cost_cells *cells, const dd_cost_model *m, const dd_cost_page *page,
                 size_t n_pages, bool json)
{
    if (!json) {
        dd_cost_write_model(cells, m, stdout);
        for (size_t i = 0; i < n_pages; i++) {
            putchar('\n');
            dd_cost_write_page(m, &page[i], stdout);
        }
        putchar('\n');
        dd_cost_write_assumptions(m, stdout);
        return DD_EXIT_HELD;
    }
    json_t *root = dd_cost_json(cells, m, page, n_pages);
    const bool good = root && json_dumpf(root, stdout, JSON_INDENT(1)) == 0;
    putchar('\n');
    json_decref(root);
    return good ? DD_EXIT_HELD : complain(DD_EXIT_ENVIRONMENT, "out of memory");
}

static int predict(const dd_cost_cells *cells, const dd_cost_model *m, const asked *a)
{
    static dd_cost_wanted wanted[PAGES_MAX];
    static dd_cost_page page[PAGES_MAX];
    const size_t n = wanted_models(m, a, wanted);
    int code = DD_EXIT_HELD;
    for (size_t i = 0; code == DD_EXIT_HELD && i < n; i++) {
        page[i] = (dd_cost_page){.wanted = wanted[i], .cores = a->cores, .n_cores = a->n_cores};
        if (wanted[i].seq > wanted[i].shape.T_max)
            code =
                complain(DD_EXIT_USAGE, "--seq is more than the positions the model knows, its T");
        else if (!fill(m, a, &page[i]))
            code = complain(DD_EXIT_ENVIRONMENT, "out of memory");
        else if (page[i].n == 0)
            code =
                complain(DD_EXIT_USAGE, "the batch has fewer sequences than cores, or more than "
                                        "2^24 tokens: another --batch would do, or other --cores");
    }
    if (code == DD_EXIT_HELD)
        code = print(cells, m, page, n, a->json);
    for (size_t i = 0; i < n; i++)
        free(page[i].forecast);
    if (code == DD_EXIT_HELD && !(m->left_out.median <= DD_COST_ERROR_TARGET))
        code = complain(DD_EXIT_FAILED, "the model is not as near to cells it was not fitted on as "
                                        "it should be; measure again on a quiet machine");
    return code;
}

/* The kernel set that most cells have. */
static const char *commonest(const dd_cost_cells *c)
{
    const char *best = "";
    size_t most = 0;
    for (size_t i = 0; i < c->n; i++) {
        size_t n = 0;
        for (size_t k = 0; k < c->n; k++)
            n += strcmp(c->cell[i].kernels, c->cell[k].kernels) == 0;
        if (n > most) {
            most = n;
            best = c->cell[i].kernels;
        }
    }
    return best;
}

/* Cells that stand twice in a fit would be checked on what it has seen. */
static bool are_different(const asked *a, char message[DD_MESSAGE_MAX])
{
    struct stat is[FOLDERS_MAX];
    for (int i = 0; i < a->n_folders; i++) {
        if (stat(a->folder[i], &is[i]) != 0)
            is[i] = (struct stat){.st_ino = 0}; /* reading it will tell */
        for (int k = 0; k < i; k++)
            if (is[i].st_ino && is[k].st_ino == is[i].st_ino && is[k].st_dev == is[i].st_dev)
                return dd_text_refuse(message, "%.200s and %.200s are the same folder",
                                      a->folder[k], a->folder[i]);
    }
    return true;
}

static int run(const asked *a)
{
    dd_cost_cells cells = {0};
    dd_cost_model model = {0};
    char message[DD_MESSAGE_MAX] = "";
    bool good = are_different(a, message);
    for (int i = 0; good && i < a->n_folders; i++)
        good = dd_cost_cells_read(&cells, a->folder[i], message);
    good = good && dd_cost_cells_any(&cells, message);
    good = good && dd_cost_model_open(&model, &cells, commonest(&cells), message);
    const int code = good ? predict(&cells, &model, a) : complain(DD_EXIT_USAGE, message);
    dd_cost_model_close(&model);
    dd_cost_cells_close(&cells);
    return code;
}

/* ---- Options ---- */

static void read_cores(asked *a, const char *text, struct argp_state *state)
{
    char copy[256], *rest = copy, *word;
    a->n_cores = 0;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        argp_failure(state, DD_EXIT_USAGE, 0, "--cores \"%.40s…\": the list is too long", text);
    while ((word = strsep(&rest, ","))) {
        const uint32_t cores =
            (uint32_t)dd_option_number("cores", word, 1, DD_SETTINGS_WORKERS_MAX, state);
        if (a->n_cores == CORES_MAX || (a->n_cores && cores <= a->cores[a->n_cores - 1]))
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--cores \"%.64s\": must be up to %d ascending numbers", text, CORES_MAX);
        a->cores[a->n_cores++] = cores;
    }
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    asked *a = state->input;
    char message[DD_MESSAGE_MAX];
    dd_shape shape;
    switch (id) {
    case OPTION_CORES:
        read_cores(a, argument, state);
        return 0;
    case OPTION_MODEL:
        if (!dd_text_model(argument, &shape, message))
            argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
        a->model = argument;
        return 0;
    case OPTION_SEQ:
        a->seq = (uint32_t)dd_option_number("seq", argument, 1, DD_SETTINGS_TOKENS_MAX, state);
        return 0;
    case OPTION_BATCH:
        a->batch = (uint32_t)dd_option_number("batch", argument, 1, DD_SETTINGS_TOKENS_MAX, state);
        return 0;
    case OPTION_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "\"\": a results folder has a name; \".\" is the one you are in");
        if (a->n_folders == FOLDERS_MAX)
            argp_failure(state, DD_EXIT_USAGE, 0, "more than %d results folders", FOLDERS_MAX);
        a->folder[a->n_folders++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (a->n_folders == 0)
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "no results folder is given; `dodeca run scenarios/calibrate.yaml --out "
                         "DIR` makes one");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_predict(int argc, char **argv)
{
    static dd_options options;
    dd_options_add(&options, "cores", OPTION_CORES, "N,N",
                   "numbers of cores to predict for, a worker each (default 16,144,1728)");
    dd_options_add(
        &options, "model", OPTION_MODEL, "MODEL",
        "NAME or k=v,…: for this model, measured or not (default: the named ones measured)");
    dd_options_add(&options, "seq", OPTION_SEQ, "T",
                   "tokens per sequence (default: the most that was measured of the model)");
    dd_options_add(&options, "batch", OPTION_BATCH, "B",
                   "sequences a step (default: four for each core)");
    dd_options_add(&options, "json", OPTION_JSON, NULL, "one JSON object");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .args_doc = "DIR…",
        .doc =
            "Predict steps on more cores than there are, from sweeps measured here.\v"
            "Examples:\n"
            "  dodeca run scenarios/calibrate.yaml --out results/runs/calibrate\n"
            "  dodeca predict results/runs/calibrate\n"
            "  dodeca predict results/runs/calibrate --cores 64 --model micro "
            "--batch 512\n"
            "\n"
            "A step's time is modelled as a sum: the longest worker's products, attention, "
            "activations and passes over weights; folds; norm and update; meetings at A, B, V "
            "and U by level; a fixed part. The amounts are counted with the trainer's own "
            "placement and fold plan, the coefficients are fitted to the measured cells by least "
            "squares of relative error, none below 0. Cells with more workers than cores, with "
            "a check that did not hold, stealing, guard or disturbances are not fitted on, and "
            "counted. A measurement counts once: of a folder and its copy one is to be given.\n"
            "\n"
            "The error is told of cells the fit has not seen: every fifth in turn, and all of a "
            "model shape in turn. Predictions are ranges between two assumptions on memory and "
            "meetings, which are printed.\n"
            "\n"
            "Exit: 0 predicted; 1 predicted, but the median cell left out was off by more than "
            "10 %; 2 bad input, or too few cells.",
    };
    static asked a = {.cores = {16, 144, 1728}, .n_cores = 3};
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return DD_EXIT_USAGE;
    return run(&a);
}
