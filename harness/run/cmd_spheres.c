/* SPDX-License-Identifier: MIT
 * `dodeca spheres`: shows the spheres of depth 1, their contacts, and which worker gets which
 * lanes. Trains nothing and opens no data: the placement is a function of batch, seq and workers.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "cpu.h"
#include "options.h"
#include "spheres.h"

enum { OPTION_JSON = DD_OPTION_OWN };

struct view {
    dd_settings settings;
    bool json;
    uint32_t workers; /* effective */
    uint32_t non_empty;
    uint64_t sequences[DD_POSITIONS], tokens[DD_POSITIONS];
    uint64_t all_tokens, most_tokens; /* of the step, of one worker */
    dd_share share[DD_MAX_WORKERS];
    uint32_t worker_of[DD_POSITIONS]; /* of a non-empty lane */
};

/* Lane l owns sequences [l B / 12, (l + 1) B / 12). */
static void place(struct view *v)
{
    const dd_config *c = &v->settings.config;
    for (uint64_t l = 0; l < DD_POSITIONS; l++) {
        v->sequences[l] = (l + 1) * c->batch / DD_POSITIONS - l * c->batch / DD_POSITIONS;
        v->tokens[l] = v->sequences[l] * c->seq;
        v->all_tokens += v->tokens[l];
        v->non_empty += v->tokens[l] > 0;
    }
    uint32_t cpus = dd_cpu_available();
    v->workers = c->workers ? c->workers : cpus < v->non_empty ? cpus : v->non_empty;
    dd_placement(v->tokens, v->workers, v->share);
    for (uint32_t w = 0; w < v->workers; w++) {
        if (v->share[w].tokens > v->most_tokens)
            v->most_tokens = v->share[w].tokens;
        for (uint32_t l = 0; l < v->share[w].count; l++)
            v->worker_of[v->share[w].first + l] = w;
    }
}

static double lane_bound(const struct view *v)
{
    return (double)v->all_tokens / (double)v->most_tokens;
}

/* "0 2 4 11" */
static void contacts(uint32_t position, char text[64])
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t q = 0; q < DD_POSITIONS; q++)
        if (q != position && dd_in_contact(position, q))
            used += (size_t)snprintf(text + used, 64 - used, "%s%u", used ? " " : "", q);
}

static void print_tree(const struct view *v)
{
    const dd_config *c = &v->settings.config;
    printf("Node Zero at the centre: control, touches positions 0 to 11, processes no lane\n");
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        if (p % 3 == 0)
            printf("%s triangle %u: %u, %u and %u touch each other\n", p == 9 ? "└─" : "├─", p / 3,
                   p, p + 1, p + 2);
        char touching[64], owner[32] = "empty";
        contacts(p, touching);
        if (v->tokens[p])
            (void)snprintf(owner, sizeof owner, "worker %u", v->worker_of[p]);
        printf("%s  %s position %-2u (%2d,%2d,%2d)  touches %-9s  ", p < 9 ? "│" : " ",
               p % 3 == 2 ? "└─" : "├─", p, dd_position[p][0], dd_position[p][1], dd_position[p][2],
               touching);
        printf("lane %-2u %4" PRIu64 " sequence%s  %s\n", p, v->sequences[p],
               v->sequences[p] == 1 ? " " : "s", owner);
    }
    printf(
        "\n"
        "A position touches the centre and four others: its two triangle mates and one in each of\n"
        "two other triangles. Gradients fold as (p0+p1)+p2 in a triangle, then (t0+t1)+(t2+t3) at\n"
        "the centre.\n\n");
    printf("%u worker%s, batch %u x %u tokens\n\n", v->workers, v->workers == 1 ? "" : "s",
           c->batch, c->seq);
    printf("worker  lanes   sequences   tokens   share  contacts inside\n");
    for (uint32_t w = 0; w < v->workers; w++) {
        const dd_share *s = &v->share[w];
        char lanes[16] = "none";
        if (s->count > 1)
            (void)snprintf(lanes, sizeof lanes, "%u-%u", s->first, s->first + s->count - 1);
        else if (s->count == 1)
            (void)snprintf(lanes, sizeof lanes, "%u", s->first);
        printf("%6u  %-6s  %9" PRIu64 "  %7" PRIu64 "  %5.1f%%  %15u\n", w, lanes,
               s->tokens / c->seq, s->tokens, 100 * (double)s->tokens / (double)v->all_tokens,
               dd_contacts_inside(s->first, s->count, v->tokens));
    }
    printf("\nlane bound %.2f: tokens / most tokens on one worker, the speedup this placement "
           "allows\n",
           lane_bound(v));
}

