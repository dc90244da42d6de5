/* SPDX-License-Identifier: MIT
 * What explored code may call: the operations behind backend/dd_backend.h, and for the programs
 * that drive explored code, checks and choices. An explored program and all it calls run as fibres
 * inside one fixed piece of memory, the arena, which the explorer copies out and back at will.
 * Hence the rules of that world:
 *
 *   - mutable data is on a fibre's stack or from dd_alloc, never static;
 *   - libc is for memcpy, snprintf and the like alone: no malloc, no files, no threads, no time;
 *   - what threads share is an atomic, or plain memory announced by DD_READ and DD_WRITE. */
#ifndef DD_WORLD_H
#define DD_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in the source, as "points.c:120". */
typedef const char *dd_site;

#ifdef __FILE_NAME__
#define DD_FILE_ __FILE_NAME__
#else
#define DD_FILE_ __FILE__
#endif
#define DD_TEXT_(token) #token
#define DD_LINE_(line) DD_TEXT_(line)
#define DD_HERE (DD_FILE_ ":" DD_LINE_(__LINE__))

/* What a fibre asks the explorer to do. */
typedef enum dd_event_kind {
    /* events: the search decides when */
    DD_EVENT_LOAD,
    DD_EVENT_STORE,
    DD_EVENT_EXCHANGE,
    DD_EVENT_FETCH_ADD,
    DD_EVENT_COMPARE_EXCHANGE,
    DD_EVENT_FUTEX_WAIT,
    DD_EVENT_FUTEX_WAKE,
    DD_EVENT_AWAIT,
    DD_EVENT_BARRIER,
    DD_EVENT_CREATE,
    DD_EVENT_JOIN,
    DD_EVENT_CHOOSE,
    /* part of the step in progress, done at once */
    DD_CALL_READ,
    DD_CALL_WRITE,
    DD_CALL_INIT,
    DD_CALL_AWAIT_BEGIN,
    DD_CALL_AWAIT_END,
    DD_CALL_ALLOC,
    DD_CALL_FREE,
    DD_CALL_FAIL,
} dd_event_kind;

/* ---- For explored programs ---- */

/* Ends the exploration with the trace that led here, unless condition holds. a and b are shown. */
#define DD_CHECK(condition, text, a, b)                                                            \
    ((condition) ? (void)0 : dd_world_fail(text, (uint64_t)(a), (uint64_t)(b), DD_HERE))
_Noreturn void dd_world_fail(const char *text, uint64_t a, uint64_t b, dd_site site);

/* Returns each of 0 .. n-1, in executions of their own. `what` is shown in traces. */
#define DD_CHOOSE(n, what) dd_world_choose(n, what, DD_HERE)
uint32_t dd_world_choose(uint32_t n, const char *what, dd_site site);

/* ---- For dd_backend.h ---- */

typedef enum dd_order { DD_RELAXED, DD_ACQUIRE, DD_RELEASE, DD_ACQ_REL, DD_SEQ_CST } dd_order;

/* A word's first value, written before anybody shares it. */
void dd_world_init(const void *word, size_t bytes, dd_site site);
/* failure: of a compare-exchange that fails; others have `order` there, too.
 * returns  the value that was read */
uint64_t dd_world_atomic(dd_event_kind kind, const void *word, size_t bytes, uint64_t value,
                         uint64_t expected, dd_order order, dd_order failure, dd_site site);
void dd_world_futex_wait(uint32_t *word, uint32_t expected, dd_site site);
void dd_world_futex_wake(uint32_t *word, uint32_t n, dd_site site);
void dd_world_await_begin(bool for_ever);
/* returns  whether to evaluate again: something that was read has changed meanwhile */
bool dd_world_await_again(bool holds, bool for_ever, dd_site site);
/* Plain memory is about to be read or written: checked against what other threads touched since
 * their last event. */
void dd_world_touch(const void *memory, size_t bytes, bool write, dd_site site);

int dd_world_thread_create(uint32_t *fibre, const char *name, void (*run)(void *), void *arg,
                           dd_site site);
void dd_world_thread_join(uint32_t fibre, dd_site site);

struct dd_pbarrier;
struct dd_pbarrier *dd_world_barrier_open(uint32_t n_threads, dd_site site);
void dd_world_barrier_wait(struct dd_pbarrier *barrier, dd_site site);
void dd_world_barrier_close(struct dd_pbarrier *barrier, dd_site site);

void *dd_world_alloc(size_t bytes, dd_site site);
void dd_world_free(void *p, dd_site site);
uint32_t dd_world_fp_env(uint32_t normal, dd_site site);

#endif
