/* SPDX-License-Identifier: MIT
 * Settings as command-line options: the table of dd_keys() turned into argp's form, so that every
 * subcommand that takes settings words, describes and judges them alike. */
#ifndef DD_OPTIONS_H
#define DD_OPTIONS_H

#include <argp.h>

#include "settings.h"

/* Ids of settings are DD_OPTION_KEY + index in dd_keys(); a subcommand's own begin here. */
enum { DD_OPTION_KEY = 0x100, DD_OPTION_OWN = 0x200, DD_OPTIONS_MAX = 64 };

typedef struct dd_options {
    struct argp_option option[DD_OPTIONS_MAX];
    char help[DD_OPTIONS_MAX][640], argument[DD_OPTIONS_MAX][64];
    size_t n;
} dd_options;

/* Adds the settings named in names (NULL-terminated), or all but the scenario's own if names is
 * NULL, with their defaults. */
void dd_options_add_settings(dd_options *o, const char *const *names);
/* Adds one of the subcommand's own; argument NULL: it takes none. */
void dd_options_add(dd_options *o, const char *name, int id, const char *argument,
                    const char *help);

/* The setting that an id stands for, NULL if it is none. */
const dd_key *dd_option_key(int id);
/* Sets it; a bad value ends the program with one line and exit 2. */
void dd_option_set(dd_settings *s, int id, const char *argument, struct argp_state *state);
/* A whole number in [low, high], judged the same way. */
uint64_t dd_option_number(const char *name, const char *text, uint64_t low, uint64_t high,
                          struct argp_state *state);

#endif
