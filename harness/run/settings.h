/* SPDX-License-Identifier: MIT
 * Settings of one run: what the command line and a scenario file can say. One table of keys serves
 * both, so that every long option is a scenario key and the other way round. Owns names, types,
 * limits, defaults and the checks that need no data; refuses unknown names and values with one line
 * that says what is allowed. Nothing is clamped, rounded or guessed. */
#ifndef DD_SETTINGS_H
#define DD_SETTINGS_H

#include "dodeca.h"

#define DD_SPEC_MAX 512
#define DD_MESSAGE_MAX 512 /* one line: what is wrong, what would be right */

typedef struct dd_settings {
    dd_config config; /* config.horizon is `steps` */
    /* "builtin", "bytes:FILE", "tokens:FILE" or "kjv": the King James text that set-up keeps in the
     * user's cache folder */
    char data[DD_SPEC_MAX];
    char data_else[DD_SPEC_MAX]; /* used where data is kjv and not installed; "": refuse */
    char model[DD_SPEC_MAX];     /* "nano", "micro,T=64", "L=2,NH=2,C=32,V=256,T=16" */
    uint64_t steps;
    uint32_t repeats;     /* scenario: runs of every cell, >= 1 */
    double stall_limit_s; /* scenario: seconds without progress that make a HANG */
    bool serial;          /* the oracle instead of the trainer */
} dd_settings;

typedef enum dd_key_type {
    DD_KEY_STRING,
    DD_KEY_UINT,
    DD_KEY_REAL,
    DD_KEY_BOOL,
    DD_KEY_CHOICE
} dd_key_type;

typedef struct dd_key {
    const char *name; /* "lane-depth" */
    dd_key_type type;
    const char *argument; /* "N", "SPEC", … for --help; NULL: none, or the choices */
    const char *help;
    const char *const *choices; /* DD_KEY_CHOICE: NULL-terminated, indexed by the enum's value */
    bool decides_bits;          /* part of the oracle's key */
    bool scenario_only;  /* says how a sweep is run: no option of `train`, and not to be swept */
    size_t offset, size; /* where dd_settings holds it */
    uint64_t low, high;  /* DD_KEY_UINT: inclusive */
    double least, most;  /* DD_KEY_REAL: inclusive */
    const char *why;     /* a reason for the limits, for the message; NULL: none */
} dd_key;

/* The table, in the order of --help; *n entries. */
const dd_key *dd_keys(size_t *n);
/* The entry of that name, NULL if there is none. */
const dd_key *dd_key_named(const char *name);

void dd_settings_default(dd_settings *s);

/* Sets one key from its text. `model` and `data` are checked in form; whether a file is there
 * comes later.
 * returns  false, message filled: unknown key (with the nearest one), wrong type, out of range */
bool dd_settings_set(dd_settings *s, const char *key, const char *value,
                     char message[DD_MESSAGE_MAX]);
/* A key's value as text, the form dd_settings_set reads. `seq` and `warmup`, where they are not
 * given, are "" until dd_settings_finish. */
void dd_settings_get(const dd_settings *s, const char *key, char value[DD_SPEC_MAX]);

/* Resolves what depends on more than one key: model into config.shape; seq, horizon and warmup;
 * refuses everything that can be refused before data is opened. A message begins with the key to
 * blame. */
bool dd_settings_finish(dd_settings *s, char message[DD_MESSAGE_MAX]);

/* Opens the data that s names. *used gets the spec that was opened ("bytes:/…"), *note is "" or
 * says in one line that data_else was taken.
 * owns     *out on success, released by dd_data_close
 * errors   as dd_data_open                                                                      */
dd_status dd_settings_open_data(const dd_settings *s, dd_data **out, char used[DD_SPEC_MAX],
                                char note[DD_MESSAGE_MAX], dd_error *error);

#endif
