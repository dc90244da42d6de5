/* SPDX-License-Identifier: MIT
 * Rules for single calls: memory orders, atomic operations, waking and waiting, arrivals, folds. */
#include "generate.h"

#include <stdio.h>
#include <string.h>

/* ---- What a call is ---- */

typedef enum operation { NONE, LOAD, STORE, EXCHANGE, FETCH_ADD, COMPARE_EXCHANGE } operation;

/* Of dd_u32_… and dd_u64_…; prefix is then "dd_u32" or "dd_u64". */
static operation operation_of(const dd_scan *s, size_t i, const char **prefix)
{
    static const char *const suffix[] = {[LOAD] = "_load",
                                         [STORE] = "_store",
                                         [EXCHANGE] = "_exchange",
                                         [FETCH_ADD] = "_fetch_add",
                                         [COMPARE_EXCHANGE] = "_compare_exchange"};
    static const char *const prefixes[] = {"dd_u32", "dd_u64"};
    for (size_t p = 0; p < 2; p++)
        for (operation o = LOAD; o <= COMPARE_EXCHANGE; o++) {
            char name[32];
            (void)snprintf(name, sizeof name, "%s%s", prefixes[p], suffix[o]);
            if (dd_scan_is(s, i, name) && dd_scan_is(s, i + 1, "(")) {
                *prefix = prefixes[p];
                return o;
            }
        }
    return NONE;
}

typedef struct argument {
    size_t first, end;
} argument;

static uint32_t arguments(const dd_scan *s, size_t open, argument a[static 6])
{
    uint32_t n = 0;
    while (n < 6 && dd_scan_argument(s, open, n, &a[n].first, &a[n].end))
        n++;
    return n;
}

/* Whether the call at i, which ends at `close`, is a statement by itself. */
static bool is_statement(const dd_scan *s, size_t i, size_t close)
{
    if (i == 0 || !dd_scan_is(s, close + 1, ";"))
        return false;
    if (dd_scan_is(s, i - 1, ")")) /* if (…) call; but not x = (type)call; */
        return dd_scan_is(s, s->token[i - 1].match - 1, "if") ||
               dd_scan_is(s, s->token[i - 1].match - 1, "for");
    return dd_scan_is(s, i - 1, ";") || dd_scan_is(s, i - 1, "{") || dd_scan_is(s, i - 1, "}") ||
           dd_scan_is(s, i - 1, "else");
}

/* ---- Memory orders ---- */

static bool acquires(const dd_scan *s, size_t i)
{
    return dd_scan_is(s, i, "DD_ACQUIRE") || dd_scan_is(s, i, "DD_ACQ_REL") ||
           dd_scan_is(s, i, "DD_SEQ_CST");
}

static bool releases(const dd_scan *s, size_t i)
{
    return dd_scan_is(s, i, "DD_RELEASE") || dd_scan_is(s, i, "DD_ACQ_REL") ||
           dd_scan_is(s, i, "DD_SEQ_CST");
}

/* One notch down, in every way that an operation of this kind can take. */
static void weaken(dd_mutation *m, size_t order, bool loads, bool stores, const char *what)
{
    static const struct notch {
        const char *from, *to;
        const char *rule;
        bool loads, stores; /* operations that can have `to` and lose something by it */
    } notches[] = {
        {"DD_SEQ_CST", "DD_ACQ_REL", "seq_cst-acq_rel", true, true},
        {"DD_SEQ_CST", "DD_ACQUIRE", "seq_cst-acquire", true, false},
        {"DD_SEQ_CST", "DD_RELEASE", "seq_cst-release", false, true},
        {"DD_ACQ_REL", "DD_ACQUIRE", "acq_rel-acquire", true, true},
        {"DD_ACQ_REL", "DD_RELEASE", "acq_rel-release", true, true},
        {"DD_ACQUIRE", "DD_RELAXED", "acquire-relaxed", true, false},
        {"DD_ACQUIRE", "DD_RELAXED", "acquire-relaxed", true, true},
        {"DD_RELEASE", "DD_RELAXED", "release-relaxed", false, true},
        {"DD_RELEASE", "DD_RELAXED", "release-relaxed", true, true},
    };
    for (size_t k = 0; k < sizeof notches / sizeof notches[0]; k++) {
        const struct notch *n = &notches[k];
        if (!dd_scan_is(m->scan, order, n->from) || n->loads != loads || n->stores != stores)
            continue;
        char rule[40];
        (void)snprintf(rule, sizeof rule, "%s-%s", what, n->rule);
        dd_mutate_(m, rule, order, order, "%s", n->to);
    }
}

