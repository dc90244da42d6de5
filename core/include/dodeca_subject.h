/* SPDX-License-Identifier: MIT
 * The interface of a trainer that `dodeca run --subject ./libmine.so scenario.yaml` checks: any
 * trainer of any model, as a shared library. It needs nothing of libdodeca: this header, the
 * compiler and `-shared -fPIC` are enough. harness/example_subject/mlp.c is one to copy.
 *
 * The library exports one function, dd_subject_v1, which gives a table of functions. It is loaded
 * by the child process that trains a cell, and nowhere else; a cell is one open, `steps` times
 * step, weights, close. With 1 worker such a run is the reference that all other cells are held
 * against.
 *
 * Every struct begins with its size, so that members can be added at its end: read and write none
 * beyond the size that you are given. A change of what is here becomes another DD_SUBJECT_ABI.
 *
 * threads  one thread calls everything, between steps no other function of the library is called;
 *          heartbeat alone is called from another thread, at any time between open and close.
 *          Start as many threads as you like, and join them in close: what is left is a finding.
 * errors   functions return one of dd_subject_result, and say in one line what was wrong, where,
 *          and what would be right. They must return: an exit, a longjmp out of the library or a
 *          C++ exception that leaves it is the library's crash.                                  */
#ifndef DODECA_SUBJECT_H
#define DODECA_SUBJECT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DD_SUBJECT_ABI 1

/* The error that functions fill, one line, ended by a zero byte. */
#define DD_SUBJECT_MESSAGE 512

typedef enum dd_subject_result {
    DD_SUBJECT_OK = 0,
    DD_SUBJECT_FAILED, /* settings, data or a step went wrong: the cell is a FAIL */
    DD_SUBJECT_LACKING /* the machine lacks memory, threads or instructions: the cell is a SKIP */
} dd_subject_result;

/* A "key=value" of the scenario's `subject-options`. */
typedef struct dd_subject_option {
    const char *key, *value;
} dd_subject_option;

/* What the scenario asks for. The texts stay valid while open runs. */
typedef struct dd_subject_settings {
    uint32_t size;    /* of this struct, in bytes */
    uint32_t workers; /* threads to train with, >= 1 */
    uint64_t steps;   /* as many times will step be called */
    uint64_t seed;    /* of weights and of the order of data: the same seed, the same run */
    uint32_t batch;   /* samples a step */
    uint32_t n_options;
    const dd_subject_option *options; /* (n_options); refuse a key that you do not know */
    const char *data;                 /* a file to train on; NULL: the scenario names none */
} dd_subject_settings;

typedef struct dd_subject_step {
    uint32_t size; /* of this struct, in bytes */
    double loss;   /* of this step, whatever the trainer makes small */
    double norm;   /* of its gradient; leave it alone if you have none */
} dd_subject_step;

typedef enum dd_subject_type {
    DD_SUBJECT_F32 = 1, /* float */
    DD_SUBJECT_F64,     /* double */
    DD_SUBJECT_F16,     /* IEEE 754 binary16, as uint16_t */
    DD_SUBJECT_BF16,    /* the upper half of a float, as uint16_t */
    DD_SUBJECT_BYTES    /* no numbers: packed weights, or a hash of your own; compared bit for bit
                           even where there is a tolerance */
} dd_subject_type;

/* Takes one piece of the weights, `count` elements of that type, and reads it before it returns.
 * user: as weights got it; name: one line, NULL for none. */
typedef void dd_subject_take(void *user, const char *name, dd_subject_type type, const void *data,
                             uint64_t count);

typedef struct dd_subject_table {
    uint32_t abi;     /* DD_SUBJECT_ABI */
    uint32_t size;    /* sizeof(dd_subject_table) */
    const char *name; /* one line for tables, such as "mlp, OpenMP"; NULL: none */

    /* Makes a trainer for these settings.
     * owns     *self, which is handed to all others, until close; nothing on failure           */
    dd_subject_result (*open)(const dd_subject_settings *settings, void **self,
                              char error[DD_SUBJECT_MESSAGE]);
    /* Trains one step. A loss that is not finite is no error of this function: report it. */
    dd_subject_result (*step)(void *self, dd_subject_step *out, char error[DD_SUBJECT_MESSAGE]);
    /* Hands over all weights, piece by piece: the same pieces in the same order for every number
     * of workers. */
    void (*weights)(void *self, dd_subject_take *take, void *user);
    /* Joins every thread, closes every file. With OpenMP its threads go by
     * omp_pause_resource_all(omp_pause_hard). */
    void (*close)(void *self);

    /* Optional, NULL otherwise: a number that grows while a step makes progress, and then alone: it
     * is believed. With it a step is a hang once the number stands still for the stall limit;
     * without it CPU time counts as progress, for at most ten times the limit. */
    uint64_t (*heartbeat)(const void *self);
} dd_subject_table;

#if defined __GNUC__
#define DD_SUBJECT_EXPORT __attribute__((visibility("default")))
#else
#define DD_SUBJECT_EXPORT
#endif

/* What the library exports. The table is valid as long as the library is loaded. */
DD_SUBJECT_EXPORT const dd_subject_table *dd_subject_v1(void);

#ifdef __cplusplus
}
#endif

#endif
