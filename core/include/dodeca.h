/* SPDX-License-Identifier: MIT
 * dodeca: train GPT-2-style transformers on CPU threads arranged as kissing spheres, with the same
 * bits for every number of threads.
 *
 * Words of this interface. A *lane* is a fixed, contiguous share of a step's sequences; there are
 * 12^(lane depth) of them. *Workers* process lanes, one lane after another; *Node Zero* is the
 * control thread that runs the step and never processes a lane. *Point A* makes a step's work
 * visible to every worker, at *Point B* every lane's gradient is in, V carries the verdict (finite,
 * norm, clipping), and after U every slice of the weights is updated. A *fold* adds two gradients,
 * left + right, in an order fixed by geometry alone.
 *
 * The contract. The weights after any number of steps are a function of shape, data, seed, batch,
 * T, lane depth, optimiser settings, schedule horizon and NaN policy alone: not of workers,
 * barrier, reduction, SIMD, compiler or timing. core/model/NUMERICS.md is the normative text.
 *
 * threads  a trainer is driven by one caller thread at a time; commands, state and health may be
 * used from any thread, dd_trainer_cancel from signal handlers too. Different trainers are
 * independent. The library never prints, exits, installs signal handlers or reads the environment.
 */
#ifndef DODECA_H
#define DODECA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- Version ---- */

/* Of this header, by the rules of semver.org: what a program relies on here, to compile, to link
 * and to run, changes with MAJOR alone, and while that is 0 with MINOR. */
#define DD_VERSION_MAJOR 0
#define DD_VERSION_MINOR 1
#define DD_VERSION_PATCH 0
/* "0.1.0": of the library that runs. Never NULL. */
const char *dd_version(void);

/* ---- Errors ---- */

typedef enum dd_status {
    DD_OK = 0,
    DD_ERR_ARGUMENT,  /* a value is out of range or does not fit another */
    DD_ERR_DATA,      /* a data source is unreadable, malformed or too short */
    DD_ERR_MEMORY,    /* an allocation failed */
    DD_ERR_THREAD,    /* a thread could not be created */
    DD_ERR_CPU,       /* the CPU or this build lacks the kernel set asked for */
    DD_ERR_FP_ENV,    /* a thread's floating-point environment is not the default one */
    DD_ERR_NONFINITE, /* policy abort: a loss or gradient was not finite; weights as before */
    DD_ERR_CANCELLED, /* dd_trainer_cancel took effect; weights as before the step */
    DD_ERR_STOPPED,   /* the trainer is stopped; weights as before the step */
    DD_ERR_REFUSED,   /* a command is not legal in this state, or asks for what is not there */
} dd_status;

/* Says in one line what was wrong, where, and what would be right. Filled by every function that
 * takes one and does not return DD_OK; may be NULL. */
typedef struct dd_error {
    char message[512];
} dd_error;

/* The constant's name, e.g. "DD_ERR_DATA". Never NULL. */
const char *dd_status_name(dd_status status);

/* ---- Data ---- */

/* A token source: the tokens of a text in memory, cut into windows of T + 1 (NUMERICS 9). */
typedef struct dd_data dd_data;

/* Opens a source.
 *   "builtin"       an embedded first-order Markov source of 64 symbols, a function of the seed
 *   "bytes:FILE"    every byte of FILE is a token, vocabulary 256
 *   "tokens:FILE"   an llm.c token shard: magic 20240520, version 1, uint16 tokens
 * owns     *out on success, released by dd_data_close; nothing on failure
 * threads  a source is immutable: any number of trainers and threads may share it
 * errors   DD_ERR_ARGUMENT for an unknown scheme, DD_ERR_DATA, DD_ERR_MEMORY                   */
dd_status dd_data_open(const char *spec, uint64_t seed, dd_data **out, dd_error *error);
void dd_data_close(dd_data *data); /* NULL allowed */

typedef struct dd_data_info {
    const char *spec; /* as given; owned by the source */
    uint64_t n_tokens;
    uint32_t vocabulary; /* 1 + the largest token the source may hold */
    uint32_t largest;    /* the largest token that occurs */
    double floor_nats;   /* entropy rate, the lowest reachable loss; NaN if unknown */
    uint8_t hash[16];    /* XXH3-128 of the tokens as little-endian uint16, high half first */
} dd_data_info;
void dd_data_info_get(const dd_data *data, dd_data_info *out);

/* How a source of this length divides for T and B (NUMERICS 9).
 * errors   DD_ERR_DATA when it is too short for one batch of training windows                  */
typedef struct dd_data_split {
    uint64_t train_windows;
    uint64_t validation_windows;
    uint64_t steps_per_epoch;
    uint64_t left_out; /* training windows an epoch leaves out */
} dd_data_split;
dd_status dd_data_split_get(const dd_data *data, uint32_t T, uint32_t B, dd_data_split *out,
                            dd_error *error);

