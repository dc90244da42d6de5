/* SPDX-License-Identifier: MIT
 * What is compared: the work that is counted, what is timed, and the floors; and the verdicts. A
 * time is a regression only where its whole interval lies above the limit and that of a second
 * measurement, when all the others were made, does as well. */
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "gate.h"
#include "kernels.h"
#include "settings.h"

#define COUNT_LIMIT 1.005
#define TIME_LIMIT 1.03

/* Pairs before a row has passed: a floor is further from what is usual than 3 %. */
enum { LEAST_TIME = 20, LEAST_FLOOR = 10 };

/* ---- The work ---- */

static const char *const groups[] = {"products", "attention",  "layernorm", "activation",
                                     "loss",     "parameters", NULL};

static const dd_simd sets[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};

#define TRAIN "dodeca train --data bytes:data --validate 0 --json "
#define NANO TRAIN "--model nano --batch 12 --seq 16 --steps 8 "
#define MICRO TRAIN "--model micro --batch 12 --seq 64 --steps 5 "
#define LONG TRAIN "--model micro --batch 12 --seq 128 --steps 5 "

static const char serial_work[] =
    TRAIN "--serial --model L=1,NH=2,C=48,V=256,T=16 --batch 4 --steps 2";

/* What is timed in both revisions. */
static const struct {
    const char *name;
    uint32_t cores;
    const char *command;
} times[] = {
    {"step, nano, 1 worker", 1, NANO "--workers 1"},
    {"step, nano, 2 workers", 2, NANO "--workers 2"},
    {"barrier, 2 threads", 2, "gate_work barrier tree 2 5000"},
    {"barrier, 4 threads", 2, "gate_work barrier tree 4 400"},
};

/* What head is measured against: `other` takes at least `floor` times as long as `ours`. */
static const struct {
    const char *name;
    double floor;
    const char *other, *ours;
} floors[] = {
    {"nano, 2 workers: locks / dodeca", 1, NANO "--workers 2 --subject locks", NANO "--workers 2"},
    {"nano, 2 workers: locks-gradient / dodeca", 1, NANO "--workers 2 --subject locks-gradient",
     NANO "--workers 2"},
    {"barrier, 2 threads: pthread / tree", 1, "gate_work barrier pthread 2 100",
     "gate_work barrier tree 2 5000"},
    {"barrier, 4 threads: pthread / tree", 1, "gate_work barrier pthread 4 40",
     "gate_work barrier tree 4 400"},
    {"barrier, 8 threads: pthread / tree", 1, "gate_work barrier pthread 8 40",
     "gate_work barrier tree 8 200"},
    /* at full length, where least of a step is memory's */
    {"micro: 1 worker / 2 workers", 1.9, LONG "--workers 1", LONG "--workers 2"},
    {"micro: 2 workers / 4 on 2 cores", 0.8, MICRO "--workers 2", MICRO "--workers 4"},
    {"micro: 2 workers / 8 on 2 cores", 0.8, MICRO "--workers 2", MICRO "--workers 8"},
};

/* ---- Rows ---- */

