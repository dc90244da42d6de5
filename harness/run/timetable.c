/* SPDX-License-Identifier: MIT
 * Reads a timetable, and carries it out on paper with the hierarchy's own arithmetic. */
#include "timetable.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "random.h"
#include "text.h"

enum { RANDOM_MAX = 100000, ENTRY_MAX = 80, LISTED_MAX = 6 };
#define STEP_MAX 1000000000000u
#define PURPOSE_CHANGES 32 /* of random numbers, beside those of random.h */

/* The text, read: entries, or one random one. */
typedef struct reading {
    dd_timed *entry; /* (n) */
    uint64_t n;
    bool random;
    uint64_t changes, steps, seed; /* random */
} reading;

static const dd_command spoken[] = {DD_COMMAND_SPAWN, DD_COMMAND_TERMINATE, DD_COMMAND_REBALANCE,
                                    DD_COMMAND_CHECKPOINT};

/* ---- Grammar ---- */

/* The entry's next word, ended in place; NULL: there are no more. */
static char *word(char **rest)
{
    char *begin = *rest + strspn(*rest, " \t");
    if (*begin == '\0')
        return NULL;
    char *end = begin + strcspn(begin, " \t");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static bool malformed(const char *entry, const char *what, char message[DD_MESSAGE_MAX])
{
    dd_text_refuse(message,
                   "timetable: \"%.80s\": %s; such as \"5 spawn 0 4\", \"12 terminate 0\", "
                   "\"20 rebalance\", \"30 checkpoint\", \"random 200 in 500 seed 7\"",
                   entry, what);
    dd_text_one_line(message);
    return false;
}

static bool read_number(char **rest, uint64_t low, uint64_t high, uint64_t *out)
{
    const char *text = word(rest);
    return text && dd_text_uint(text, out) && *out >= low && *out <= high;
}

static bool read_random(const char *entry, char *rest, reading *r, char message[DD_MESSAGE_MAX])
{
    const char *in = NULL, *seed = NULL;
    r->random = true;
    if (!read_number(&rest, 1, RANDOM_MAX, &r->changes))
        return malformed(entry, "after random comes the number of changes, 1 to 100000", message);
    if (!(in = word(&rest)) || strcmp(in, "in") != 0 || !read_number(&rest, 2, STEP_MAX, &r->steps))
        return malformed(entry, "after the changes comes \"in\" and a number of steps, 2 or more",
                         message);
    if (!(seed = word(&rest)) || strcmp(seed, "seed") != 0 ||
        !read_number(&rest, 0, UINT64_MAX, &r->seed))
        return malformed(entry, "after the steps comes \"seed\" and a whole number", message);
    return !word(&rest) || malformed(entry, "there is more than a random entry has", message);
}

static bool read_entry(const char *entry, char *rest, dd_timed *out, char message[DD_MESSAGE_MAX])
{
    *out = (dd_timed){.command = DD_COMMANDS};
    if (!read_number(&rest, 0, STEP_MAX, &out->step))
        return malformed(entry, "an entry begins with the number of a step", message);
    const char *command = word(&rest), *place = NULL;
    for (size_t i = 0; command && i < sizeof spoken / sizeof spoken[0]; i++)
        if (strcmp(command, dd_command_name(spoken[i])) == 0)
            out->command = spoken[i];
    if (out->command == DD_COMMANDS)
        return malformed(entry, "the command is one of spawn, terminate, rebalance, checkpoint",
                         message);
    if (out->command == DD_COMMAND_SPAWN || out->command == DD_COMMAND_TERMINATE) {
        place = word(&rest);
        if (!place || !dd_place_read(place, &out->place))
            return malformed(entry, "the command is followed by a sphere, such as 3 or 3.0.11",
                             message);
    }
    uint64_t children = 0;
    if (out->command == DD_COMMAND_SPAWN && !read_number(&rest, 1, DD_POSITIONS, &children))
        return malformed(entry, "a sphere is followed by its number of children, 1 to 12", message);
    out->n_children = (uint32_t)children;
    return !word(&rest) || malformed(entry, "there is more than the command takes", message);
}

/* requires r zeroed; r->entry is the caller's to free, on failure too */
static bool read_text(const char *text, reading *r, char message[DD_MESSAGE_MAX])
{
    char buffer[DD_SPEC_MAX];
    size_t entries = 1;
    if (strlen(text) >= sizeof buffer)
        return dd_text_refuse(message, "timetable: %zu characters, at most %d are allowed",
                              strlen(text), DD_SPEC_MAX - 1);
    strcpy(buffer, text);
    for (const char *c = buffer; *c; c++)
        entries += *c == ';';
    r->entry = calloc(entries, sizeof *r->entry);
    if (!r->entry)
        return dd_text_refuse(message, "timetable: out of memory");
    for (char *part = buffer, *next; part; part = next) {
        char entry[ENTRY_MAX + 1], *rest = part, *first;
        next = strchr(part, ';');
        if (next)
            *next++ = '\0';
        (void)snprintf(entry, sizeof entry, "%s", part + strspn(part, " \t"));
        char ahead[ENTRY_MAX + 1], *peek = ahead;
        (void)snprintf(ahead, sizeof ahead, "%s", entry);
        if (!(first = word(&peek)) && !next)
            break; /* empty, or after the last semicolon */
        bool random = first && strcmp(first, "random") == 0;
        if ((random && r->n) || r->random)
            return malformed(entry, "random stands alone", message);
        if (random) {
            (void)word(&rest);
            if (!read_random(entry, rest, r, message))
                return false;
            continue;
        }
        if (!read_entry(entry, rest, &r->entry[r->n], message))
            return false;
        if (r->n && r->entry[r->n].step < r->entry[r->n - 1].step)
            return malformed(entry, "its step is before that of the entry before", message);
        r->n++;
    }
    return true;
}

bool dd_timetable_check(const char *text, char message[DD_MESSAGE_MAX])
{
    reading r = {0};
    bool ok = read_text(text, &r, message);
    if (ok && !r.n && !r.random)
        ok = malformed(text, "there is no entry", message);
    free(r.entry);
    return ok;
}

/* ---- On paper ---- */

typedef struct paper {
    const dd_timetable_frame *frame;
    uint32_t limit; /* of workers */
    dd_hierarchy *h;
    dd_timetable *out;
    char *message;
} paper;

/* "timetable: step 5, spawn 3.0 4: " and why not. */
static void say_why(const dd_timed *c, const char *why, char message[DD_MESSAGE_MAX])
{
    char place[DD_PLACE_TEXT];
    dd_text_refuse(message, "timetable: step %llu, %s", (unsigned long long)c->step,
                   dd_command_name(c->command));
    if (c->command == DD_COMMAND_SPAWN)
        dd_text_append(message, " %s %u", dd_place_write(c->place, place), c->n_children);
    if (c->command == DD_COMMAND_TERMINATE)
        dd_text_append(message, " %s", dd_place_write(c->place, place));
    dd_text_append(message, ": %s", why);
}

__attribute__((format(printf, 3, 4))) static bool impossible(paper *p, const dd_timed *c,
                                                             const char *format, ...)
{
    char why[DD_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    say_why(c, why, p->message);
    return false;
}

/* Whether sphere i is one that a spawn (or a terminate) can be asked of. */
static bool eligible(const dd_hierarchy *h, uint32_t i, bool spawn)
{
    const dd_sphere *s = &h->sphere[i];
    return spawn ? s->n_children == 0 && s->place.level < DD_SETTINGS_DEPTH_MAX
                 : s->n_children > 0 && i > 0;
}

/* The first few spheres that the command could be asked of: what would be right. */
static const char *those(const dd_hierarchy *h, bool spawn, char text[DD_MESSAGE_MAX])
{
    uint32_t n = 0;
    char place[DD_PLACE_TEXT];
    text[0] = '\0';
    for (uint32_t i = 0; i < h->n_spheres; i++)
        if (eligible(h, i, spawn) && n++ < LISTED_MAX)
            dd_text_append(text, "%s%s", n > 1 ? ", " : "",
                           dd_place_write(h->sphere[i].place, place));
    if (n > LISTED_MAX)
        dd_text_append(text, " and %u more", n - LISTED_MAX);
    if (n == 0)
        strcpy(text, "none");
    return text;
}

static bool check_place(paper *p, const dd_timed *c)
{
    bool spawn = c->command == DD_COMMAND_SPAWN;
    uint32_t at = dd_hierarchy_at(p->h, c->place);
    char right[DD_MESSAGE_MAX];
    if (at == DD_NO_SPHERE)
        return impossible(p, c, "there is no such sphere then; the %s there: %s",
                          spawn ? "workers" : "controls", those(p->h, spawn, right));
    if (at == 0)
        return impossible(p, c, "Node Zero %s; the %s there: %s",
                          spawn ? "is a control already" : "stays", spawn ? "workers" : "controls",
                          those(p->h, spawn, right));
    if (spawn != (p->h->sphere[at].n_children == 0))
        return impossible(p, c, "it is a %s then; the %s there: %s", spawn ? "control" : "worker",
                          spawn ? "workers" : "controls", those(p->h, spawn, right));
    if (spawn && !eligible(p->h, at, true))
        return impossible(p, c, "its children would be deeper than depth %d; the workers above: %s",
                          DD_SETTINGS_DEPTH_MAX, those(p->h, true, right));
    return true;
}

static bool check_room(paper *p, const dd_timed *c)
{
    uint32_t after = p->h->n_workers - 1 + c->n_children;
    const dd_timetable_frame *f = p->frame;
    if (c->command != DD_COMMAND_SPAWN || after <= p->limit)
        return true;
    uint32_t fit = p->limit > p->h->n_workers - 1 ? p->limit - p->h->n_workers + 1 : 0;
    const char *children = fit == 1 ? "child" : "children";
    if (f->max_workers && f->max_workers <= p->limit)
        return impossible(p, c, "makes %u workers, max-workers is %u; take at most %u %s", after,
                          f->max_workers, fit, children);
    if (p->limit < f->lanes)
        return impossible(p, c, "makes %u workers, at most %d can be; take at most %u %s", after,
                          DD_SETTINGS_WORKERS_MAX, fit, children);
    return impossible(p, c,
                      "makes %u workers, only %u lanes are filled; take a larger batch or "
                      "lane-depth, at most %u %s, or allow-idle",
                      after, f->lanes, fit, children);
}

/* Carries a change out and notes it. */
static bool carry(paper *p, const dd_timed *c)
{
    bool spawn = c->command == DD_COMMAND_SPAWN;
    if (c->step >= p->frame->steps)
        return impossible(p, c, "the run's last step is %llu",
                          (unsigned long long)p->frame->steps - 1);
    if (c->command == DD_COMMAND_REBALANCE && c->step == 0)
        return impossible(p, c, "no step has been measured then; take step 1 or later");
    if (spawn || c->command == DD_COMMAND_TERMINATE) {
        if (p->frame->depth == DD_DEPTH_AUTO)
            return impossible(p, c, "depth auto changes the spheres by itself; take depth 1 to %d",
                              DD_SETTINGS_DEPTH_MAX);
        if (!p->h)
            return impossible(p, c,
                              "needs `workers`, the number to begin with, which is else what "
                              "the machine allows");
        if (!check_place(p, c) || !check_room(p, c))
            return false;
        dd_hierarchy *after = NULL;
        dd_error error = {""};
        if ((spawn ? dd_hierarchy_expand(p->h, c->place, c->n_children, &after, &error)
                   : dd_hierarchy_collapse(p->h, c->place, &after, &error)) != DD_OK)
            return impossible(p, c, "%.300s", error.message);
        dd_hierarchy_close(p->h);
        p->h = after;
        if (after->n_workers > p->out->most_workers)
            p->out->most_workers = after->n_workers;
        if (after->depth > p->out->most_depth)
            p->out->most_depth = after->depth;
    }
    p->out->change[p->out->n++] = *c;
    return true;
}

/* Uniform in [0, n). */
static uint32_t draw(uint32_t random, uint32_t n)
{
    return (uint32_t)((uint64_t)random * n >> 32);
}

/* A change that is possible: there always is one. Where workers can spawn, one child at least fits;
 * where none can, all stand at the greatest depth, under a control. */
static dd_timed draw_change(const paper *p, const uint32_t random[4])
{
    uint32_t count[2] = {0, 0}; /* spheres to terminate, to spawn under */
    for (uint32_t i = 0; i < p->h->n_spheres; i++)
        for (uint32_t spawn = 0; spawn < 2; spawn++)
            count[spawn] += eligible(p->h, i, spawn);
    uint32_t spawn = count[1] && (!count[0] || random[0] & 1);
    uint32_t pick = draw(random[1], count[spawn]), i = 0;
    for (;; i++)
        if (eligible(p->h, i, spawn) && pick-- == 0)
            break;
    uint32_t room = p->limit - p->h->n_workers + 1;
    return (dd_timed){
        .command = spawn ? DD_COMMAND_SPAWN : DD_COMMAND_TERMINATE,
        .place = p->h->sphere[i].place,
        .n_children = spawn ? 1 + draw(random[2], room < DD_POSITIONS ? room : DD_POSITIONS) : 0};
}

static bool carry_random(paper *p, const reading *r)
{
    if (r->steps > p->frame->steps)
        return dd_text_refuse(p->message, "timetable: random in %llu steps: the run has %llu",
                              (unsigned long long)r->steps, (unsigned long long)p->frame->steps);
    if (p->frame->depth == DD_DEPTH_AUTO)
        return dd_text_refuse(p->message,
                              "timetable: random: depth auto changes the spheres by "
                              "itself; take depth 1 to %d",
                              DD_SETTINGS_DEPTH_MAX);
    if (!p->h)
        return dd_text_refuse(p->message,
                              "timetable: random needs `workers`, the number to begin with, which "
                              "is else what the machine allows");
    for (uint64_t i = 0; i < r->changes; i++) {
        uint32_t random[4];
        dd_philox(r->seed, i, PURPOSE_CHANGES, random);
        dd_timed c = draw_change(p, random);
        c.step = 1 + i * (r->steps - 1) / r->changes;
        if (!carry(p, &c))
            return false;
    }
    p->out->most_workers = p->limit; /* the draw depends on it: the same limit, the same changes */
    return true;
}

static uint32_t limit_of(const dd_timetable_frame *f, bool random)
{
    uint32_t limit = f->lanes < DD_SETTINGS_WORKERS_MAX ? f->lanes : DD_SETTINGS_WORKERS_MAX;
    if (f->max_workers && f->max_workers < limit)
        limit = f->max_workers;
    else if (!f->max_workers && random && f->depth != DD_DEPTH_AUTO &&
             dd_power_of_12(f->depth) < limit)
        limit = dd_power_of_12(f->depth);
    return limit > f->workers ? limit : f->workers;
}

bool dd_timetable_open(const char *text, const dd_timetable_frame *frame, dd_timetable **out,
                       char message[DD_MESSAGE_MAX])
{
    reading r = {0};
    message[0] = '\0';
    *out = NULL;
    bool ok = read_text(text, &r, message);
    paper p = {.frame = frame, .limit = limit_of(frame, r.random), .message = message};
    if (ok) {
        uint64_t n = r.random ? r.changes : r.n;
        p.out = calloc(1, sizeof *p.out);
        if (p.out)
            p.out->change = calloc(n + 1, sizeof *p.out->change);
        ok = p.out && p.out->change &&
             (!frame->workers || frame->depth == DD_DEPTH_AUTO ||
              dd_hierarchy_open(frame->depth, frame->workers, &p.h) == DD_OK);
        if (!ok)
            dd_text_refuse(message, "timetable: out of memory");
    }
    if (ok) {
        p.out->most_workers = frame->workers;
        p.out->most_depth = frame->depth;
        if (r.random)
            ok = carry_random(&p, &r);
        for (uint64_t i = 0; ok && i < r.n; i++)
            ok = carry(&p, &r.entry[i]);
    }
    dd_hierarchy_close(p.h);
    free(r.entry);
    if (ok)
        *out = p.out;
    else
        dd_timetable_close(p.out);
    return ok;
}

bool dd_timetable_of(const dd_settings *s, dd_timetable **out, char message[DD_MESSAGE_MAX])
{
    const dd_config *c = &s->config;
    dd_timetable_frame frame = {.depth = c->depth,
                                .workers = c->workers,
                                .max_workers = c->max_workers,
                                .lanes = c->allow_idle ? UINT32_MAX : dd_config_non_empty_lanes(c),
                                .steps = s->steps};
    return dd_timetable_open(s->timetable, &frame, out, message);
}

void dd_timetable_close(dd_timetable *t)
{
    if (!t)
        return;
    free(t->change);
    free(t);
}

/* ---- In a run ---- */

const dd_timed *dd_timetable_next(dd_timetable *t, uint64_t step)
{
    if (t->next == t->n || t->change[t->next].step > step)
        return NULL;
    return &t->change[t->next++];
}

dd_status dd_timetable_carry_out(dd_timetable *t, dd_trainer *trainer, uint64_t step,
                                 dd_error *error)
{
    const dd_timed *c;
    dd_status st = DD_OK;
    while (st == DD_OK && (c = dd_timetable_next(t, step))) {
        char place[DD_PLACE_TEXT];
        dd_error why = {""};
        (void)dd_place_write(c->place, place);
        if (c->command == DD_COMMAND_SPAWN)
            st = dd_trainer_spawn(trainer, place, c->n_children, &why);
        else if (c->command == DD_COMMAND_TERMINATE)
            st = dd_trainer_terminate(trainer, place, &why);
        else
            st = dd_trainer_command(trainer, c->command, &why);
        if (st != DD_OK && error)
            say_why(c, why.message, error->message);
    }
    return st;
}