/* ---- Model and training settings ---- */

typedef struct dd_shape {
    uint32_t L;     /* layers */
    uint32_t NH;    /* attention heads */
    uint32_t C;     /* channels, a multiple of NH */
    uint32_t V;     /* vocabulary */
    uint32_t T_max; /* positions the model knows: the longest sequence */
} dd_shape;

/* A named shape: "nano" (0.83 M parameters), "micro" (3.3 M), "gpt2-124M".
 * returns  false for an unknown name                                                           */
bool dd_shape_named(const char *name, dd_shape *out);
/* The i-th name, NULL after the last. */
const char *dd_shape_name(size_t i);
/* Number of parameters; 0 if the shape is invalid. */
uint64_t dd_shape_n_parameters(const dd_shape *shape);

typedef enum dd_barrier { DD_BARRIER_TREE, DD_BARRIER_PTHREAD } dd_barrier;
/* Who adds up gradients of different workers. */
typedef enum dd_reduce {
    DD_REDUCE_TREE,    /* the last to arrive at each node of the fold tree */
    DD_REDUCE_CONTROL, /* each control its own children's, after Point B */
    DD_REDUCE_SLICED,  /* after Point B every worker its slice of the parameters */
    DD_REDUCE_OWNER,   /* the same, and the weights' gradients are not computed before: each worker
                          computes those of its slice over all lanes. One gradient in memory, and
                          the activations of the whole batch */
    DD_REDUCE_AUTO,    /* owner; but tree with guard, which wants gradients that one thread holds,
                          with micro-batches, where owner would take more than 256 MiB for
                          gradients and activations and more than twice what tree takes, and where
                          config.memory_limit forbids it */
} dd_reduce;
typedef enum dd_nan_policy { DD_NAN_ABORT, DD_NAN_SKIP_STEP } dd_nan_policy;

/* DD_SIMD_… : which kernel set */
typedef enum dd_simd {
    DD_SIMD_AUTO, /* the widest set this CPU runs */
    DD_SIMD_OFF,  /* scalar reference, with hardware FMA where the CPU has it */
    DD_SIMD_AVX2,
    DD_SIMD_AVX512,
    DD_SIMD_NEON,
} dd_simd;

#define DD_DEPTH_AUTO 0

typedef struct dd_config {
    /* these decide the bits */
    dd_shape shape;
    uint32_t batch;      /* B, sequences per step */
    uint32_t seq;        /* T, tokens per sequence, at most shape.T_max; 0: shape.T_max */
    uint32_t lane_depth; /* D, 1 to 3: 12^D lanes */
    uint64_t seed;
    uint64_t horizon; /* N, steps of the schedule */
    uint64_t warmup;  /* W, its warm-up steps */
    double lr, min_lr_ratio;
    double beta1, beta2, eps, weight_decay;
    double grad_clip; /* 0: off */
    dd_nan_policy nan_policy;
    /* these do not */
    uint32_t workers;      /* 0: as many as cores, non-empty lanes and the depth allow */
    uint32_t depth;        /* levels of spheres, 1 to 3; room for 12^depth workers. DD_DEPTH_AUTO:
                              begin at 1 (more where `workers` asks for it) and follow the policy */
    uint32_t max_workers;  /* room for spawn and policy, memory is held for it; 0: `workers`, with
                              DD_DEPTH_AUTO as many as the policy may want */
    bool allow_idle;       /* more workers than non-empty lanes: the rest idle */
    bool steal;            /* workers take lanes from touching neighbours */
    bool guard;            /* while workers run, in a step, a validation or a replay, write rights
                              are enforced: of weights and batch by page protection, of segments by
                              protection keys; of control data from open to close, by page
                              protection */
    bool pin;              /* each worker to a core, nearer spheres to nearer cores; a thread that
                              the system refuses that runs on: dd_trainer_info.n_unpinned */
    bool profile;          /* workers measure where their time goes: dd_trainer_phase_get */
    uint32_t micro_batch;  /* sequences of a lane that have activations at once, at most: a longer
                              lane runs in pieces, one after another; 0: all. Not with owner, which
                              keeps the activations of the whole batch */
    uint64_t memory_limit; /* bytes that the trainer may hold. Where `reduce` is auto and
                              micro_batch is 0 they are chosen so that it holds no more; where
                              nothing fits it is refused, before memory is taken. 0: no limit. On
                              top come the program, the data and, while a checkpoint is kept, saved
                              or loaded, weights and moments once more */
    uint32_t trace;        /* each thread keeps what it did when, up to so many events, until they
                              are taken: dd_trainer_trace_take; 0: none */
    dd_simd simd;
    dd_barrier barrier;
    dd_reduce reduce;
} dd_config;

