/* SPDX-License-Identifier: MIT
 * Runs the explored world step by step: starts fibres, tells which events can be taken, takes one.
 * All on the search's stack. */
#define _XOPEN_SOURCE 700 /* sigaltstack, strnlen */
#include "arena.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fibre.h"
#include "futures.h"

#define DD_MAX_LOCAL 10000     /* atomic operations in one step that are no events */
#define DD_SCRUBBED_BYTES 1024 /* after each call: more than explored functions leave behind */

static void fail(dd_explore_verdict verdict, const char *text, uint64_t a, uint32_t fibre,
                 dd_site site)
{
    dd_arena_fail(verdict, text, NULL, a, 0, fibre, site);
}

/* ---- Fibres ---- */

static _Noreturn void fibre_main(void *arg)
{
    dd_fibre *f = arg;
    f->run(f->arg);
    f->state = DD_FIBRE_DONE;
    dd_fibre_switch(&f->sp, dd_host_.sp);
    abort();
}

static uint32_t add_fibre(const char *name, void (*run)(void *), void *arg)
{
    uint32_t id = (uint32_t)dd_arena_.total.n_fibres++;
    dd_fibre *f = &dd_arena_.fibre[id];
    memset(f, 0, offsetof(dd_fibre, range));
    memcpy(f->name, name, strnlen(name, sizeof f->name - 1));
    f->run = run;
    f->arg = arg;
    f->state = DD_FIBRE_LOCAL;
    f->sp = dd_fibre_prepare(dd_arena_.stack[id].byte, DD_STACK_BYTES, fibre_main, f);
    return id;
}

static bool note_read(dd_fibre *f, uint32_t i, const dd_event *e, uint64_t value)
{
    if (!f->awaiting)
        return true;
    if (dd_arena_is_weak())
        value = 0; /* the fibre's view knows how new it was */
    if (f->n_reads == DD_READS) {
        fail(DD_EXPLORE_LIMIT, "a DD_AWAIT reads more words than the explorer holds", DD_READS, i,
             e->site);
        return false;
    }
    f->read[f->n_reads++] = (dd_reading){e->word, e->bytes, value};
    return true;
}

static void end_await(dd_fibre *f)
{
    f->awaiting = 0;
    f->n_reads = 0;
    memset(f->read, 0, sizeof f->read);
}

/* Does what a running fibre asks for, if that is part of the step in progress.
 * returns  whether the fibre can run on                                                      */
static bool serve(uint32_t i)
{
    dd_fibre *f = &dd_arena_.fibre[i];
    const dd_event *e = &f->event;
    f->result = 0;
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_LOAD:
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
    case DD_EVENT_COMPARE_EXCHANGE: {
        const bool shared = dd_arena_is_shared(i, e);
        /* a loop on words that nobody else has used so far must come back to the search, too */
        if (shared || dd_host_.mode.unreduced || ++dd_host_.n_local > DD_MAX_LOCAL)
            break;
        if (!dd_arena_touch(i, e->word, e->bytes, e->kind != DD_EVENT_LOAD, e->site))
            return false;
        f->result = dd_arena_apply(e);
        return note_read(f, i, e, f->result);
    }
    case DD_EVENT_FUTEX_WAIT:
        (void)dd_arena_is_shared(i, e);
        break;
    case DD_CALL_INIT: /* says nothing of who uses it afterwards */
        if (dd_arena_is_weak())
            (void)dd_arena_is_shared(i, e);
        return dd_arena_touch(i, e->word, e->bytes, true, e->site);
    case DD_CALL_READ:
    case DD_CALL_WRITE:
        if (e->bytes == 0)
            return true;
        (void)dd_arena_is_shared(i, e);
        return dd_arena_touch(i, e->word, e->bytes, e->kind == DD_CALL_WRITE, e->site);
    case DD_CALL_AWAIT_BEGIN:
        f->awaiting = 1;
        return true;
    case DD_CALL_AWAIT_END:
        end_await(f);
        return true;
    case DD_CALL_ALLOC: {
        void *p = dd_arena_alloc(i, e->bytes, e->site);
        f->result = (uint64_t)(uintptr_t)p;
        return p != NULL;
    }
    case DD_CALL_FREE:
        return dd_arena_free(i, e->word, e->site);
    case DD_CALL_FAIL:
        dd_arena_fail(DD_EXPLORE_CHECK, e->what, NULL, e->value, e->expected, i, e->site);
        return false;
    case DD_EVENT_CREATE:
        if (dd_arena_.total.n_fibres < DD_FIBRES)
            break;
        fail(DD_EXPLORE_LIMIT, "more threads than the explorer has fibres", DD_FIBRES, i, e->site);
        return false;
    case DD_EVENT_JOIN:
        if (e->value < dd_arena_.total.n_fibres &&
            dd_arena_.fibre[e->value].state != DD_FIBRE_JOINED)
            break;
        fail(DD_EXPLORE_MEMORY, "joined twice, or never created", e->value, i, e->site);
        return false;
    default:
        break;
    }
    f->state = DD_FIBRE_AT_EVENT;
    return false;
}

