/* SPDX-License-Identifier: MIT
 * `dodeca spheres`: shows the hierarchy that a training with these settings begins with: where each
 * sphere is, what it touches, its thread, and the lanes of the workers. Trains nothing and opens no
 * data: all of it is a function of depth, workers, lane depth and batch. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "spheres_svg.h"

enum { OPTION_JSON = DD_OPTION_OWN, OPTION_SVG };

struct request {
    dd_settings settings;
    bool batch_given, lane_depth_given;
    bool json;
    const char *svg; /* a file to write; NULL: none */
};

/* ---- What is shown ---- */

static void view_close(dd_spheres_view *v)
{
    dd_hierarchy_close(v->hierarchy);
    free(v->share);
    free(v->tokens);
    free(v->below);
}

/* The depth to begin with, which of `auto` is the least with room for the workers. */
static uint32_t first_depth(const dd_config *c)
{
    uint32_t depth = c->depth ? c->depth : 1;
    while (c->depth == DD_DEPTH_AUTO && dd_power_of_12(depth) < c->workers)
        depth++;
    return depth;
}

/* Lane l owns sequences [l B / n, (l + 1) B / n) of n lanes. */
static bool view_open(const dd_config *c, dd_spheres_view *v)
{
    *v = (dd_spheres_view){.batch = c->batch, .seq = c->seq, .lane_depth = c->lane_depth};
    const uint64_t n_lanes = dd_power_of_12(c->lane_depth);
    v->tokens = calloc(n_lanes, sizeof *v->tokens);
    for (uint64_t l = 0; v->tokens && l < n_lanes; l++) {
        v->tokens[l] = ((l + 1) * c->batch / n_lanes - l * c->batch / n_lanes) * c->seq;
        v->all += v->tokens[l];
        v->non_empty += v->tokens[l] > 0;
    }
    const uint32_t depth = first_depth(c);
    const uint32_t room = dd_power_of_12(depth), all = room < v->non_empty ? room : v->non_empty;
    const uint32_t n = c->workers ? c->workers : all;
    v->share = calloc(n, sizeof *v->share);
    if (!v->tokens || !v->share || dd_hierarchy_open(depth, n, &v->hierarchy) != DD_OK ||
        dd_placement(v->tokens, c->lane_depth, n, NULL, v->share) != DD_OK ||
        !(v->below = calloc(v->hierarchy->n_spheres, sizeof *v->below))) {
        view_close(v);
        return false;
    }
    for (uint32_t w = 0; w < n; w++) {
        const uint64_t tokens = v->share[w].tokens;
        v->most = tokens > v->most ? tokens : v->most;
        for (uint32_t s = v->hierarchy->worker[w]; s != DD_NO_SPHERE;
             s = v->hierarchy->sphere[s].parent)
            v->below[s] += tokens;
    }
    return true;
}

static double lane_bound(const dd_spheres_view *v)
{
    return (double)v->all / (double)v->most;
}

/* "Node Zero", "control", "worker 7" */
static const char *role_of(const dd_spheres_view *v, uint32_t sphere, char text[24])
{
    const dd_sphere *it = &v->hierarchy->sphere[sphere];
    if (it->n_children == 0)
        (void)snprintf(text, 24, "worker %u", it->first_worker);
    else
        strcpy(text, sphere ? "control" : "Node Zero");
    return text;
}

/* The next sibling that the sphere touches, after `from` (itself to begin with: DD_NO_SPHERE);
 * DD_NO_SPHERE after the last. */
static uint32_t next_touched(const dd_hierarchy *h, uint32_t sphere, uint32_t from)
{
    const dd_sphere *it = &h->sphere[sphere];
    if (sphere == 0)
        return DD_NO_SPHERE;
    const dd_sphere *up = &h->sphere[it->parent];
    const uint32_t end = up->first_child + up->n_children;
    for (uint32_t s = from == DD_NO_SPHERE ? up->first_child : from + 1; s < end; s++)
        if (s != sphere && dd_places_touch(it->place, h->sphere[s].place))
            return s;
    return DD_NO_SPHERE;
}

