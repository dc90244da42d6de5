/* SPDX-License-Identifier: MIT
 * The weights that a plug-in hands over, gone through once: their hash, what is not finite among
 * them, and how far they are from those of another run, which are kept for it. Judges nothing. */
#ifndef DD_PLUGIN_WEIGHTS_H
#define DD_PLUGIN_WEIGHTS_H

#include "dodeca.h"
#include "dodeca_subject.h"

#include <stdbool.h>

/* What there was to see. */
typedef struct dd_own_weights {
    uint64_t n; /* elements; 0: the subject is no plug-in */
    uint64_t n_not_finite;
    char not_finite[96]; /* the first of them, "hidden[12]"; "" */
    bool compared;       /* with the reference's: */
    double distance;     /* the largest |a - b| / max(|b|, root mean square of b's piece); infinite
                            for bytes that differ; NaN where something is not finite or `unlike` */
    char farthest[96];   /* where that is; "" */
    char unlike[192];    /* how the pieces themselves differ, so that there is no distance; "" */
} dd_own_weights;

/* One run's weights, in memory of the system's that the process which fills it does not take along
 * when it ends: made before a fork, filled by one child, read by others. */
typedef struct dd_weights_store dd_weights_store;
dd_weights_store *dd_weights_store_open(void);        /* NULL: no memory */
void dd_weights_store_close(dd_weights_store *store); /* NULL allowed */

/* One pass. hash: 32 hex digits of the bytes of all pieces.
 * leave    gets the weights in place of what it has; NULL: they are not kept
 * beside   what they are compared with; NULL: nothing
 * errors   DD_ERR_REFUSED: there was no piece, or one that cannot be; DD_ERR_MEMORY */
dd_status dd_plugin_weights(const dd_subject_table *table, void *self, dd_weights_store *leave,
                            const dd_weights_store *beside, dd_own_weights *out, char hash[33],
                            dd_error *error);

#endif
