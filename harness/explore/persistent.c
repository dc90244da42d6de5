/* SPDX-License-Identifier: MIT
 * Chooses persistent sets (Godefroid 1996, chapter 4) of fibres by what others may still do.
 *
 * A set T of fibres that can go on is persistent if nothing that the others do, as long as nobody
 * in T goes on, meets a step that T can take now. Every execution from here then takes a step of T
 * at some time, or could, and that step might as well come first: nobody sees a difference. So the
 * other fibres' steps may wait. Deadlocks and final states are all reached, as is an endless
 * execution if there is one; where none is, nothing is put off for ever, so that failed checks and
 * races are reached, too.
 *
 * What meets what. Two uses of the same memory of which one writes, and what a futex wake does to
 * who sleeps or is about to. Arrivals at a barrier do not meet: whoever comes last, the same fibres
 * go on. Under sequential consistency races are seen only while the plain memory that a fibre
 * touched since its last event is remembered, so a step that makes it be forgotten counts as a use
 * of it; at a barrier that is the last arrival, which does so for all who wait there.
 *
 * What others do while T does not go on ends where they need T (futures.h): at a barrier, for
 * instance, at which T has not arrived. */
#include "persistent.h"

#include <string.h>

#include "arena.h"
#include "futures.h"

#define MOST 256 /* situations that a fibre may come to, gates and what is right behind them */

/* The situations that a fibre may come to: the one it is in, gates, and those behind open gates. */
typedef struct prospect {
    uint32_t n;
    uint32_t at[MOST];
    bool open[MOST]; /* of gates: somebody may let it go there */
    bool creates;
} prospect;

/* Of all fibres but those of T; by fibre. */
static prospect prospects[DD_FIBRES];

/* Fibres, a bit each. */
#define EACH_FIBRE(i, set)                                                                         \
    for (uint32_t left_##i = (set), i;                                                             \
         left_##i && ((i = (uint32_t)__builtin_ctz(left_##i)), true); left_##i &= left_##i - 1)

/* ---- What others may come to ----------------------------------------------------------------- */

static bool is_gate(uint32_t situation)
{
    return dd_futures_gate(situation).kind != DD_GATE_NONE;
}

/* returns  false: there are too many */
static bool add(prospect *p, uint32_t situation)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->at[i] == situation)
            return true;
    if (p->n == MOST)
        return false;
    p->open[p->n] = false;
    p->at[p->n++] = situation;
    p->creates |= !is_gate(situation) && dd_futures_may_create(situation);
    return true;
}

/* Whether the prospect has deeds in its i-th situation: not at a gate that stays closed. */
static bool has_deeds(const prospect *p, uint32_t i)
{
    return p->open[i] || !is_gate(p->at[i]);
}

/* Whether fibre j may use this memory so. */
static bool may(uint32_t j, const void *memory, size_t bytes, uint32_t uses)
{
    const prospect *p = &prospects[j];
    for (uint32_t i = 0; i < p->n; i++)
        if (has_deeds(p, i) && dd_futures_may(p->at[i], memory, bytes, uses))
            return true;
    return false;
}

/* Whether a barrier may be completed without T. Who waits there has arrived; who may create others
 * may arrive more than once, by them. */
static bool may_complete(const dd_gate *gate, uint32_t j, uint32_t others)
{
    const struct dd_pbarrier *b = gate->word;
    const dd_block *block = dd_arena_block(b);
    if (!block || !block->live)
        return true; /* nothing is known of it yet, or any more */
    uint64_t arrived = 0;
    bool creates = prospects[j].creates;
    EACH_FIBRE(k, others | 1u << j)
    {
        const dd_fibre *f = &dd_arena_.fibre[k];
        const bool waits = f->state == DD_FIBRE_AT_BARRIER && f->event.word == b;
        arrived += waits || k == j || may(k, b, gate->bytes, DD_USE_LET_GO);
        creates |= prospects[k].creates;
    }
    return creates || arrived >= b->n_threads;
}

static bool may_end(uint32_t j)
{
    if (j >= dd_arena_.total.n_fibres || dd_arena_.fibre[j].state >= DD_FIBRE_DONE)
        return true;
    const prospect *p = &prospects[j]; /* empty for T */
    return p->n > 0 && has_deeds(p, 0);
}

