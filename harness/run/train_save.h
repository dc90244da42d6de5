/* SPDX-License-Identifier: MIT
 * Checkpoints of `dodeca train`: --load, --save, --save-every, --keep. Owns which file is gone on
 * from and what of the settings comes from it (train_load.c), when saves begin and what is told of
 * them (train_save.c); how they are written is the library's. */
#ifndef DD_TRAIN_SAVE_H
#define DD_TRAIN_SAVE_H

#include "options.h"

#define DD_TRAIN_PATH_MAX 4096
#define DD_TRAIN_KEEP_MAX 1000

struct dd_train;

typedef struct dd_train_save {
    const char *path, *load; /* --save, --load; NULL: none */
    uint64_t every;          /* steps; 0: at the end alone */
    uint32_t keep;           /* files; 0: not said */
    /* --load */
    char from[DD_TRAIN_PATH_MAX]; /* what is loaded: `load`, or an earlier generation of it */
    uint64_t at;                  /* the step it goes on with */
    bool weights;                 /* it has weights alone: a new training begins with them */
    bool damaged;                 /* `load` itself could not be loaded */
    bool names_data;              /* the data's name is the file's: no --data was given */
    /* --save */
    bool replace;       /* `path` is a damaged file: the first save takes its place */
    bool under_way;     /* a save was begun and nothing was told of it yet, */
    uint64_t begun_at;  /* after so many steps */
    bool saved, failed; /* there is a file of this run; one could not be written */
    uint64_t saved_at;  /* the newest, after so many steps */
} dd_train_save;

/* Adds the options; takes one.  returns  false: it is another's */
void dd_train_save_options(dd_options *options);
bool dd_train_save_option(dd_train_save *s, int id, char *argument, struct argp_state *state);

/* Before dd_settings_finish: refuses what contradicts itself; finds the file to load, the newest
 * generation that is whole, says which where it is not the one named, and takes from it what
 * decides the bits and was not given.
 * returns  false: the message says which option is to blame                                   */
bool dd_train_load_settle(struct dd_train *t, char message[DD_MESSAGE_MAX]);
/* The trainer, just opened, becomes what was saved. Says what it goes on from.
 * errors   as dd_trainer_load; the files have been looked at before, so that few are left       */
dd_status dd_train_load(struct dd_train *t, dd_error *error);

/* Before the first step: --save can be written, and what is there is a checkpoint of this training.
 * errors   DD_ERR_DATA, DD_ERR_MEMORY                                                         */
dd_status dd_train_save_check(struct dd_train *t, dd_error *error);
/* After each step: begins a save where one is due, tells of one that has ended. A save that fails
 * is told and noted, and training goes on. */
void dd_train_save_step(struct dd_train *t);
/* At the end, whatever ended it: the last save, and that it is written. */
void dd_train_save_end(struct dd_train *t);

#endif
