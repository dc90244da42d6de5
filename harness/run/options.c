/* SPDX-License-Identifier: MIT
 * The table of settings in argp's form. */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static bool listed(const dd_key *key, const char *const *names)
{
    if (!names)
        return !key->scenario_only;
    for (; *names; names++)
        if (strcmp(*names, key->name) == 0)
            return true;
    return false;
}

void dd_options_add(dd_options *o, const char *name, int id, const char *argument, const char *help)
{
    if (o->n + 1 < DD_OPTIONS_MAX) /* the last stays empty: argp's end */
        o->option[o->n++] =
            (struct argp_option){.name = name, .key = id, .arg = argument, .doc = help};
}

/* Whether "--NAME=ARGUMENT" ends before argp's column of texts. If not, the text goes to a line of
 * its own, which argp spoils wherever that falls on the end of its buffer (glibc 2.36). */
static bool fits(const char *name, const char *argument)
{
    return strlen("      --=") + strlen(name) + strlen(argument) < 32;
}

void dd_options_add_settings(dd_options *o, const char *const *names)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    dd_settings defaults;
    dd_settings_default(&defaults);
    for (size_t k = 0; k < n; k++) {
        if (!listed(&keys[k], names))
            continue;
        char value[DD_SPEC_MAX], choices[sizeof o->argument[0]] = "", *help = o->help[o->n];
        size_t used = 0;
        for (size_t c = 0; keys[k].choices && keys[k].choices[c]; c++)
            used += (size_t)snprintf(choices + used, sizeof choices - used, "%s%s", c ? "|" : "",
                                     keys[k].choices[c]);
        dd_settings_get(&defaults, keys[k].name, value);
        bool shown = keys[k].type != DD_KEY_BOOL && value[0];
        bool beside = !keys[k].choices || fits(keys[k].name, choices);
        (void)snprintf(help, sizeof o->help[0], "%s%s%s%s%.64s%s", beside ? "" : choices,
                       beside ? "" : ": ", keys[k].help, shown ? " (default " : "",
                       shown ? value : "", shown ? ")" : "");
        (void)snprintf(o->argument[o->n], sizeof o->argument[0], "%s", beside ? choices : "CHOICE");
        dd_options_add(o, keys[k].name, DD_OPTION_KEY + (int)k,
                       keys[k].choices ? o->argument[o->n] : keys[k].argument, help);
    }
}

const dd_key *dd_option_key(int id)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    return id >= DD_OPTION_KEY && id < DD_OPTION_KEY + (int)n ? &keys[id - DD_OPTION_KEY] : NULL;
}

void dd_option_set(dd_settings *s, int id, const char *argument, struct argp_state *state)
{
    char message[DD_MESSAGE_MAX];
    if (!dd_settings_set(s, dd_option_key(id)->name, argument ? argument : "true", message))
        argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
}

uint64_t dd_option_number(const char *name, const char *text, uint64_t low, uint64_t high,
                          struct argp_state *state)
{
    errno = 0;
    uint64_t value = strtoull(text, NULL, 10);
    if (!text[0] || strspn(text, "0123456789") != strlen(text) || errno || value < low ||
        value > high)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--%s \"%.64s\": must be a whole number from %" PRIu64 " to %" PRIu64, name,
                     text, low, high);
    return value;
}
