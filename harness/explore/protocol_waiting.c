/* SPDX-License-Identifier: MIT
 * Programs that drive an eventcount or a mailbox by itself. */
#include "eventcount.h"
#include "mailbox.h"
#include "protocols.h"

/* ---- Eventcount ------------------------------------------------------------------------------ */

typedef struct counted {
    dd_eventcount count;
    uint64_t said; /* the advancer before it advances, the others after it */
    const dd_eventcount_case *how;
} counted;

static void listener_main(void *arg)
{
    counted *c = arg;
    for (uint32_t n = 0; n < c->how->advances; n++)
        dd_eventcount_await(&c->count, c->how->from + n, c->how->spins);
    DD_READ(&c->said, sizeof c->said);
    DD_CHECK(c->said == c->how->advances, "a listener left too early", c->said, c->how->advances);
}

void dd_protocol_eventcount_(const void *arg)
{
    static const char *const name[] = {"listener-0", "listener-1"};
    counted *c = dd_alloc(sizeof *c);
    c->how = arg;
    dd_eventcount_init(&c->count, c->how->from);
    dd_thread t[2];
    for (int i = 0; i < 2; i++)
        dd_thread_create(&t[i], name[i], 0, listener_main, c);
    for (uint32_t n = 1; n <= c->how->advances; n++) {
        if (n == c->how->advances) {
            DD_WRITE(&c->said, sizeof c->said);
            c->said = n;
        }
        dd_eventcount_advance(&c->count);
    }
    for (int i = 0; i < 2; i++)
        dd_thread_join(&t[i]);
    dd_eventcount_forget(&c->count);
    dd_free(c);
}

/* ---- Eventcount, advanced by several --------------------------------------------------------- */

#define MAX_ADVANCERS 2

typedef struct advancer advancer;
typedef struct chorus {
    dd_eventcount count;
    uint64_t said[MAX_ADVANCERS]; /* each advancer its own before it advances, listeners after */
    const dd_eventcount_case *how;
} chorus;

struct advancer {
    chorus *in;
    uint32_t number;
    dd_thread thread;
};

static void advancer_main(void *arg)
{
    const advancer *self = arg;
    uint64_t *said = &self->in->said[self->number];
    DD_WRITE(said, sizeof *said);
    *said = 1;
    dd_eventcount_advance_shared(&self->in->count);
}

static void chorus_listener_main(void *arg)
{
    chorus *c = arg;
    for (uint32_t n = 0; n < c->how->advances; n++)
        dd_eventcount_await(&c->count, c->how->from + n, c->how->spins);
    DD_READ(c->said, c->how->advances * sizeof *c->said);
    for (uint32_t i = 0; i < c->how->advances; i++)
        DD_CHECK(c->said[i] == 1, "a listener left too early", i, c->said[i]);
}

void dd_protocol_eventcount_shared_(const void *arg)
{
    static const char *const listeners[] = {"listener-0", "listener-1"};
    static const char *const advancers[MAX_ADVANCERS] = {"advancer-0", "advancer-1"};
    chorus *c = dd_alloc(sizeof *c);
    c->how = arg;
    dd_eventcount_init(&c->count, c->how->from);
    dd_thread t[2];
    advancer a[MAX_ADVANCERS];
    for (int i = 0; i < 2; i++)
        dd_thread_create(&t[i], listeners[i], 0, chorus_listener_main, c);
    for (uint32_t i = 0; i < c->how->advances; i++) {
        a[i] = (advancer){.in = c, .number = i};
        dd_thread_create(&a[i].thread, advancers[i], 0, advancer_main, &a[i]);
    }
    for (uint32_t i = 0; i < c->how->advances; i++)
        dd_thread_join(&a[i].thread);
    for (int i = 0; i < 2; i++)
        dd_thread_join(&t[i]);
    dd_eventcount_forget(&c->count);
    dd_free(c);
}

/* ---- Mailbox --------------------------------------------------------------------------------- */

#define MAX_SENDERS 3

typedef struct letter {
    dd_mail mail;
    uint64_t from, number; /* sender before the post */
    uint64_t reply;        /* receiver before the answer */
} letter;

typedef struct office {
    dd_mailbox box;
    const dd_mailbox_case *how;
    uint64_t received[MAX_SENDERS]; /* the receiver's own: by sender */
} office;

typedef struct sender {
    office *office;
    uint64_t number;
    dd_thread thread;
} sender;

static void sender_main(void *arg)
{
    const sender *self = arg;
    office *o = self->office;
    for (uint64_t n = 1; n <= o->how->mails; n++) {
        letter l = {.from = self->number, .number = n};
        DD_WRITE(&l.from, 2 * sizeof l.from);
        dd_mailbox_post(&o->box, &l.mail);
        dd_mailbox_await(&o->box, &l.mail);
        DD_READ(&l.reply, sizeof l.reply);
        DD_CHECK(l.reply == n, "a mail came back unanswered", l.reply, n);
    }
}

static void ringer_main(void *arg)
{
    const sender *self = arg;
    dd_mailbox_ring(&self->office->box);
}

void dd_protocol_mailbox_(const void *arg)
{
    static const char *const name[MAX_SENDERS + 1] = {"sender-0", "sender-1", "sender-2", "ringer"};
    const dd_mailbox_case *how = arg;
    office *o = dd_alloc(sizeof *o);
    o->how = how;
    dd_mailbox_init(&o->box, how->generation);
    sender s[MAX_SENDERS + 1];
    for (uint32_t i = 0; i < how->senders + how->ring; i++) {
        const bool rings = i == how->senders;
        s[i] = (sender){.office = o, .number = i};
        dd_thread_create(&s[i].thread, name[rings ? MAX_SENDERS : i], 0,
                         rings ? ringer_main : sender_main, &s[i]);
    }
    for (uint32_t n = how->senders * how->mails; n > 0;) {
        letter *l = (letter *)dd_mailbox_take(&o->box);
        if (!l)
            continue; /* rung; or told once more of a mail that was taken already */
        DD_READ(&l->from, 2 * sizeof l->from);
        DD_CHECK(l->number == ++o->received[l->from], "mails of one sender out of order", l->from,
                 l->number);
        DD_WRITE(&l->reply, sizeof l->reply);
        l->reply = l->number;
        dd_mailbox_answer(&o->box, &l->mail);
        n--;
    }
    for (uint32_t i = 0; i < how->senders + how->ring; i++)
        dd_thread_join(&s[i].thread);
    dd_mailbox_forget(&o->box);
    dd_free(o);
}