/* ---- As a tree ---- */

/* A line for the sphere, then those below it. `above` is what stands left of its children's lines.
 */
static void print_sphere(const dd_spheres_view *v, uint32_t sphere, const char *above, bool last)
{
    const dd_hierarchy *h = v->hierarchy;
    const dd_sphere *it = &h->sphere[sphere];
    const dd_ball ball = dd_place_ball(it->place);
    char place[DD_PLACE_TEXT], role[24], lanes[24] = "", touched[64] = "its children", inside[64];
    dd_place_write(it->place, place);
    if (it->n_children == 0) {
        const dd_share *s = &v->share[it->first_worker];
        (void)snprintf(lanes, sizeof lanes,
                       s->count > 1 ? "%u-%u"
                       : s->count   ? "%u"
                                    : "none",
                       s->first, s->first + s->count - 1);
    }
    if (sphere > 0) {
        size_t used = (size_t)snprintf(touched, sizeof touched, "centre");
        for (uint32_t s = DD_NO_SPHERE; (s = next_touched(h, sphere, s)) != DD_NO_SPHERE;)
            used += (size_t)snprintf(touched + used, sizeof touched - used, " %u",
                                     dd_place_position(h->sphere[s].place));
    }
    /* the branch takes two columns a level, whatever its bytes */
    const int pad = 2 * (int)(h->depth - it->place.level) + 12;
    const char *branch = sphere == 0 ? "" : last ? "└ " : "├ ";
    char position[4] = "-";
    if (sphere > 0)
        (void)snprintf(position, sizeof position, "%u", dd_place_position(it->place));
    printf("%s%s%-*s %-11s %6u %8s  %7.4f %7.4f %7.4f  %7.5f  %9" PRIu64 "  %-9s  %s\n", above,
           branch, pad, place, role_of(v, sphere, role), sphere, position, ball.centre[0],
           ball.centre[1], ball.centre[2], ball.radius, v->below[sphere], lanes, touched);
    (void)snprintf(inside, sizeof inside, "%s%s", above, sphere == 0 ? "" : last ? "  " : "│ ");
    for (uint32_t c = 0; c < it->n_children; c++)
        print_sphere(v, it->first_child + c, inside, c + 1 == it->n_children);
}

static void print_tree(const dd_spheres_view *v, bool all)
{
    const dd_hierarchy *h = v->hierarchy;
    printf("%u sphere%s: %u worker%s%s, %u control%s, depth %u\n", h->n_spheres,
           h->n_spheres == 1 ? "" : "s", h->n_workers, h->n_workers == 1 ? "" : "s",
           all ? " (as many as fit; --workers N for fewer)" : "", h->n_controls,
           h->n_controls == 1 ? "" : "s", h->depth);
    printf("batch %u x %u tokens, lane depth %u: %u lanes, %u of them non-empty\n\n", v->batch,
           v->seq, v->lane_depth, dd_power_of_12(v->lane_depth), v->non_empty);
    printf("%-*s %-11s %6s %8s  %-23s  %-7s  %9s  %-9s  %s\n", 2 * (int)h->depth + 12, "sphere",
           "role", "thread", "position", "centre", "radius", "tokens", "lanes", "touches");
    print_sphere(v, 0, "", true);
    printf(
        "\n"
        "Twelve spheres touch the one in the centre, a third of their parent's size, and four of\n"
        "each other: two mates in a triangle (0-2, 3-5, 6-8, 9-11) and one in each of two other\n"
        "triangles. Lanes lie in spheres of their own and fold as (p0+p1)+p2 in a triangle, then\n"
        "(t0+t1)+(t2+t3) at the centre, whoever runs them.\n\n"
        "lane bound %.2f: tokens / most tokens on one worker, the speedup this placement allows\n",
        lane_bound(v));
}

