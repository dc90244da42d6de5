/* SPDX-License-Identifier: MIT
 * The progress line of `dodeca train`: what is known after a step, put into as many columns as
 * there are. */
#ifndef DD_TRAIN_LINE_H
#define DD_TRAIN_LINE_H

#include <stddef.h>
#include <stdint.h>

typedef struct dd_train_line {
    uint64_t done, last; /* steps, and of how many */
    double loss;         /* of the last step; NaN is shown: it tells of a discarded step */
    double validation;   /* the latest, in nats; NaN: there was none yet, or it was not finite */
    double bits;         /* the same in bits per byte; NaN: a token is no byte */
    double lr, norm;
    double tokens_per_s, left_s;
} dd_train_line;

/* In words where they fit, else in short forms; where these do not fit either, without the norm,
 * then without learning rate, speed, nats and bits of the validation, in this order. Steps, loss
 * and time left are always there.
 * columns  0: as many as it takes
 * returns  characters, without the end; less than `room`                                       */
size_t dd_train_line_format(const dd_train_line *line, size_t columns, char *text, size_t room);

/* A NaN's sign means nothing, yet printf shows it: every NaN becomes the one without. */
double dd_unsigned_nan(double x);

#endif