/* Whether fibre j may be let go at the gate while T does not go on. */
static bool may_be_let_go(uint32_t j, const dd_gate *gate, uint32_t others)
{
    if (gate->kind == DD_GATE_JOIN)
        return may_end(gate->fibre);
    if (gate->kind == DD_GATE_BARRIER)
        return may_complete(gate, j, others);
    EACH_FIBRE(k, others)
    if ((k != j || prospects[j].creates) && may(k, gate->word, gate->bytes, DD_USE_LET_GO))
        return true;
    return false;
}

/* Opens the gates of fibre j's prospect that can be, and adds what is behind them.
 * returns  whether there were any; *too_many: no telling                                      */
static bool open_gates(uint32_t j, uint32_t others, bool *too_many)
{
    prospect *p = &prospects[j];
    bool opened = false;
    for (uint32_t i = 0; i < p->n; i++) {
        const dd_gate gate = dd_futures_gate(p->at[i]);
        const bool closed = gate.kind != DD_GATE_NONE && !p->open[i];
        if (closed && !may_be_let_go(j, &gate, others))
            continue;
        p->open[i] |= closed;
        opened |= closed;
        p->creates |= closed && dd_futures_may_create(p->at[i]);
        uint32_t n;
        const uint32_t *next = dd_futures_next(p->at[i], &n);
        for (uint32_t k = 0; k < n; k++)
            *too_many |= !add(p, next[k]);
    }
    return opened;
}

/* Works out the prospects of these fibres. returns  false: there are too many situations */
static bool look_ahead(uint32_t others)
{
    bool too_many = false, opened;
    for (uint32_t j = 0; j < DD_FIBRES; j++)
        prospects[j].n = prospects[j].creates = 0;
    EACH_FIBRE(j, others)
    add(&prospects[j], (uint32_t)dd_arena_.fibre[j].situation);
    do {
        opened = false;
        EACH_FIBRE(j, others)
        opened |= open_gates(j, others, &too_many);
    } while (opened && !too_many);
    return !too_many;
}

/* ---- What meets a step ----------------------------------------------------------------------- */

/* Asks whether fibre j may do that, or rules it out. */
typedef bool future_fn(uint32_t j, const void *memory, size_t bytes, uint32_t uses);

static bool rule_out(uint32_t j, const void *memory, size_t bytes, uint32_t uses)
{
    const prospect *p = &prospects[j];
    for (uint32_t i = 0; i < p->n; i++)
        if (has_deeds(p, i))
            dd_futures_rule_out(p->at[i], memory, bytes, uses);
    return false;
}

/* What must not be done to the memory that fibre i touched before it is forgotten. */
static bool meets_touched(uint32_t j, uint32_t i, future_fn *future)
{
    const dd_fibre *f = &dd_arena_.fibre[i];
    for (uint64_t r = 0; r < f->n_ranges; r++) {
        const dd_range *range = &f->range[r];
        if (future(j, (const void *)range->from, range->to - range->from,
                   range->write ? DD_USE_READ | DD_USE_WRITE : DD_USE_WRITE))
            return true;
    }
    return false;
}

static bool meets_barrier(uint32_t j, uint32_t i, future_fn *future)
{
    const dd_event *e = &dd_arena_.fibre[i].event;
    const struct dd_pbarrier *b = e->word;
    if (future(j, e->word, e->bytes, DD_USE_WRITE))
        return true;
    if (b->arrived + 1 < b->n_threads)
        return false;
    for (uint32_t k = 0; k < dd_arena_.total.n_fibres; k++) {
        const dd_fibre *f = &dd_arena_.fibre[k];
        const bool waits = f->state == DD_FIBRE_AT_BARRIER && f->event.word == b;
        if ((k == i || waits) && meets_touched(j, k, future))
            return true;
    }
    return false;
}

static bool meets_awaited(uint32_t j, uint32_t i, future_fn *future)
{
    const dd_fibre *f = &dd_arena_.fibre[i];
    for (uint64_t r = 0; r < f->n_reads; r++)
        if (future(j, f->read[r].word, f->read[r].bytes, DD_USE_WRITE))
            return true;
    return false;
}

