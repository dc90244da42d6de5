/* SPDX-License-Identifier: MIT
 * `dodeca bench --kernels`: every case on every kernel set that can run, compared with the
 * reference and then timed against the limit of the machine, in turn with it; beside them, on
 * demand, other libraries' products. */
#ifndef DD_KERNEL_BENCH_H
#define DD_KERNEL_BENCH_H

#include "bench_case.h"
#include "peers.h"

enum { DD_ROUNDS_MAX = 25, DD_CONTENDERS_MAX = 12 };

typedef struct dd_bench_options {
    const char *filter; /* only cases whose names hold this text; NULL: all */
    bool peers, json, list;
    uint32_t threads, rounds;
    uint64_t seed;
} dd_bench_options;

/* Who is timed: a kernel set, or a peer held to the instructions of that set. */
typedef struct dd_contender {
    char name[32]; /* "avx2", "OpenBLAS avx2" */
    const dd_kernels *set;
    dd_peer *peer; /* NULL: the set itself */
} dd_contender;

/* One case on one contender. Rates are operations a second where the case has them, else bytes. */
typedef struct dd_bench_row {
    const dd_case *c;
    const dd_contender *by;
    double ns, rate, limit, share; /* medians over the rounds; share of the limit of its round */
    double spread;                 /* (largest - smallest share) / 2 */
    double to_reference;           /* the reference's time / own; 0: a peer */
    double to_one; /* work of all threads at once / work of one; 0: one thread asked for */
} dd_bench_row;

typedef struct dd_bench_rows {
    dd_bench_row *at;
    size_t n, capacity;
} dd_bench_rows;

/* Shares of the FMA peak over the products of one step, for one contender. */
typedef struct dd_step_share {
    double of_pass[3], all;
    bool whole[3];  /* all shapes of the pass were timed */
    double seconds; /* of all products; 0 unless all passes are whole */
    double
        pack_seconds; /* packing the weights once; of a peer, 0: it does so within each product */
    double with_pack; /* share with packing counted; 0: not known */
} dd_step_share;

dd_step_share dd_bench_step_share(const dd_case_list *cases, const dd_bench_rows *rows,
                                  const dd_workload *w, const dd_contender *by);

/* Whether a case is meant. */
bool dd_bench_chosen(const dd_bench_options *o, const dd_case *c);

/* Runs, prints, and tells the exit code: 0, 1 if a kernel differs from the reference, 2 if the
 * filter leaves nothing, 3 if memory is lacking. */
int dd_bench_kernels(const dd_bench_options *o);

/* ---- Printing (kernel_table.c) ---- */

void dd_table_head(const dd_bench_options *o, const dd_contender *by, size_t n);
void dd_table_case(const dd_bench_options *o, const dd_case *c);
void dd_table_row(const dd_bench_options *o, const dd_bench_row *row);
void dd_table_steps(const dd_bench_options *o, const dd_case_list *cases, const dd_bench_rows *rows,
                    const dd_contender *by, size_t n);
/* One JSON object with everything.  returns  false: no memory */
bool dd_table_json(const dd_case_list *cases, const dd_bench_rows *rows, const dd_contender *by,
                   size_t n);

#endif