/* Defaults: nano, batch 12, lane depth 1, seed 1, horizon 100, warm-up 10, lr 1e-3, floor 0.1,
 * betas 0.9 and 0.95, eps 1e-8, weight decay 0.1, clip 1, abort; workers 0, depth 1, tree barrier,
 * reduction auto; no stealing, no guard, no pinning, no profile, no micro-batches, no limit of
 * memory, no trace. */
void dd_config_default(dd_config *config);

/* ---- Trainer ---- */

typedef struct dd_trainer dd_trainer;

/* Builds model, memory and threads. A step allocates nothing afterwards.
 * owns     the trainer borrows `data`, which must outlive it; *out is released by dd_trainer_close;
 *          on failure nothing is left behind
 * errors   DD_ERR_ARGUMENT, DD_ERR_DATA, DD_ERR_MEMORY, DD_ERR_THREAD, DD_ERR_CPU, DD_ERR_FP_ENV */
dd_status dd_trainer_open(const dd_config *config, const dd_data *data, dd_trainer **out,
                          dd_error *error);
/* Stops and joins every thread, releases everything. NULL allowed. */
void dd_trainer_close(dd_trainer *trainer);

/* Where a value that is not finite appeared first: the lowest (lane, tensor, index). */
#define DD_NO_LANE UINT32_MAX
typedef struct dd_culprit {
    uint32_t lane;      /* DD_NO_LANE: every lane, run once more, is finite; their fold was not */
    uint32_t worker;    /* that ran the lane in the step */
    const char *tensor; /* whose gradient; where all gradients are finite "loss" or, if that is
                           finite too, "norm"; NULL: not named */
    uint64_t index;     /* element inside the tensor */
} dd_culprit;

typedef struct dd_step {
    uint64_t step;      /* number of this step, from 0 */
    double loss;        /* mean cross-entropy in nats per token */
    double norm;        /* global gradient norm before clipping */
    float lr;           /* as used */
    bool discarded;     /* loss or gradient not finite: the update did not take place */
    dd_culprit culprit; /* of a discarded step */
    uint64_t wall_ns;   /* caller to caller */
} dd_step;

/* One step of training: posts a request to Node Zero and sleeps until Point U. While the trainer is
 * paused it waits for resume, stop or cancel.
 * errors   DD_ERR_NONFINITE under policy abort; the message names lane, worker, tensor and index,
 *          found by running the step's lanes once more. Under skip-step the same is told by *out
 *          and the message, and DD_OK returned.
 *          DD_ERR_CANCELLED, DD_ERR_STOPPED, DD_ERR_FP_ENV: as if it had not been asked for.
 *          DD_ERR_MEMORY: guard mode, the system refused to change the protection of pages. Where
 *          it refused that to the replay alone, the message says so and no lane is named. The
 *          weights may then be read-only until a request goes through, a validation too.
 *          In all of them the weights are those before the step.                              */
dd_status dd_trainer_step(dd_trainer *trainer, dd_step *out, dd_error *error);

/* Mean loss over the first n_batches batches of validation windows (all, if fewer), forward only;
 * not finite where the model's is not.
 * errors   DD_ERR_DATA if validation holds no full batch or none is asked for, DD_ERR_CANCELLED,
 *          DD_ERR_STOPPED, DD_ERR_FP_ENV, DD_ERR_MEMORY (as for a step); *loss is then as before */
dd_status dd_trainer_validate(dd_trainer *trainer, uint32_t n_batches, double *loss,
                              dd_error *error);

/* Asks the step in progress, if any, else the next one, to end: lanes not yet begun are cancelled
 * and the step is discarded. Safe from any thread and from signal handlers. NULL allowed. */
void dd_trainer_cancel(dd_trainer *trainer);

/* XXH3-128 of all parameters in canonical order, high half first. Between steps only. */
void dd_trainer_hash(const dd_trainer *trainer, uint8_t hash[16]);

/* All parameters in canonical order, *n of them. Valid until close; to be read between steps and
 * commands only. n may be NULL.                                                               */
const float *dd_trainer_weights(const dd_trainer *trainer, uint64_t *n);
/* Parameters [first, first + n) become `values`, which may hold anything, NaN too. Between steps
 * and commands only. What a checkpoint keeps does not change.
 * alias    values does not overlap the trainer's own weights
 * errors   DD_ERR_ARGUMENT: there are no such parameters. DD_ERR_MEMORY: guard mode, the system
 *          refuses to let pages be written. Nothing has changed then                          */
