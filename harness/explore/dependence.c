/* SPDX-License-Identifier: MIT
 * The dependence relation. */
#include "dependence.h"

dd_label dd_label_next(uint32_t fibre)
{
    const dd_event *e = dd_world_event(fibre);
    dd_label l = {.fibre = fibre, .n_words = 1, .word = {e->word}};
    if (dd_world_fibre_state(fibre) == DD_FIBRE_AT_FUTEX) {
        l.notice = DD_NOTICE_RETURN;
        return l;
    }
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_LOAD:
        l.notice = DD_NOTICE_ACCESS;
        break;
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
    case DD_EVENT_COMPARE_EXCHANGE:
        l.notice = DD_NOTICE_ACCESS;
        l.writes = true;
        break;
    case DD_EVENT_AWAIT:
        l.notice = DD_NOTICE_ACCESS;
        l.n_words = dd_world_awaited(fibre, l.word);
        break;
    case DD_EVENT_FUTEX_WAIT:
        l.notice = DD_NOTICE_SLEEP;
        break;
    case DD_EVENT_FUTEX_WAKE:
        l.notice = DD_NOTICE_WAKE;
        l.acts = true;
        break;
    case DD_EVENT_BARRIER:
        l.notice = DD_NOTICE_ARRIVE;
        l.acts = true;
        break;
    default:
        l.notice = DD_NOTICE_NONE;
        break;
    }
    return l;
}

void dd_label_taken(dd_label *l, const dd_step *taken)
{
    const dd_fibre_state state = dd_world_fibre_state(l->fibre);
    switch (l->notice) {
    case DD_NOTICE_ACCESS:
        if (taken->event.kind == DD_EVENT_COMPARE_EXCHANGE)
            l->writes = taken->result == taken->event.expected;
        break;
    case DD_NOTICE_SLEEP:
        if (state != DD_FIBRE_AT_FUTEX)
            l->notice = DD_NOTICE_ACCESS;
        break;
    case DD_NOTICE_WAKE:
        l->acts = taken->choice.alternative != 0;
        break;
    case DD_NOTICE_ARRIVE:
        l->acts = state != DD_FIBRE_AT_BARRIER;
        break;
    default:
        break;
    }
}

static bool share_word(const dd_label *a, const dd_label *b)
{
    for (uint32_t i = 0; i < a->n_words; i++)
        for (uint32_t k = 0; k < b->n_words; k++)
            if (a->word[i] == b->word[k])
                return true;
    return false;
}

static bool accesses(const dd_label *l)
{
    return l->notice == DD_NOTICE_ACCESS || l->notice == DD_NOTICE_SLEEP;
}

/* Whether a wake of the word that `l` concerns can make a difference to it. */
static bool minds_wake(const dd_label *l, const dd_label *wake)
{
    switch (l->notice) {
    case DD_NOTICE_SLEEP:
    case DD_NOTICE_RETURN:
        return true;
    case DD_NOTICE_WAKE:
        return l->acts || wake->acts;
    default:
        return false;
    }
}

bool dd_label_depends(const dd_label *first, const dd_label *second)
{
    if (first->notice == DD_NOTICE_NONE || second->notice == DD_NOTICE_NONE ||
        !share_word(first, second))
        return false;
    if (first->notice == DD_NOTICE_WAKE)
        return minds_wake(second, first);
    if (second->notice == DD_NOTICE_WAKE)
        return minds_wake(first, second);
    if (first->notice == DD_NOTICE_ARRIVE && second->notice == DD_NOTICE_ARRIVE)
        return first->acts;
    return accesses(first) && accesses(second) && (first->writes || second->writes);
}
