/* SPDX-License-Identifier: MIT
 * All that can be planted into a tree, and which of it is argued to be harmless. */
#include "defect.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "files.h"

static bool out_of_memory(char message[DD_DEFECT_MESSAGE])
{
    snprintf(message, DD_DEFECT_MESSAGE, "no memory for the defects");
    return false;
}

/* Room for one more. */
static dd_defect *next_defect(dd_defects *d)
{
    if (d->n == d->room) {
        const size_t room = 2 * d->room + 128;
        dd_defect *grown = realloc(d->defect, room * sizeof *grown);
        if (!grown)
            return NULL;
        d->defect = grown;
        d->room = room;
    }
    return &d->defect[d->n];
}

/* ---- Files ---- */

static int is_script(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name);
    return n > 4 && strcmp(entry->d_name + n - 4, ".sed") == 0;
}

static bool read_file(const char *source, const char *folder, const char *name, dd_defect_kind kind,
                      dd_defects *d, char message[DD_DEFECT_MESSAGE])
{
    char path[DD_FILE_PATH], core[DD_FILE_PATH], tests[DD_FILE_PATH];
    dd_path(path, folder, name);
    dd_path(core, source, "core");
    dd_path(tests, source, "harness/unit");
    dd_defect *next = next_defect(d);
    if (!next)
        return out_of_memory(message);
    char *text = dd_slurp(path, NULL);
    if (!text) {
        snprintf(message, DD_DEFECT_MESSAGE, "%.400s cannot be read: %s", path, strerror(errno));
        return false;
    }
    const bool done = dd_defect_read(path, text, kind, core, tests, next, message);
    d->n += done;
    free(text);
    return done;
}

/* A folder that is not there holds nothing. */
static bool read_folder(const char *source, dd_defect_kind kind, dd_defects *d,
                        char message[DD_DEFECT_MESSAGE])
{
    char all[DD_FILE_PATH], folder[DD_FILE_PATH];
    dd_path(folder, dd_path(all, source, "harness/defects"), dd_defect_kind_name(kind));
    struct dirent **entry;
    const int n = scandir(folder, &entry, is_script, alphasort);
    if (n < 0 && errno == ENOENT)
        return true;
    if (n < 0) {
        snprintf(message, DD_DEFECT_MESSAGE, "%.400s cannot be read: %s", folder, strerror(errno));
        return false;
    }
    bool done = true;
    for (int i = 0; i < n; i++) {
        done = done && read_file(source, folder, entry[i]->d_name, kind, d, message);
        free(entry[i]);
    }
    free(entry);
    return done;
}

/* ---- Mutants ---- */

static bool add_mutant(const char *core, dd_defects *d, size_t i, char message[DD_DEFECT_MESSAGE])
{
    const dd_mutant *m = &d->mutants.mutant[i];
    dd_defect *next = next_defect(d);
    if (!next)
        return out_of_memory(message);
    *next = (dd_defect){.kind = DD_GENERATED, .mutant = i};
    strcpy(next->name, m->name);
    strcpy(next->source, m->source);
    next->hash = XXH3_64bits_withSeed(m->text, strlen(m->text), m->at);
    d->n++;
    char path[DD_FILE_PATH], about[2048];
    dd_path(path, core, m->source);
    char *text = dd_slurp(path, NULL);
    if (text)
        dd_mutant_describe(m, text, about, sizeof about);
    next->about = text ? strdup(about) : NULL;
    next->catalogue = strdup("");
    free(text);
    return (next->about && next->catalogue) || out_of_memory(message);
}

static bool add_mutants(const char *source, dd_defects *d, char message[DD_DEFECT_MESSAGE])
{
    char core[DD_FILE_PATH];
    dd_path(core, source, "core");
    if (!dd_generate_tree(&d->mutants, core, message))
        return false;
    for (size_t i = 0; i < d->mutants.n; i++)
        if (!add_mutant(core, d, i, message))
            return false;
    return true;
}

/* ---- Arguments of equivalence ---- */

enum { NAMED_MAX = 64 };

typedef struct reading {
    dd_defect *named[NAMED_MAX]; /* since the last argument */
    size_t n_named;
    char argument[4096];
} reading;

/* The argument is complete: every mutant named gets it. */
static bool settle(reading *r)
{
    for (size_t i = 0; r->argument[0] && i < r->n_named; i++)
        if (!(r->named[i]->equivalent = strdup(r->argument)))
            return false;
    if (r->argument[0])
        r->n_named = 0;
    r->argument[0] = '\0';
    return true;
}

static const char *read_equivalent(reading *r, char *line, dd_defects *d)
{
    char *text = line + strspn(line, " \t");
    if (!*text || *text == '#')
        return NULL;
    if (text > line) {
        if (!r->n_named)
            return "an argument without a mutant";
        const size_t used = strlen(r->argument);
        snprintf(r->argument + used, sizeof r->argument - used, "%s%s", used ? " " : "", text);
        return NULL;
    }
    if (!settle(r))
        return "no memory";
    dd_defect *found = NULL;
    for (size_t i = 0; i < d->n; i++)
        if (d->defect[i].kind == DD_GENERATED && strcmp(d->defect[i].name, text) == 0)
            found = &d->defect[i];
    if (!found)
        return "no such mutant is made from these sources any more";
    for (size_t i = 0; i < r->n_named; i++)
        if (r->named[i] == found)
            return "named twice";
    if (found->equivalent)
        return "named twice";
    if (r->n_named == NAMED_MAX)
        return "too many mutants for one argument";
    r->named[r->n_named++] = found;
    return NULL;
}

bool dd_equivalents_read(const char *path, const char *text, dd_defects *d,
                         char message[DD_DEFECT_MESSAGE])
{
    reading r = {0};
    uint32_t number = 0;
    const char *wrong = NULL;
    char *copy = strdup(text), *line = copy;
    for (char *end; copy && *line && !wrong; line = end) {
        number++;
        end = strchrnul(line, '\n');
        if (*end)
            *end++ = '\0';
        wrong = read_equivalent(&r, line, d);
        if (wrong)
            snprintf(message, DD_DEFECT_MESSAGE, "%.300s:%u: \"%.160s\": %s", path, number, line,
                     wrong);
    }
    const bool done = copy && !wrong && settle(&r);
    if (!wrong && !done)
        (void)out_of_memory(message);
    if (done && r.n_named)
        snprintf(message, DD_DEFECT_MESSAGE, "%.300s:%u: %s has no argument", path, number,
                 r.named[0]->name);
    free(copy);
    return done && !r.n_named;
}

/* ---- All of it ---- */

bool dd_defects_open(const char *source, dd_defects *out, char message[DD_DEFECT_MESSAGE])
{
    *out = (dd_defects){0};
    bool done = read_folder(source, DD_CATALOGUE, out, message) &&
                read_folder(source, DD_PROTOCOL, out, message) && add_mutants(source, out, message);
    char path[DD_FILE_PATH];
    dd_path(path, source, "harness/defects/equivalent.txt");
    char *text = dd_slurp(path, NULL);
    if (done && text)
        done = dd_equivalents_read(path, text, out, message);
    free(text);
    if (!done)
        dd_defects_close(out);
    return done;
}

void dd_defects_close(dd_defects *d)
{
    for (size_t i = 0; i < d->n; i++)
        dd_defect_clear(&d->defect[i]);
    free(d->defect);
    dd_mutants_clear(&d->mutants);
    *d = (dd_defects){0};
}
