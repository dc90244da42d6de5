/* SPDX-License-Identifier: MIT
 * Rules for statements: loops that look again, neighbours of which one publishes the other,
 * expected counts, operands by index. */
#include "generate.h"

#include <stdio.h>

static bool is_any(const dd_scan *s, size_t i, const char *const *words, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (dd_scan_is(s, i, words[k]))
            return true;
    return false;
}

#define IS_ANY(s, i, words) is_any(s, i, words, sizeof(words) / sizeof(words)[0])

/* ---- Loops ---- */

/* Whether tokens [first, end) wait, or try a compare exchange. */
static bool waits(const dd_scan *s, size_t first, size_t end, bool only_tries)
{
    for (size_t i = first; i < end; i++)
        if (dd_scan_is(s, i, "dd_u32_compare_exchange") ||
            dd_scan_is(s, i, "dd_u64_compare_exchange") ||
            (!only_tries &&
             (dd_scan_is(s, i, "dd_futex_wait") || dd_scan_is(s, i, "dd_eventcount_await"))))
            return true;
    return false;
}

/* The end of the statement that begins at i: one past its brace or semicolon; i where there is
 * none, as in the last part of a for. */
static size_t statement_end(const dd_scan *s, size_t i)
{
    if (dd_scan_is(s, i, "{"))
        return s->token[i].match + 1;
    size_t end = i;
    for (; end < s->n && !dd_scan_is(s, end, ";"); end++) {
        if (s->token[end].match == DD_NO_TOKEN)
            continue;
        if (s->token[end].match < end)
            return i;
        end = s->token[end].match;
    }
    return end + 1;
}

static void loop(dd_mutation *m, size_t i)
{
    const dd_scan *s = m->scan;
    const size_t open = i + 1, close = s->token[open].match;
    if (dd_scan_is(s, i, "while") && waits(s, open, close, true)) {
        dd_mutate_(m, "once", open, close, "((%.*s) && false)", DD_PIECE_(m, open + 1, close));
        return;
    }
    if (dd_scan_is(s, close + 1, ";") || !waits(s, close + 1, statement_end(s, close + 1), false))
        return;
    if (dd_scan_is(s, i, "while"))
        dd_mutate_(m, "once", i, close, "for (int once_ = 0; once_ == 0 && (%.*s); once_++)",
                   DD_PIECE_(m, open + 1, close));
    else if (close == open + 3) /* for (;;) */
        dd_mutate_(m, "once", i, close, "for (int once_ = 0; once_ == 0; once_++)");
}

/* ---- Neighbours ---- */

/* A statement that a plain one can change places with, and what may stand for it. */
typedef struct plain {
    size_t first, end; /* end: its semicolon */
    bool publishes;
} plain;

static bool publishes(const dd_scan *s, size_t i)
{
    static const char *const calls[] = {"dd_u32_store",          "dd_u64_store",
                                        "dd_eventcount_advance", "dd_eventcount_advance_shared",
                                        "dd_points_release",     "dd_points_wake_root",
                                        "dd_mailbox_answer",     "dd_mailbox_ring",
                                        "dd_futex_wake",         "dd_member_call_",
                                        "dd_node_zero_publish_", "release_all",
                                        "release_children"};
    return IS_ANY(s, i, calls);
}

/* Of an access to plain data, for the explorer. */
static bool is_note(const dd_scan *s, size_t i)
{
    return dd_scan_is(s, i, "DD_READ") || dd_scan_is(s, i, "DD_WRITE");
}

/* An expression statement: a call, or an assignment; none that declares, branches or only checks,
 * none that only tells onlookers. */