/* ---- As JSON ---- */

static json_t *json_position(uint32_t p)
{
    json_t *touching = json_array();
    for (uint32_t q = 0; q < DD_POSITIONS; q++)
        if (q != p && dd_in_contact(p, q))
            (void)json_array_append_new(touching, json_integer(q));
    return json_pack("{s:i, s:i, s:[i,i,i], s:b, s:o}", "position", (int)p, "triangle", (int)p / 3,
                     "coordinates", dd_position[p][0], dd_position[p][1], dd_position[p][2],
                     "touches_centre", (int)dd_in_contact(p, DD_CENTRE), "touches", touching);
}

static json_t *json_sphere(const dd_spheres_view *v, uint32_t sphere)
{
    const dd_hierarchy *h = v->hierarchy;
    const dd_sphere *it = &h->sphere[sphere];
    const dd_ball ball = dd_place_ball(it->place);
    char place[DD_PLACE_TEXT], other[DD_PLACE_TEXT];
    json_t *touched = json_array();
    for (uint32_t s = DD_NO_SPHERE; (s = next_touched(h, sphere, s)) != DD_NO_SPHERE;)
        (void)json_array_append_new(touched,
                                    json_string(dd_place_write(h->sphere[s].place, other)));
    json_t *out =
        json_pack("{s:s, s:s, s:i, s:i, s:[f,f,f], s:f, s:i, s:I, s:o}", "sphere",
                  dd_place_write(it->place, place), "role",
                  it->n_children == 0 ? "worker"
                  : sphere            ? "control"
                                      : "node-zero",
                  "thread", (int)sphere, "level", (int)it->place.level, "centre", ball.centre[0],
                  ball.centre[1], ball.centre[2], "radius", ball.radius, "workers",
                  (int)it->n_workers, "tokens", (json_int_t)v->below[sphere], "touches", touched);
    if (out && sphere > 0) {
        (void)json_object_set_new(out, "position", json_integer(dd_place_position(it->place)));
        (void)json_object_set_new(out, "parent",
                                  json_string(dd_place_write(h->sphere[it->parent].place, other)));
    }
    if (out && it->n_children == 0) {
        const dd_share *s = &v->share[it->first_worker];
        (void)json_object_set_new(out, "worker", json_integer(it->first_worker));
        (void)json_object_set_new(out, "first_lane", json_integer(s->first));
        (void)json_object_set_new(out, "lanes", json_integer(s->count));
        (void)json_object_set_new(out, "non_empty_lanes", json_integer(s->n_lanes));
        (void)json_object_set_new(
            out, "contacts_inside",
            json_integer(dd_contacts_inside(s->first, s->count, v->tokens, v->lane_depth)));
    }
    return out;
}

static int print_json(const dd_spheres_view *v)
{
    const dd_hierarchy *h = v->hierarchy;
    json_t *positions = json_array(), *spheres = json_array();
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        (void)json_array_append_new(positions, json_position(p));
    for (uint32_t s = 0; s < h->n_spheres; s++)
        (void)json_array_append_new(spheres, json_sphere(v, s));
    json_t *root = json_pack(
        "{s:i, s:i, s:i, s:i, s:I, s:I, s:i, s:f, s:o, s:o}", "depth", (int)h->depth, "workers",
        (int)h->n_workers, "controls", (int)h->n_controls, "lane_depth", (int)v->lane_depth,
        "batch", (json_int_t)v->batch, "seq", (json_int_t)v->seq, "non_empty_lanes",
        (int)v->non_empty, "lane_bound", lane_bound(v), "positions", positions, "spheres", spheres);
    const bool whole = root && json_array_size(spheres) == h->n_spheres &&
                       json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    putchar('\n');
    json_decref(root);
    if (!whole)
        fputs("dodeca spheres: out of memory\n", stderr);
    return whole ? DD_EXIT_HELD : DD_EXIT_ENVIRONMENT;
}

