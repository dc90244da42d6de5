/* SPDX-License-Identifier: MIT
 * Writes journals. Every run is one write() of whole lines. */
#include "sweep_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell_record.h"
#include "folder.h"
#include "program.h"
#include "report_json.h"

bool dd_journal_refuse_(char message[DD_JOURNAL_MESSAGE_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, DD_JOURNAL_MESSAGE_MAX, format, args);
    va_end(args);
    return false;
}

static bool refuse_write(dd_journal *j, char message[DD_JOURNAL_MESSAGE_MAX])
{
    j->failed = true;
    return dd_journal_refuse_(message, "%.500s: %s", j->path, strerror(errno));
}

/* Of bytes that no part stays away: a run that is half there would be read as one that never was,
 * and all that follow would be lost with it. */
static bool write_all(dd_journal *j, const char *text, size_t n,
                      char message[DD_JOURNAL_MESSAGE_MAX])
{
    if (j->failed)
        return dd_journal_refuse_(message, "%.500s: nothing is added after a failure", j->path);
    while (n) {
        const ssize_t written = write(j->fd, text, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return refuse_write(j, message);
        text += written;
        n -= (size_t)written;
    }
    return true;
}

/* Takes the line; NULL: there was no memory for it. */
static bool write_line(dd_journal *j, json_t *line, bool good, char message[DD_JOURNAL_MESSAGE_MAX])
{
    char *text = good && line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text) {
        j->failed = true;
        return dd_journal_refuse_(message, "%.500s: no memory for a line", j->path);
    }
    const size_t n = strlen(text);
    text[n] = '\n'; /* in the place of its end */
    good = write_all(j, text, n + 1, message);
    free(text);
    return good;
}

/* ---- Opening ---- */

/* Whether the file is what the path stands for: who had it before may have removed it between our
 * open and our lock. */
