/* SPDX-License-Identifier: MIT
 * Vector clocks over the steps of one execution: clock[f] is 1 + the number of fibre f's last step
 * that happens before, 0 if none does. */
#include "happens_before.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "execution.h"
#include "states.h"

typedef uint16_t vector[DD_FIBRES];
static_assert(DD_EXECUTION_STEPS < UINT16_MAX, "steps are numbered by 16 bits");

/* A step. */
typedef struct entry {
    dd_label label;
    vector own;   /* what happens before it, and itself */
    vector after; /* what happens before those it lets go on */
    uint64_t first_range, n_ranges;
    vector known[DD_FIBRES]; /* before the step: what happens before each fibre's next */
} entry;

struct dd_order_log {
    entry *entry;
    uint64_t at, room; /* the step at hand */
    /* By step, close together: whose it is, and 1 + the number of the same fibre's step before, 0
     * if it is its first. */
    struct {
        uint16_t fibre, previous;
    } * step;
    uint64_t step_room;
    dd_range *range; /* pending before each step */
    uint64_t range_room;
    dd_reversal *reversal;
    uint64_t n_reversals, reversal_room;
    uint64_t *hidden; /* steps whose plain accesses conflict with the step at hand */
    uint64_t n_hidden, hidden_room, n_told;
    uint64_t *told;
    uint64_t told_room;
    /* before the step at hand */
    uint32_t asleep, n_fibres;
    dd_label sleeper[DD_FIBRES]; /* next steps of `asleep` */
    dd_fibre_state state[DD_FIBRES];
    const void *word[DD_FIBRES];
};

static void *grow(void *array, uint64_t n, uint64_t *room, size_t element_bytes)
{
    if (n < *room)
        return array;
    *room = n < 64 ? 64 : 2 * n;
    return dd_states_memory(array, *room * element_bytes);
}

dd_order_log *dd_order_open(void)
{
    dd_order_log *o = dd_states_memory(NULL, sizeof *o);
    *o = (dd_order_log){0};
    o->entry = grow(o->entry, 1, &o->room, sizeof *o->entry);
    memset(o->entry, 0, sizeof *o->entry);
    return o;
}

void dd_order_close(dd_order_log *o)
{
    if (!o)
        return;
    free(o->entry);
    free(o->step);
    free(o->range);
    free(o->reversal);
    free(o->hidden);
    free(o->told);
    free(o);
}

static void join(vector into, const vector from)
{
    for (uint32_t f = 0; f < DD_FIBRES; f++)
        into[f] = into[f] < from[f] ? from[f] : into[f];
}

/* Whether step number i happens before whatever has this clock. */
static bool is_before(const dd_order_log *o, uint64_t i, const vector clock)
{
    return clock[o->step[i].fibre] > i;
}

/* The steps of other fibres that do not happen before something, from the last one back. */
typedef struct backwards {
    uint32_t n_fibres;
    uint16_t last[DD_FIBRES]; /* by fibre: 1 + the number of its next one */
} backwards;

/* Those before step e, none of fibre `but`. */
static backwards from_last(const entry *e, uint32_t n_fibres, uint32_t but)
{
    backwards b = {.n_fibres = n_fibres};
    for (uint32_t f = 0; f < n_fibres; f++)
        b.last[f] = f == but ? 0 : e->known[f][f];
    return b;
}

/* returns  false if there is none left that does not happen before `clock`                   */
static bool step_back(const dd_order_log *o, backwards *b, const vector clock, uint64_t *i)
{
    uint32_t latest = 0;
    for (uint32_t f = 1; f < b->n_fibres; f++)
        if (b->last[f] > b->last[latest])
            latest = f;
    while (b->last[latest] && b->last[latest] <= clock[latest]) {
        b->last[latest] = 0; /* nor do those before it */
        for (uint32_t f = 0; f < b->n_fibres; f++)
            if (b->last[f] > b->last[latest])
                latest = f;
    }
    if (b->last[latest] == 0)
        return false;
    *i = b->last[latest] - 1u;
    b->last[latest] = o->step[*i].previous;
    return true;
}

/* ---- Before a step --------------------------------------------------------------------------- */

static void add_touched(dd_order_log *o, entry *e, uint32_t fibre)
{
    uint64_t n;
    const dd_range *touched = dd_world_touched(fibre, &n);
    const uint64_t end = e->first_range + e->n_ranges;
    o->range = grow(o->range, end + n, &o->range_room, sizeof *o->range);
    if (n)
        memcpy(o->range + end, touched, n * sizeof *touched);
    e->n_ranges += n;
}

