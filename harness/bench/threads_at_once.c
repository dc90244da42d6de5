/* SPDX-License-Identifier: MIT
 * Threads that start a case together and are timed to the last one's end. */
#include "threads_at_once.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "platform.h"

enum { WAIT, RUN, LEAVE };

typedef struct runner {
    dd_thread thread;
    dd_operands own; /* unused by runner 0 */
    dd_operands *operands;
    const dd_kernels *set;
    dd_atomic_u32 *go; /* the caller releases, runners acquire */
    unsigned passes;
    uint64_t begin, end;
} runner;

struct dd_threads_at_once {
    uint32_t n;
    runner *runner; /* (n) */
};

bool dd_threads_open(dd_operands *o, uint32_t n, dd_threads_at_once **out)
{
    *out = NULL;
    dd_threads_at_once *t = dd_alloc(sizeof *t);
    if (!t)
        return false;
    t->runner = dd_alloc(n * sizeof *t->runner);
    if (!t->runner)
        goto fail;
    t->n = n;
    t->runner[0].operands = o;
    for (uint32_t i = 1; i < n; i++) {
        if (!dd_operands_clone(o, &t->runner[i].own))
            goto fail;
        t->runner[i].operands = &t->runner[i].own;
    }
    *out = t;
    return true;

fail:
    dd_threads_close(t);
    return false;
}

void dd_threads_close(dd_threads_at_once *t)
{
    if (!t)
        return;
    for (uint32_t i = 1; i < t->n; i++)
        dd_operands_close(&t->runner[i].own);
    dd_free(t->runner);
    dd_free(t);
}

static void run(void *arg)
{
    runner *r = arg;
    (void)DD_AWAIT(dd_u32_load(r->go, DD_ACQUIRE) != WAIT, DD_FOREVER);
    if (dd_u32_load(r->go, DD_RELAXED) == LEAVE)
        return;
    r->begin = dd_now_ns();
    dd_operands_repeat(r->operands, r->set, r->passes);
    r->end = dd_now_ns();
}

dd_status dd_threads_ratio(dd_threads_at_once *t, const dd_kernels *set, uint64_t at_least_ns,
                           double *ratio, dd_error *error)
{
    runner *first = &t->runner[0];
    uint64_t before = dd_now_ns(), alone = 0;
    unsigned passes = 0;
    while (alone < at_least_ns) {
        dd_operands_repeat(first->operands, set, 1);
        passes++;
        alone = dd_now_ns() - before;
    }
    dd_atomic_u32 go;
    dd_u32_init(&go, WAIT);
    uint32_t created = 1;
    int why = 0;
    for (; created < t->n; created++) {
        runner *r = &t->runner[created];
        r->set = set;
        r->go = &go;
        r->passes = passes;
        if ((why = dd_thread_create(&r->thread, "bench", 0, run, r)) != 0)
            break;
    }
    const bool all = created == t->n;
    dd_u32_store(&go, all ? RUN : LEAVE, DD_RELEASE);
    if (all) {
        first->set = set;
        first->go = &go;
        first->passes = passes;
        run(first);
    }
    uint64_t begin = first->begin, end = first->end;
    for (uint32_t i = 1; i < created; i++) {
        const runner *r = &t->runner[i];
        dd_thread_join(&t->runner[i].thread);
        begin = r->begin < begin ? r->begin : begin;
        end = r->end > end ? r->end : end;
    }
    dd_u32_forget(&go);
    if (!all)
        return dd_error_set(error, DD_ERR_THREAD,
                            "thread %" PRIu32 " of %" PRIu32 " cannot be made: %s", created + 1,
                            t->n, strerror(why));
    *ratio = (double)t->n * (double)alone / (double)(end - begin);
    return DD_OK;
}
