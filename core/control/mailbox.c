/* SPDX-License-Identifier: MIT
 * Mailbox: a list that senders push to by compare-exchange and the receiver takes whole.
 *
 * Protocol. A sender links its mail before the newest one and then advances the bell. The receiver
 * notes the bell's count, takes the whole list in one exchange, and sleeps only if there was none
 * and the bell is still at the count it noted; a mail pushed after the exchange rings after the
 * note. Taking all at once leaves no pointer behind that could mean another mail later. An answer
 * is one store, after which the mail may be gone; senders sleep on an eventcount of the mailbox. */
#include "mailbox.h"

#include <stddef.h>

void dd_mailbox_init(dd_mailbox *box, uint32_t generation)
{
    dd_u64_init(&box->newest, 0);
    dd_eventcount_init(&box->bell, generation);
    dd_eventcount_init(&box->answer, generation);
    box->heard = dd_eventcount_now(&box->bell);
}

void dd_mailbox_forget(dd_mailbox *box)
{
    dd_eventcount_forget(&box->answer);
    dd_eventcount_forget(&box->bell);
    dd_u64_forget(&box->newest);
}

void dd_mailbox_post(dd_mailbox *box, dd_mail *mail)
{
    dd_u32_init(&mail->answered, 0);
    /* Relaxed: an address not looked behind. Release: partner of the acquire in take, which reaches
     * every mail of the list, for the exchanges before this one continue their release sequences.
     */
    uint64_t newest = dd_u64_load(&box->newest, DD_RELAXED);
    do {
        DD_WRITE(&mail->next, sizeof mail->next);
        mail->next = (dd_mail *)(uintptr_t)newest;
    } while (!dd_u64_compare_exchange(&box->newest, &newest, (uint64_t)(uintptr_t)mail, DD_RELEASE,
                                      DD_RELAXED));
    dd_mailbox_ring(box);
}

void dd_mailbox_await(dd_mailbox *box, dd_mail *mail)
{
    for (;;) {
        const uint32_t seen = dd_eventcount_now(&box->answer);
        /* Acquire: partner of the release in answer. */
        if (dd_u32_load(&mail->answered, DD_ACQUIRE))
            break;
        dd_eventcount_await(&box->answer, seen, 0);
    }
    dd_u32_forget(&mail->answered);
}

void dd_mailbox_ring(dd_mailbox *box)
{
    dd_eventcount_advance_shared(&box->bell);
}

/* Takes everything there is, oldest first. */
static dd_mail *take_all(dd_mailbox *box)
{
    dd_mail *oldest = NULL;
    /* Acquire: partner of the release in post. */
    dd_mail *mail = (dd_mail *)(uintptr_t)dd_u64_exchange(&box->newest, 0, DD_ACQUIRE);
    while (mail) {
        DD_WRITE(&mail->next, sizeof mail->next);
        dd_mail *older = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = older;
    }
    return oldest;
}

dd_mail *dd_mailbox_take(dd_mailbox *box)
{
    while (!box->oldest) {
        const uint32_t count = dd_eventcount_now(&box->bell);
        box->oldest = take_all(box);
        if (box->oldest)
            break;
        if (count != box->heard) {
            box->heard = count;
            return NULL;
        }
        dd_eventcount_await(&box->bell, count, 0);
    }
    dd_mail *mail = box->oldest;
    box->oldest = mail->next;
    return mail;
}

void dd_mailbox_answer(dd_mailbox *box, dd_mail *mail)
{
    dd_u32_store(&mail->answered, 1, DD_RELEASE); /* the last touch */
    dd_eventcount_advance(&box->answer);
}