void dd_order_before(dd_order_log *o, uint64_t at, dd_choice choice, uint32_t asleep)
{
    o->at = at;
    o->entry = grow(o->entry, at + 1, &o->room, sizeof *o->entry);
    entry *e = &o->entry[at];
    e->label = dd_label_next(choice.fibre);
    o->step = grow(o->step, at, &o->step_room, sizeof *o->step);
    o->step[at].fibre = (uint16_t)choice.fibre;
    o->step[at].previous = e->known[choice.fibre][choice.fibre];
    o->n_fibres = dd_world_n_fibres();
    for (uint32_t f = 0; f < o->n_fibres; f++) {
        o->state[f] = dd_world_fibre_state(f);
        o->word[f] = dd_world_event(f)->word;
    }
    o->asleep = asleep;
    for (uint32_t f = 0; f < o->n_fibres; f++)
        if (asleep >> f & 1)
            o->sleeper[f] = dd_label_next(f);

    e->first_range = at ? e[-1].first_range + e[-1].n_ranges : 0;
    e->n_ranges = 0;
    if (choice.spurious || dd_world_event(choice.fibre)->kind == DD_EVENT_CHOOSE)
        return;
    add_touched(o, e, choice.fibre);
    if (dd_world_event(choice.fibre)->kind == DD_EVENT_JOIN) /* the last of a thread's */
        add_touched(o, e, (uint32_t)dd_world_event(choice.fibre)->value);
}

/* ---- Reversals ------------------------------------------------------------------------------- */

static void add_reversal(dd_order_log *o, uint64_t at, uint32_t fibres)
{
    o->reversal = grow(o->reversal, o->n_reversals + 1, &o->reversal_room, sizeof *o->reversal);
    o->reversal[o->n_reversals++] = (dd_reversal){at, fibres};
    o->reversal[o->n_reversals] = (dd_reversal){0};
}

/* Step i and the one at hand race: dependent, and ordered by nothing else. What can come first in
 * an execution in which the one at hand comes before i: of all steps since i that i does not happen
 * before, and the one at hand, those first ones of their fibres that no other of them happens
 * before. */
static uint32_t initials(const dd_order_log *o, uint64_t i)
{
    uint32_t found = 0, met = 0;
    for (uint64_t k = i + 1; k <= o->at; k++) {
        const entry *e = &o->entry[k];
        const uint32_t me = 1u << e->label.fibre;
        if (k < o->at && is_before(o, i, e->own))
            continue;
        bool first = !(met & me);
        for (uint64_t j = i + 1; first && j < k; j++)
            first = is_before(o, i, o->entry[j].own) || !is_before(o, j, e->own);
        found |= first ? me : 0;
        met |= me;
    }
    return found;
}

/* Steps that others of the same thread, or of those it waited for, do not order, but this does. */
static void find_races(dd_order_log *o, entry *e)
{
    const uint64_t at = o->at;
    const uint32_t me = e->label.fibre;
    uint64_t first_race = o->n_reversals, i;
    backwards b = from_last(e, o->n_fibres, me);
    while (step_back(o, &b, e->own, &i)) {
        const entry *earlier = &o->entry[i];
        if (!dd_label_depends(&earlier->label, &e->label))
            continue;
        add_reversal(o, i, 1u << me);
        join(e->own, earlier->after);
    }
    e->own[me] = (uint16_t)(at + 1);
    for (; first_race < o->n_reversals; first_race++)
        o->reversal[first_race].fibres = initials(o, o->reversal[first_race].at);
}

/* Steps that are possible for a while and then no more: an await whose word is changed back, a
 * sleeper who is woken before it returns for no reason. They need not come up as steps at all, so
 * they are tried wherever they might be lost. */
static void find_fleeting(dd_order_log *o, const entry *e, const dd_step *taken)
{
    const uint32_t me = e->label.fibre;
    if (taken->event.kind == DD_EVENT_AWAIT)
        for (uint64_t i = e->known[me][me]; i < o->at; i++)
            if (dd_label_depends(&o->entry[i].label, &e->label))
                add_reversal(o, i, 1u << me);
    for (uint32_t f = 0; e->label.notice == DD_NOTICE_WAKE && f < o->n_fibres; f++)
        if (o->state[f] == DD_FIBRE_AT_FUTEX && o->word[f] == e->label.word[0])
            add_reversal(o, o->at, 1u << f);
}

/* ---- Plain accesses -------------------------------------------------------------------------- */

/* Whether a plain access conflicts with the word that a step was about. */
static bool meets_word(const dd_range *r, const dd_label *l)
{
    if (l->notice == DD_NOTICE_NONE || l->notice == DD_NOTICE_RETURN)
        return false;
    const bool writes = l->writes || l->notice == DD_NOTICE_ARRIVE;
    for (uint32_t w = 0; w < l->n_words; w++)
        if ((uintptr_t)l->word[w] >= r->from && (uintptr_t)l->word[w] < r->to &&
            (r->write || writes))
            return true;
    return false;
}

