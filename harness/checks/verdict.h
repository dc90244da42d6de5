/* SPDX-License-Identifier: MIT
 * Verdicts, from best to worst, and how they combine. */
#ifndef DD_VERDICT_H
#define DD_VERDICT_H

typedef enum dd_verdict { DD_PASS, DD_SKIP, DD_FAIL, DD_HANG, DD_CRASH } dd_verdict;

/* "PASS", "SKIP", "FAIL", "HANG", "CRASH". */
const char *dd_verdict_name(dd_verdict verdict);

/* The worse of two, but a SKIP beside anything else does not count: SKIP means that nothing could
 * be judged. Associative; begin with DD_SKIP. */
dd_verdict dd_verdict_join(dd_verdict a, dd_verdict b);

#endif