/* ---- Atomic operations ---- */

static void tear(dd_mutation *m, operation o, const char *prefix, size_t i, const argument *a)
{
    const dd_scan *s = m->scan;
    const size_t order = a[o == COMPARE_EXCHANGE ? 3 : 2].first, close = s->token[i + 1].match;
    const bool also = o == COMPARE_EXCHANGE && acquires(s, a[4].first);
    const char *load = acquires(s, order) || also ? "DD_ACQUIRE" : "DD_RELAXED";
    const char *store = releases(s, order) ? "DD_RELEASE" : "DD_RELAXED";
    const char *bits = prefix + strlen("dd_u");
    if (o == COMPARE_EXCHANGE)
        dd_mutate_(m, "torn", i, close,
                   "__extension__({ const uint%s_t torn_ = %s_load(%.*s, %s); "
                   "const bool done_ = torn_ == *(%.*s); "
                   "if (done_) %s_store(%.*s, %.*s, %s); else *(%.*s) = torn_; done_; })",
                   bits, prefix, DD_PIECE_(m, a[0].first, a[0].end), load,
                   DD_PIECE_(m, a[1].first, a[1].end), prefix, DD_PIECE_(m, a[0].first, a[0].end),
                   DD_PIECE_(m, a[2].first, a[2].end), store, DD_PIECE_(m, a[1].first, a[1].end));
    else
        dd_mutate_(m, "torn", i, close,
                   "__extension__({ const uint%s_t torn_ = %s_load(%.*s, %s); "
                   "%s_store(%.*s, %s(%.*s), %s); torn_; })",
                   bits, prefix, DD_PIECE_(m, a[0].first, a[0].end), load, prefix,
                   DD_PIECE_(m, a[0].first, a[0].end), o == FETCH_ADD ? "torn_ + " : "",
                   DD_PIECE_(m, a[1].first, a[1].end), store);
}

/* An addition whose value is used tells who arrived when. */
static void miscount(dd_mutation *m, size_t i)
{
    const size_t close = m->scan->token[i + 1].match;
    dd_mutate_(m, "more", i, close, "(%.*s + 1)", DD_PIECE_(m, i, close + 1));
    if (!dd_scan_is(m->scan, close + 1, "&")) /* of a parity both are the same */
        dd_mutate_(m, "less", i, close, "(%.*s - 1)", DD_PIECE_(m, i, close + 1));
}

static void atomic_call(dd_mutation *m, operation o, const char *prefix, size_t i)
{
    argument a[6];
    const uint32_t n = arguments(m->scan, i + 1, a);
    const size_t close = m->scan->token[i + 1].match;
    const bool alone = is_statement(m->scan, i, close);
    static const uint32_t takes[] = {
        [LOAD] = 2, [STORE] = 3, [EXCHANGE] = 3, [FETCH_ADD] = 3, [COMPARE_EXCHANGE] = 5};
    if (n != takes[o])
        return;
    weaken(m, a[o == COMPARE_EXCHANGE ? 3 : n - 1].first, o != STORE, o != LOAD, "order");
    if (o == COMPARE_EXCHANGE)
        weaken(m, a[4].first, true, false, "failure");
    if (o >= EXCHANGE)
        tear(m, o, prefix, i, a);
    if (o == FETCH_ADD && !alone)
        miscount(m, i);
    if (o != LOAD && alone)
        dd_mutate_(m, "dropped", i, close, "(void)0");
}

