/* SPDX-License-Identifier: MIT
 * Segments: gradient memory with exactly one writer at a time. Owns their storage; knows nothing of
 * what the numbers mean, who writes when, or how they are added. */
#ifndef DD_SEGMENT_H
#define DD_SEGMENT_H

#include "dodeca.h"
#include "guard.h"

#define DD_NO_SLOT UINT32_MAX

/* Sparse rows: the lookup part of the embedding's gradient, a row of `width` floats for each token
 * present. */
typedef struct dd_rows {
    uint32_t width, capacity, n_tokens; /* fixed after open */
    uint32_t n;                         /* rows present */
    uint32_t *token;                    /* (capacity) row i belongs to token[i] */
    uint32_t *slot;                     /* (n_tokens) the row of a token, or DD_NO_SLOT */
    float *row;                         /* (capacity, width) */
} dd_rows;

/* owns     the arrays on success, released by dd_rows_close, which accepts zeroed rows too
 * errors   DD_ERR_MEMORY                                                                      */
dd_status dd_rows_open(dd_rows *rows, uint32_t capacity, uint32_t width, uint32_t n_tokens);
void dd_rows_close(dd_rows *rows);
void dd_rows_clear(dd_rows *rows);
/* The row of `token`; a new one, not initialised, where *fresh is set.
 * requires room: capacity covers every token that can occur                                   */
float *dd_rows_at(dd_rows *rows, uint32_t token, bool *fresh);
uint64_t dd_rows_bytes(const dd_rows *rows);
/* What dd_rows_bytes would be of rows opened so. */
uint64_t dd_rows_size(uint32_t capacity, uint32_t width, uint32_t n_tokens);

typedef struct dd_segment {
    float *dense;   /* (P) gradient in canonical order, without the lookup part */
    dd_rows lookup; /* rows of wte */
    double loss;    /* sum over the tokens of the lanes in it */
} dd_segment;

typedef struct dd_segments {
    uint32_t n;
    dd_segment *at; /* (n) */
    bool guarded;   /* the dense arrays are a guard's */
} dd_segments;

/* n segments of P dense elements and up to `capacity` lookup rows of `width`. With a guard (may be
 * NULL) the dense array of segment s is its region of kind DD_REGION_SEGMENT and number s.
 * owns     the segments on success, released by dd_segments_close, which accepts zeroed ones too;
 *          guarded dense arrays stay the guard's, on failure too
 * errors   DD_ERR_MEMORY                                                                      */
dd_status dd_segments_open(dd_segments *s, dd_guard *guard, uint32_t n, uint64_t P,
                           uint32_t capacity, uint32_t width, uint32_t n_tokens);
void dd_segments_close(dd_segments *s);
/* Bytes of all segments together, without the pages around guarded ones. */
uint64_t dd_segments_bytes(const dd_segments *s, uint64_t P);
/* What that would be of segments opened so. */
uint64_t dd_segments_size(uint32_t n, uint64_t P, uint32_t capacity, uint32_t width,
                          uint32_t n_tokens);

#endif