dd_status dd_trainer_set_weights(dd_trainer *trainer, uint64_t first, uint64_t n,
                                 const float *values, dd_error *error);

/* ---- Model files ---- */

typedef enum dd_file_format {
    DD_FILE_CHECKPOINT,  /* dodeca's own: a safetensors container of weights, Adam's moments and all
                            that a training goes on from */
    DD_FILE_SAFETENSORS, /* weights under the names and in the layouts of GPT-2 on model hubs */
    DD_FILE_LLMC,        /* weights as llm.c keeps them: magic 20240326, version 3, FP32 */
    DD_FILE_FORMATS
} dd_file_format;
/* "checkpoint", "safetensors", "llm.c". Never NULL. */
const char *dd_file_format_name(dd_file_format format);

/* A file open for reading, of any of these formats: told by its content, not by its name. */
typedef struct dd_model_file dd_model_file;

typedef struct dd_model_file_info {
    dd_file_format format;
    dd_shape shape;
    uint32_t padded_vocabulary; /* rows of wte in the file, at least shape.V */
    uint64_t n_parameters;      /* of the shape: without padding */
    uint64_t step;              /* of a checkpoint: the number of the next step; else 0 */
} dd_model_file_info;

/* Checks everything but the weights themselves: names, shapes, sizes. The number of heads, which
 * tensors do not tell, is in a safetensors file's metadata as n_head. Where it is not, it is that
 * of a config.json in the same folder, which must agree with the tensors in all else. Where that is
 * not there either, heads have 64 channels each, as in every GPT-2 that was published.
 * owns     *out on success, released by dd_model_file_close
 * errors   DD_ERR_DATA: the message names file, offset or tensor, and what was expected.
 *          DD_ERR_MEMORY                                                                        */
dd_status dd_model_file_open(const char *path, dd_model_file **out, dd_error *error);
void dd_model_file_close(dd_model_file *file); /* NULL allowed */
void dd_model_file_info_get(const dd_model_file *file, dd_model_file_info *out);
/* All weights in canonical order, as a trainer has them; what the file says in half precision is
 * widened, which is exact. Checksums that the file has are checked; an lm_head that is not wte once
 * more is refused. Rows of padding and the buffers of causal masks are not read.
 * errors   DD_ERR_DATA, DD_ERR_MEMORY; `weights` may hold anything then                        */
dd_status dd_model_file_read(dd_model_file *file, float *weights, dd_error *error);

/* Writes weights in canonical order as DD_FILE_SAFETENSORS or DD_FILE_LLMC. What was there under
 * that name is replaced when the new file is whole, not before.
 * errors   DD_ERR_ARGUMENT; DD_ERR_DATA with what the system said                              */
dd_status dd_model_file_write(const char *path, dd_file_format format, const dd_shape *shape,
                              const float *weights, dd_error *error);

/* ---- The control process ---- */

typedef enum dd_state {
    DD_STATE_INITIALISING, /* open; the first step starts it */
    DD_STATE_RUNNING,
    DD_STATE_PAUSED,   /* workers asleep; a step waits for resume or stop */
    DD_STATE_STOPPING, /* stop was asked for, a step is still in progress */
    DD_STATE_STOPPED,  /* steps are refused with DD_ERR_STOPPED until start */
    DD_STATES
} dd_state;

typedef enum dd_command {
    DD_COMMAND_START, /* begin, or begin again after a stop */
    DD_COMMAND_STOP,  /* at once: lanes not yet begun are cancelled */
    DD_COMMAND_PAUSE, /* after the step in progress */
    DD_COMMAND_RESUME,
    DD_COMMAND_START_EPOCH, /* resume, and pause where the epoch of the next step ends */
    DD_COMMAND_END_EPOCH,   /* pause where the epoch in progress ends */
    DD_COMMAND_CHECKPOINT,  /* keep weights, moments and step, copied as they are written */
    DD_COMMAND_RESTORE,     /* go back to what was kept */
    DD_COMMAND_REBALANCE,   /* place lanes and slices anew, by the workers' measured speed */
    DD_COMMAND_SPAWN,       /* dd_trainer_spawn */
    DD_COMMAND_TERMINATE,   /* dd_trainer_terminate */
    DD_COMMANDS
} dd_command;

/* "running", "start-epoch", … Never NULL. */
const char *dd_state_name(dd_state state);
const char *dd_command_name(dd_command command);

/* Carries a command out between two steps (after Point U) and returns when that is done; a step in
 * progress ends first. Commands take effect in the order they came. None changes the bits, but that
 * restore goes back to an earlier step.
 * errors   DD_ERR_REFUSED with the reason; DD_ERR_MEMORY, DD_ERR_THREAD: nothing has changed
 * threads  any, at any time between open and close                                              */
