/* SPDX-License-Identifier: MIT
 * Storage of gradient segments and their sparse rows. */
#include "segment.h"

#include "pages.h"
#include "platform.h"

#include <assert.h>

/* n * size bytes, or NULL also where the product overflows */
static void *alloc_array(uint64_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return dd_alloc(bytes);
}

dd_status dd_rows_open(dd_rows *rows, uint32_t capacity, uint32_t width, uint32_t n_tokens)
{
    *rows = (dd_rows){.width = width, .capacity = capacity, .n_tokens = n_tokens};
    rows->token = alloc_array(capacity, sizeof *rows->token);
    rows->slot = alloc_array(n_tokens, sizeof *rows->slot);
    rows->row = alloc_array((uint64_t)capacity * width, sizeof *rows->row);
    if (!rows->token || !rows->slot || !rows->row) {
        dd_rows_close(rows);
        return DD_ERR_MEMORY;
    }
    for (uint32_t v = 0; v < n_tokens; v++)
        rows->slot[v] = DD_NO_SLOT;
    return DD_OK;
}

void dd_rows_close(dd_rows *rows)
{
    dd_free(rows->token);
    dd_free(rows->slot);
    dd_free(rows->row);
    *rows = (dd_rows){0};
}

void dd_rows_clear(dd_rows *rows)
{
    for (uint32_t i = 0; i < rows->n; i++)
        rows->slot[rows->token[i]] = DD_NO_SLOT;
    rows->n = 0;
}

float *dd_rows_at(dd_rows *rows, uint32_t token, bool *fresh)
{
    assert(token < rows->n_tokens);
    *fresh = rows->slot[token] == DD_NO_SLOT;
    if (*fresh) {
        assert(rows->n < rows->capacity);
        rows->token[rows->n] = token;
        rows->slot[token] = rows->n++;
    }
    return rows->row + (size_t)rows->slot[token] * rows->width;
}

uint64_t dd_rows_size(uint32_t capacity, uint32_t width, uint32_t n_tokens)
{
    const dd_rows *rows = NULL;
    return (uint64_t)capacity * (width * sizeof *rows->row + sizeof *rows->token) +
           (uint64_t)n_tokens * sizeof *rows->slot;
}

uint64_t dd_rows_bytes(const dd_rows *rows)
{
    return dd_rows_size(rows->capacity, rows->width, rows->n_tokens);
}

static float *open_dense(dd_guard *guard, uint32_t number, uint64_t P)
{
    size_t bytes;
    if (__builtin_mul_overflow(P, sizeof(float), &bytes))
        return NULL;
    if (guard)
        return dd_guard_alloc(guard, DD_REGION_SEGMENT, number, bytes);
    float *dense = dd_alloc(bytes);
    if (dense)
        dd_pages_huge(dense, bytes);
    return dense;
}

dd_status dd_segments_open(dd_segments *s, dd_guard *guard, uint32_t n, uint64_t P,
                           uint32_t capacity, uint32_t width, uint32_t n_tokens)
{
    *s = (dd_segments){.at = alloc_array(n, sizeof *s->at), .guarded = guard != NULL};
    if (!s->at)
        return DD_ERR_MEMORY;
    while (s->n < n) {
        const uint32_t i = s->n++; /* close() releases exactly these */
        dd_segment *segment = &s->at[i];
        segment->dense = open_dense(guard, i, P);
        if (!segment->dense || dd_rows_open(&segment->lookup, capacity, width, n_tokens)) {
            dd_segments_close(s);
            return DD_ERR_MEMORY;
        }
    }
    return DD_OK;
}

void dd_segments_close(dd_segments *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->guarded)
            dd_free(s->at[i].dense);
        dd_rows_close(&s->at[i].lookup);
    }
    dd_free(s->at);
    *s = (dd_segments){0};
}

uint64_t dd_segments_bytes(const dd_segments *s, uint64_t P)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < s->n; i++)
        bytes += P * sizeof(float) + dd_rows_bytes(&s->at[i].lookup) + sizeof s->at[i];
    return bytes;
}

uint64_t dd_segments_size(uint32_t n, uint64_t P, uint32_t capacity, uint32_t width,
                          uint32_t n_tokens)
{
    return n * (P * sizeof(float) + dd_rows_size(capacity, width, n_tokens) + sizeof(dd_segment));
}
