/* SPDX-License-Identifier: MIT
 * Trainers under test, behind one small interface: dodeca itself, the oracle, and the lock-based
 * baselines. A cell trains whichever its settings name; what it must keep of the bit contract is
 * said here. Plug-ins, which have another interface, are plugin.h's: of them this one has a name
 * and promises alone. */
#ifndef DD_SUBJECT_H
#define DD_SUBJECT_H

#include "settings.h"

/* How to open, drive and ask a subject; `self` is what open gave.
 * threads  one caller for open, step, describe, weights and close; heartbeat and thread
 *          from any thread between open and close                                             */
typedef struct dd_subject_api {
    const char *name; /* as the key `subject` says it */
    bool bit_equal;   /* its weights are the oracle's, bit for bit; else within a tolerance */
    bool spheres;     /* self is a dd_trainer: what is asked and checked of spheres holds of it */

    /* As dd_trainer_open: *out is released by close, on failure nothing is left. */
    dd_status (*open)(const dd_config *config, const dd_data *data, void **out, dd_error *error);
    void (*close)(void *self);
    dd_status (*step)(void *self, dd_step *out, dd_error *error); /* as dd_trainer_step */
    /* As dd_trainer_validate; NULL: it cannot. */
    dd_status (*validate)(void *self, uint32_t n_batches, double *loss, dd_error *error);
    /* All parameters in canonical order; between steps. */
    const float *(*weights)(void *self, uint64_t *n);
    /* What applies is filled in, the rest 0; texts stay valid until close. Between steps. */
    void (*describe)(void *self, dd_trainer_info *info);

    /* Grows with every lane; NULL: steps and CPU time are the only signs of life. */
    uint64_t (*heartbeat)(const void *self);
    /* As dd_trainer_sphere_get; NULL: there is no thread but the caller's. */
    bool (*thread)(const void *self, uint32_t i, bool between_steps, dd_sphere_info *out);
} dd_subject_api;

/* plant: dodeca with that defect; DD_PLANT_NONE: the subject as it is. Of DD_SUBJECT_PLUGIN no
 * function is there. */
const dd_subject_api *dd_subject_get(dd_subject subject, dd_plant plant);

/* dodeca with a planted stray write (harness/defects/stray-write.sed); self is a dd_trainer. */
dd_status dd_trainer_open_stray_write(const dd_config *config, const dd_data *data,
                                      dd_trainer **out, dd_error *error);

/* The baselines, in locks.c. */
extern const dd_subject_api dd_subject_locks_, dd_subject_locks_gradient_;

#endif
