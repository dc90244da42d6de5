/* SPDX-License-Identifier: MIT
 * The graph of situations. Deeds and gates of a situation are those of all situations that it leads
 * to without a gate between, kept so whenever something is added. */
#include "futures.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "arena.h"
#include "states.h"

#define PIECE_BYTES 8
#define PIECES 16384 /* used by anybody, in any execution */
#define KINDS 4      /* of use */
#define CREATION 0   /* the piece that stands for the creation of threads */
#define SET_WORDS (PIECES * KINDS / 64)
#define EMPTY UINT32_MAX

typedef struct numbers {
    uint32_t *at, n, room;
} numbers;

typedef struct situation {
    uint64_t key;
    dd_gate gate;
    uint64_t *may;   /* (SET_WORDS) KINDS bits for each piece */
    uint64_t *never; /* the same: what is ruled out */
    numbers before;  /* situations that lead here and are no gates */
    numbers next;    /* as in dd_futures_next */
    bool relied_on;  /* for `next` */
    bool pending;    /* it grew, and those before it have not heard */
} situation;

static struct {
    situation *at;
    uint32_t n, room;
    uint32_t *slot; /* n_slots, a power of two: an open-addressed table into `at` by key */
    uint32_t n_slots;
    numbers grown;                              /* the pending ones */
    uint16_t piece[DD_WORDS * 4 / PIECE_BYTES]; /* by place; CREATION: has no number yet */
    uint32_t n_pieces;
} known;

/* returns  whether it is new */
static bool add_number(numbers *list, uint32_t number)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i] == number)
            return false;
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 8;
        list->at = dd_states_memory(list->at, list->room * sizeof *list->at);
    }
    list->at[list->n++] = number;
    return true;
}

void dd_futures_forget(void)
{
    for (uint32_t s = 0; s < known.n; s++) {
        free(known.at[s].may);
        free(known.at[s].never);
        free(known.at[s].before.at);
        free(known.at[s].next.at);
    }
    free(known.at);
    free(known.slot);
    free(known.grown.at);
    memset(&known, 0, sizeof known);
    known.n_pieces = CREATION + 1;
}

void dd_futures_rely_on_nothing(void)
{
    for (uint32_t s = 0; s < known.n; s++) {
        memset(known.at[s].never, 0, SET_WORDS * sizeof(uint64_t));
        known.at[s].relied_on = false;
    }
}

/* ---- Situations ------------------------------------------------------------------------------ */

static uint32_t *slot_of(uint64_t key)
{
    uint32_t i = (uint32_t)key & (known.n_slots - 1);
    while (known.slot[i] != EMPTY && known.at[known.slot[i]].key != key)
        i = (i + 1) & (known.n_slots - 1);
    return &known.slot[i];
}

static void make_room(void)
{
    if (known.n < known.room)
        return;
    known.room = known.room ? 2 * known.room : 256;
    known.at = dd_states_memory(known.at, known.room * sizeof *known.at);
    known.n_slots = 2 * known.room;
    known.slot = dd_states_memory(known.slot, known.n_slots * sizeof *known.slot);
    memset(known.slot, 0xff, known.n_slots * sizeof *known.slot);
    for (uint32_t s = 0; s < known.n; s++)
        *slot_of(known.at[s].key) = s;
}

static uint64_t *empty_set(void)
{
    uint64_t *set = dd_states_memory(NULL, SET_WORDS * sizeof *set);
    memset(set, 0, SET_WORDS * sizeof *set);
    return set;
}

static uint32_t situation_of(uint64_t key, dd_gate gate)
{
    make_room();
    uint32_t *slot = slot_of(key);
    if (*slot == EMPTY) {
        *slot = known.n++;
        known.at[*slot] =
            (situation){.key = key, .gate = gate, .may = empty_set(), .never = empty_set()};
    }
    return *slot;
}

/* Whether this looks like an address of the program's code. What is left of calls that have
 * returned looks so, too: that tells more situations apart than need be, and is no error. */
static bool is_code(uint64_t word)
{
    extern const char __executable_start[], etext[];
    return word - (uintptr_t)__executable_start < (uintptr_t)(etext - __executable_start);
}