static json_t *json_position(const struct view *v, uint32_t p)
{
    json_t *touching = json_array();
    for (uint32_t q = 0; q < DD_POSITIONS; q++)
        if (q != p && dd_in_contact(p, q))
            (void)json_array_append_new(touching, json_integer(q));
    return json_pack("{s:i, s:i, s:[i,i,i], s:b, s:o, s:I, s:I, s:o}", "position", (int)p,
                     "triangle", (int)p / 3, "coordinates", dd_position[p][0], dd_position[p][1],
                     dd_position[p][2], "touches_centre", (int)dd_in_contact(p, DD_CENTRE),
                     "touches", touching, "sequences", (json_int_t)v->sequences[p], "tokens",
                     (json_int_t)v->tokens[p], "worker",
                     v->tokens[p] ? json_integer(v->worker_of[p]) : json_null());
}

static int print_json(const struct view *v)
{
    const dd_config *c = &v->settings.config;
    json_t *positions = json_array(), *workers = json_array();
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        (void)json_array_append_new(positions, json_position(v, p));
    for (uint32_t w = 0; w < v->workers; w++) {
        const dd_share *s = &v->share[w];
        (void)json_array_append_new(
            workers, json_pack("{s:i, s:i, s:i, s:i, s:I, s:i}", "worker", (int)w, "first_lane",
                               (int)s->first, "lanes", (int)s->count, "non_empty_lanes",
                               (int)s->n_lanes, "tokens", (json_int_t)s->tokens, "contacts_inside",
                               (int)dd_contacts_inside(s->first, s->count, v->tokens)));
    }
    json_t *root =
        json_pack("{s:i, s:I, s:I, s:i, s:f, s:o, s:o}", "depth", 1, "batch", (json_int_t)c->batch,
                  "seq", (json_int_t)c->seq, "non_empty_lanes", (int)v->non_empty, "lane_bound",
                  lane_bound(v), "positions", positions, "workers", workers);
    int failed = !root || json_dumpf(root, stdout, JSON_INDENT(2)) != 0;
    putchar('\n');
    json_decref(root);
    if (failed)
        fputs("dodeca spheres: out of memory\n", stderr);
    return failed ? DD_EXIT_ENVIRONMENT : DD_EXIT_HELD;
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    struct view *v = state->input;
    char message[DD_MESSAGE_MAX];
    if (dd_option_key(id)) {
        dd_option_set(&v->settings, id, argument, state);
        return 0;
    }
    switch (id) {
    case OPTION_JSON:
        v->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0, "\"%s\": there are only options; see --help",
                     argument);
        return 0;
    case ARGP_KEY_END:
        if (!dd_settings_finish(&v->settings, message))
            argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_spheres(int argc, char **argv)
{
    static dd_options options;
    static const char *const settings[] = {"workers", "batch",      "seq", "model",
                                           "depth",   "allow-idle", NULL};
    dd_options_add_settings(&options, settings);
    dd_options_add(&options, "json", OPTION_JSON, NULL, "the same as one JSON object");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc =
            "Show the twelve spheres around Node Zero, their contacts, and who gets which lanes.\v"
            "Examples:\n"
            "  dodeca spheres --workers 4\n"
            "  dodeca spheres --workers 5 --batch 7     lanes that own no sequence are empty",
    };
    struct view v = {0};
    dd_settings_default(&v.settings);
    if (argp_parse(&argp, argc, argv, 0, NULL, &v) != 0)
        return DD_EXIT_USAGE;
    place(&v);
    if (v.json)
        return print_json(&v);
    print_tree(&v);
    return DD_EXIT_HELD;
}
