/* SPDX-License-Identifier: MIT
 * Mailbox: how requests and commands of any thread reach Node Zero, in the order they came, without
 * a lock. A mail is its sender's memory, lent until it is answered. Knows nothing of what is asked.
 */
#ifndef DD_MAILBOX_H
#define DD_MAILBOX_H

#include "eventcount.h"

typedef struct dd_mail dd_mail;
struct dd_mail {
    dd_mail *next;          /* sender before the post; then the receiver's */
    dd_atomic_u32 answered; /* atomic: receiver stores release, sender loads acquire */
};

typedef struct dd_mailbox {
    _Alignas(DD_CACHE_LINE)
        dd_atomic_u64 newest; /* atomic: address of the mail posted last, 0: none;
                                 senders exchange it in, release;
                                 receiver takes all, acquire */
    dd_eventcount bell;       /* advanced by senders */
    dd_mail *oldest;          /* receiver's own: taken and not yet handed out */
    uint32_t heard;           /* receiver's own: the bell's count at its last look */
    _Alignas(DD_CACHE_LINE) dd_eventcount answer; /* advanced by the receiver */
} dd_mailbox;

void dd_mailbox_init(dd_mailbox *box, uint32_t generation);
void dd_mailbox_forget(dd_mailbox *box);

/* Sender, any thread: hands the mail over. What was done before happens-before its take. */
void dd_mailbox_post(dd_mailbox *box, dd_mail *mail);
/* Sleeps until the mail is answered; it is the sender's again. */
void dd_mailbox_await(dd_mailbox *box, dd_mail *mail);
/* Makes the receiver's next take return, with or without a mail. Async-signal-safe. */
void dd_mailbox_ring(dd_mailbox *box);

/* Receiver, one thread: sleeps until there is a mail or the bell was rung.
 * returns  the oldest mail; NULL: the bell was rung and there is none                          */
dd_mail *dd_mailbox_take(dd_mailbox *box);
/* Gives the mail back. What was done before happens-before the return of its await. */
void dd_mailbox_answer(dd_mailbox *box, dd_mail *mail);

#endif
