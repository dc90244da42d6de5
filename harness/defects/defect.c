/* SPDX-License-Identifier: MIT
 * Reads single defect files: grammar and example in defect.h. */
#include "defect.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "files.h"
#include "nearest.h"

static const char *const means_names[DD_N_MEANS] = {
    [DD_MEANS_UNIT] = "unit",        [DD_MEANS_EXPLORE] = "explore",
    [DD_MEANS_TSAN] = "tsan",        [DD_MEANS_HELGRIND] = "helgrind",
    [DD_MEANS_DRD] = "drd",          [DD_MEANS_MEMCHECK] = "memcheck",
    [DD_MEANS_ASAN] = "asan",        [DD_MEANS_GUARD] = "guard",
    [DD_MEANS_SERIAL] = "serial",    [DD_MEANS_FINITE] = "finite",
    [DD_MEANS_WATCHDOG] = "watchdog"};

const char *dd_means_name(dd_means means)
{
    return means_names[means];
}

bool dd_means_find(const char *name, size_t length, dd_means *out)
{
    for (dd_means m = 0; m < DD_N_MEANS; m++)
        if (strlen(means_names[m]) == length && memcmp(means_names[m], name, length) == 0) {
            *out = m;
            return true;
        }
    return false;
}

const char *dd_defect_kind_name(dd_defect_kind kind)
{
    static const char *const names[] = {"catalogue", "protocol", "generated"};
    return names[kind];
}

/* A line being read: text without its end. */
typedef struct line {
    const char *path, *core, *tests;
    uint32_t number;
    char *text;
    char *message;
} line;

__attribute__((format(printf, 2, 3))) static bool refuse(const line *l, const char *format, ...)
{
    const int n = snprintf(l->message, DD_DEFECT_MESSAGE, "%.300s:%u: ", l->path, l->number);
    va_list args;
    va_start(args, format);
    vsnprintf(l->message + n, (size_t)(DD_DEFECT_MESSAGE - n), format, args);
    va_end(args);
    return false;
}

/* Appends a line to a text that grows. */
static bool append(char **text, const char *more, const line *l)
{
    char *joined;
    if (asprintf(&joined, "%s%s%s", *text, **text && *more ? " " : "", more) < 0)
        return refuse(l, "no memory");
    free(*text);
    *text = joined;
    return true;
}

/* Takes the next word off *at, a terminated copy of it in place. returns  NULL: none is left */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " ");
    if (!*word)
        return NULL;
    *at = word + strcspn(word, " ");
    if (**at)
        *(*at)++ = '\0';
    return word;
}

static bool read_source(const line *l, char *value, dd_defect *d)
{
    char path[DD_FILE_PATH];
    const char *slash = strchr(value, '/');
    dd_path(path, l->core, value);
    if (!slash || strchr(slash + 1, '/') || value[0] == '.' || strlen(value) >= sizeof d->source ||
        access(path, R_OK) != 0)
        return refuse(l, "source \"%.80s\" is no FOLDER/FILE.c of core/", value);
    if (d->source[0])
        return refuse(l, "a second source: a defect changes one file");
    strcpy(d->source, value);
    return true;
}

static bool read_catalogue(const line *l, char *value, dd_defect *d)
{
    if (d->kind != DD_CATALOGUE)
        return refuse(l, "\"catalogue\" is for files in catalogue/");
    if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789- ")])
        return refuse(l, "catalogue \"%.80s\": ids are lower-case words joined by hyphens", value);
    return append(&d->catalogue, value, l);
}

static bool is_test(const line *l, const char *name)
{
    char path[DD_FILE_PATH];
    char file[128];
    snprintf(file, sizeof file, "%.100s.c", name);
    return strncmp(name, "test_", 5) == 0 && access(dd_path(path, l->tests, file), R_OK) == 0;
}

static bool check_verdicts(const line *l, char *verdicts)
{
    static const char *const all[] = {"CHECK", "RACE", "DEADLOCK", "LIVELOCK", "MEMORY"};
    for (char *word = strtok(verdicts, ","); word; word = strtok(NULL, ",")) {
        bool known = false;
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
            known |= strcmp(word, all[i]) == 0;
        if (!known)
            return refuse(l, "verdict \"%.40s\": must be CHECK, RACE, DEADLOCK, LIVELOCK or MEMORY",
                          word);
    }
    return true;
}

/* arguments is cut into words. */
static bool check_arguments(const line *l, dd_means means, char *arguments)
{
    char *at = arguments, *first = next_word(&at), *second = first ? next_word(&at) : NULL;
    const char *third = second ? next_word(&at) : NULL;
    switch (means) {
    case DD_MEANS_EXPLORE:
        if (!second || third)
            return refuse(l, "must be \"explore PROTOCOL VERDICT[,VERDICT...]\"");
        return check_verdicts(l, second);
    case DD_MEANS_UNIT:
        if (!first || third)
            return refuse(l, "must be \"unit TEST [CASE]\"");
        return is_test(l, first) || refuse(l, "there is no unit test \"%.80s\"", first);
    case DD_MEANS_TSAN:
    case DD_MEANS_ASAN:
    case DD_MEANS_HELGRIND:
    case DD_MEANS_DRD:
    case DD_MEANS_MEMCHECK:
        if (first && first[0] != '-')
            return second
                       ? refuse(l, "one test, or options of \"dodeca train\"")
                       : is_test(l, first) || refuse(l, "there is no unit test \"%.80s\"", first);
        return true;
    default:
        return !first || first[0] == '-' ||
               refuse(l, "\"%.80s\" is no option of \"dodeca train\"", first);
    }
}