static bool meets_range(const dd_order_log *o, const dd_range *r, const entry *e)
{
    for (uint64_t i = e->first_range; i < e->first_range + e->n_ranges; i++) {
        const dd_range *other = &o->range[i];
        if (other->from < r->to && r->from < other->to && (r->write || other->write))
            return true;
    }
    return false;
}

static void hide(dd_order_log *o, uint64_t earlier)
{
    o->hidden = grow(o->hidden, o->n_hidden, &o->hidden_room, sizeof *o->hidden);
    o->hidden[o->n_hidden++] = earlier;
}

/* What fibre f has touched since its last step, against steps that do not happen before that. */
static void check_touched(dd_order_log *o, uint32_t f, const entry *next, uint32_t n_fibres)
{
    uint64_t n, i;
    const dd_range *r = dd_world_touched(f, &n);
    backwards b = from_last(next, n_fibres, f);
    while (n && step_back(o, &b, next->known[f], &i)) {
        const entry *e = &o->entry[i];
        for (uint64_t k = 0; k < n; k++)
            if (meets_word(&r[k], &e->label) || meets_range(o, &r[k], e)) {
                hide(o, i);
                break;
            }
    }
}

/* The word of the step at hand, against what was touched before steps that do not happen before. */
static void check_word(dd_order_log *o, const entry *e)
{
    uint64_t i;
    const uint32_t me = e->label.fibre;
    backwards b = from_last(e, o->n_fibres, me);
    while (step_back(o, &b, e->known[me], &i)) {
        const entry *earlier = &o->entry[i];
        for (uint64_t k = earlier->first_range; k < earlier->first_range + earlier->n_ranges; k++)
            if (meets_word(&o->range[k], &e->label)) {
                hide(o, i);
                break;
            }
    }
}

/* ---- After a step ---------------------------------------------------------------------------- */

/* Whether fibre f was let go by the step at hand. */
static bool was_let_go(const dd_order_log *o, uint32_t f)
{
    if (f >= o->n_fibres)
        return true; /* created */
    const dd_fibre_state before = o->state[f];
    return (before == DD_FIBRE_AT_FUTEX || before == DD_FIBRE_AT_BARRIER) &&
           dd_world_fibre_state(f) != before;
}

uint32_t dd_order_after(dd_order_log *o, const dd_step *taken)
{
    o->entry = grow(o->entry, o->at + 2, &o->room, sizeof *o->entry);
    entry *e = &o->entry[o->at], *next = e + 1;
    const uint32_t me = e->label.fibre, n_fibres = dd_world_n_fibres();
    o->n_reversals = o->n_hidden = o->n_told = 0;
    dd_label_taken(&e->label, taken);

    memcpy(e->own, e->known[me], sizeof e->own);
    if (taken->event.kind == DD_EVENT_JOIN)
        join(e->own, e->known[taken->event.value]);
    find_races(o, e);
    find_fleeting(o, e, taken);

    memcpy(e->after, e->own, sizeof e->after);
    for (uint32_t f = 0; e->label.notice == DD_NOTICE_ARRIVE && e->label.acts && f < o->n_fibres;
         f++)
        if (o->state[f] == DD_FIBRE_AT_BARRIER && o->word[f] == e->label.word[0])
            join(e->after, e->known[f]);

    memcpy(next->known, e->known, o->n_fibres * sizeof next->known[0]);
    memcpy(next->known[me], e->after, sizeof next->known[me]);
    for (uint32_t f = 0; f < n_fibres; f++) {
        if (f >= o->n_fibres)
            memset(next->known[f], 0, sizeof next->known[f]);
        if (f != me && was_let_go(o, f))
            join(next->known[f], e->after);
    }

    if (!taken->choice.spurious)
        check_word(o, e);
    for (uint32_t f = 0; f < n_fibres; f++)
        if (f == me || was_let_go(o, f))
            check_touched(o, f, next, n_fibres);

    uint32_t asleep = 0;
    for (uint32_t f = 0; f < o->n_fibres; f++)
        if (o->asleep >> f & 1 && !dd_label_depends(&e->label, &o->sleeper[f]))
            asleep |= 1u << f;
    return asleep;
}

const dd_reversal *dd_order_reversals(dd_order_log *o)
{
    static const dd_reversal none;
    return o->n_reversals ? o->reversal : &none;
}

const uint64_t *dd_order_race(dd_order_log *o, uint64_t *n)
{
    if (o->n_told == o->n_hidden)
        return NULL;
    const uint64_t i = o->hidden[o->n_told++];
    o->told = grow(o->told, o->at + 2, &o->told_room, sizeof *o->told);
    *n = 0;
    for (uint64_t k = 0; k <= o->at; k++)
        if (k < i || k == o->at || (k > i && !is_before(o, i, o->entry[k].own)))
            o->told[(*n)++] = k;
    o->told[(*n)++] = i; /* if it comes so far: to what is freed by then */
    return o->told;
}
