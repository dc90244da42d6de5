/* SPDX-License-Identifier: MIT
 * What a hunt found, judged and shown: defects against means. */
#ifndef DD_MATRIX_H
#define DD_MATRIX_H

#include <jansson.h>

#include "hunt.h"

typedef enum dd_row_verdict {
    DD_ROW_NOT_RUN,
    DD_ROW_CAUGHT,     /* by all that it names, and by one at least */
    DD_ROW_EQUIVALENT, /* by nothing, as is argued */
    DD_ROW_BROKEN,     /* could not be planted, built or tried */
    DD_ROW_MISSED,     /* by means that it names */
    DD_ROW_SURVIVES,   /* by nothing, and nothing is argued */
    DD_ROW_STALE,      /* it is argued that nothing can catch it, and something did */
} dd_row_verdict;

/* "caught", "equivalent" … */
const char *dd_row_verdict_name(dd_row_verdict verdict);
dd_row_verdict dd_row_judge(const dd_defect *d, const dd_hunt_row *row);
/* Whether every defect that was hunted is as it should be. */
bool dd_matrix_holds(const dd_hunt *h);

/* The table, what is wrong, and a summary, to stdout. */
void dd_matrix_print(const dd_hunt *h);
json_t *dd_matrix_json(const dd_hunt *h);

#endif
