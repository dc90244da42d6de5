/* SPDX-License-Identifier: MIT
 * Plug-ins behind their table of functions. */
#include "plugin.h"

#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cpu.h"
#include "plugin_options.h"
#include "text.h"

#define ENTRY "dd_subject_v1"

/* ---- Loading ---- */

__attribute__((format(printf, 3, 4))) static dd_status refuse(const dd_settings *s, dd_error *error,
                                                              const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    (void)snprintf(error->message, sizeof error->message, "subject %.100s: %s", s->plugin, what);
    dd_text_one_line(error->message);
    return DD_ERR_ARGUMENT;
}

/* The linker's words, without the path that they begin with. */
static const char *linker_error(const char *path)
{
    const char *words = dlerror();
    const size_t n = strlen(path);
    if (!words)
        return "no reason given";
    return strncmp(words, path, n) == 0 && strncmp(words + n, ": ", 2) == 0 ? words + n + 2 : words;
}

/* What every library has had since the first. */
static dd_status check_table(const dd_settings *s, const dd_subject_table *t, dd_error *error)
{
    const size_t least = offsetof(dd_subject_table, heartbeat);
    if (!t)
        return refuse(s, error, ENTRY " gave no table");
    if (t->abi != DD_SUBJECT_ABI)
        return refuse(s, error,
                      "its table is of ABI %u, this program's is %d: compile it with the header "
                      "dodeca_subject.h of this version",
                      t->abi, DD_SUBJECT_ABI);
    if (t->size < least)
        return refuse(s, error,
                      "its table has %u bytes, at least %zu are needed: set .size to "
                      "sizeof(dd_subject_table)",
                      t->size, least);
    const char *missing = !t->open      ? "open"
                          : !t->step    ? "step"
                          : !t->weights ? "weights"
                          : !t->close   ? "close"
                                        : NULL;
    if (missing)
        return refuse(s, error, "its table has no %s: open, step, weights and close are needed",
                      missing);
    return DD_OK;
}

dd_status dd_plugin_load(const dd_settings *s, dd_plugin *out, dd_error *error)
{
    char path[DD_SPEC_MAX + 2];
    *out = (dd_plugin){.self = NULL};
    /* Without a slash it would be looked for where the system keeps its libraries. */
    (void)snprintf(path, sizeof path, "%s%s", strchr(s->plugin, '/') ? "" : "./", s->plugin);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return refuse(s, error, "cannot be loaded: %.250s", linker_error(path));
    const dd_subject_table *(*entry)(void);
    void *symbol = dlsym(library, ENTRY);
    if (!symbol)
        return refuse(s, error,
                      "is a library, but exports no " ENTRY ", as dodeca_subject.h asks for");
    _Static_assert(sizeof entry == sizeof symbol, "POSIX: functions fit into void *");
    memcpy(&entry, &symbol, sizeof entry);
    const dd_subject_table *table = entry();
    const dd_status st = check_table(s, table, error);
    if (st != DD_OK)
        return st;
    memcpy(&out->table, table, table->size < sizeof out->table ? table->size : sizeof out->table);
    (void)snprintf(out->name, sizeof out->name, "%s",
                   out->table.name ? out->table.name : "plug-in");
    dd_text_one_line(out->name);
    return DD_OK;
}

/* ---- Calls ---- */

/* The plug-in's words as an error: cut, on one line, never empty. */
static dd_status take_result(dd_subject_result result, const char *call, char *words,
                             dd_error *error)
{
    words[DD_SUBJECT_MESSAGE - 1] = '\0';
    if (result == DD_SUBJECT_OK)
        return DD_OK;
    (void)snprintf(error->message, sizeof error->message, "%s: %.470s", call,
                   words[0] ? words : "failed and said nothing");
    dd_text_one_line(error->message);
    return result == DD_SUBJECT_LACKING ? DD_ERR_MEMORY : DD_ERR_REFUSED;
}

dd_status dd_plugin_open(dd_plugin *p, const dd_settings *s, const char *data, dd_error *error)
{
    dd_plugin_options options;
    char words[DD_SUBJECT_MESSAGE] = "";
    if (!dd_plugin_options_read(s->subject_options, &options, error->message))
        return DD_ERR_ARGUMENT;
    p->workers = s->config.workers ? s->config.workers : dd_cpu_available();
    const dd_subject_settings settings = {.size = sizeof settings,
                                          .workers = p->workers,
                                          .steps = s->steps,
                                          .seed = s->config.seed,
                                          .batch = s->config.batch,
                                          .n_options = options.n,
                                          .options = options.option,
                                          .data = data};
    const dd_status st =
        take_result(p->table.open(&settings, &p->self, words), "open", words, error);
    if (st == DD_OK && !p->self) {
        (void)snprintf(error->message, sizeof error->message,
                       "open: reported success, but left *self NULL");
        return DD_ERR_REFUSED;
    }
    if (st != DD_OK)
        p->self = NULL; /* nothing is left that could be closed */
    return st;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

dd_status dd_plugin_step(dd_plugin *p, uint64_t number, dd_step *out, dd_error *error)
{
    char words[DD_SUBJECT_MESSAGE] = "", call[32];
    /* A loss that was never written must not pass for one. */
    dd_subject_step step = {.size = sizeof step, .loss = (double)NAN, .norm = 0};
    (void)snprintf(call, sizeof call, "step %llu", (unsigned long long)number);
    const uint64_t begun_ns = now_ns();
    const dd_subject_result result = p->table.step(p->self, &step, words);
    *out = (dd_step){.step = number,
                     .loss = step.loss,
                     .norm = step.norm,
                     .culprit = {.lane = DD_NO_LANE, .worker = DD_NO_LANE},
                     .wall_ns = now_ns() - begun_ns};
    return take_result(result, call, words, error);
}

void dd_plugin_close(dd_plugin *p)
{
    if (p->self)
        p->table.close(p->self);
    p->self = NULL;
}
