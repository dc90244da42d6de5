/* SPDX-License-Identifier: MIT
 * Reads journals: whether a sweep may be resumed, and what has been run of it. */
#include "sweep_journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell_record.h"
#include "report.h"
#include "report_json.h"
#include "sweep_times.h"

/* ---- The file ---- */

/* The whole file, mapped: a second descriptor, once closed, would take the lock along. */
typedef struct text {
    const char *at;
    size_t bytes;
} text;

static bool map(const dd_journal *j, text *out, char message[DD_JOURNAL_MESSAGE_MAX])
{
    struct stat is;
    *out = (text){"", 0};
    if (fstat(j->fd, &is) == 0 && is.st_size == 0)
        return true;
    void *at = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_PRIVATE, j->fd, 0);
    if (at == MAP_FAILED)
        return dd_journal_refuse_(message, "%.500s: cannot be read: %s", j->path, strerror(errno));
    *out = (text){at, (size_t)is.st_size};
    return true;
}

static void unmap(text t)
{
    if (t.bytes)
        munmap((void *)(uintptr_t)t.at, t.bytes);
}

/* The line that begins there, with its newline; 0 bytes: none that is whole. */
static text line_at(text all, size_t at)
{
    const char *end = at < all.bytes ? memchr(all.at + at, '\n', all.bytes - at) : NULL;
    return end ? (text){all.at + at, (size_t)(end - (all.at + at)) + 1} : (text){NULL, 0};
}

/* ---- The head ---- */

static bool take_sets(dd_journal *j)
{
    const json_t *sets = json_object_get(j->head, "sets");
    j->n_sets = json_array_size(sets);
    j->sets = calloc(j->n_sets + 1, sizeof *j->sets);
    for (size_t i = 0; j->sets && i < j->n_sets; i++)
        if (!(j->sets[i] = json_string_value(json_array_get(sets, i))))
            return false;
    return j->sets && json_is_array(sets);
}

