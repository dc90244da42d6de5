/* SPDX-License-Identifier: MIT
 * The speedup table: one row a cell, every number with what it was divided by. Rows that may not be
 * timed keep their place and say why. */
#ifndef DD_SPEEDUP_H
#define DD_SPEEDUP_H

#include "subject.h"
#include "sweep_times.h"
#include "table.h"

typedef struct dd_speedup_row dd_speedup_row;

/* How much faster than another row: its median step, to_ns, / own. */
typedef struct dd_ratio {
    const dd_speedup_row *to; /* the row divided by; NULL: there is none that was timed */
    double x;                 /* NaN: there is no number */
    double to_ns;             /* the step that was divided by own */
    dd_interval interval;     /* of 95 %, repeats taken in pairs; NaN where each has one repeat */
} dd_ratio;

struct dd_speedup_row {
    const dd_sweep_cell *cell;
    const dd_subject_api *subject;
    const dd_run *run;              /* the first repeat that ENDED; NULL if none did */
    char checks[DD_CHECKS_MAX + 1]; /* one for each that applies: its letter for PASS, '-' SKIP, '!'
                                       else; the worst of the repeats */
    char reason[DD_REASON_MAX + 64]; /* of the first check that did not hold, with its name; of a
                                        planted defect how it was caught; "" */
    uint32_t workers;                /* effective; requested where no run ended */
    bool oversubscribed;             /* more workers than cores */
    dd_cell_end end;                 /* why there are no more repeats */
    const char *not_timed;           /* why there are no numbers below; NULL if there are */
    uint32_t n_timed;                /* repeats that were timed */
    double *repeat_ns;     /* (cell->n_repeats) each repeat's median of dd_run_step_times; NaN for
                              one that was not timed; NULL where none was */
    bool *outlier;         /* (cell->n_repeats) as dd_outliers; none is left out for it */
    size_t n_outliers;     /* of them */
    double step_ns;        /* median over repeats of repeat_ns */
    dd_interval step;      /* of 95 %; NaN with one repeat */
    double p10_ns, p90_ns; /* of all steps of all repeats that count as such */
    double tokens_per_s;   /* batch x seq / step_ns */
    /* Compared are rows with the same bit-deciding settings; where several would do, that which is
     * most alike in what varies. None with what means nothing to the row's subject. */
    dd_ratio one;                   /* 1 worker, the same subject and simd */
    dd_ratio scalar;                /* simd off, the same subject and workers */
    dd_ratio locks, locks_gradient; /* that subject, the same workers and simd */
    dd_ratio oracle;   /* the row of that subject; without one, to is NULL and x is of the run that
                          the row was judged by; none of a plug-in, which trains something else */
    double efficiency; /* one.x / min(workers, cores); NaN */
    double loss_last;  /* of the first repeat that ended; NaN */
};

typedef struct dd_speedup {
    const dd_sweep *sweep;
    uint32_t cores;
    size_t n_rows;
    dd_speedup_row *rows;
} dd_speedup;

/* cores: how many this process may use. untimeable: why this build's times are no measurements, or
 * NULL.
 * returns  false when there is no memory                                                   */
bool dd_speedup_open(dd_speedup *s, const dd_sweep *sweep, uint32_t cores, const char *untimeable);
void dd_speedup_close(dd_speedup *s);

/* For people: what is the same in all rows, a table of what is not (for each block of the sweep
 * where one would be too wide), the legend and the reasons. markdown: for a file; else for a
 * terminal. */
void dd_speedup_write(const dd_speedup *s, bool markdown, FILE *out);
/* For programs: every column, full hashes, times in ns. */
void dd_speedup_csv(const dd_speedup *s, FILE *out);

/* Whether the row's subject is a plug-in, and whether its bits are promised. */
bool dd_speedup_is_plugin(const dd_speedup_row *row);
bool dd_speedup_is_bit_equal(const dd_speedup_row *row);

/* In place of a reduction that was left to the trainer, what it became; NULL: no run says so. */
const char *dd_speedup_reduction(const dd_speedup_row *row);

#endif