/* Zeroes the stack below the fibre's stack pointer, as far as `bytes` down: what lies there is left
 * from calls that have returned, and must not show through in the unused bytes of later frames. */
static void scrub(uint32_t i, size_t bytes)
{
    if (dd_host_.mode.stateless)
        return;
    unsigned char *low = dd_arena_.stack[i].byte, *sp = dd_arena_.fibre[i].sp;
    size_t room = (size_t)(sp - low);
    if (bytes > room)
        bytes = room;
    memset(sp - bytes, 0, bytes);
}

/* ---- Faults: a pointer read out of freed memory, a stack that overflows ---------------------- */

static struct {
    sigjmp_buf back; /* to settle */
    struct sigaction before;
    stack_t stack_before;
    unsigned char stack[16 << 10];
    bool caught; /* by us, at present */
} faults;

static void fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    const uint32_t i = dd_host_.running;
    dd_arena_fail(DD_EXPLORE_MEMORY, "access to an address that does not exist", NULL,
                  (uintptr_t)info->si_addr, 0, i, dd_arena_.fibre[i].event.site);
    siglongjmp(faults.back, 1);
}

static void faults_catch(void)
{
    if (faults.caught)
        return;
    const stack_t stack = {.ss_sp = faults.stack, .ss_size = sizeof faults.stack};
    struct sigaction action = {.sa_sigaction = fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    faults.caught = sigaltstack(&stack, &faults.stack_before) == 0 &&
                    sigaction(SIGSEGV, &action, &faults.before) == 0;
}

static void faults_leave(void)
{
    if (!faults.caught)
        return;
    sigaction(SIGSEGV, &faults.before, NULL);
    sigaltstack(&faults.stack_before, NULL);
    faults.caught = false;
}

/* Runs all fibres that can run to their next events. */
static void settle(void)
{
    if (sigsetjmp(faults.back, 0))
        return;

    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++) {
        dd_fibre *f = &dd_arena_.fibre[i];
        if (f->state != DD_FIBRE_LOCAL)
            continue;
        dd_host_.running = i;
        dd_host_.n_local = 0;
        scrub(i, DD_STACK_BYTES);
        do {
            scrub(i, DD_SCRUBBED_BYTES);
            dd_fibre_switch(&dd_host_.sp, f->sp);
        } while (f->state == DD_FIBRE_LOCAL && serve(i));
        if (dd_host_.failure.verdict != DD_EXPLORE_PASS)
            return;
        if (f->state == DD_FIBRE_DONE) { /* ranges stay until it is joined */
            memset(&f->event, 0, sizeof f->event);
            f->result = 0;
            f->sp = dd_arena_.stack[i].byte + DD_STACK_BYTES;
        }
        if (dd_host_.mode.reduced)
            dd_futures_moved(i);
    }
}

static void run_program(void *unused)
{
    (void)unused;
    dd_host_.program->run(dd_host_.program->arg);
}

/* Makes the pages between stacks inaccessible, or lifts that. */
static void guard_stacks(int protection)
{
    for (int i = 0; i < DD_FIBRES; i++)
        mprotect(dd_arena_.stack[i].guard, DD_PAGE_BYTES, protection);
}

/* Where states are compared, after every step; else when room gets scarce. */
static bool wants_normal_form(void)
{
    if (!dd_arena_is_weak() || dd_host_.failure.verdict != DD_EXPLORE_PASS)
        return false;
    if (!dd_host_.mode.stateless || dd_arena_.total.n_facts > DD_FACTS / 2 ||
        dd_arena_.total.n_locations > DD_LOCATIONS / 2)
        return true;
    for (uint64_t l = 0; l < dd_arena_.total.n_locations; l++)
        if (dd_arena_.location[l].n > DD_MESSAGES / 2)
            return true;
    return false;
}

static void tidy_up(void)
{
    if (dd_arena_is_weak())
        dd_weak_forgive();
    if (wants_normal_form())
        dd_weak_normalise();
}