static dd_gate_row *row_add(dd_gate_result *r, dd_gate_kind kind, double limit, const char *name)
{
    dd_gate_row *row = &r->row[r->n_rows++];
    const double none = (double)NAN;
    *row = (dd_gate_row){.kind = kind,
                         .limit = limit,
                         .base = none,
                         .head = none,
                         .ratio = none,
                         .low = none,
                         .high = none,
                         .first_ratio = none};
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

__attribute__((format(printf, 3, 4))) static void judge(dd_gate_row *row, dd_gate_verdict verdict,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    row->verdict = verdict;
    (void)vsnprintf(row->why, sizeof row->why, format, args);
    va_end(args);
}

/* A command did not come to its end. What only base cannot do has nothing to be compared with. */
static void judge_end(dd_gate *g, dd_gate_row *row, dd_gate_end end, const dd_gate_side *side,
                      bool is_base, const char *why)
{
    if (end == DD_GATE_STOPPED)
        g->stopped = true;
    else if (end == DD_GATE_UNCOUNTED || end == DD_GATE_LATE || end == DD_GATE_UNABLE)
        judge(row, DD_GATE_SKIP, "%.200s", why);
    else if (is_base)
        judge(row, DD_GATE_NEW, "not compared: %.60s: %.160s", side->name, why);
    else
        judge(row, DD_GATE_FAIL, "%.60s: %.180s", side->name, why);
}

static void say_row(const dd_gate *g, const dd_gate_row *row)
{
    if (!g->progress || g->stopped)
        return;
    fprintf(g->progress, "%s, %s: ", dd_gate_kind_name(row->kind), row->name);
    if (!isnan(row->ratio))
        fprintf(g->progress, "%.4f, ", row->ratio);
    if (row->pairs)
        fprintf(g->progress, "%u pairs, ", row->pairs);
    fprintf(g->progress, "%s%s%s\n", dd_gate_verdict_name(row->verdict), *row->why ? ": " : "",
            row->why);
}

/* ---- Counting ---- */

typedef struct counting {
    const dd_gate *g;
    dd_counter counter;
    const dd_gate_side *side;
    const char *command;
    unsigned slot;
    dd_gate_end end;
    double instructions;
    char why[DD_GATE_WHY];
} counting;

static void *count_main(void *arg)
{
    counting *c = arg;
    c->end = dd_count(c->g, c->counter, c->side, c->command, c->slot, &c->instructions, c->why);
    return NULL;
}

/* Both at once: what they count does not depend on time. */
static void count_row(dd_gate *g, const dd_gate_side *base, const dd_gate_side *head,
                      dd_gate_result *r, const char *name, const char *command)
{
    dd_gate_row *row = row_add(r, DD_GATE_COUNT, COUNT_LIMIT, name);
    counting c[2] = {{g, r->counter, base, command, 0, DD_GATE_RAN, 0, ""},
                     {g, r->counter, head, command, 1, DD_GATE_RAN, 0, ""}};
    if (r->counter == DD_COUNTER_NONE) {
        judge(row, DD_GATE_SKIP, "nothing counts instructions here: %.190s", r->counter_why);
        return;
    }
    pthread_t other;
    const bool together = pthread_create(&other, NULL, count_main, &c[1]) == 0;
    count_main(&c[0]);
    if (together)
        pthread_join(other, NULL);
    else
        count_main(&c[1]);
    for (int i = 1; i >= 0; i--)
        if (c[i].end != DD_GATE_RAN) {
            judge_end(g, row, c[i].end, c[i].side, i == 0, c[i].why);
            say_row(g, row);
            return;
        }
    row->base = c[0].instructions;
    row->head = c[1].instructions;
    row->ratio = row->head / row->base;
    if (!(row->ratio <= row->limit))
        judge(row, DD_GATE_FAIL, "%.2f %% more instructions, %.1f %% are allowed",
              100 * (row->ratio - 1), 100 * (row->limit - 1));
    say_row(g, row);
}

static void count_all(dd_gate *g, const dd_gate_side *base, const dd_gate_side *head,
                      dd_gate_result *r)
{
    char name[80], command[80];
    count_row(g, base, head, r, "oracle", serial_work);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        const char *why;
        /* valgrind's CPU has no AVX-512 */
        if (!dd_kernels_select(sets[s], &why) ||
            (sets[s] == DD_SIMD_AVX512 && r->counter == DD_COUNTER_CALLGRIND))
            continue;
        for (size_t i = 0; groups[i] && !g->stopped; i++) {
            (void)snprintf(name, sizeof name, "kernels %s: %s", dd_simd_name(sets[s]), groups[i]);
            (void)snprintf(command, sizeof command, "gate_work kernels %s %s",
                           dd_simd_name(sets[s]), groups[i]);
            count_row(g, base, head, r, name, command);
        }
    }
}

/* ---- Times and floors ---- */

/* One measurement into its row. A floor is told as how many times as long the other takes.
 * returns  whether it was lost */
static bool measure(dd_gate *g, const dd_duel *duel, dd_gate_row *row)
{
    dd_duel_result d;
    int loser = 0;
    char why[DD_GATE_WHY] = "";
    const dd_gate_end end = dd_duel_run(g, duel, &d, &loser, why);
    if (end != DD_GATE_RAN) {
        judge_end(g, row, end, duel->side[loser], loser == 0 && row->kind == DD_GATE_TIME, why);
        return false;
    }
    const bool floor = row->kind == DD_GATE_FLOOR;
    row->base = d.ns[0];
    row->head = d.ns[1];
    row->pairs = d.pairs;
    row->ratio = floor ? 1 / d.ratio : d.ratio;
    row->low = floor ? 1 / d.high : d.low;
    row->high = floor ? 1 / d.low : d.high;
    if (row->repeated && d.side != DD_ABOVE)
        judge(row, DD_GATE_PASS, "first %.3f, not confirmed", row->first_ratio);
    else if (d.side == DD_UNDECIDED)
        judge(row, DD_GATE_PASS, "too noisy to tell it from %.2f", row->limit);
    return d.side == DD_ABOVE;
}