dd_status dd_trainer_command(dd_trainer *trainer, dd_command command, dd_error *error);
/* The worker at `sphere` ("3", "3.0.11": positions from the root down) becomes a control of
 * n_children new workers, 1 to 12; or the control there becomes a worker again. The other threads
 * go on. Room for more workers is config.max_workers; none is deeper than depth 3.
 * errors   as dd_trainer_command; DD_ERR_ARGUMENT: `sphere` is no place, or n_children no number
 *          of children                                                                       */
dd_status dd_trainer_spawn(dd_trainer *trainer, const char *sphere, uint32_t n_children,
                           dd_error *error);
dd_status dd_trainer_terminate(dd_trainer *trainer, const char *sphere, dd_error *error);
dd_state dd_trainer_state(const dd_trainer *trainer); /* any thread, any time */

/* ---- Checkpoints ---- */

/* A checkpoint file holds weights, Adam's moments, the number of the next step and every setting
 * that decides the bits. Whoever loads it goes on as if training had never stopped, with any number
 * of workers, depth, SIMD, reduction or barrier. */

/* Saves what the trainer is now to `path`, while training goes on: returns at once, with everything
 * that is to be saved shared. Updates copy a page before they write it; once all are copied, which
 * one step sees to, a thread writes the file and ends, and the copies' memory goes back. If no
 * thread is to be had, that step writes it; if no update comes, dd_trainer_save_wait, the next save
 * or dd_trainer_close does, straight from what is shared.
 * `path` becomes the new file when that is whole and synced, not before: killed at any moment the
 * trainer leaves the old file or the new one. What was there before is kept as path.1, that as
 * path.2 and so on, `keep` files in all; 1: only the new one.
 * One save at a time: a second one first waits for the first. If that has failed, and nobody was
 * told, its error is returned and nothing new has begun.
 * After a step that ended in DD_ERR_NONFINITE, nothing else since, the step saved is that one.
 * Between steps and commands only; of the caller's thread.
 * errors   DD_ERR_ARGUMENT: no path, keep 0; DD_ERR_DATA: the file cannot be begun, with what the
 *          system said; DD_ERR_MEMORY                                                          */
dd_status dd_trainer_save(dd_trainer *trainer, const char *path, uint32_t keep, dd_error *error);
/* Returns when no save is under way: the file is there, or *error says why not. The error of a save
 * is told once, here or by the next dd_trainer_save. Between steps and commands only.
 * errors   DD_ERR_DATA: not written, and `path` is as it was (or is the new file, where the message
 *          says that its folder could not be synced); DD_ERR_MEMORY                            */
dd_status dd_trainer_save_wait(dd_trainer *trainer, dd_error *error);

typedef struct dd_save_info {
    bool under_way;
    uint64_t step;         /* that the last save begun will go on with */
    uint64_t pages;        /* of the arrays it saves, in all */
    uint64_t pages_copied; /* of these, because an update was about to write them */
    uint64_t n_saved;      /* saves that ended with a file */
    uint64_t n_failed;     /* and without */
} dd_save_info;
/* Between steps and commands only. */
void dd_trainer_save_info_get(dd_trainer *trainer, dd_save_info *out);

/* The trainer becomes what it was when the checkpoint was saved; a save under way ends first. What
 * DD_COMMAND_CHECKPOINT keeps does not change. Everything in the file is checked before anything
 * of the trainer changes; that takes memory for a second set of weights and moments meanwhile.
 * Between steps and commands only.
 * errors   DD_ERR_DATA: the file is unreadable, damaged or no checkpoint; DD_ERR_ARGUMENT: it is of
 *          another training, the message names the first setting that differs and both values;
 *          DD_ERR_MEMORY. Nothing has changed then.                                            */
dd_status dd_trainer_load(dd_trainer *trainer, const char *path, dd_error *error);

/* A checkpoint file open for reading. */
typedef struct dd_checkpoint dd_checkpoint;

typedef struct dd_checkpoint_info {
    dd_config config;      /* what decides the bits; the rest is dd_config_default's */
    const char *data;      /* the source's spec as it was opened; lives as long as the checkpoint */
    uint64_t n_tokens;     /* of the source, */
    uint8_t data_hash[16]; /* and their hash, as in dd_data_info */
    uint64_t step;         /* number of the next step: so many are done */
    uint64_t updates;      /* of these, how many were not discarded */
} dd_checkpoint_info;

/* Checks everything but the tensors' bytes: names, shapes, settings and their checksum.
 * owns     *out on success, released by dd_checkpoint_close
 * errors   DD_ERR_DATA: unreadable, damaged, no checkpoint; DD_ERR_MEMORY                     */