static bool read_head(dd_journal *j, char message[DD_JOURNAL_MESSAGE_MAX])
{
    text all;
    if (!map(j, &all, message))
        return false;
    const text line = line_at(all, 0);
    j->head_bytes = line.bytes;
    j->head = line.bytes ? json_loadb(line.at, line.bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
    unmap(all);
    if (json_integer_value(json_object_get(j->head, "dodeca_sweep")) == 1 &&
        json_is_string(json_object_get(j->head, "file")) && take_sets(j))
        return true;
    return dd_journal_refuse_(message,
                              "%.400s: does not begin as the journal of a sweep does; run the "
                              "scenario anew, with --out %.300s --replace",
                              j->path, j->dir);
}

bool dd_journal_open(const char *dir, dd_journal **out, char message[DD_JOURNAL_MESSAGE_MAX])
{
    dd_journal *j = calloc(1, sizeof *j);
    if (!j)
        return dd_journal_refuse_(message, "%.500s: no memory for its journal", dir);
    *j = (dd_journal){.dir = strdup(dir), .fd = -1};
    if (asprintf(&j->path, "%s/" DD_JOURNAL_NAME, dir) < 0)
        j->path = NULL;
    bool good = j->dir && j->path;
    if (good && access(j->path, F_OK) != 0)
        good = dd_journal_refuse_(message,
                                  "%.500s: %s; resumed can be the results folder of a sweep, which "
                                  "has such a file",
                                  j->path, strerror(errno));
    good = good && dd_journal_lock_(j, false, message) && read_head(j, message);
    if (good)
        *out = j;
    else
        dd_journal_close(j);
    return good;
}

const char *dd_journal_file(const dd_journal *j)
{
    return json_string_value(json_object_get(j->head, "file"));
}

const char *const *dd_journal_sets(const dd_journal *j, size_t *n)
{
    *n = j->n_sets;
    return j->sets;
}

/* ---- Whether it is the same ---- */

/* Text and numbers, as they are shown. */
static void show(const json_t *value, char out[256])
{
    char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(out, 256, "%.200s", json ? json : "nothing");
    free(json);
}

static bool same(const dd_journal *j, const char *what, const json_t *now, const json_t *then,
                 char message[DD_JOURNAL_MESSAGE_MAX])
{
    char value_now[256], value_then[256];
    if (json_equal(now, then))
        return true;
    show(now, value_now);
    show(then, value_then);
    return dd_journal_refuse_(
        message,
        "%.300s cannot be resumed: %.200s is %s, it was %s; run the scenario anew, with --replace",
        j->dir, what, value_now, value_then);
}

static bool same_members(const dd_journal *j, const char *what, const json_t *now,
                         const json_t *then, const char *const *keys,
                         char message[DD_JOURNAL_MESSAGE_MAX])
{
    for (; *keys; keys++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", what, *keys);
        if (!same(j, name, json_object_get(now, *keys), json_object_get(then, *keys), message))
            return false;
    }
    return true;
}

static bool same_cells(const dd_journal *j, const json_t *now, const json_t *then,
                       char message[DD_JOURNAL_MESSAGE_MAX])
{
    char name[512];
    size_t n;
    const dd_key *keys = dd_keys(&n);
    if (json_array_size(now) != json_array_size(then))
        return dd_journal_refuse_(
            message,
            "%.300s cannot be resumed: the scenario has %zu cells, it had %zu; run it anew, with "
            "--replace",
            j->dir, json_array_size(now), json_array_size(then));
    for (size_t i = 0; i < json_array_size(now); i++) {
        const json_t *a = json_array_get(now, i), *b = json_array_get(then, i);
        const json_t *settings = json_object_get(a, "settings");
        const json_t *before = json_object_get(b, "settings");
        const char *label = json_string_value(json_object_get(a, "label"));
        for (size_t k = 0; k < n; k++) {
            snprintf(name, sizeof name, "%s of cell %zu%s%.300s%s", keys[k].name, i + 1,
                     label && *label ? " (" : "", label ? label : "", label && *label ? ")" : "");
            if (!same(j, name, json_object_get(settings, keys[k].name),
                      json_object_get(before, keys[k].name), message))
                return false;
        }
        /* a plug-in that was built anew is another trainer */
        const json_t *subject = json_object_get(a, "subject_hash");
        const json_t *subject_then = json_object_get(b, "subject_hash");
        snprintf(name, sizeof name, "the hash of %.300s",
                 json_string_value(json_object_get(settings, "subject")));
        if ((subject || subject_then) && !same(j, name, subject, subject_then, message))
            return false;
    }
    return true;
}

static bool same_sweep(const dd_journal *j, const dd_sweep *sweep, const dd_machine *machine,
                       char message[DD_JOURNAL_MESSAGE_MAX])
{
    static const char *const of_machine[] = {"cpu", "isa", "cores_usable", "kernel", NULL};
    static const char *const of_build[] = {"version", "commit",    "compiler", "flags",
                                           "type",    "sanitizer", NULL};
    json_t *now = dd_journal_head_(sweep, dd_journal_file(j), j->sets, j->n_sets, machine);
    if (!now)
        return dd_journal_refuse_(message, "no memory to compare the sweep");
    const json_t *then = j->head;
    bool good =
        same_cells(j, json_object_get(now, "cells"), json_object_get(then, "cells"), message) &&
        same_members(j, "the machine's", json_object_get(now, "machine"),
                     json_object_get(then, "machine"), of_machine, message) &&
        same_members(j, "the build's", json_object_get(now, "build"),
                     json_object_get(then, "build"), of_build, message) &&
        same(j, "the program's hash", json_object_get(now, "program_hash"),
             json_object_get(then, "program_hash"), message);
    json_decref(now);
    return good;
}

/* ---- Runs ---- */

typedef struct reader {
    dd_sweep *sweep;
    const char *dir;
    dd_run *run; /* the one that has begun; NULL: none has */
    dd_sweep_place place;
    dd_record last; /* what its child said last; DD_RECORD_BAD: nothing */
    char why[128];
} reader;

static bool wrong(reader *in, const char *why)
{
    snprintf(in->why, sizeof in->why, "%s", why);
    return false;
}

/* A whole number of the object, at most `most`. */
static bool get_whole(const json_t *o, const char *key, uint64_t most, uint64_t *out)
{
    const json_t *value = json_object_get(o, key);
    *out = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0 && *out <= most;
}

/* Its repeats as far as that one, all that lie between not run. */
static dd_run *repeat_of(dd_sweep_cell *cell, uint64_t repeat)
{
    const dd_settings *s = &cell->plan->settings;
    const uint32_t room = s->repeats_max > s->repeats ? s->repeats_max : s->repeats;
    if (repeat >= room)
        return NULL;
    while (cell->n_repeats <= repeat)
        dd_sweep_add_repeat(cell);
    return &cell->repeats[repeat].run;
}

static bool read_begin(reader *in, const json_t *o)
{
    uint64_t at, repeat;
    const bool oracle = json_is_true(json_object_get(o, "oracle"));
    const size_t n = oracle ? in->sweep->n_oracles : in->sweep->scenario->n_cells;
    if (in->run)
        return wrong(in, "a run begins within another");
    if (!get_whole(o, "at", n - 1, &at) || !get_whole(o, "repeat", UINT32_MAX, &repeat))
        return wrong(in, "there is no such cell");
    in->run = oracle ? &in->sweep->oracles[at].run : repeat_of(&in->sweep->cells[at], repeat);
    if (!in->run || in->run->outcome != DD_RUN_NOT_RUN) {
        in->run = NULL;
        return wrong(in, "the cell has no such repeat, or has it already");
    }
    in->place = (dd_sweep_place){.oracle = oracle, .at = at, .repeat = (uint32_t)repeat};
    in->last = DD_RECORD_BAD;
    return true;
}

/* What the child wrote beside its records is a file of its own. NULL where that cannot be read. */
static char *read_log(const reader *in)
{
    char name[64], path[DD_PATH_MAX];
    if (in->place.oracle)
        dd_report_oracle_log_name(name, in->place.at);
    else
        dd_report_log_name(name, in->place.at, in->place.repeat);
    snprintf(path, sizeof path, "%s/%s", in->dir, name);
    char *log = NULL;
    size_t size;
    FILE *from = fopen(path, "re");
    if (from && getdelim(&log, &size, '\0', from) < 0) {
        free(log);
        log = NULL;
    }
    if (from)
        fclose(from);
    return log;
}

static bool outcome_named(const char *name, dd_outcome *out)
{
    for (dd_outcome o = DD_RUN_ENDED; name && o <= DD_RUN_CRASH; o++)
        if (strcmp(name, dd_outcome_name(o)) == 0) {
            *out = o;
            return true;
        }
    return false;
}

static bool read_done(reader *in, const json_t *o)
{
    dd_run *run = in->run;
    dd_outcome outcome;
    uint64_t left;
    const char *reason = json_string_value(json_object_get(o, "reason"));
    const char *stall = json_string_value(json_object_get(o, "stall"));
    if (!run)
        return wrong(in, "a run ends that has not begun");
    if (!outcome_named(json_string_value(json_object_get(o, "outcome")), &outcome) || !reason ||
        !get_whole(o, "wall_ns", INT64_MAX, &run->wall_ns) ||
        !get_whole(o, "perturbations", INT64_MAX, &run->perturbations) ||
        !get_whole(o, "processes_left", UINT32_MAX, &left))
        return wrong(in, "the end of a run lacks a value");
    if ((outcome == DD_RUN_ENDED && in->last != DD_RECORD_END) ||
        (outcome == DD_RUN_REFUSED && in->last != DD_RECORD_REFUSED))
        return wrong(in, "the run ended without its final record");
    run->outcome = outcome;
    run->processes_left = (uint32_t)left;
    snprintf(run->reason, sizeof run->reason, "%s", reason);
    run->stall = stall ? strdup(stall) : NULL;
    run->log = json_is_true(json_object_get(o, "log")) ? read_log(in) : NULL;
    in->run = NULL;
    return true;
}

static bool read_again(reader *in, const json_t *o)
{
    uint64_t at;
    if (in->run || !get_whole(o, "at", in->sweep->scenario->n_cells - 1, &at))
        return wrong(in, "there is no such cell to run again");
    dd_sweep_forget(in->sweep, at);
    return true;
}

static bool begins_with(text line, const char *prefix)
{
    const size_t n = strlen(prefix);
    return line.bytes > n && memcmp(line.at, prefix, n) == 0;
}

/* *whole: what stands so far is runs that ended. */
static bool read_line(reader *in, text line, bool *whole)
{
    *whole = false;
    if (!begins_with(line, "{\"begin\"") && !begins_with(line, "{\"done\"") &&
        !begins_with(line, "{\"again\"")) {
        if (!in->run)
            return wrong(in, "what a child reports, but no run has begun");
        in->last = dd_record_read(line.at, line.bytes - 1, in->run, in->why);
        return in->last != DD_RECORD_BAD;
    }
    json_t *o = json_loadb(line.at, line.bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *part;
    bool good = false;
    if ((part = json_object_get(o, "begin")))
        good = read_begin(in, part);
    else if ((part = json_object_get(o, "done")))
        good = *whole = read_done(in, part);
    else if ((part = json_object_get(o, "again")))
        good = *whole = read_again(in, part);
    else
        wrong(in, "not JSON");
    json_decref(o);
    return good;
}

bool dd_journal_restore(dd_journal *j, dd_sweep *sweep, const dd_machine *machine,
                        char message[DD_JOURNAL_MESSAGE_MAX])
{
    text all, line;
    reader in = {.sweep = sweep, .dir = j->dir};
    size_t number = 1, end = j->head_bytes;
    bool good = true, whole;
    if (!same_sweep(j, sweep, machine, message) || !map(j, &all, message))
        return false;
    for (size_t at = end; good && (line = line_at(all, at)).bytes; at += line.bytes) {
        number++;
        good = read_line(&in, line, &whole);
        if (good && whole)
            end = at + line.bytes;
    }
    unmap(all);
    if (in.run) /* it was cut off in the midst of being added: it never was */
        dd_run_clear(in.run);
    if (!good)
        return dd_journal_refuse_(message, "%.500s:%zu: %s", j->path, number, in.why);
    if (ftruncate(j->fd, (off_t)end) != 0)
        return dd_journal_refuse_(message, "%.500s: %s", j->path, strerror(errno));
    sweep->started = (time_t)json_integer_value(json_object_get(j->head, "started"));
    dd_sweep_judge(sweep);
    sweep->wall_ns = (uint64_t)(1e9 * dd_sweep_spent_s(sweep)); /* what is known of it */
    return true;
}