static uint64_t key_of(uint32_t i)
{
    static uint64_t mark[8 + DD_STACK_BYTES / sizeof(uint64_t)];
    const dd_fibre *f = &dd_arena_.fibre[i];
    const dd_event *e = &f->event;
    const uint64_t *top = (const uint64_t *)(dd_arena_.stack[i].byte + DD_STACK_BYTES);
    size_t n = 0;
    mark[n++] = i;
    mark[n++] = f->state;
    mark[n++] = e->kind;
    mark[n++] = (uintptr_t)e->site;
    mark[n++] = e->word ? dd_arena_at(e->word) : 0;
    mark[n++] = e->kind == DD_EVENT_JOIN ? e->value : 0;
    for (const uint64_t *word = f->sp; word < top; word++)
        if (is_code(*word))
            mark[n++] = *word;
    return XXH3_64bits(mark, n * sizeof mark[0]);
}

static dd_gate gate_of(const dd_fibre *f)
{
    const dd_event *e = &f->event;
    dd_gate gate = {.word = e->word, .bytes = e->bytes, .fibre = (uint32_t)e->value};
    gate.kind = f->state == DD_FIBRE_AT_FUTEX                               ? DD_GATE_FUTEX
                : f->state == DD_FIBRE_AT_BARRIER                           ? DD_GATE_BARRIER
                : f->state == DD_FIBRE_AT_EVENT && e->kind == DD_EVENT_JOIN ? DD_GATE_JOIN
                                                                            : DD_GATE_NONE;
    return gate;
}

/* ---- Growing --------------------------------------------------------------------------------- */

static void has_grown(uint32_t s)
{
    if (!known.at[s].pending)
        (void)add_number(&known.grown, s);
    known.at[s].pending = true;
}

static void add_word(uint32_t s, uint32_t w, uint64_t deeds)
{
    situation *to = &known.at[s];
    if (!(deeds & ~to->may[w]))
        return;
    to->may[w] |= deeds;
    dd_host_.sharing_grew |= (deeds & to->never[w]) != 0;
    has_grown(s);
}

static void add_next(uint32_t s, uint32_t next)
{
    situation *to = &known.at[s];
    if (!add_number(&to->next, next))
        return;
    dd_host_.sharing_grew |= to->relied_on;
    if (to->gate.kind == DD_GATE_NONE)
        has_grown(s);
}

static void add_all(uint32_t s, uint32_t later)
{
    const situation *l = &known.at[later];
    if (l->gate.kind != DD_GATE_NONE) {
        add_next(s, later);
        return;
    }
    const uint32_t used = (known.n_pieces * KINDS + 63) / 64;
    for (uint32_t w = 0; w < used; w++)
        add_word(s, w, l->may[w]);
    for (uint32_t k = 0; k < l->next.n; k++)
        add_next(s, l->next.at[k]);
}

/* Tells those before. */
static void pass_on(void)
{
    while (known.grown.n > 0) {
        const uint32_t s = known.grown.at[--known.grown.n];
        known.at[s].pending = false;
        for (uint32_t k = 0; k < known.at[s].before.n; k++)
            add_all(known.at[s].before.at[k], s);
    }
}