/* Fibres, blocks and what is allocated are cleared as they come. */
void dd_world_start(const dd_program *program, dd_world_mode mode)
{
    if (!dd_host_.started) {
        guard_stacks(PROT_NONE);
        faults_catch();
        dd_host_.started = true;
    }
    memset(&dd_arena_.total, 0, sizeof dd_arena_.total);
    memset(&dd_host_.failure, 0, sizeof dd_host_.failure);
    dd_host_.program = program;
    dd_host_.mode = mode;
    dd_arena_.total.thread_failures = program->thread_failures;
    dd_arena_.total.alloc_failures = program->alloc_failures;
    dd_arena_.total.fp_changes = program->fp_changes;
    memset(&dd_arena_.view[add_fibre("caller", run_program, NULL)], 0, sizeof dd_arena_.view[0]);
    if (mode.reduced)
        dd_futures_start();
    settle();
    tidy_up();
}

void dd_world_stop(void)
{
    dd_host_.started = false;
    faults_leave();
    guard_stacks(PROT_READ | PROT_WRITE); /* leak checkers read all memory at exit */
}

/* ---- Steps ---- */

static bool has_changed(uint32_t i)
{
    const dd_fibre *f = &dd_arena_.fibre[i];
    for (uint64_t r = 0; r < f->n_reads; r++)
        if (dd_arena_is_weak()
                ? dd_weak_has_newer(i, f->read[r].word)
                : dd_arena_load(f->read[r].word, f->read[r].bytes) != f->read[r].value)
            return true;
    return false;
}

static uint32_t sleepers(const void *word)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++)
        if (dd_arena_.fibre[i].state == DD_FIBRE_AT_FUTEX && dd_arena_.fibre[i].event.word == word)
            set |= 1u << i;
    return set;
}

typedef struct choices {
    dd_choice *choice; /* DD_CHOICES */
    uint32_t n;
    bool overflow;
} choices;

static void add_choice(choices *c, uint32_t fibre, uint32_t alternative, bool spurious)
{
    if (c->n == DD_CHOICES)
        c->overflow = true;
    else
        c->choice[c->n++] = (dd_choice){fibre, alternative, spurious};
}

/* A wake chooses among the sleepers: all subsets of the right size. */
static void add_wakes(choices *c, uint32_t i, const dd_event *e)
{
    uint32_t asleep = sleepers(e->word);
    uint32_t n = (uint32_t)__builtin_popcount(asleep);
    if (e->value < n)
        n = (uint32_t)e->value;
    uint32_t set = asleep;
    for (;;) {
        if ((uint32_t)__builtin_popcount(set) == n)
            add_choice(c, i, set, false);
        if (set == 0)
            return;
        set = (set - 1) & asleep;
    }
}

/* One step for each message that the operation may read, or behind which it may write. */
static void add_messages(choices *c, uint32_t i, const dd_event *e)
{
    uint32_t alternative[DD_MESSAGES] = {0};
    const uint32_t n = dd_arena_is_weak() ? dd_weak_choices(i, e, alternative) : 1;
    for (uint32_t k = 0; k < n; k++)
        add_choice(c, i, alternative[k], false);
}

/* Adds the steps of fibre i. returns whether they neither affect nor are affected by anybody
 * else's: what others can do stays the same whether they come first or last, and no plain access is
 * forgotten by taking them. */
static bool add_choices(choices *c, uint32_t i)
{
    const dd_fibre *f = &dd_arena_.fibre[i];
    if (f->state != DD_FIBRE_AT_EVENT)
        return false;
    switch ((dd_event_kind)f->event.kind) {
    case DD_EVENT_CHOOSE:
        for (uint32_t k = 0; k < f->event.value; k++)
            add_choice(c, i, k, false);
        return true;
    case DD_EVENT_CREATE:
        add_choice(c, i, 0, false);
        return f->n_ranges == 0;
    case DD_EVENT_JOIN: {
        const dd_fibre *target = &dd_arena_.fibre[f->event.value];
        if (target->state != DD_FIBRE_DONE)
            return false;
        add_choice(c, i, 0, false);
        return f->n_ranges == 0 && target->n_ranges == 0;
    }
    case DD_EVENT_AWAIT:
        if (has_changed(i))
            add_choice(c, i, 0, false);
        return false;
    case DD_EVENT_FUTEX_WAKE:
        add_wakes(c, i, &f->event);
        return false;
    case DD_EVENT_LOAD:
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
    case DD_EVENT_COMPARE_EXCHANGE:
        add_messages(c, i, &f->event);
        return false;
    default:
        add_choice(c, i, 0, false);
        return false;
    }
}

