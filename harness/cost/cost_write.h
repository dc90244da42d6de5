/* SPDX-License-Identifier: MIT
 * A cost model and its predictions as text for people and as JSON. Every table of predictions says
 * in its head that it is one; measured steps appear in none of them. */
#ifndef DD_COST_WRITE_H
#define DD_COST_WRITE_H

#include <jansson.h>
#include <stdio.h>

#include "cost_model.h"

/* Predictions for one model shape; of each number of cores and depth all four reductions. */
typedef struct dd_cost_page {
    dd_cost_wanted wanted;
    dd_cost_forecast *forecast; /* (n) owned by the caller; cores ascending */
    size_t n;
    const uint32_t *cores; /* (n_cores) ascending: what was asked for, some of it refused */
    size_t n_cores;
} dd_cost_page;

/* What the fit rests on: machine, cells, coefficients, errors. */
void dd_cost_write_model(const dd_cost_cells *cells, const dd_cost_model *m, FILE *out);
/* A table of what is predicted, and what to take for each number of cores. */
void dd_cost_write_page(const dd_cost_model *m, const dd_cost_page *page, FILE *out);
void dd_cost_write_assumptions(const dd_cost_model *m, FILE *out);

/* The forecast to take for so many cores: of those whose slower end is the fastest, or as good as
 * it, the first of the page; NULL: none. */
const dd_cost_forecast *dd_cost_best(const dd_cost_page *page, uint32_t cores);

/* returns  a new object with all of that; NULL: no memory */
json_t *dd_cost_json(const dd_cost_cells *cells, const dd_cost_model *m, const dd_cost_page *page,
                     size_t n_pages);

#endif
