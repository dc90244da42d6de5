/* SPDX-License-Identifier: MIT
 * Cases of the kernel bench: a kernel with a shape and the arrays it works on. A case says what is
 * run, never how it is timed: dd_cases_register lists them, operands.h runs them. */
#ifndef DD_BENCH_CASE_H
#define DD_BENCH_CASE_H

#include "kernels.h"

enum { DD_ARRAYS_MAX = 10 };

typedef enum dd_role {
    DD_ROLE_IN,
    DD_ROLE_INOUT,
    DD_ROLE_OUT,
} dd_role;

typedef enum dd_fill {
    DD_FILL_SIGNED,   /* in (-1, 1) */
    DD_FILL_POSITIVE, /* in (0, 1) */
    DD_FILL_TARGETS,  /* uint32_t below `bound` */
    DD_FILL_PANELS,   /* signed; panels of `bound` rows whose absent columns are zeros */
} dd_fill;

typedef struct dd_array {
    size_t n; /* floats */
    dd_role role;
    dd_fill fill;
    bool cold;      /* each layer has its own; else all calls share one, as a workspace is shared */
    size_t bound;   /* of TARGETS and PANELS */
    size_t columns; /* of PANELS: those that are there */
} dd_array;

typedef enum dd_pass {
    DD_PASS_FORWARD,
    DD_PASS_INPUT,
    DD_PASS_WEIGHT,
    DD_PASS_PACK,
    DD_PASS_LANE,  /* one lane's part of a weight gradient: another way to do the same */
    DD_PASS_OTHER, /* no part of the sum over a step's products */
} dd_pass;

/* Which step a case is part of. */
typedef struct dd_workload {
    const char *model; /* "micro" */
    uint32_t B, T;     /* T 0: any, as for what runs over parameters */
} dd_workload;

typedef struct dd_case dd_case;
struct dd_case {
    const char *kernel;
    char shape[64];
    dd_workload workload;
    dd_pass pass;
    double calls; /* in a step, of all lanes together */
    double flops; /* of one call; 0: it is quoted in bytes */
    size_t copies;
    unsigned n_arrays;
    dd_array array[DD_ARRAYS_MAX];
    /* one call; at[i] is array i of one copy */
    void (*run)(const dd_case *c, const dd_kernels *set, float *const *at, void *scratch);
    size_t M, N, K; /* product: as kernels.h; rows: M rows of N; attention: M = T, N = C, K = NH */
    dd_sink sink;
};

typedef struct dd_case_list {
    dd_case *at;
    size_t n, capacity;
} dd_case_list;

/* All cases of the trainer's steps.
 * owns     the list, released by dd_cases_close whatever was returned
 * returns  false: no memory                                                                */
bool dd_cases_register(dd_case_list *list);
void dd_cases_close(dd_case_list *list);

/* Appends a copy.  returns  false: no memory */
bool dd_case_add(dd_case_list *list, const dd_case *c);

/* The parts of dd_cases_register. */
bool dd_cases_products_(dd_case_list *list, const dd_workload *w);
bool dd_cases_rows_(dd_case_list *list, const dd_workload *w);
bool dd_cases_parameters_(dd_case_list *list, const char *model);

/* Rows of a lane of a workload at lane depth 1, and how many lanes have them. All lanes that are
 * not empty are alike in the workloads registered. */
typedef struct dd_lanes_of {
    size_t rows, n_lanes;
} dd_lanes_of;
dd_lanes_of dd_lanes_of_workload(const dd_workload *w);

/* Copies of an operand of n floats that are as cold as in a step of that model: one for each layer,
 * and more where the layers' would fit into a cache that the step's other weights sweep. */
size_t dd_cold_copies(const dd_shape *s, size_t n);

/* Bytes that one call reads and writes at least. */
double dd_case_bytes(const dd_case *c);

#endif
