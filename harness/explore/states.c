/* SPDX-License-Identifier: MIT
 * Visited states: an open-addressed table of numbers into an array of hashes, and a list of steps.
 */
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NONE UINT32_MAX

typedef struct step {
    uint32_t from, to;
} step;

struct dd_states {
    uint32_t *slot; /* n_slots, a power of two; NONE: empty */
    uint64_t n_slots;
    XXH128_hash_t *hash; /* by state */
    uint64_t n, room;
    step *steps;
    uint64_t n_steps, step_room;
    uint32_t *end;
    uint64_t n_ends, end_room;
};

void *dd_states_memory(void *p, size_t bytes)
{
    void *q = realloc(p, bytes);
    if (!q) {
        fprintf(stderr, "dodeca explore: out of memory (%zu bytes)\n", bytes);
        exit(3);
    }
    return q;
}

/* Makes room for one element more; returns the array. */
static void *grow(void *array, uint64_t n, uint64_t *room, size_t element_bytes)
{
    if (n < *room)
        return array;
    *room = *room ? *room * 2 : 1024;
    return dd_states_memory(array, *room * element_bytes);
}

dd_states *dd_states_open(void)
{
    dd_states *s = dd_states_memory(NULL, sizeof *s);
    *s = (dd_states){.n_slots = 1024};
    s->slot = dd_states_memory(NULL, s->n_slots * sizeof *s->slot);
    memset(s->slot, 0xff, s->n_slots * sizeof *s->slot);
    return s;
}

void dd_states_close(dd_states *s)
{
    if (!s)
        return;
    free(s->slot);
    free(s->hash);
    free(s->steps);
    free(s->end);
    free(s);
}

/* The slot of this hash, or the empty one where it belongs. */
static uint64_t find(const dd_states *s, XXH128_hash_t hash)
{
    uint64_t i = hash.low64 & (s->n_slots - 1);
    while (s->slot[i] != NONE && !XXH128_isEqual(s->hash[s->slot[i]], hash))
        i = (i + 1) & (s->n_slots - 1);
    return i;
}

bool dd_states_add(dd_states *s, const void *bytes, size_t n_bytes, uint32_t *state)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, n_bytes);
    uint64_t i = find(s, hash);
    if (s->slot[i] != NONE) {
        *state = s->slot[i];
        return false;
    }
    s->hash = grow(s->hash, s->n, &s->room, sizeof *s->hash);
    s->hash[s->n] = hash;
    s->slot[i] = *state = (uint32_t)s->n++;
    if (s->n * 2 > s->n_slots) {
        s->n_slots *= 2;
        s->slot = dd_states_memory(s->slot, s->n_slots * sizeof *s->slot);
        memset(s->slot, 0xff, s->n_slots * sizeof *s->slot);
        for (uint32_t k = 0; k < s->n; k++)
            s->slot[find(s, s->hash[k])] = k;
    }
    return true;
}

uint64_t dd_states_count(const dd_states *s)
{
    return s->n;
}

void dd_states_step(dd_states *s, uint32_t from, uint32_t to)
{
    s->steps = grow(s->steps, s->n_steps, &s->step_room, sizeof *s->steps);
    s->steps[s->n_steps++] = (step){from, to};
}

void dd_states_end(dd_states *s, uint32_t state)
{
    s->end = grow(s->end, s->n_ends, &s->end_room, sizeof *s->end);
    s->end[s->n_ends++] = state;
}

/* Visits the states in an order in which every step leads forward (Kahn 1962), as far as there is
 * one. */
void dd_states_follow(const dd_states *s, dd_states_paths *out)
{
    uint64_t n = s->n;
    uint64_t *first = dd_states_memory(NULL, (n + 2) * sizeof *first); /* steps out, by state */
    uint32_t *to = dd_states_memory(NULL, (s->n_steps + 1) * sizeof *to);
    uint32_t *n_in = dd_states_memory(NULL, (n + 1) * sizeof *n_in);
    uint32_t *queue = dd_states_memory(NULL, (n + 1) * sizeof *queue);
    double *paths = dd_states_memory(NULL, (n + 1) * sizeof *paths);
    uint32_t *longest = dd_states_memory(NULL, (n + 1) * sizeof *longest);
    memset(first, 0, (n + 2) * sizeof *first);
    memset(n_in, 0, (n + 1) * sizeof *n_in);
    for (uint64_t i = 0; i <= n; i++) {
        paths[i] = 0;
        longest[i] = 0;
    }

    for (uint64_t i = 0; i < s->n_steps; i++) {
        first[s->steps[i].from + 2]++;
        n_in[s->steps[i].to]++;
    }
    for (uint64_t i = 2; i < n + 2; i++)
        first[i] += first[i - 1];
    for (uint64_t i = 0; i < s->n_steps; i++)
        to[first[s->steps[i].from + 1]++] = s->steps[i].to;

    uint64_t done = 0, found = 0;
    for (uint32_t i = 0; i < n; i++)
        if (n_in[i] == 0)
            queue[found++] = i;
    paths[0] = 1;
    *out = (dd_states_paths){0};
    while (done < found) {
        uint32_t at = queue[done++];
        for (uint64_t i = first[at]; i < first[at + 1]; i++) {
            uint32_t next = to[i];
            paths[next] += paths[at];
            if (paths[at] > 0 && longest[next] < longest[at] + 1)
                longest[next] = longest[at] + 1;
            if (--n_in[next] == 0)
                queue[found++] = next;
        }
        if (out->longest < longest[at])
            out->longest = longest[at];
    }
    out->acyclic = done == n;
    for (uint64_t i = 0; out->acyclic && i < s->n_ends; i++)
        out->executions += paths[s->end[i]];

    free(first);
    free(to);
    free(n_in);
    free(queue);
    free(paths);
    free(longest);
}
