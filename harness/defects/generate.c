/* SPDX-License-Identifier: MIT
 * The generator: which files, which tokens, and what its products are called. The rules are in
 * mutate_calls.c and mutate_statements.c. */
#include "generate.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "files.h"

/* Folders and files below core/ by which threads keep in step. spheres/edges.c is none: it records,
 * in a build that checks, what the others do. */
static const char *const covered[] = {"sync", "control", "spheres", "memory/snapshot.c",
                                      "trainer/callbacks.c"};
static const char not_covered[] = "spheres/edges.c";

/* ---- Names ---- */

/* The lines that [at, at + length) touches, without blanks, hashed to 16 bits. */
static unsigned hash_of_lines(const char *text, size_t at, size_t length)
{
    char code[1024]; /* what is beyond does not count */
    size_t begin = at, end = at + length, n = 0;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    while (text[end] && text[end] != '\n')
        end++;
    for (size_t i = begin; i < end && n < sizeof code; i++)
        if (!isspace((unsigned char)text[i]))
            code[n++] = text[i];
    return (unsigned)(XXH3_64bits(code, n) & 0xffff);
}

static void name_mutant(const dd_mutants *all, dd_mutant *m, const char *rule, const dd_scan *scan,
                        size_t first)
{
    const size_t f = dd_scan_function(scan, first);
    const dd_token *function = f == DD_NO_TOKEN ? NULL : &scan->token[f];
    const int n = snprintf(m->name, sizeof m->name, "gen:%s:%.*s:%s:%04x", m->source,
                           function ? (int)function->length : 1, function ? function->at : "-",
                           rule, hash_of_lines(scan->text, m->at, m->length));
    unsigned number = 1;
    for (size_t i = 0; i < all->n; i++) {
        const char *other = all->mutant[i].name;
        number += strncmp(other, m->name, (size_t)n) == 0 && (!other[n] || other[n] == '.');
    }
    if (number > 1)
        (void)snprintf(m->name + n, sizeof m->name - (size_t)n, ".%u", number);
}

void dd_mutate_(dd_mutation *m, const char *rule, size_t first, size_t last, const char *format,
                ...)
{
    dd_mutants *to = m->to;
    if (to->n == to->room) {
        const size_t room = 2 * to->room + 64;
        dd_mutant *grown = realloc(to->mutant, room * sizeof *grown);
        if (!grown) {
            m->failed = true;
            return;
        }
        to->mutant = grown;
        to->room = room;
    }
    const dd_token *from = &m->scan->token[first], *until = &m->scan->token[last];
    dd_mutant *made = &to->mutant[to->n];
    *made = (dd_mutant){.line = from->line,
                        .at = (size_t)(from->at - m->scan->text),
                        .length = (size_t)(until->at + until->length - from->at)};
    (void)snprintf(made->source, sizeof made->source, "%s", m->source);
    va_list args;
    va_start(args, format);
    const bool written = vasprintf(&made->text, format, args) >= 0;
    va_end(args);
    if (!written) {
        m->failed = true;
        return;
    }
    name_mutant(to, made, rule, m->scan, first);
    to->n++;
}

void dd_mutants_clear(dd_mutants *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->mutant[i].text);
    free(m->mutant);
    *m = (dd_mutants){0};
}

/* Copies code onto one line, runs of blanks as one. */
static size_t put_flat(char *line, size_t size, size_t used, const char *code, size_t length)
{
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        const bool blank = isspace((unsigned char)code[i]);
        if (!blank)
            line[used++] = code[i];
        else if (used && line[used - 1] != ' ')
            line[used++] = ' ';
    }
    line[used < size ? used : size - 1] = '\0';
    return used;
}

void dd_mutant_describe(const dd_mutant *mutant, const char *text, char *line, size_t size)
{
    size_t used = (size_t)snprintf(line, size, "%s:%u: ", mutant->source, mutant->line);
    size_t begin = mutant->at, end = mutant->at + mutant->length;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    while (isspace((unsigned char)text[begin]))
        begin++;
    while (text[end] && text[end] != '\n')
        end++;
    used = put_flat(line, size, used, text + begin, mutant->at - begin);
    used = put_flat(line, size, used, "{-", 2);
    used = put_flat(line, size, used, text + mutant->at, mutant->length);
    used = put_flat(line, size, used, "-}{+", 4);
    used = put_flat(line, size, used, mutant->text, strlen(mutant->text));
    used = put_flat(line, size, used, "+}", 2);
    const size_t after = mutant->at + mutant->length;
    (void)put_flat(line, size, used, text + after, end - after);
}

/* ---- Texts and trees ---- */

bool dd_generate_text(dd_mutants *m, const char *source, const char *text, char message[512])
{
    dd_scan scan;
    uint32_t line;
    if (!dd_scan_text(text, &scan, &line)) {
        if (line)
            snprintf(message, 512, "%s:%u: brackets do not match", source, line);
        else
            snprintf(message, 512, "no memory to scan %s", source);
        return false;
    }
    dd_mutation mutation = {.to = m, .source = source, .scan = &scan};
    for (size_t i = 0; i < scan.n && !mutation.failed; i++) {
        dd_mutate_call_(&mutation, i);
        dd_mutate_statement_(&mutation, i);
    }
    dd_scan_clear(&scan);
    if (mutation.failed)
        snprintf(message, 512, "no memory for the mutants of %s", source);
    return !mutation.failed;
}

static bool generate_file(dd_mutants *m, const char *core, const char *source, char message[512])
{
    char path[DD_FILE_PATH];
    dd_path(path, core, source);
    char *text = dd_slurp(path, NULL);
    if (!text) {
        snprintf(message, 512, "%.400s cannot be read: %s", path, strerror(errno));
        return false;
    }
    const bool done = dd_generate_text(m, source, text, message);
    free(text);
    return done;
}

static int is_source(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name);
    return n > 2 && strcmp(entry->d_name + n - 2, ".c") == 0;
}

static bool generate_folder(dd_mutants *m, const char *core, const char *folder, char message[512])
{
    char path[DD_FILE_PATH];
    dd_path(path, core, folder);
    struct dirent **entry;
    const int n = scandir(path, &entry, is_source, alphasort);
    if (n < 0) {
        snprintf(message, 512, "%.400s cannot be read: %s", path, strerror(errno));
        return false;
    }
    bool done = true;
    for (int i = 0; i < n; i++) {
        char source[DD_FILE_PATH];
        dd_path(source, folder, entry[i]->d_name);
        if (done && strcmp(source, not_covered) != 0)
            done = generate_file(m, core, source, message);
        free(entry[i]);
    }
    free(entry);
    return done;
}

bool dd_generate_tree(dd_mutants *m, const char *core, char message[512])
{
    for (size_t i = 0; i < sizeof covered / sizeof covered[0]; i++) {
        const bool file = strchr(covered[i], '.');
        if (!(file ? generate_file : generate_folder)(m, core, covered[i], message))
            return false;
    }
    return true;
}