/* Whether fibre j may come to do what meets the step that fibre i takes next. */
static bool meets_step(uint32_t j, uint32_t i, future_fn *future)
{
    const dd_event *e = &dd_arena_.fibre[i].event;
    uint32_t uses = 0;
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_CHOOSE:
        return false;
    case DD_EVENT_BARRIER:
        return meets_barrier(j, i, future);
    case DD_EVENT_JOIN:
        return meets_touched(j, i, future) || meets_touched(j, (uint32_t)e->value, future);
    case DD_EVENT_AWAIT:
        return meets_awaited(j, i, future) || meets_touched(j, i, future);
    case DD_EVENT_LOAD:
        uses = DD_USE_WRITE;
        break;
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
    case DD_EVENT_COMPARE_EXCHANGE:
        uses = DD_USE_READ | DD_USE_WRITE;
        break;
    case DD_EVENT_FUTEX_WAIT:
        uses = DD_USE_WRITE | DD_USE_LET_GO;
        break;
    case DD_EVENT_FUTEX_WAKE:
        uses = DD_USE_WRITE | DD_USE_LET_GO | DD_USE_SLEEP;
        break;
    default: /* CREATE */
        break;
    }
    return (uses && future(j, e->word, e->bytes, uses)) || meets_touched(j, i, future);
}

/* ---- The set --------------------------------------------------------------------------------- */

/* Those that may still do something. */
static uint32_t living(void)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++)
        set |= (uint32_t)(dd_arena_.fibre[i].state < DD_FIBRE_DONE) << i;
    return set;
}

/* The persistent set that adding whoever is in the way of fibre i, or of who was added, comes to.
 * Leaves the others' prospects. */
static uint32_t around(uint32_t i, uint32_t ready)
{
    uint32_t set = 1u << i, in_the_way;
    do {
        const uint32_t others = living() & ~set;
        in_the_way = 0;
        if (!look_ahead(others))
            return ready;
        EACH_FIBRE(j, others)
        EACH_FIBRE(k, set)
        in_the_way |= (uint32_t)(!(in_the_way >> j & 1) && meets_step(j, k, may)) << j;
        if (in_the_way & ~ready)
            return ready;
        set |= in_the_way;
    } while (in_the_way);
    return set;
}

/* All that the set was found by, with the others' prospects as around() has left them. */
static void rely_on(uint32_t set)
{
    const uint32_t others = living() & ~set;
    EACH_FIBRE(j, others)
    {
        const prospect *p = &prospects[j];
        EACH_FIBRE(k, set)
        (void)meets_step(j, k, rule_out);
        for (uint32_t i = 0; i < p->n; i++) {
            if (has_deeds(p, i)) {
                dd_futures_rely_on(p->at[i]);
                continue;
            }
            const dd_gate gate = dd_futures_gate(p->at[i]);
            EACH_FIBRE(k, others)
            {
                if (gate.word)
                    (void)rule_out(k, gate.word, gate.bytes, DD_USE_LET_GO);
                for (uint32_t s = 0; s < prospects[k].n; s++)
                    if (has_deeds(&prospects[k], s))
                        dd_futures_rule_out_creation(prospects[k].at[s]);
            }
        }
    }
}

uint32_t dd_persistent_select(dd_choice *choice, uint32_t n_choices)
{
    uint32_t ready = 0, n_steps[DD_FIBRES] = {0};
    for (uint32_t c = 0; c < n_choices; c++) {
        ready |= 1u << choice[c].fibre;
        n_steps[choice[c].fibre]++;
    }
    if ((ready & (ready - 1)) == 0)
        return n_choices;
    uint32_t best = ready, fewest = n_choices, last = 0;
    EACH_FIBRE(i, ready)
    {
        if (fewest == 1)
            break;
        uint32_t n = 0;
        last = around(i, ready);
        EACH_FIBRE(k, last)
        n += n_steps[k];
        if (n < fewest) {
            fewest = n;
            best = last;
        }
    }
    if (best == ready)
        return n_choices;
    if (last != best)
        (void)look_ahead(living() & ~best);
    rely_on(best);
    uint32_t n = 0;
    for (uint32_t c = 0; c < n_choices; c++)
        if (best >> choice[c].fibre & 1) {
            const dd_choice taken = choice[c];
            memmove(&choice[n + 1], &choice[n], (c - n) * sizeof *choice);
            choice[n++] = taken;
        }
    return n;
}
