/* SPDX-License-Identifier: MIT
 * Health of a training: what every sphere's thread has done and what it waited for, how long ago it
 * last gave a sign of life, and what the process takes of the machine. Owns only the memory of when
 * a heartbeat was last seen to change; judges nothing. */
#ifndef DD_HEALTH_H
#define DD_HEALTH_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "subject.h"

enum { DD_HEALTH_ROWS = 24 }; /* a table for people is not longer */

typedef struct dd_health dd_health;

/* For a subject that tells of its threads.  owns  *out, released by dd_health_close
 * errors   DD_ERR_MEMORY                                                                       */
dd_status dd_health_open(const dd_subject_api *subject, const void *self, dd_health **out);
void dd_health_close(dd_health *h); /* NULL allowed */

/* Looks at every heartbeat: how old one is, is known as finely as this is called. */
void dd_health_look(dd_health *h, uint64_t now_ns);

/* The table, after `done` steps: with more spheres than DD_HEALTH_ROWS those that were silent
 * longest and used most CPU time, and how many were left out. Between steps. */
void dd_health_print(const dd_health *h, uint64_t done, uint64_t now_ns, FILE *to);
/* The same, whole; NULL: no memory. */
json_t *dd_health_json(const dd_health *h, uint64_t done, uint64_t now_ns);

/* CPU time of the process, its present and its highest resident memory; 0: not known. */
typedef struct dd_usage {
    uint64_t cpu_ns, rss_bytes, peak_rss_bytes;
} dd_usage;
dd_usage dd_usage_now(void);

#endif