static void measure_first(dd_gate *g, const dd_duel *duel, dd_gate_row *row)
{
    if (duel->cores > g->cores) {
        judge(row, DD_GATE_SKIP, "needs %u cores, 1 is usable here", duel->cores);
    } else if (measure(g, duel, row)) {
        row->repeated = true;
        row->first_ratio = row->ratio;
    }
}

/* Only what is lost twice counts. */
static void measure_again(dd_gate *g, const dd_duel *duel, dd_gate_row *row)
{
    if (measure(g, duel, row))
        judge(row, DD_GATE_FAIL,
              row->kind == DD_GATE_FLOOR ? "below %.2f, twice (first %.3f)"
                                         : "above %.2f, twice (first %.3f)",
              row->limit, row->first_ratio);
}

static dd_duel duel_of(const dd_gate_side *base, const dd_gate_side *head, dd_gate_kind kind,
                       size_t i)
{
    if (kind == DD_GATE_TIME)
        return (dd_duel){.side = {base, head},
                         .command = {times[i].command, times[i].command},
                         .cores = times[i].cores,
                         .least = LEAST_TIME,
                         .limit = TIME_LIMIT};
    return (dd_duel){.side = {head, head},
                     .command = {floors[i].other, floors[i].ours},
                     .cores = 2,
                     .least = LEAST_FLOOR,
                     .limit = 1 / floors[i].floor};
}

/* What is lost is measured again when everything was measured: what others do on the machine for a
 * minute must not meet a row twice. to_first: at once, and no more after the first that failed. */
static void duel_all(dd_gate *g, const dd_gate_side *base, const dd_gate_side *head,
                     dd_gate_kind kind, bool to_first, dd_gate_result *r)
{
    const bool floor = kind == DD_GATE_FLOOR;
    const size_t n = floor ? sizeof floors / sizeof *floors : sizeof times / sizeof *times;
    for (size_t i = 0; i < n && !g->stopped; i++) {
        dd_gate_row *row = row_add(r, kind, floor ? floors[i].floor : TIME_LIMIT,
                                   floor ? floors[i].name : times[i].name);
        const dd_duel duel = duel_of(base, head, kind, i);
        measure_first(g, &duel, row);
        if (to_first && row->repeated && !g->stopped)
            measure_again(g, &duel, row);
        say_row(g, row);
        if (to_first && row->verdict == DD_GATE_FAIL)
            break;
    }
}

static void confirm_all(dd_gate *g, const dd_gate_side *base, const dd_gate_side *head,
                        dd_gate_result *r)
{
    size_t n[DD_GATE_FLOOR + 1] = {0};
    for (size_t i = 0; i < r->n_rows && !g->stopped; i++) {
        dd_gate_row *row = &r->row[i];
        const dd_duel duel = duel_of(base, head, row->kind, n[row->kind]);
        if (row->kind != DD_GATE_COUNT)
            n[row->kind]++;
        if (!row->repeated)
            continue;
        measure_again(g, &duel, row);
        say_row(g, row);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void dd_gate_compare(dd_gate *g, const dd_gate_side *base, const dd_gate_side *head,
                     dd_counter counter, unsigned parts, dd_gate_result *out)
{
    const double begin_s = now_s();
    *out = (dd_gate_result){.counter = counter, .cores = g->cores};
    if (counter == DD_COUNTER_NONE)
        (void)dd_counter_choose("auto", out->counter_why);
    if (parts & DD_GATE_COUNTS)
        count_all(g, base, head, out);
    if (parts & DD_GATE_TIMES)
        duel_all(g, base, head, DD_GATE_TIME, parts & DD_GATE_TO_FIRST, out);
    if (parts & DD_GATE_FLOORS)
        duel_all(g, base, head, DD_GATE_FLOOR, false, out);
    if (!(parts & DD_GATE_TO_FIRST))
        confirm_all(g, base, head, out);
    out->seconds = now_s() - begin_s;
}

int dd_gate_exit_code(const dd_gate_result *r)
{
    int code = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        if (r->row[i].verdict == DD_GATE_FAIL)
            return 1;
        if (r->row[i].verdict == DD_GATE_SKIP)
            code = 3;
    }
    return code;
}

const char *dd_gate_verdict_name(dd_gate_verdict verdict)
{
    static const char *const names[] = {"PASS", "FAIL", "SKIP", "NEW"};
    return names[verdict];
}

const char *dd_gate_kind_name(dd_gate_kind kind)
{
    static const char *const names[] = {"count", "time", "floor"};
    return names[kind];
}