/* ---- The command ---- */

static void finish(struct request *r, struct argp_state *state)
{
    dd_config *c = &r->settings.config;
    char message[DD_MESSAGE_MAX];
    if (!r->lane_depth_given)
        c->lane_depth = first_depth(c);
    if (!r->batch_given)
        c->batch = dd_power_of_12(c->lane_depth);
    if (!dd_settings_finish(&r->settings, message))
        argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    struct request *r = state->input;
    const dd_key *key = dd_option_key(id);
    if (key) {
        dd_option_set(&r->settings, id, argument, state);
        r->batch_given |= strcmp(key->name, "batch") == 0;
        r->lane_depth_given |= strcmp(key->name, "lane-depth") == 0;
        return 0;
    }
    switch (id) {
    case OPTION_JSON:
        r->json = true;
        return 0;
    case OPTION_SVG:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0, "--svg: the file has no name");
        r->svg = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0, "\"%s\": there are only options; see --help",
                     argument);
        return 0;
    case ARGP_KEY_END:
        finish(r, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int show(const struct request *r)
{
    dd_spheres_view v;
    if (!view_open(&r->settings.config, &v)) {
        fputs("dodeca spheres: out of memory\n", stderr);
        return DD_EXIT_ENVIRONMENT;
    }
    int code = DD_EXIT_HELD;
    if (r->json)
        code = print_json(&v);
    else
        print_tree(&v, r->settings.config.workers == 0);
    if (r->svg) {
        const char *failed = dd_spheres_svg(&v, r->svg);
        if (failed) {
            fprintf(stderr, "dodeca spheres: --svg: cannot write %s: %s: %s\n", r->svg, failed,
                    strerror(errno));
            code = DD_EXIT_USAGE;
        } else {
            fprintf(stderr, "drawing of %u spheres written to %s\n", v.hierarchy->n_spheres,
                    r->svg);
        }
    }
    view_close(&v);
    return code;
}

int dd_cmd_spheres(int argc, char **argv)
{
    static dd_options options;
    static const char *const settings[] = {"workers", "depth", "lane-depth", "batch",
                                           "seq",     "model", "allow-idle", NULL};
    static const struct {
        const char *name, *doc;
    } defaults[] = {
        {"workers", "leaf threads (default: one for each position that gets a lane)"},
        {"lane-depth", "12^D lanes, 1 to 3 (default: the depth)"},
        {"batch", "sequences of a step (default: one for each lane)"},
    };
    dd_options_add_settings(&options, settings);
    for (size_t i = 0; i < options.n; i++) /* the table's defaults are those of a training */
        for (size_t k = 0; k < sizeof defaults / sizeof defaults[0]; k++)
            if (strcmp(options.option[i].name, defaults[k].name) == 0)
                options.option[i].doc = defaults[k].doc;
    dd_options_add(&options, "json", OPTION_JSON, NULL, "the same as one JSON object");
    dd_options_add(&options, "svg", OPTION_SVG, "FILE", "draw it, too; FILE is replaced");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc = "Show the spheres around Node Zero: where each is, what it touches, its thread, and "
               "who gets which lanes. What is not given is chosen so that the hierarchy is full.\v"
               "Examples:\n"
               "  dodeca spheres --workers 4\n"
               "  dodeca spheres --workers 5 --batch 7    # some lanes own no sequence\n"
               "  dodeca spheres --depth 2 --svg spheres.svg\n"
               "\n"
               "Exit: 0 told; 2 bad usage, no such hierarchy, or a drawing that cannot be "
               "written; 3 out of memory.",
    };
    struct request r = {0};
    dd_settings_default(&r.settings);
    if (argp_parse(&argp, argc, argv, 0, NULL, &r) != 0)
        return DD_EXIT_USAGE;
    return show(&r);
}