static void lead(uint32_t from, uint32_t to)
{
    if (known.at[from].gate.kind != DD_GATE_NONE)
        add_next(from, to);
    else if (from != to && add_number(&known.at[to].before, from))
        add_all(from, to);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Places in known.piece, first and last. */
typedef struct places {
    uint64_t next, last;
} places;

/* Those of this memory; what is not the explored world's has none. */
static places places_of(const void *memory, size_t bytes)
{
    const uint64_t at = dd_arena_at(memory), n = sizeof known.piece / sizeof known.piece[0];
    if (bytes == 0 || at / PIECE_BYTES >= n)
        return (places){1, 0};
    const uint64_t last = (at + bytes - 1) / PIECE_BYTES;
    return (places){at / PIECE_BYTES, last < n ? last : n - 1};
}

static uint32_t numbered(uint64_t place)
{
    if (known.piece[place] == CREATION) {
        if (known.n_pieces == PIECES) {
            dd_arena_fail(DD_EXPLORE_LIMIT, "more memory in use than the explorer can reduce for",
                          NULL, PIECES, 0, dd_host_.running, NULL);
            return PIECES - 1;
        }
        known.piece[place] = (uint16_t)known.n_pieces++;
    }
    return known.piece[place];
}

static void add(uint32_t s, uint32_t piece, uint32_t uses)
{
    add_word(s, piece * KINDS / 64, (uint64_t)uses << piece * KINDS % 64);
}

/* ---- By the world ---------------------------------------------------------------------------- */

void dd_futures_start(void)
{
    dd_arena_.fibre[0].situation = situation_of(0, (dd_gate){.kind = DD_GATE_NONE});
}

void dd_futures_note(uint32_t i, const void *memory, size_t bytes, uint32_t uses)
{
    const uint32_t s = (uint32_t)dd_arena_.fibre[i].situation;
    for (places p = places_of(memory, bytes); p.next <= p.last; p.next++)
        add(s, numbered(p.next), uses);
    pass_on();
}

void dd_futures_note_creation(uint32_t creator, uint32_t child)
{
    const uint64_t s = dd_arena_.fibre[creator].situation;
    dd_arena_.fibre[child].situation = s;
    add((uint32_t)s, CREATION, DD_USE_WRITE);
    pass_on();
}

static void note_event(uint32_t i, const dd_event *e)
{
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_LOAD:
        dd_futures_note(i, e->word, e->bytes, DD_USE_READ);
        break;
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
    case DD_EVENT_COMPARE_EXCHANGE:
        dd_futures_note(i, e->word, e->bytes, DD_USE_WRITE);
        break;
    case DD_EVENT_FUTEX_WAIT:
        dd_futures_note(i, e->word, e->bytes, DD_USE_READ | DD_USE_SLEEP);
        break;
    case DD_EVENT_FUTEX_WAKE:
        dd_futures_note(i, e->word, e->bytes, DD_USE_LET_GO);
        break;
    case DD_EVENT_BARRIER:
        dd_futures_note(i, e->word, e->bytes, DD_USE_READ | DD_USE_LET_GO);
        break;
    default:
        break;
    }
}

void dd_futures_moved(uint32_t i)
{
    dd_fibre *f = &dd_arena_.fibre[i];
    const uint32_t before = (uint32_t)f->situation, now = situation_of(key_of(i), gate_of(f));
    f->situation = now;
    lead(before, now);
    if (f->state == DD_FIBRE_AT_EVENT)
        note_event(i, &f->event);
    pass_on();
}

/* ---- By those who choose steps --------------------------------------------------------------- */

dd_gate dd_futures_gate(uint32_t s)
{
    return known.at[s].gate;
}

const uint32_t *dd_futures_next(uint32_t s, uint32_t *n)
{
    *n = known.at[s].next.n;
    return known.at[s].next.at;
}

static bool may(uint32_t s, uint32_t piece, uint32_t uses)
{
    return known.at[s].may[piece * KINDS / 64] >> piece * KINDS % 64 & uses;
}

/* Of these uses, those that it is not known to make. */
static void rule_out(uint32_t s, uint32_t piece, uint32_t uses)
{
    situation *t = &known.at[s];
    const uint32_t w = piece * KINDS / 64;
    t->never[w] |= (uint64_t)uses << piece * KINDS % 64 & ~t->may[w];
}

bool dd_futures_may(uint32_t s, const void *memory, size_t bytes, uint32_t uses)
{
    for (places p = places_of(memory, bytes); p.next <= p.last; p.next++)
        if (known.piece[p.next] != CREATION && may(s, known.piece[p.next], uses))
            return true;
    return false;
}

bool dd_futures_may_create(uint32_t s)
{
    return may(s, CREATION, DD_USE_WRITE);
}

void dd_futures_rely_on(uint32_t s)
{
    known.at[s].relied_on = true;
}

void dd_futures_rule_out(uint32_t s, const void *memory, size_t bytes, uint32_t uses)
{
    for (places p = places_of(memory, bytes); p.next <= p.last; p.next++)
        rule_out(s, numbered(p.next), uses);
}

void dd_futures_rule_out_creation(uint32_t s)
{
    rule_out(s, CREATION, DD_USE_WRITE);
}