dd_status dd_checkpoint_open(const char *path, dd_checkpoint **out, dd_error *error);
void dd_checkpoint_close(dd_checkpoint *checkpoint); /* NULL allowed */
void dd_checkpoint_info_get(const dd_checkpoint *checkpoint, dd_checkpoint_info *out);
/* Reads all tensors and checks their checksums.  errors  DD_ERR_DATA, DD_ERR_MEMORY */
dd_status dd_checkpoint_verify(const dd_checkpoint *checkpoint, dd_error *error);

/* ---- What the trainer is made of and what it has done ---- */

typedef struct dd_trainer_info {
    uint32_t workers, n_lanes, non_empty_lanes;
    uint32_t depth, n_spheres, n_controls; /* of the present hierarchy; controls with Node Zero */
    uint32_t n_threads;                    /* made, parked ones included */
    uint32_t n_unpinned;       /* threads refused what `pin` has for them, as of the last request */
    uint64_t n_changes;        /* of membership */
    uint64_t n_changes_failed; /* that the policy of DD_DEPTH_AUTO wanted and could not have */
    dd_status change_failed;   /* of the last of them: the error, DD_ERR_THREAD or DD_ERR_MEMORY, */
    const char *change_why;    /* and its message; valid until the next step or command */
    const char *kernels;       /* "avx2", "reference+fma", "reference" */
    dd_reduce reduce;          /* as used: what DD_REDUCE_AUTO became, never that itself */
    uint32_t micro_batch;      /* as used; 0: every lane runs whole */
    double lane_bound; /* tokens / most tokens on one worker: the speedup that placement allows */
    uint64_t n_parameters;
    uint64_t weights_bytes;        /* in canonical order */
    uint64_t packed_weights_bytes; /* the matrices twice more, as products read them */
    uint64_t moments_bytes, segments_bytes;
    uint64_t workspaces_bytes; /* activations and their gradients */
    uint64_t lanes_bytes;      /* micro-batches: of each worker a gradient, where a lane's pieces
                                  add up before the lane is folded */
    uint64_t scratch_bytes;    /* address space for kernels: little of it may ever be touched */
    uint64_t stacks_bytes;     /* address space: little of it is touched */
    uint64_t trace_bytes;      /* room for events of all threads; address space until it is used */
    uint64_t other_bytes;      /* batch, norms, counts; the team's own not included */
    uint32_t n_segments;       /* room for every number of workers up to max_workers; with owner 1,
                                  the gradient that all slices make up */
    uint32_t most_segments;    /* in use by one worker, at most 3 D + 1; with owner 0 */
    uint64_t requests;         /* completed: steps, validation batches, replays */
    uint64_t lanes_done, lanes_cancelled, steals, folds; /* of all threads */
    uint64_t control_lanes;         /* lanes that a control, Node Zero included, processed: 0 */
    uint64_t node_zero_lane_cpu_ns; /* CPU time of Node Zero while lanes ran, all requests */
    uint64_t node_zero_lane_most_cpu_ns; /* and the most in one of them */
    uint64_t node_zero_lane_wall_ns;     /* and the time that passed, all requests */
    uint64_t snapshot_pages;             /* of the last checkpoint command: in all, */
    uint64_t snapshot_pages_copied;      /* and copied because they were about to be written */
    uint32_t guard_keys;   /* protection keys in use; 0: none to be had, or no guard */
    double guard_share;    /* of segments in use that a key protects, mean over requests */
    const char *guard_why; /* guard: why keys are not used; "" otherwise */
} dd_trainer_info;
/* Between steps and commands only. */
void dd_trainer_info_get(const dd_trainer *trainer, dd_trainer_info *out);

/* What a thread is at, in the order of a request from A to U. */
typedef enum dd_activity {
    DD_AT_POOL,    /* asleep in the pool */
    DD_AT_MAIL,    /* Node Zero: waits for a request or a command */
    DD_AT_ORDERS,  /* Node Zero between U and A: a command, or what comes before a request's A */
    DD_AT_CHANGE,  /* Node Zero: waits until every thread has left the old membership */
    DD_AT_A,       /* waits at Point A */
    DD_AT_RELAY,   /* a control: lets its children through */
    DD_AT_LANE,    /* runs `lane`, and maybe some after it together */
    DD_AT_FOLDS,   /* between A and B, but in no lane: folds, looks for lanes, goes to B */
    DD_AT_B,       /* waits at B */
    DD_AT_COMBINE, /* after B, in Node Zero's place: its folds, or the list of those of slices */
    DD_AT_SLICE,   /* between B and V: its slice of the gradients */
    DD_AT_VERDICT, /* before V, in Node Zero's place: judges, and decides on the update */
    DD_AT_V,       /* has arrived at B and waits for V */
    DD_AT_UPDATE,  /* between V and U: its slice of the weights */
    DD_AT_U,       /* waits at U */
    DD_ACTIVITIES
} dd_activity;

