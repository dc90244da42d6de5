/* SPDX-License-Identifier: MIT
 * Timetables of membership changes: the first four bytes say what the text is held against. Changes
 * come out in the order of their steps, and membership stays within what the frame allows. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "timetable.h"

static void check_order(dd_timetable *t, const dd_timetable_frame *frame)
{
    if (t->most_workers > (frame->max_workers ? frame->max_workers : frame->lanes))
        dd_fuzz_finding("more workers than the frame allows");
    uint64_t at = 0;
    for (uint64_t i = 0; i < t->n; i++) {
        if (t->change[i].step < at || t->change[i].step >= frame->steps)
            dd_fuzz_finding("a change out of order, or after the last step");
        at = t->change[i].step;
    }
    uint64_t n = 0;
    while (dd_timetable_next(t, UINT64_MAX))
        n++;
    if (n != t->n)
        dd_fuzz_finding("not every change is handed out once");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes < 4)
        return 0;
    const uint32_t depth = 1 + bytes[0] % 3, workers = 1 + bytes[1] % 12;
    const dd_timetable_frame frame = {.depth = depth,
                                      .workers = workers,
                                      .max_workers = bytes[2] % 2 ? workers + bytes[2] / 2 : 0,
                                      .lanes = depth == 1 ? 12 : 144,
                                      .steps = 1 + 4 * (uint64_t)bytes[3]};
    char *text = malloc(n_bytes - 3);
    if (!text)
        return 0;
    memcpy(text, bytes + 4, n_bytes - 4);
    text[n_bytes - 4] = '\0';

    char message[DD_MESSAGE_MAX] = "";
    const bool well_formed = dd_timetable_check(text, message);
    if (!well_formed)
        dd_fuzz_check_message(message, sizeof message);
    dd_timetable *t;
    message[0] = '\0';
    if (!dd_timetable_open(text, &frame, &t, message)) {
        dd_fuzz_check_message(message, sizeof message);
    } else {
        if (!well_formed && t->n) /* a text without entries makes no changes */
            dd_fuzz_finding("an ill-formed timetable is carried out");
        check_order(t, &frame);
        dd_timetable_close(t);
    }
    free(text);
    return 0;
}