uint32_t dd_world_choices(uint32_t first, dd_choice out[DD_CHOICES], uint32_t *spurious)
{
    choices c = {.choice = out};
    uint32_t n_fibres = (uint32_t)dd_arena_.total.n_fibres;
    bool alone = false;
    *spurious = 0;
    for (uint32_t k = 0; k < n_fibres && !alone; k++) {
        uint32_t before = c.n;
        alone = add_choices(&c, (first + k) % n_fibres) && !dd_host_.mode.unreduced;
        if (alone) {
            memmove(out, out + before, (c.n - before) * sizeof *out);
            c.n -= before;
        }
    }
    uint32_t n = c.n;
    for (uint32_t i = 0; dd_host_.program->spurious && !alone && i < n_fibres; i++)
        if (dd_arena_.fibre[i].state == DD_FIBRE_AT_FUTEX)
            add_choice(&c, i, 0, true);
    *spurious = c.n - n;
    if (c.overflow)
        fail(DD_EXPLORE_LIMIT, "more steps possible in one state than the explorer holds",
             DD_CHOICES, DD_FIBRES, NULL);
    return c.n;
}

/* Carries out the event; the fibre may sleep afterwards. */
static void take(dd_fibre *f, dd_choice choice)
{
    dd_event *e = &f->event;
    f->state = DD_FIBRE_LOCAL;
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_FUTEX_WAIT:
        if (dd_arena_load(e->word, e->bytes) == e->expected)
            f->state = DD_FIBRE_AT_FUTEX;
        break;
    case DD_EVENT_FUTEX_WAKE:
        for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++)
            if (choice.alternative >> i & 1)
                dd_arena_.fibre[i].state = DD_FIBRE_LOCAL;
        break;
    case DD_EVENT_AWAIT:
        /* Of one word it next reads something newer; where it looks at several, at least one is. */
        if (dd_arena_is_weak() && f->n_reads == 1)
            dd_weak_go_on(choice.fibre, f->read[0].word);
        end_await(f);
        break;
    case DD_EVENT_BARRIER: {
        struct dd_pbarrier *b = e->word;
        uint32_t set = 0;
        f->state = DD_FIBRE_AT_BARRIER;
        if (dd_host_.mode.reduced)
            dd_futures_moved(choice.fibre); /* the last to arrive waits, too, if for no time */
        if (++b->arrived < b->n_threads)
            break;
        b->arrived = 0;
        for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++)
            if (dd_arena_.fibre[i].state == DD_FIBRE_AT_BARRIER &&
                dd_arena_.fibre[i].event.word == b) {
                dd_arena_.fibre[i].state = DD_FIBRE_LOCAL;
                dd_arena_.fibre[i].n_ranges = 0;
                set |= 1u << i;
            }
        if (dd_arena_is_weak())
            dd_weak_meet(set);
        break;
    }
    case DD_EVENT_CREATE:
        f->result = add_fibre(e->what, (void (*)(void *))(uintptr_t)e->value,
                              (void *)(uintptr_t)e->expected);
        dd_arena_note_creation(choice.fibre, (uint32_t)f->result);
        if (dd_host_.mode.reduced)
            dd_futures_note_creation(choice.fibre, (uint32_t)f->result);
        if (dd_arena_is_weak())
            dd_weak_create(choice.fibre, (uint32_t)f->result);
        break;
    case DD_EVENT_JOIN:
        if (dd_arena_is_weak())
            dd_weak_join(choice.fibre, (uint32_t)e->value);
        dd_arena_.fibre[e->value].state = DD_FIBRE_JOINED;
        dd_arena_.fibre[e->value].n_ranges = 0;
        dd_arena_trim();
        break;
    case DD_EVENT_CHOOSE:
        f->result = choice.alternative;
        break;
    default:
        f->result = dd_arena_is_weak() ? dd_weak_apply(choice.fibre, e, choice.alternative)
                                       : dd_arena_apply(e);
        (void)note_read(f, choice.fibre, e, f->result);
    }
}

void dd_world_step(dd_choice choice)
{
    dd_fibre *f = &dd_arena_.fibre[choice.fibre];
    if (choice.spurious) {
        f->state = DD_FIBRE_LOCAL;
    } else {
        if (f->event.word && !dd_arena_may_sync(choice.fibre, &f->event, choice.alternative))
            return;
        if (f->event.kind != DD_EVENT_CHOOSE) {
            /* who waits at a barrier is in order with nobody before it goes on */
            if (f->event.kind != DD_EVENT_BARRIER || dd_host_.mode.touched)
                f->n_ranges = 0;
            dd_arena_publish(choice.fibre);
        }
        take(f, choice);
        if (dd_host_.mode.reduced && f->state == DD_FIBRE_AT_FUTEX)
            dd_futures_moved(choice.fibre);
        dd_host_.last_result = f->result;
    }
    if (dd_host_.failure.verdict == DD_EXPLORE_PASS)
        settle();
    tidy_up();
}
