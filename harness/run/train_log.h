/* SPDX-License-Identifier: MIT
 * The log of a training, `--log FILE`: JSON, one object a line, whose first key tells its kind.
 * Behind the head stand the lines that --json prints to stdout.
 *
 *     {"dodeca_log": 1, "steps_done", "started", "settings": {"model": "micro", …},
 *      "shape": {"L", "NH", "C", "V", "T"}, "parameters", "data", "data_hash", "tokens",
 *      "token_is_byte", "floor", "train_windows", "validation_windows", "validation_batches",
 *      "steps_per_epoch", "workers", "kernels", "reduce", "machine": {…}, "build": {…}}
 *     {"step": 0, "loss", "norm", "lr", "discarded", "wall_ns", "tokens_per_s", "elapsed_ns"}
 *     {"validation": 100, "loss", "bits_per_byte", "batches", "best", "wall_ns", "elapsed_ns"}
 *     {"save": 100, "file", "failed", "elapsed_ns"}     failed: why, or null
 *     {"health": 100, …}                                with --status-every: health.h
 *     {"final": true, "status": "DD_OK", "why", "steps", "validation", "validation_loss",
 *      "validation_bits_per_byte", "best_validation", "best_validation_loss", "weights_hash", …}
 *
 * Steps are numbered from 0; every other number of steps says how many are done, validation and
 * best_validation of the final line too (0: there was none). Settings are texts as options have
 * them. A loss is nats per token; bits_per_byte is null unless tokens are bytes. A number that is
 * not finite is null. tokens_per_s of a step is that step's; wall_ns what a step, or a validation,
 * took; elapsed_ns passed since the run began to train; started is in seconds since 1970. best:
 * there was no lower loss in this run. steps_done of a head: by earlier runs, whose checkpoint this
 * one goes on from; it writes behind what is there, and steps that stand there twice were done
 * twice, with the same bits.
 *
 * A line is written at once and whole, so that a run that is killed leaves whole lines, a last one
 * at most excepted, which the run that resumes takes away. */
#ifndef DD_TRAIN_LOG_H
#define DD_TRAIN_LOG_H

#include <jansson.h>

#include "dodeca.h"
#include "settings.h"

#define DD_TRAIN_LOG_VERSION 1

typedef struct dd_train_log dd_train_log;

/* Creates the file and writes the head; it must not exist, but that `resumed` adds to one that is
 * a log of the same training: shape, data's hash and all settings that decide the bits.
 * owns     takes `head` in any case; *out on success, released by dd_train_log_close; on failure no
 *          file is left that was not there, and one that was is as before
 * errors   DD_ERR_DATA, DD_ERR_MEMORY                                                           */
dd_status dd_train_log_open(const char *path, bool resumed, json_t *head, dd_train_log **out,
                            dd_error *error);
/* Adds a line and takes it.  errors  DD_ERR_DATA: the file cannot be written */
dd_status dd_train_log_write(dd_train_log *log, json_t *line, dd_error *error);
void dd_train_log_close(dd_train_log *log); /* NULL allowed */

#endif