static bool still_named(const dd_journal *j)
{
    struct stat named, open;
    return lstat(j->path, &named) == 0 && fstat(j->fd, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

/* A link goes while nobody else may remove one: nor can anybody put a file in its place before.
 * returns  false with errno */
static bool remove_link(const dd_journal *j)
{
    const int folder = dd_folder_lock(j->dir);
    if (folder < 0)
        return false;
    dd_folder_drop_link(j->path);
    close(folder);
    return true;
}

/* make: a new one, if there is none.  returns  false with errno */
static bool open_file(dd_journal *j, bool make)
{
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    j->fd = open(j->path, flags);
    if (j->fd < 0 && errno == ELOOP && make && remove_link(j))
        errno = ENOENT;
    j->is_new = j->fd < 0 && errno == ENOENT && make;
    if (j->is_new)
        j->fd = open(j->path, flags | O_CREAT | O_EXCL, 0666);
    return j->fd >= 0;
}

static bool refuse_open(dd_journal *j, char message[DD_JOURNAL_MESSAGE_MAX])
{
    if (errno == ELOOP)
        return dd_journal_refuse_(
            message, "%.500s: is a symbolic link, and none is written through; it must be a file",
            j->path);
    if (errno == EWOULDBLOCK)
        return dd_journal_refuse_(message, "%.500s: another dodeca is at work there", j->path);
    return refuse_write(j, message);
}

bool dd_journal_lock_(dd_journal *j, bool make, char message[DD_JOURNAL_MESSAGE_MAX])
{
    for (int tries = 0; tries < 100; tries++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        struct stat is;
        if (!open_file(j, make)) {
            if (make && errno == EEXIST)
                continue; /* somebody has made it by now */
            return refuse_open(j, message);
        }
        if (fstat(j->fd, &is) == 0 && !S_ISREG(is.st_mode))
            return dd_journal_refuse_(message, "%.500s: is no regular file, and must be one",
                                      j->path);
        if (fcntl(j->fd, F_SETLK, &lock) != 0) /* no child inherits it, it goes with the process */
            break;
        if (still_named(j))
            return true;
        close(j->fd);
        j->fd = -1;
    }
    return dd_journal_refuse_(message, "%.500s: another dodeca is writing there", j->path);
}

static json_t *cells_json(const dd_sweep *sweep, bool *ok)
{
    json_t *cells = json_array();
    for (size_t i = 0; i < sweep->scenario->n_cells; i++) {
        const dd_scenario_cell *plan = sweep->cells[i].plan;
        json_t *cell = json_object();
        dd_json_put(cell, "label", dd_json_text(plan->label), ok);
        dd_json_put(cell, "settings", dd_settings_json(&plan->settings, ok), ok);
        if (plan->settings.plugin[0]) {
            char hash[33];
            (void)dd_program_hash(plan->settings.plugin, hash);
            dd_json_put(cell, "subject_hash", dd_json_text(hash), ok);
        }
        dd_json_append(cells, cell, ok);
    }
    return cells;
}

json_t *dd_journal_head_(const dd_sweep *sweep, const char *file, const char *const *sets,
                         size_t n_sets, const dd_machine *machine)
{
    bool ok = true;
    char program_hash[33];
    json_t *head = json_object(), *all_sets = json_array();
    (void)dd_program_hash("/proc/self/exe", program_hash);
    for (size_t i = 0; i < n_sets; i++)
        dd_json_append(all_sets, dd_json_text(sets[i]), &ok);
    dd_json_put(head, "dodeca_sweep", json_integer(1), &ok);
    dd_json_put(head, "scenario", dd_json_text(sweep->scenario->name), &ok);
    dd_json_put(head, "file", dd_json_text(file), &ok);
    dd_json_put(head, "sets", all_sets, &ok);
    dd_json_put(head, "started", json_integer((json_int_t)time(NULL)), &ok);
    dd_json_put(head, "machine", dd_machine_json(machine, &ok), &ok);
    dd_json_put(head, "build", dd_build_json(&ok), &ok);
    dd_json_put(head, "program_hash", dd_json_text(program_hash), &ok);
    dd_json_put(head, "cells", cells_json(sweep, &ok), &ok);
    if (ok)
        return head;
    json_decref(head);
    return NULL;
}

bool dd_journal_take(const char *dir, dd_journal **out, char message[DD_JOURNAL_MESSAGE_MAX])
{
    dd_journal *j = calloc(1, sizeof *j);
    if (!j)
        return dd_journal_refuse_(message, "%.500s: no memory for its journal", dir);
    *j = (dd_journal){.dir = strdup(dir), .fd = -1};
    if (asprintf(&j->path, "%s/" DD_JOURNAL_NAME, dir) < 0)
        j->path = NULL;
    bool good = j->dir && j->path;
    if (good)
        good = dd_journal_lock_(j, true, message);
    else
        dd_journal_refuse_(message, "%.500s: no memory for its journal", dir);
    if (good)
        *out = j;
    else
        dd_journal_close(j);
    return good;
}

bool dd_journal_begin(dd_journal *j, const dd_sweep *sweep, const char *const *sets, size_t n_sets,
                      const dd_machine *machine, char message[DD_JOURNAL_MESSAGE_MAX])
{
    /* from wherever it is resumed */
    char *file = realpath(sweep->scenario->file, NULL);
    bool good =
        file || dd_journal_refuse_(message, "%.500s: %s", sweep->scenario->file, strerror(errno));
    if (good && ftruncate(j->fd, 0) != 0)
        good = refuse_write(j, message);
    good =
        good && write_line(j, dd_journal_head_(sweep, file, sets, n_sets, machine), true, message);
    free(file);
    return good;
}

bool dd_journal_empty(dd_journal *j, char message[DD_JOURNAL_MESSAGE_MAX])
{
    j->is_new = ftruncate(j->fd, 0) == 0;
    return j->is_new || refuse_write(j, message);
}

void dd_journal_leave(const dd_journal *j)
{
    if (j && j->is_new && still_named(j))
        (void)unlink(j->path);
}

void dd_journal_close(dd_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    json_decref(j->head);
    free(j->sets);
    free(j->dir);
    free(j->path);
    free(j);
}

/* ---- Adding ---- */

/* {"KIND": BODY} as a line. */
static bool print_line(FILE *out, const char *kind, json_t *body, bool ok)
{
    json_t *line = json_object();
    dd_json_put(line, kind, body, &ok);
    ok = ok && json_dumpf(line, out, JSON_COMPACT) == 0 && fputc('\n', out) != EOF;
    json_decref(line);
    return ok;
}

static bool print_begin(FILE *out, const dd_sweep_place *place)
{
    bool ok = true;
    json_t *o = json_object();
    dd_json_put(o, "oracle", json_boolean(place->oracle), &ok);
    dd_json_put(o, "at", dd_json_whole(place->at), &ok);
    dd_json_put(o, "repeat", dd_json_whole(place->repeat), &ok);
    return print_line(out, "begin", o, ok);
}

/* A record of cell_record.h, which is then freed. */
static bool print_record(FILE *out, char *line)
{
    const bool ok = line && fputs(line, out) >= 0;
    free(line);
    return ok;
}

static bool print_done(FILE *out, const dd_run *run)
{
    bool ok = true;
    json_t *o = json_object();
    dd_json_put(o, "outcome", dd_json_text(dd_outcome_name(run->outcome)), &ok);
    dd_json_put(o, "reason", dd_json_text(run->reason), &ok);
    dd_json_put(o, "wall_ns", dd_json_whole(run->wall_ns), &ok);
    dd_json_put(o, "perturbations", dd_json_whole(run->perturbations), &ok);
    dd_json_put(o, "processes_left", dd_json_whole(run->processes_left), &ok);
    dd_json_put(o, "log", json_boolean(run->log != NULL), &ok);
    if (run->stall)
        dd_json_put(o, "stall", dd_json_text(run->stall), &ok);
    return print_line(out, "done", o, ok);
}

static bool print_run(FILE *out, const dd_sweep_place *place, const dd_run *run)
{
    bool ok = print_begin(out, place);
    for (size_t i = 0; ok && i < run->n_steps; i++)
        ok = print_record(out, dd_record_step(&run->steps[i]));
    if (ok && run->outcome == DD_RUN_ENDED)
        ok = print_record(out, dd_record_end(&run->end));
    if (ok && run->outcome == DD_RUN_REFUSED)
        ok = print_record(out, dd_record_refused(run->end.status, run->end.message));
    return ok && print_done(out, run);
}

bool dd_journal_add(dd_journal *j, const dd_sweep *sweep, const dd_sweep_place *done,
                    char message[DD_JOURNAL_MESSAGE_MAX])
{
    const dd_run *run = done->oracle ? &sweep->oracles[done->at].run
                                     : &sweep->cells[done->at].repeats[done->repeat].run;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    bool good = out && print_run(out, done, run);
    if (out && fclose(out) != 0)
        good = false;
    if (good) {
        good = write_all(j, text, n, message);
    } else {
        j->failed = true;
        dd_journal_refuse_(message, "%.500s: no memory for a run", j->path);
    }
    free(text);
    return good;
}

bool dd_journal_again(dd_journal *j, size_t cell, char message[DD_JOURNAL_MESSAGE_MAX])
{
    json_t *line = json_pack("{s:{s:I}}", "again", "at", (json_int_t)cell);
    return write_line(j, line, true, message);
}
