/* SPDX-License-Identifier: MIT
 * Optimal string alignment over short names; words longer than any name of ours are not compared.
 */
#include "nearest.h"

#include <string.h>

enum { LONGEST = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* d[i][j] is the distance of the first i letters of a from the first j of b; three rows suffice. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; j++)
        above[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = least(above[j], row[j - 1]) + 1;
            row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[n_b];
}

const char *dd_nearest(const char *word, const char *const *names, size_t n)
{
    size_t n_word = strlen(word);
    if (n_word == 0 || n_word > LONGEST)
        return NULL;
    const char *best = NULL;
    size_t best_edits = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_name = strlen(names[i]);
        if (n_name > LONGEST)
            continue;
        size_t edits = distance(word, n_word, names[i], n_name);
        size_t allowed = n_name / 3 > 1 ? n_name / 3 : 1;
        if (edits <= allowed && (!best || edits < best_edits)) {
            best = names[i];
            best_edits = edits;
        }
    }
    return best;
}