static bool read_caught(const line *l, char *value, dd_defect *d)
{
    const size_t n = strcspn(value, " ");
    const char *arguments = value + n + strspn(value + n, " ");
    dd_means means;
    if (!dd_means_find(value, n, &means)) {
        char all[160] = "";
        for (dd_means m = 0; m < DD_N_MEANS; m++)
            snprintf(all + strlen(all), sizeof all - strlen(all), " %s", means_names[m]);
        return refuse(l, "\"%.*s\" catches nothing: there are%s", (int)(n < 40 ? n : 40), value,
                      all);
    }
    if (d->n_expected == DD_EXPECTED_MAX)
        return refuse(l, "more than %d lines \"caught\"", DD_EXPECTED_MAX);
    dd_expectation *e = &d->expected[d->n_expected++];
    if (strlen(arguments) >= sizeof e->arguments)
        return refuse(l, "arguments of more than %zu bytes", sizeof e->arguments - 1);
    e->means = means;
    strcpy(e->arguments, arguments);
    for (uint32_t i = 0; i + 1 < d->n_expected; i++)
        if (d->expected[i].means == means && strcmp(d->expected[i].arguments, arguments) == 0)
            return refuse(l, "the same line twice");
    char words[sizeof e->arguments];
    strcpy(words, arguments);
    return check_arguments(l, means, words);
}

/* A line of the head, behind "# ". Prose may have a word and a colon too, but none like a key. */
static bool read_head(const line *l, char *text, dd_defect *d)
{
    static const char *const keys[] = {"source", "catalogue", "caught"};
    static bool (*const reads[])(const line *, char *, dd_defect *) = {read_source, read_catalogue,
                                                                       read_caught};
    const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    char word[24];
    if (n == 0 || n >= sizeof word || strncmp(text + n, ": ", 2) != 0)
        return append(&d->about, text, l);
    snprintf(word, sizeof word, "%.*s", (int)n, text);
    const char *nearest = dd_nearest(word, keys, 3);
    for (size_t k = 0; k < 3; k++)
        if (strcmp(keys[k], word) == 0)
            return reads[k](l, text + n + 2 + strspn(text + n + 2, " "), d);
    if (nearest)
        return refuse(l, "\"%s\" is no key, did you mean \"%s\"?", word, nearest);
    return append(&d->about, text, l);
}

static bool read_lines(line *l, char *text, dd_defect *d)
{
    uint32_t n_commands = 0;
    for (char *end; *text; text = end) {
        l->number++;
        end = strchrnul(text, '\n');
        if (*end)
            *end++ = '\0';
        size_t length = strlen(text);
        while (length && isspace((unsigned char)text[length - 1]))
            text[--length] = '\0';
        if (text[0] != '#')
            n_commands += length > 0;
        else if (n_commands)
            return refuse(l, "a comment behind the first command: the head comes first");
        else if (!read_head(l, text + 1 + (text[1] == ' '), d))
            return false;
    }
    if (!d->about[0])
        return refuse(l, "does not say what it breaks");
    if (!d->source[0])
        return refuse(l, "lacks \"# source: FOLDER/FILE.c\"");
    if (d->kind == DD_CATALOGUE && !d->catalogue[0])
        return refuse(l, "lacks \"# catalogue: ID\"");
    if (!d->n_expected)
        return refuse(l, "lacks \"# caught: MEANS [ARGUMENT...]\"");
    return n_commands > 0 || refuse(l, "no sed command: it changes nothing");
}

/* The file's name without folder and ending. */
static bool read_name(const line *l, dd_defect *d)
{
    const char *slash = strrchr(l->path, '/'), *name = slash ? slash + 1 : l->path;
    const char *dot = strrchr(name, '.');
    const size_t n = dot ? (size_t)(dot - name) : strlen(name);
    if (n == 0 || n >= sizeof d->name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
        return refuse(l, "the name must be of lower-case letters, digits and hyphens");
    memcpy(d->name, name, n);
    return true;
}

bool dd_defect_read(const char *path, const char *text, dd_defect_kind kind, const char *core,
                    const char *tests, dd_defect *out, char message[DD_DEFECT_MESSAGE])
{
    line l = {.path = path, .core = core, .tests = tests, .message = message};
    *out = (dd_defect){.kind = kind, .hash = XXH3_64bits(text, strlen(text))};
    out->about = strdup("");
    out->catalogue = strdup("");
    out->script = strdup(path);
    l.text = strdup(text);
    bool done = out->about && out->catalogue && out->script && l.text;
    if (!done)
        (void)refuse(&l, "no memory");
    done = done && read_name(&l, out) && read_lines(&l, l.text, out);
    free(l.text);
    if (!done)
        dd_defect_clear(out);
    return done;
}

void dd_defect_clear(dd_defect *d)
{
    free(d->about);
    free(d->catalogue);
    free(d->script);
    free(d->equivalent);
    *d = (dd_defect){0};
}