/* ---- Other calls ---- */

static void wake_call(dd_mutation *m, size_t i)
{
    argument a[6];
    if (arguments(m->scan, i + 1, a) != 2)
        return;
    dd_mutate_(m, "wake-one", a[1].first, a[1].end - 1, "1");
    dd_mutate_(m, "wake-none", a[1].first, a[1].end - 1, "0");
}

static void futex_call(dd_mutation *m, size_t i)
{
    argument a[6];
    if (arguments(m->scan, i + 1, a) != 2)
        return;
    dd_mutate_(m, "expect-now", a[1].first, a[1].end - 1, "dd_u32_load(%.*s, DD_RELAXED)",
               DD_PIECE_(m, a[0].first, a[0].end));
    dd_mutate_(m, "expect-other", a[1].first, a[1].end - 1, "(%.*s) + 2",
               DD_PIECE_(m, a[1].first, a[1].end));
}

static void await_call(dd_mutation *m, size_t i)
{
    argument a[6];
    if (arguments(m->scan, i + 1, a) == 3)
        dd_mutate_(m, "early", a[1].first, a[1].end - 1, "(%.*s) - 1",
                   DD_PIECE_(m, a[1].first, a[1].end));
}

/* Polls, and then takes it for done. */
static void poll_call(dd_mutation *m, size_t i)
{
    const size_t close = m->scan->token[i + 1].match;
    dd_mutate_(m, "once", i, close, "(%.*s || true)", DD_PIECE_(m, i, close + 1));
}

static void barrier_call(dd_mutation *m, size_t i)
{
    argument a[6];
    if (arguments(m->scan, i + 1, a) != 1)
        return;
    dd_mutate_(m, "more", a[0].first, a[0].end - 1, "(%.*s) + 1",
               DD_PIECE_(m, a[0].first, a[0].end));
    dd_mutate_(m, "less", a[0].first, a[0].end - 1, "(%.*s) - 1",
               DD_PIECE_(m, a[0].first, a[0].end));
}

/* Into and from are the last two. */
static void fold_call(dd_mutation *m, size_t i)
{
    argument a[6];
    const uint32_t n = arguments(m->scan, i + 1, a);
    if (n < 2)
        return;
    const argument into = a[n - 2], from = a[n - 1];
    dd_mutate_(m, "operands", into.first, from.end - 1, "%.*s, %.*s",
               DD_PIECE_(m, from.first, from.end), DD_PIECE_(m, into.first, into.end));
}

void dd_mutate_call_(dd_mutation *m, size_t i)
{
    const dd_scan *s = m->scan;
    const char *prefix;
    const operation o = operation_of(s, i, &prefix);
    if (o != NONE)
        atomic_call(m, o, prefix, i);
    if (!dd_scan_is(s, i + 1, "(") || dd_scan_function(s, i) == DD_NO_TOKEN)
        return;
    if (dd_scan_is(s, i, "dd_futex_wake"))
        wake_call(m, i);
    else if (dd_scan_is(s, i, "dd_futex_wait"))
        futex_call(m, i);
    else if (dd_scan_is(s, i, "dd_eventcount_await"))
        await_call(m, i);
    else if (dd_scan_is(s, i, "DD_AWAIT"))
        poll_call(m, i);
    else if (dd_scan_is(s, i, "dd_pbarrier_open"))
        barrier_call(m, i);
    else if (dd_scan_is(s, i, "dd_segment_fold") ||
             (i > 0 && dd_scan_is(s, i, "fold") && dd_scan_is(s, i - 1, "->")))
        fold_call(m, i);
    else if (dd_scan_begins(s, i, "dd_eventcount_advance") &&
             is_statement(s, i, s->token[i + 1].match))
        dd_mutate_(m, "dropped", i, s->token[i + 1].match, "(void)0");
}