/* How far a thread has come in a step, which has slices with the reductions owner and sliced. */
typedef enum dd_part {
    DD_PART_LANES,  /* up to its arrival at B; in steps without slices always, but for the last */
    DD_PART_SLICES, /* has arrived; its slice, or those of its children, have not begun */
    DD_PART_FOLDED, /* slices have begun, or are done; or a control relays V, in any step */
} dd_part;

/* A sphere and its thread. Any thread may ask at any time; numbers of one moment need not agree. */
typedef struct dd_sphere_info {
    char sphere[16];      /* "zero", "3.0": where it is, or last was */
    uint32_t thread, tid; /* number in this trainer, and the kernel's */
    bool control, parked; /* has children; waits in the pool */
    dd_activity at;
    uint32_t lane;                /* at DD_AT_LANE */
    dd_part part;                 /* at DD_AT_B, DD_AT_V and DD_AT_RELAY */
    uint32_t generation;          /* the latest that it entered: requests and changes, counted */
    uint32_t first_lane, n_lanes; /* placement: its consecutive non-empty lanes */
    uint32_t segments;            /* gradient segments it holds */
    uint64_t heartbeat;           /* grows with every lane and point */
    uint64_t lanes_done, lanes_cancelled, lanes_as_control, steals, folds;
    uint64_t acted;              /* times it acted for Node Zero, as the last to arrive */
    uint64_t cpu_ns, wait_ns[4]; /* CPU time; time spent waiting at A, B, V, U */
} dd_sphere_info;
/* Thread i's, i < n_threads; thread 0 is Node Zero's. With between_steps, which may be said between
 * steps and commands only, it tells what the present membership is; else where the thread showed
 * itself last, which follows a change a little later, and first_lane, n_lanes and segments are 0.
 * returns  false: there is no thread i                                                          */
bool dd_trainer_sphere_get(const dd_trainer *trainer, uint32_t i, bool between_steps,
                           dd_sphere_info *out);

/* What the threads' time went to, all of them together. */
typedef struct dd_phase_info {
    const char *name; /* "forward products", … */
    bool flops;       /* work is floating-point operations, else bytes: every operand of a call read
                         or written once, from memory or cache */
    uint64_t ns, calls, work;
} dd_phase_info;
/* The i-th phase since open. Between steps and commands only.
 * returns  false: there is no such phase, or nothing was ever to be measured                 */
bool dd_trainer_phase_get(const dd_trainer *trainer, uint32_t i, dd_phase_info *out);
/* From now on phases are measured, or no longer are; config.profile says how it begins. Between
 * steps and commands only. */
void dd_trainer_profile_set(dd_trainer *trainer, bool on);

/* ---- What threads did when ---- */

typedef enum dd_trace_kind {
    DD_TRACE_ACTIVITY, /* `at`; a thread's activities follow one another without gaps */
    DD_TRACE_PHASE,    /* part of an activity: `phase` of a lane or a slice, where phases are
                          measured; a slice's products in any case */
    DD_TRACE_FOLD,     /* part of an activity: segment `left` + segment `right` */
    DD_TRACE_PLACE,    /* a moment: the thread is at `sphere` from now on, or goes to the pool */
    DD_TRACE_REQUEST,  /* Node Zero's: a step, or lanes one by one, from before A until after U */
    DD_TRACE_COMMAND,  /* Node Zero's: `command`, carried out or refused */
    DD_TRACE_KINDS
} dd_trace_kind;

#define DD_NO_FOLD_NODE UINT32_MAX
typedef struct dd_trace_event {
    dd_trace_kind kind;
    uint32_t generation;       /* as in dd_sphere_info; of a wait at A: the one it ends in */
    uint64_t begin_ns, end_ns; /* of the system's monotonic clock */
    dd_activity at;
    uint32_t lane, last_lane, n_lanes; /* at DD_AT_LANE: the first, the last, and how many not empty
                                          ones between them run together */
    uint64_t tokens;                   /* in them */
    uint32_t folds;    /* of the fold tree that are part of it: of an activity at DD_AT_LANE or
                          DD_AT_SLICE (each slice does a part of all), of DD_TRACE_FOLD 1 */
    const char *phase; /* a name, as in dd_phase_info */
    uint32_t node;     /* of the fold tree, DD_NO_FOLD_NODE: both operands are one worker's own */
    uint32_t left, right; /* gradient segments */
    char sphere[16];      /* of DD_TRACE_PLACE; of a spawn or terminate */
    bool control, parked; /* of DD_TRACE_PLACE */
    bool step;            /* of DD_TRACE_REQUEST: else a batch of validation, or a replay */
    bool by_policy;       /* of DD_TRACE_COMMAND: nobody sent it */
    dd_command command;
    dd_status status; /* of a request or a command */
} dd_trace_event;
/* Takes thread i's events, at most `room` of them, in the order in which they ended. What a thread
 * did after the last U that it passed, and of a control after its last A, comes with a later take;
 * what it is still at, when it has ended. *lost: events since the last take for which
 * config.trace had no room, all later than those that are there. Between steps and commands only.
 * returns  how many; 0 if there is no thread i, or config.trace is 0                          */
