/* SPDX-License-Identifier: MIT
 * What a round of a soak is made of: settings drawn at random from the lists under `draw`, a
 * function of the scenario and the round's seed alone.
 *
 *     draw:
 *       workers: [1, 2..12]              # a value, or a range of whole numbers, each item as
 * likely timetable: [none, random 5..40]  # so many changes of membership, over all steps storm:
 * [none, 10..60]            # so many commands at random moments
 *
 * What settings refuse together is drawn anew, as are kernel sets that this machine lacks. */
#ifndef DD_SOAK_DRAW_H
#define DD_SOAK_DRAW_H

#include "scenario.h"

/* Judges one item of a list by itself.  returns  false, message says what would be right */
bool dd_drawn_check(const dd_key *key, const char *item, char message[DD_MESSAGE_MAX]);

enum { DD_ROUND_LABEL_MAX = 1024 };

typedef struct dd_round {
    uint64_t seed;
    dd_settings settings;           /* finished */
    char label[DD_ROUND_LABEL_MAX]; /* "workers=4 simd=off …": all that was drawn */
    char shape[DD_ROUND_LABEL_MAX]; /* and of that what decides the bits */
} dd_round;

/* returns  false: no draw was possible, message says what spoke against the last */
bool dd_round_draw(const dd_scenario *scenario, uint64_t seed, dd_round *out,
                   char message[DD_SCENARIO_MESSAGE_MAX]);

#endif
