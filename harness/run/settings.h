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

#define DD_REPEATS_MAX 1000
#define DD_SETTINGS_DEPTH_MAX 3
#define DD_SETTINGS_WORKERS_MAX 1728 /* 12^3 */
/* B * T < 2^24: 1 / (B * T) is one rounding of a float */
#define DD_SETTINGS_TOKENS_MAX 0xffffffu
#define DD_SETTINGS_NO_WARMUP UINT64_MAX /* config.warmup, until dd_settings_finish */

/* Who trains. Only dodeca itself has a hierarchy: the keys that shape it (timetable, steal, guard,
 * plant) are refused for the lock-based subjects and plug-ins, and mean nothing to the oracle. */
typedef enum dd_subject {
    DD_SUBJECT_DODECA,
    DD_SUBJECT_ORACLE,         /* one thread, plain loops */
    DD_SUBJECT_LOCKS,          /* mutexes and condition variables, one lock around the model */
    DD_SUBJECT_LOCKS_GRADIENT, /* re-entrant lanes, one lock around the gradient */
    DD_SUBJECT_PLUGIN /* a shared library behind dodeca_subject.h; the key holds its path */
} dd_subject;

/* A defect to be caught, done to a run on purpose. */
typedef enum dd_plant {
    DD_PLANT_NONE,
    DD_PLANT_STRAY_WRITE, /* a worker writes what it must not; needs guard */
} dd_plant;

typedef struct dd_settings {
    dd_config config; /* config.horizon is `steps` */
    /* "builtin", "bytes:FILE", "tokens:FILE" or "kjv": the King James text that set-up keeps in the
     * user's cache folder */
    char data[DD_SPEC_MAX];
    char data_else[DD_SPEC_MAX]; /* used where data is kjv and not installed; "": refuse */
    char model[DD_SPEC_MAX];     /* "nano", "micro,T=64", "L=2,NH=2,C=32,V=256,T=16" */
    uint64_t steps;
    /* scenario: how often, and in which order, every cell runs */
    uint32_t repeats;     /* at least, >= 1 */
    double interval;      /* more until half the 95 % interval / median step is this; 0: no more */
    uint32_t repeats_max; /* at most; 0 until dd_settings_finish where it is not given */
    double minutes_max;   /* none beyond `repeats` later than this; 0: no such bound */
    uint64_t shuffle;     /* seed of the order of cells within each repeat; 0: the file's */
    double stall_limit_s; /* scenario: seconds without progress that make a HANG */
    dd_subject subject;
    char plugin[DD_SPEC_MAX];          /* the library's path; "": the subject is another */
    char subject_options[DD_SPEC_MAX]; /* its own, the form of plugin_options.h */
    double tolerance;                  /* scenario: of a plug-in's equivalence; 0: bit for bit */
    /* membership changes by step, the form of timetable.h; "": none */
    char timetable[DD_SPEC_MAX];
    char storm[DD_SPEC_MAX]; /* commands at random moments, the form of storm.h; "": none */
    uint64_t perturb; /* the schedule is perturbed from outside (perturb.h), by this seed; 0: not */
    uint32_t hog;     /* busy threads, one each on the cores of the first workers (hog.h) */
    dd_plant plant;   /* scenario */
} dd_settings;

typedef enum dd_key_type {
    DD_KEY_STRING,
    DD_KEY_UINT,
    DD_KEY_BYTES, /* a number of bytes, as 512M; 0 is written as `zero` */
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
    size_t file_offset;  /* DD_KEY_CHOICE: where the path of a file is held that may stand in place
                            of a choice, whose value is then their number; 0: none may */
    bool decides_bits;   /* part of the oracle's key */
    bool scenario_only;  /* no option of `train` */
    bool not_swept;      /* says how a whole sweep is run */
    const char *zero;    /* DD_KEY_UINT: the word that is written for 0 ("auto"); NULL: none */
    size_t offset, size; /* where dd_settings holds it */
    uint64_t low, high;  /* DD_KEY_UINT: inclusive */
    double least, most;  /* DD_KEY_REAL: inclusive */
    const char *why;     /* a reason for the limits, for the message; NULL: none */
} dd_key;

/* The table, in the order of --help; *n entries. */
const dd_key *dd_keys(size_t *n);
/* The entry of that name, NULL if there is none. */
const dd_key *dd_key_named(const char *name);
/* The value of the key simd that stands for it. */
const char *dd_simd_name(dd_simd simd);

/* "tree", "owner", …: as the key `reduce` says it. */
const char *dd_reduce_name(dd_reduce reduce);

/* Whether a key means anything to a subject: the oracle has one thread and one way to compute, the
 * lock-based subjects have no spheres, a plug-in has a model and an optimiser of its own. Cells
 * that differ in nothing that means something are one. requires settings that dd_settings_finish
 * has passed: what would be wrong is refused there */
bool dd_key_concerns(const dd_key *key, dd_subject subject);

void dd_settings_default(dd_settings *s);

/* Sets one key from its text. `model` and `data` are checked in form; whether a file is there
 * comes later.
 * returns  false, message filled: unknown key (with the nearest one), wrong type, out of range */
bool dd_settings_set(dd_settings *s, const char *key, const char *value,
                     char message[DD_MESSAGE_MAX]);
/* A key's value as text, the form dd_settings_set reads. `seq`, `warmup`, `max-workers` and
 * `repeats-max`, where they are not given, are "" until dd_settings_finish. */
void dd_settings_get(const dd_settings *s, const char *key, char value[DD_SPEC_MAX]);

/* Resolves what depends on more than one key: model into config.shape; seq, horizon and warmup;
 * repeats-max; max-workers from the timetable, which is carried out beforehand on paper; refuses
 * everything that can be refused before data is opened. A message begins with the key to blame. */
bool dd_settings_finish(dd_settings *s, char message[DD_MESSAGE_MAX]);

/* Opens the data that s names. *used gets the spec that was opened ("bytes:/…"), *note is "" or
 * says in one line that data_else was taken.
 * owns     *out on success, released by dd_data_close
 * errors   as dd_data_open                                                                      */
dd_status dd_settings_open_data(const dd_settings *s, dd_data **out, char used[DD_SPEC_MAX],
                                char note[DD_MESSAGE_MAX], dd_error *error);

#endif