uint64_t dd_trainer_trace_take(dd_trainer *trainer, uint32_t i, dd_trace_event *out, uint64_t room,
                               uint64_t *lost);

/* Guard: what memory an address belongs to. Async-signal-safe, touches no guarded memory: made for
 * a fault handler.
 * returns  false: none of the trainer's guarded regions                                     */
typedef struct dd_region_info {
    const char *region;      /* "weights", "packed weights", "batch", "segment", "locked" (control
                                data), "guard page" (around any of them) */
    uint32_t segment, owner; /* of a segment and its guard pages: its number, and the worker that
                                owns it; else 0 */
    int64_t offset;          /* bytes from the region's begin; negative on a guard page before it */
    uint32_t thread; /* the caller's number in the trainer, UINT32_MAX: none of its threads */
    char sphere[16]; /* and its place, "" for none */
} dd_region_info;
bool dd_trainer_region_of(const dd_trainer *trainer, const void *address, dd_region_info *out);

/* Progress counter, read by any thread at any time: grows with every lane and every point. */
uint64_t dd_trainer_heartbeat(const dd_trainer *trainer);

/* ---- Sampling ---- */

/* A model that goes on with a text, token by token, on the calling thread. */
typedef struct dd_sampler dd_sampler;

/* weights: all parameters in canonical order, as from a trainer or a model file; copied.
 * owns     *out on success, released by dd_sampler_close; nothing on failure
 * threads  one at a time for each sampler; different samplers are independent
 * errors   DD_ERR_ARGUMENT, DD_ERR_MEMORY, DD_ERR_CPU                                          */
dd_status dd_sampler_open(const dd_shape *shape, const float *weights, dd_simd simd,
                          dd_sampler **out, dd_error *error);
void dd_sampler_close(dd_sampler *sampler); /* NULL allowed */

/* The text goes on with these n tokens. What the model says of the next one is, bit for bit, what a
 * forward pass of training computes there, with every kernel set, and whether the tokens come in
 * one call or in several. errors   DD_ERR_ARGUMENT: no tokens, a token that the vocabulary does not
 * have, or more of them than shape.T_max together with those before: the model knows no such
 * positions. DD_ERR_FP_ENV. In all of them nothing was fed                                       */
dd_status dd_sampler_feed(dd_sampler *sampler, const uint32_t *tokens, uint32_t n, dd_error *error);
/* The text is empty again: to go on beyond T_max, with the last tokens of it for a beginning. */
void dd_sampler_clear(dd_sampler *sampler);
/* (V) of the token that comes next. Valid until the next call; NULL where the text is empty. */
const float *dd_sampler_logits(const dd_sampler *sampler);

typedef struct dd_drawing {
    double temperature; /* logits are divided by it; 0: the largest, of equal ones the first */
    uint32_t top_k;     /* only the so many largest, of equal ones the first; 0, or more than
                           there are: all */
    uint32_t below;     /* only tokens below it, from 1 to shape.V; 0: all */
    uint64_t seed;
} dd_drawing;

/* Draws the next token (core/model/NUMERICS.md section 11), and feeds nothing: a function of the
 * logits, `how` and `index` alone, the same on every machine. index: which of the seed's random
 * numbers to use, 0, 1, … for one token after another.
 * errors   DD_ERR_ARGUMENT; DD_ERR_REFUSED: the text is empty. DD_ERR_NONFINITE: a logit is not
 *          finite; the message names token and position. DD_ERR_FP_ENV. *token is then as before */
dd_status dd_sampler_draw(dd_sampler *sampler, const dd_drawing *how, uint64_t index,
                          uint32_t *token, dd_error *error);

typedef struct dd_sampler_info {
    dd_shape shape;
    uint32_t length;         /* tokens of the text; shape.T_max at most */
    const char *kernels;     /* as in dd_trainer_info */
    uint64_t bytes;          /* held, but for what kernels need meanwhile */
    uint64_t matrices_bytes; /* of them weights that each token's products read */
} dd_sampler_info;
void dd_sampler_info_get(const dd_sampler *sampler, dd_sampler_info *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