static bool read_plain(const dd_scan *s, size_t i, plain *out)
{
    static const char *const others[] = {"if",
                                         "else",
                                         "for",
                                         "while",
                                         "do",
                                         "switch",
                                         "case",
                                         "default",
                                         "return",
                                         "goto",
                                         "continue",
                                         "break",
                                         "assert",
                                         "DD_EDGE",
                                         "dd_free",
                                         "dd_member_at_",
                                         "dd_member_enters_",
                                         "dd_member_worked_"};
    out->first = i;
    if (is_note(s, i)) /* belongs to the assignment behind it */
        i = s->token[i + 1].match + 2;
    const size_t begin = dd_scan_is(s, i, "*") ? i + 1 : i;
    if (begin >= s->n || !s->token[begin].word || IS_ANY(s, begin, others) ||
        dd_scan_begins(s, begin, "dd_tally_") || (begin + 1 < s->n && s->token[begin + 1].word) ||
        dd_scan_is(s, begin + 1, "*") || dd_scan_is(s, begin + 1, ":"))
        return false;
    if (statement_end(s, i) == i)
        return false;
    out->end = statement_end(s, i) - 1;
    out->publishes = publishes(s, begin);
    if (dd_scan_is(s, begin + 1, "("))
        return s->token[begin + 1].match + 1 == out->end;
    for (size_t k = begin; k < out->end; k++)
        if (s->token[k].length <= 2 && s->token[k].at[s->token[k].length - 1] == '=' &&
            !dd_scan_is(s, k, "=="))
            return true;
    return false;
}

static void neighbours(dd_mutation *m, size_t i)
{
    const dd_scan *s = m->scan;
    plain a, b;
    if (!dd_scan_is(s, i - 1, ";") && !dd_scan_is(s, i - 1, "{") && !dd_scan_is(s, i - 1, "}"))
        return;
    if (i > 1 && dd_scan_is(s, i - 2, ")") && is_note(s, s->token[i - 2].match - 1))
        return; /* the note goes with it */
    if (read_plain(s, i, &a) && read_plain(s, a.end + 1, &b) && (a.publishes || b.publishes))
        dd_mutate_(m, "swapped", a.first, b.end, "%.*s %.*s", DD_PIECE_(m, b.first, b.end + 1),
                   DD_PIECE_(m, a.first, a.end + 1));
}

/* ---- Counts and operands ---- */

static void expected_count(dd_mutation *m, size_t i)
{
    const dd_scan *s = m->scan;
    if (!dd_scan_is(s, i + 1, "=") && !dd_scan_is(s, i + 1, "+="))
        return;
    const size_t end = statement_end(s, i) - 1;
    dd_mutate_(m, "more", i + 2, end - 1, "(%.*s) + 1", DD_PIECE_(m, i + 2, end));
    dd_mutate_(m, "less", i + 2, end - 1, "(%.*s) - 1", DD_PIECE_(m, i + 2, end));
}

/* operand[0] …, … operand[1]: into and from of one fold. */
static void operand_pair(dd_mutation *m, size_t i)
{
    const dd_scan *s = m->scan;
    if (!dd_scan_is(s, i + 1, "[") || !dd_scan_is(s, i + 2, "0") || !dd_scan_is(s, i + 4, ","))
        return;
    for (size_t k = i + 5; k < i + 12; k++)
        if (dd_scan_is(s, k, "operand") && dd_scan_is(s, k + 2, "1")) {
            dd_mutate_(m, "operands", i + 2, k + 2, "1%.*s0", DD_PIECE_(m, i + 3, k + 2));
            return;
        }
}

void dd_mutate_statement_(dd_mutation *m, size_t i)
{
    const dd_scan *s = m->scan;
    if (i == 0 || dd_scan_function(s, i) == DD_NO_TOKEN)
        return;
    if ((dd_scan_is(s, i, "while") || dd_scan_is(s, i, "for")) && dd_scan_is(s, i + 1, "("))
        loop(m, i);
    else if (dd_scan_is(s, i, "expected") &&
             (dd_scan_is(s, i - 1, ".") || dd_scan_is(s, i - 1, "->")))
        expected_count(m, i);
    else if (dd_scan_is(s, i, "operand"))
        operand_pair(m, i);
    neighbours(m, i);
}
