/* SPDX-License-Identifier: MIT
 * Non-negative least squares by active sets, on normal equations of columns scaled to length 1.
 * source   Lawson, Hanson 1974, Solving Least Squares Problems, chapter 23 */
#include "cost_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = DD_COST_TERMS, ROUNDS_MAX = 8 * N };
#define TOLERANCE 1e-10 /* of gradients, against columns and a right side of length about 1 */
#define DEPENDENT 1e-12 /* a pivot below this: the column says nothing new */

typedef struct normal {
    double G[N][N], c[N]; /* A'A and A'b */
} normal;

/* Solves G x = c for the columns in use, the others 0.
 * returns  false: one of them depends on the others */
static bool solve(const normal *p, const bool *used, double *x)
{
    double a[N][N + 1];
    size_t at[N], n = 0;
    memset(x, 0, N * sizeof *x);
    for (size_t j = 0; j < N; j++)
        if (used[j])
            at[n++] = j;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            a[i][j] = p->G[at[i]][at[j]];
        a[i][n] = p->c[at[i]];
    }
    for (size_t k = 0; k < n; k++) { /* symmetric and positive definite: no pivoting */
        if (!(a[k][k] > DEPENDENT))
            return false;
        for (size_t i = k + 1; i < n; i++) {
            const double factor = a[i][k] / a[k][k];
            for (size_t j = k; j <= n; j++)
                a[i][j] -= factor * a[k][j];
        }
    }
    for (size_t k = n; k-- > 0;) {
        double sum = a[k][n];
        for (size_t j = k + 1; j < n; j++)
            sum -= a[k][j] * x[at[j]];
        x[at[k]] = sum / a[k][k];
    }
    return true;
}

/* The column outside that would lower the error most; N: none does. */
static size_t steepest(const normal *p, const bool *used, const bool *barred, const double *x)
{
    size_t best = N;
    double most = TOLERANCE;
    for (size_t j = 0; j < N; j++) {
        if (used[j] || barred[j])
            continue;
        double gradient = p->c[j];
        for (size_t k = 0; k < N; k++)
            gradient -= p->G[j][k] * x[k];
        if (gradient > most) {
            most = gradient;
            best = j;
        }
    }
    return best;
}

/* As far from x towards s as no coefficient turns negative; those that reach 0 go. */
static void step_towards(const double *s, bool *used, double *x)
{
    double far = 1;
    for (size_t j = 0; j < N; j++)
        if (used[j] && s[j] <= 0 && x[j] / (x[j] - s[j]) < far)
            far = x[j] / (x[j] - s[j]);
    for (size_t j = 0; j < N; j++) {
        if (!used[j])
            continue;
        x[j] += far * (s[j] - x[j]);
        if (s[j] <= 0 && x[j] <= TOLERANCE) {
            x[j] = 0;
            used[j] = false;
        }
    }
}

static bool all_positive(const double *s, const bool *used)
{
    for (size_t j = 0; j < N; j++)
        if (used[j] && s[j] <= 0)
            return false;
    return true;
}

static void solve_nonnegative(const normal *p, double *x)
{
    bool used[N] = {false}, barred[N] = {false};
    double s[N];
    memset(x, 0, N * sizeof *x);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        const size_t j = steepest(p, used, barred, x);
        if (j == N)
            return;
        used[j] = true;
        if (!solve(p, used, s) || s[j] <= 0) { /* rounding alone made it look useful */
            used[j] = false;
            barred[j] = true;
            continue;
        }
        memset(barred, 0, sizeof barred);
        while (!all_positive(s, used)) {
            step_towards(s, used, x);
            if (!solve(p, used, s))
                return;
        }
        memcpy(x, s, sizeof s);
    }
}

void dd_cost_fit_rows(const dd_cost_row *row, size_t n, const bool *left_out, dd_cost_fit *out)
{
    double length[N] = {0}, x[N];
    normal p = {0};
    size_t rows = 0;
    *out = (dd_cost_fit){0};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < N; j++) {
            const double a = left_out && left_out[i] ? 0 : row[i].amount[j] / row[i].ns;
            length[j] += a * a;
        }
    for (size_t j = 0; j < N; j++) {
        length[j] = sqrt(length[j]);
        out->seen[j] = length[j] > 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (left_out && left_out[i])
            continue;
        double a[N];
        for (size_t j = 0; j < N; j++)
            a[j] = out->seen[j] ? row[i].amount[j] / row[i].ns / length[j] : 0;
        for (size_t j = 0; j < N; j++) {
            for (size_t k = 0; k < N; k++)
                p.G[j][k] += a[j] * a[k];
            p.c[j] += a[j]; /* measured / measured is 1 */
        }
        rows++;
    }
    for (size_t j = 0; j < N; j++) /* a right side of length 1 */
        p.c[j] /= rows ? sqrt((double)rows) : 1;
    solve_nonnegative(&p, x);
    for (size_t j = 0; j < N; j++)
        if (out->seen[j])
            out->ns_per[j] = x[j] * sqrt((double)rows) / length[j];
}

double dd_cost_time(const dd_cost_fit *fit, const double amount[DD_COST_TERMS])
{
    double ns = 0;
    for (size_t j = 0; j < N; j++)
        ns += fit->ns_per[j] * amount[j];
    return ns;
}

/* Numbers the cases: rows with the same amounts have the same. */
static void number_cases(const dd_cost_row *row, size_t n, size_t *number)
{
    size_t cases = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && memcmp(row[k].amount, row[i].amount, sizeof row[i].amount) != 0)
            k++;
        number[i] = k < i ? number[k] : cases++;
    }
}

bool dd_cost_check(const dd_cost_row *row, size_t n, double *error, double *group_error)
{
    bool *out = calloc(n + 1, sizeof *out);
    size_t *number = calloc(n + 1, sizeof *number);
    uint32_t groups = 0;
    dd_cost_fit fit;
    if (!out || !number) {
        free(out);
        free(number);
        return false;
    }
    number_cases(row, n, number);
    for (size_t i = 0; i < n; i++)
        groups = row[i].group >= groups ? row[i].group + 1 : groups;
    for (size_t fold = 0; fold < DD_COST_FOLDS_OF_CHECK + groups; fold++) {
        const bool by_group = fold >= DD_COST_FOLDS_OF_CHECK;
        double *to = by_group ? group_error : error;
        for (size_t i = 0; i < n; i++)
            out[i] = by_group ? row[i].group == fold - DD_COST_FOLDS_OF_CHECK
                              : number[i] % DD_COST_FOLDS_OF_CHECK == fold;
        dd_cost_fit_rows(row, n, out, &fit);
        for (size_t i = 0; i < n; i++)
            if (out[i])
                to[i] = by_group && groups < 2 ? (double)NAN
                                               : dd_cost_time(&fit, row[i].amount) / row[i].ns - 1;
    }
    free(out);
    free(number);
    return true;
}
