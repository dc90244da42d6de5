/* SPDX-License-Identifier: MIT
 * Positions, contacts and placement of one sphere's twelve lanes. Exact, in integers; no threads,
 * no memory. */
#include "spheres.h"

#include <assert.h>

/* Triangle by triangle: for the sign patterns +++, +--, -+-, --+ the three vertices that have one
 * coordinate zero. */
const int8_t dd_position[DD_POSITIONS][3] = {
    {+1, +1, 0}, {+1, 0, +1}, {0, +1, +1}, /* +++ */
    {+1, -1, 0}, {+1, 0, -1}, {0, -1, -1}, /* +-- */
    {-1, +1, 0}, {-1, 0, -1}, {0, +1, -1}, /* -+- */
    {-1, -1, 0}, {-1, 0, +1}, {0, -1, +1}, /* --+ */
};

/* Equal spheres of radius r touch at centre distance 2r. In units of r sqrt 2 that is a squared
 * distance of 2, which is also that of every position from the centre. */
bool dd_in_contact(uint32_t a, uint32_t b)
{
    assert(a != b && a <= DD_CENTRE && b <= DD_CENTRE);
    if (a == DD_CENTRE || b == DD_CENTRE)
        return true;
    int squared = 0;
    for (int axis = 0; axis < 3; axis++) {
        int d = dd_position[a][axis] - dd_position[b][axis];
        squared += d * d;
    }
    return squared == 2;
}

uint32_t dd_contacts_inside(uint32_t first, uint32_t count, const uint64_t weight[DD_POSITIONS])
{
    assert(first <= DD_POSITIONS && count <= DD_POSITIONS - first);
    uint32_t n = 0;
    for (uint32_t a = first; a < first + count; a++)
        for (uint32_t b = a + 1; b < first + count; b++)
            n += weight[a] && weight[b] && dd_in_contact(a, b);
    return n;
}

/* The non-empty lanes in order, and what a run of them [i, j) amounts to. */
typedef struct runs {
    uint32_t n;
    uint32_t lane[DD_POSITIONS];
    uint64_t tokens[DD_POSITIONS + 1][DD_POSITIONS + 1];
    uint32_t contacts[DD_POSITIONS + 1][DD_POSITIONS + 1];
} runs;

static void runs_measure(runs *r, const uint64_t weight[DD_POSITIONS])
{
    r->n = 0;
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        if (weight[l])
            r->lane[r->n++] = l;
    for (uint32_t i = 0; i < r->n; i++) {
        uint64_t tokens = 0;
        for (uint32_t j = i + 1; j <= r->n; j++) {
            tokens += weight[r->lane[j - 1]];
            r->tokens[i][j] = tokens;
            r->contacts[i][j] =
                dd_contacts_inside(r->lane[i], r->lane[j - 1] + 1 - r->lane[i], weight);
        }
    }
}

/* cut[0] = 0 < cut[1] < ... < cut[n_shares] = n: the next choice in lexicographic order, false
 * after the last. */
static bool cuts_next(uint32_t *cut, uint32_t n_shares, uint32_t n)
{
    for (uint32_t i = n_shares; i-- > 1;) {
        if (cut[i] < n - (n_shares - i)) {
            cut[i]++;
            for (uint32_t k = i + 1; k < n_shares; k++)
                cut[k] = cut[k - 1] + 1;
            return true;
        }
    }
    return false;
}

/* Twelve lanes have at most C(11, 5) = 462 cuts into shares: all are tried, the first of the best
 * stays. */
void dd_placement(const uint64_t weight[DD_POSITIONS], uint32_t n_workers, dd_share *share)
{
    assert(n_workers >= 1 && n_workers <= DD_POSITIONS);
    for (uint32_t w = 0; w < n_workers; w++)
        share[w] = (dd_share){0};
    runs r;
    runs_measure(&r, weight);
    if (r.n == 0)
        return;
    const uint32_t n_shares = n_workers < r.n ? n_workers : r.n;

    uint32_t cut[DD_POSITIONS + 1], best[DD_POSITIONS + 1] = {0};
    for (uint32_t i = 0; i < n_shares; i++)
        cut[i] = i;
    cut[n_shares] = r.n;
    uint64_t least_largest = UINT64_MAX;
    uint32_t most_contacts = 0;
    do {
        uint64_t largest = 0;
        uint32_t contacts = 0;
        for (uint32_t s = 0; s < n_shares; s++) {
            uint64_t tokens = r.tokens[cut[s]][cut[s + 1]];
            largest = tokens > largest ? tokens : largest;
            contacts += r.contacts[cut[s]][cut[s + 1]];
        }
        if (largest < least_largest || (largest == least_largest && contacts > most_contacts)) {
            least_largest = largest;
            most_contacts = contacts;
            for (uint32_t s = 0; s <= n_shares; s++)
                best[s] = cut[s];
        }
    } while (cuts_next(cut, n_shares, r.n));

    for (uint32_t s = 0; s < n_shares; s++) {
        uint32_t first = r.lane[best[s]], last = r.lane[best[s + 1] - 1];
        share[s] = (dd_share){.first = first,
                              .count = last + 1 - first,
                              .n_lanes = best[s + 1] - best[s],
                              .tokens = r.tokens[best[s]][best[s + 1]]};
    }
}
