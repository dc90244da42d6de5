/* SPDX-License-Identifier: MIT
 * The table of protocols. */
#include "protocols.h"

#define ALL_LANES 0xfffu
/* Three lanes to a worker, folded with each other and across: a cancel comes before, between and
 * after them. */
#define SIX_LANES 0x2cbu
#define FOUR_LANES 0x249u /* one in each triangle */
/* Two heavy ones for the first worker, four for the second, after which three of its four segments
 * are parked: it may steal one lane, and must leave the other. */
#define STEALING_LANES 0x24fu
#define TWO_LANES 0x041u
#define QUEUED_LANES 0x01bu /* two in each of two triangles: two are stolen together, then one */
/* Words that count generations wrap within the first step: at 2^32, and in the eventcount's 31
 * bits. */
#define WRAP 0xffffffffu
#define WRAP_31 0x7fffffffu

/* ---- Waiting --------------------------------------------------------------------------------- */

static const dd_eventcount_case eventcount = {.advances = 3, .from = WRAP_31 - 1, .spins = 1};
static const dd_eventcount_case eventcount_shared = {.advances = 2, .from = WRAP_31 - 1};
static const dd_mailbox_case mailbox = {.senders = 2, .mails = 2, .generation = WRAP_31};
static const dd_mailbox_case mailbox_rung = {.senders = 1, .mails = 2, .ring = true};

/* ---- Points ---------------------------------------------------------------------------------- */

#define POINTS_OF(b, w, c)                                                                         \
    .barrier = DD_BARRIER_##b, .spread = {.workers = w, .controls = c}, .rounds = 2, .stages = 1

static const dd_points_case points_tree = {POINTS_OF(TREE, 2, 0), .climb = true, .spins = 1,
                                           .generation = WRAP};
static const dd_points_case points_collect = {POINTS_OF(TREE, 2, 0), .generation = WRAP};
static const dd_points_case points_triangle = {POINTS_OF(TREE, 2, 0), .neighbours = true,
                                               .generation = WRAP_31};
static const dd_points_case points_round = {.barrier = DD_BARRIER_TREE,
                                            .spread = {.workers = 2},
                                            .rounds = 1,
                                            .stages = 1,
                                            .climb = true,
                                            .without_last = true};
static const dd_points_case points_slices = {
    .barrier = DD_BARRIER_TREE, .spread = {.workers = 2}, .rounds = 1, .stages = 2, .climb = true};
static const dd_points_case points_pthread = {POINTS_OF(PTHREAD, 2, 0)};
static const dd_points_case points_three = {
    .barrier = DD_BARRIER_TREE, .spread = {.workers = 3}, .rounds = 1, .stages = 1, .climb = true};
static const dd_points_case points_thrice = {
    .barrier = DD_BARRIER_TREE, .spread = {.workers = 2}, .rounds = 3, .stages = 1, .climb = true};
static const dd_points_case points_three_twice = {POINTS_OF(TREE, 3, 0), .climb = true};
static const dd_points_case points_deep = {.barrier = DD_BARRIER_TREE,
                                           .spread = {.workers = 2, .controls = 1},
                                           .rounds = 1,
                                           .stages = 1,
                                           .climb = true,
                                           .generation = WRAP};
static const dd_points_case points_uneven = {.barrier = DD_BARRIER_TREE,
                                             .spread = {.workers = 2, .controls = 1, .beside = 1},
                                             .rounds = 1,
                                             .stages = 1,
                                             .climb = true};
static const dd_points_case points_wide = {.barrier = DD_BARRIER_TREE,
                                           .spread = {.workers = 2, .controls = 2},
                                           .rounds = 1,
                                           .stages = 1,
                                           .climb = true};
static const dd_points_case points_deep_collect = {
    .barrier = DD_BARRIER_TREE, .spread = {.workers = 2, .controls = 1}, .rounds = 1, .stages = 1};
static const dd_points_case points_wide_collect = {
    .barrier = DD_BARRIER_TREE, .spread = {.workers = 2, .controls = 2}, .rounds = 1, .stages = 1};
static const dd_points_case points_deep_pthread = {POINTS_OF(PTHREAD, 2, 1)};
static const dd_points_case points_wide_pthread = {POINTS_OF(PTHREAD, 2, 2)};
/* Radix 2, depth 2: Node Zero, two controls, two workers below each. */
#define POINTS_FOUR(b, n)                                                                          \
    .barrier = DD_BARRIER_##b, .spread = {.workers = 4, .controls = 2}, .rounds = n, .stages = 1
static const dd_points_case points_four = {POINTS_FOUR(TREE, 1), .climb = true, .generation = WRAP};
static const dd_points_case points_four_round = {POINTS_FOUR(TREE, 1), .climb = true,
                                                 .without_last = true};
static const dd_points_case points_four_collect = {POINTS_FOUR(TREE, 1), .generation = WRAP_31};
static const dd_points_case points_four_pthread = {POINTS_FOUR(PTHREAD, 3)};
#define POINTS_THRICE(b)                                                                           \
    .barrier = DD_BARRIER_##b, .spread = {.workers = 3}, .rounds = 3, .stages = 1
static const dd_points_case points_three_thrice = {POINTS_THRICE(TREE), .climb = true};
static const dd_points_case points_three_thrice_collect = {POINTS_THRICE(TREE)};
static const dd_points_case points_three_thrice_pthread = {POINTS_THRICE(PTHREAD)};
static const dd_points_case leave_deep = {.spread = {.workers = 3, .controls = 1},
                                          .without_last = true};
static const dd_points_case leave_wide = {.spread = {.workers = 2, .controls = 2},
                                          .without_last = true};

/* ---- Queues ---------------------------------------------------------------------------------- */

static const dd_queues_case queues_two = {.workers = 2, .lanes = QUEUED_LANES};
static const dd_queues_case queues_full = {.workers = 2, .lanes = QUEUED_LANES, .full = true};
static const dd_queues_case queues_three = {.workers = 3, .lanes = QUEUED_LANES};

/* ---- Snapshots ------------------------------------------------------------------------------- */

#define ROUND(b, w)                                                                                \
    {                                                                                              \
        .before = DD_ALBUM_##b, .written = w                                                       \
    }

static const dd_snapshot_case snapshot = {.writers = 2,
                                          .pages = 4,
                                          .rounds = 2,
                                          .round = {ROUND(TAKE, 0x7), ROUND(KEEP, 0xe)},
                                          .onlooker = true};
static const dd_snapshot_case snapshot_again = {
    .writers = 2,
    .pages = 2,
    .rounds = 3,
    .round = {ROUND(TAKE, 0x3), ROUND(TAKE, 0x2), ROUND(TAKE, 0x3)},
    .onlooker = true,
    .twice = true};
static const dd_snapshot_case snapshot_given_up = {
    .writers = 2,
    .pages = 4,
    .rounds = 3,
    .round = {ROUND(TAKE, 0x5), ROUND(DROP, 0xf), ROUND(TAKE, 0xa)},
    .onlooker = true};
static const dd_snapshot_case snapshot_saved = {
    .writers = 2,
    .pages = 4,
    .rounds = 3,
    .round = {ROUND(TAKE, 0xf), ROUND(KEEP, 0xf), ROUND(TAKE, 0xf)},
    .saves = true};
static const dd_snapshot_case snapshot_three = {.writers = 3,
                                                .pages = 3,
                                                .rounds = 2,
                                                .round = {ROUND(TAKE, 0x7), ROUND(KEEP, 0x5)},
                                                .onlooker = true,
                                                .saves = true};
static const dd_snapshot_case snapshot_failing = {.writers = 2,
                                                  .pages = 2,
                                                  .rounds = 2,
                                                  .round = {ROUND(TAKE, 0x3), ROUND(KEEP, 0x3)},
                                                  .saves = true};

/* ---- Teams ----------------------------------------------------------------------------------- */

#define TEAM(b, r, w, c, n, l)                                                                     \
    .barrier = DD_BARRIER_##b, .reduce = DD_REDUCE_##r, .spread = {.workers = w, .controls = c},   \
    .steps = n, .lanes = l

static const dd_team_case step_tree_tree = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES), .spins = true,
                                            .generation = WRAP};
static const dd_team_case step_tree_control = {TEAM(TREE, CONTROL, 2, 0, 1, TWO_LANES),
                                               .generation = WRAP_31};
static const dd_team_case step_tree_sliced = {TEAM(TREE, SLICED, 2, 0, 1, TWO_LANES)};
static const dd_team_case step_pthread_tree = {TEAM(PTHREAD, TREE, 2, 0, 2, ALL_LANES)};
static const dd_team_case step_pthread_control = {TEAM(PTHREAD, CONTROL, 2, 0, 2, ALL_LANES)};
static const dd_team_case step_pthread_sliced = {TEAM(PTHREAD, SLICED, 2, 0, 2, ALL_LANES)};
static const dd_team_case step_tree_owner = {TEAM(TREE, OWNER, 2, 0, 1, TWO_LANES)};
static const dd_team_case step_pthread_owner = {TEAM(PTHREAD, OWNER, 2, 0, 2, ALL_LANES)};
static const dd_team_case steps_tree_tree = {TEAM(TREE, TREE, 2, 0, 2, TWO_LANES),
                                             .generation = WRAP};
static const dd_team_case steps_tree_control = {TEAM(TREE, CONTROL, 2, 0, 2, TWO_LANES)};
static const dd_team_case steps_tree_sliced = {TEAM(TREE, SLICED, 2, 0, 2, TWO_LANES)};
static const dd_team_case steps_tree_owner = {TEAM(TREE, OWNER, 2, 0, 2, TWO_LANES)};
static const dd_team_case sparse = {TEAM(PTHREAD, TREE, 2, 0, 2, 0x482u)}; /* lanes 1, 7 and 10 */
static const dd_team_case three = {TEAM(PTHREAD, TREE, 3, 0, 1, FOUR_LANES)};
static const dd_team_case three_owner = {TEAM(PTHREAD, OWNER, 3, 0, 1, FOUR_LANES)};
static const dd_team_case alone_owner = {TEAM(PTHREAD, OWNER, 1, 0, 2, ALL_LANES)};

static const dd_team_case deep_pthread = {TEAM(PTHREAD, TREE, 2, 1, 1, TWO_LANES)};
static const dd_team_case deep_control = {TEAM(PTHREAD, CONTROL, 2, 1, 1, TWO_LANES)};
static const dd_team_case deep_sliced = {TEAM(PTHREAD, SLICED, 2, 1, 1, TWO_LANES)};
static const dd_team_case deep_owner = {TEAM(PTHREAD, OWNER, 2, 1, 1, TWO_LANES)};
static const dd_team_case deep_tree = {TEAM(TREE, TREE, 2, 1, 1, TWO_LANES)};
static const dd_team_case wide_pthread = {TEAM(PTHREAD, CONTROL, 2, 2, 1, TWO_LANES)};

static const dd_team_case four_pthread_tree = {TEAM(PTHREAD, TREE, 4, 2, 1, FOUR_LANES)};
static const dd_team_case four_pthread_control = {TEAM(PTHREAD, CONTROL, 4, 2, 1, FOUR_LANES)};
static const dd_team_case four_pthread_sliced = {TEAM(PTHREAD, SLICED, 4, 2, 1, FOUR_LANES)};
static const dd_team_case four_pthread_owner = {TEAM(PTHREAD, OWNER, 4, 2, 1, FOUR_LANES)};
static const dd_team_case four_tree_tree = {TEAM(TREE, TREE, 4, 2, 1, FOUR_LANES)};
static const dd_team_case four_tree_control = {TEAM(TREE, CONTROL, 4, 2, 1, FOUR_LANES)};
static const dd_team_case four_tree_owner = {TEAM(TREE, OWNER, 4, 2, 1, FOUR_LANES)};

static const dd_team_case steal_pthread = {TEAM(PTHREAD, TREE, 2, 0, 1, STEALING_LANES),
                                           .heavy = 0x003u, .stealing = true};
static const dd_team_case steal_twice = {TEAM(PTHREAD, TREE, 2, 0, 2, 0x043u), .stealing = true};
static const dd_team_case steal_control = {TEAM(PTHREAD, CONTROL, 2, 0, 1, STEALING_LANES),
                                           .heavy = 0x003u, .stealing = true};
/* The thief may take all that is left, one by one: every lane has its segment. */
static const dd_team_case steal_owner = {TEAM(PTHREAD, OWNER, 2, 0, 1, STEALING_LANES),
                                         .heavy = 0x003u, .stealing = true};
static const dd_team_case steal_tree = {TEAM(TREE, TREE, 2, 0, 1, FOUR_LANES), .stealing = true};

/* ---- Teams of whom somebody asks something, or with whom something goes wrong ---------------- */

#define COMMAND(c)                                                                                 \
    {                                                                                              \
        .kind = DD_DEED_COMMAND, .command = DD_COMMAND_##c                                         \
    }
#define CANCEL                                                                                     \
    {                                                                                              \
        .kind = DD_DEED_CANCEL                                                                     \
    }
#define SPAWN                                                                                      \
    {                                                                                              \
        DD_DEED_COMMAND, DD_COMMAND_SPAWN, .place = {1, 0}, .n_children = 2                        \
    }
#define TERMINATE                                                                                  \
    {                                                                                              \
        DD_DEED_COMMAND, DD_COMMAND_TERMINATE, .place = { 1, 0 }                                   \
    }
#define END                                                                                        \
    {                                                                                              \
        .kind = DD_DEED_NONE                                                                       \
    }

static const dd_deed cancel[] = {CANCEL, END};
static const dd_deed see_state[] = {{DD_DEED_SEE_STATE, .n_children = 0}, END};
static const dd_deed see_threads[] = {{DD_DEED_SEE_THREADS, .n_children = 0}, END};
static const dd_deed start[] = {COMMAND(START), END};
static const dd_deed stop[] = {COMMAND(STOP), END};
static const dd_deed pause[] = {COMMAND(PAUSE), END};
static const dd_deed pause_resume[] = {COMMAND(PAUSE), COMMAND(RESUME), END};
static const dd_deed pause_cancel[] = {COMMAND(PAUSE), CANCEL, END};
static const dd_deed resume[] = {COMMAND(RESUME), END};
static const dd_deed spawn[] = {SPAWN, END};
static const dd_deed terminate[] = {TERMINATE, END};
static const dd_deed terminate_spawn[] = {TERMINATE, SPAWN, END};

static const dd_team_case cancel_tree_tree = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES),
                                              .sender = {cancel}};
static const dd_team_case cancel_pthread_tree = {TEAM(PTHREAD, TREE, 2, 0, 2, SIX_LANES),
                                                 .sender = {cancel}};
static const dd_team_case cancel_pthread_control = {TEAM(PTHREAD, CONTROL, 2, 0, 1, SIX_LANES),
                                                    .sender = {cancel}};
static const dd_team_case cancel_pthread_sliced = {TEAM(PTHREAD, SLICED, 2, 0, 1, FOUR_LANES),
                                                   .sender = {cancel}};
static const dd_team_case cancel_pthread_owner = {TEAM(PTHREAD, OWNER, 2, 0, 1, SIX_LANES),
                                                  .sender = {cancel}};
static const dd_team_case cancel_steal_owner = {TEAM(PTHREAD, OWNER, 2, 0, 1, 0x043u),
                                                .stealing = true, .sender = {cancel}};
static const dd_team_case each_pthread = {TEAM(PTHREAD, TREE, 2, 0, 1, SIX_LANES), .each = true,
                                          .sender = {cancel}};
static const dd_team_case discard_pthread = {TEAM(PTHREAD, CONTROL, 2, 0, 2, ALL_LANES),
                                             .discard = true};
static const dd_team_case discard_tree = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES), .discard = true};
static const dd_team_case fp_env_pthread = {TEAM(PTHREAD, CONTROL, 2, 0, 1, FOUR_LANES)};
static const dd_team_case fp_env_tree = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES)};
static const dd_team_case fp_env_sliced = {TEAM(PTHREAD, SLICED, 2, 0, 1, FOUR_LANES)};
static const dd_team_case fp_env_owner_tree = {TEAM(TREE, OWNER, 2, 0, 1, TWO_LANES)};
static const dd_team_case fp_env_steal = {TEAM(PTHREAD, TREE, 2, 0, 1, 0x043u), .stealing = true};
static const dd_team_case fp_env_each = {TEAM(PTHREAD, TREE, 2, 0, 1, FOUR_LANES), .each = true};
static const dd_team_case fp_env_twice = {TEAM(PTHREAD, TREE, 2, 0, 2, TWO_LANES)};
static const dd_team_case spoilt_pthread_tree = {TEAM(PTHREAD, TREE, 2, 0, 2, TWO_LANES),
                                                 .spoils = true};
static const dd_team_case spoilt_pthread_control = {TEAM(PTHREAD, CONTROL, 2, 0, 2, TWO_LANES),
                                                    .spoils = true};
static const dd_team_case spoilt_pthread_sliced = {TEAM(PTHREAD, SLICED, 2, 0, 2, TWO_LANES),
                                                   .spoils = true};
static const dd_team_case spoilt_pthread_owner = {TEAM(PTHREAD, OWNER, 2, 0, 2, TWO_LANES),
                                                  .spoils = true};
static const dd_team_case spoilt_tree_tree = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES), .spoils = true};
static const dd_team_case spoilt_tree_owner = {TEAM(TREE, OWNER, 2, 0, 1, TWO_LANES),
                                               .spoils = true};
static const dd_team_case creation_pthread = {TEAM(PTHREAD, TREE, 2, 0, 1, FOUR_LANES),
                                              .may_fail = true};

static const dd_team_case stop_pthread = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES), .sender = {stop},
                                          .last = start};
static const dd_team_case stop_two = {TEAM(PTHREAD, TREE, 2, 0, 1, FOUR_LANES), .sender = {stop},
                                      .last = start};
static const dd_team_case stop_watched = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES),
                                          .sender = {stop, see_state}, .last = start};
static const dd_team_case spawn_watched = {TEAM(PTHREAD, TREE, 1, 0, 0, TWO_LANES),
                                           .max_workers = 2, .sender = {spawn, see_threads}};
static const dd_team_case pause_pthread = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES), .first = start,
                                           .sender = {pause_resume}};
static const dd_team_case pause_two = {TEAM(PTHREAD, TREE, 1, 0, 2, TWO_LANES), .first = start,
                                       .sender = {pause_resume}};
static const dd_team_case pause_workers = {TEAM(PTHREAD, TREE, 2, 0, 1, TWO_LANES), .first = start,
                                           .sender = {pause_resume}};
static const dd_team_case pause_tree = {TEAM(TREE, TREE, 1, 0, 1, TWO_LANES), .first = start,
                                        .sender = {pause_resume}};
static const dd_team_case pause_tree_workers = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES),
                                                .first = start, .sender = {pause_resume}};
static const dd_team_case stop_tree = {TEAM(TREE, TREE, 1, 0, 1, TWO_LANES), .sender = {stop},
                                       .last = start};
static const dd_team_case stop_tree_workers = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES),
                                               .sender = {stop}, .last = start};
static const dd_team_case pause_cancel_pthread = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES),
                                                  .first = start, .sender = {pause_cancel},
                                                  .last = resume};
static const dd_team_case stop_cancel = {TEAM(PTHREAD, TREE, 1, 0, 0, TWO_LANES), .first = start,
                                         .sender = {stop, cancel}, .last = start};
static const dd_team_case stop_cancel_step = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES),
                                              .first = start, .sender = {stop, cancel},
                                              .last = start};
static const dd_team_case senders = {TEAM(PTHREAD, TREE, 1, 0, 0, TWO_LANES), .may_refuse = true,
                                     .first = start, .sender = {stop, pause}, .last = start};

static const dd_team_case spawn_first = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES), .max_workers = 2,
                                         .first = spawn};
static const dd_team_case spawn_tree = {TEAM(TREE, TREE, 1, 0, 0, TWO_LANES), .max_workers = 2,
                                        .first = spawn};
static const dd_team_case spawn_failing = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES),
                                           .max_workers = 2, .may_fail = true, .first = spawn};
static const dd_team_case spawn_between = {TEAM(PTHREAD, TREE, 1, 0, 2, TWO_LANES),
                                           .max_workers = 2, .between = spawn};
static const dd_team_case spawn_any_time = {TEAM(PTHREAD, TREE, 1, 0, 1, TWO_LANES),
                                            .max_workers = 2, .sender = {spawn}};
static const dd_team_case terminate_first = {TEAM(PTHREAD, TREE, 2, 1, 1, TWO_LANES),
                                             .first = terminate};
static const dd_team_case terminate_tree = {TEAM(TREE, TREE, 2, 1, 0, TWO_LANES),
                                            .first = terminate};
static const dd_team_case terminate_between = {TEAM(PTHREAD, TREE, 2, 1, 2, TWO_LANES),
                                               .between = terminate};
static const dd_team_case terminate_owner = {TEAM(PTHREAD, OWNER, 2, 1, 2, FOUR_LANES),
                                             .between = terminate};
static const dd_team_case terminate_any_time = {TEAM(PTHREAD, TREE, 2, 1, 1, TWO_LANES),
                                                .sender = {terminate}};
static const dd_team_case spawn_tree_step = {TEAM(TREE, TREE, 1, 0, 1, TWO_LANES), .max_workers = 2,
                                             .first = spawn};
static const dd_team_case spawn_tree_any_time = {TEAM(TREE, TREE, 1, 0, 1, TWO_LANES),
                                                 .max_workers = 2, .sender = {spawn}};
static const dd_team_case terminate_tree_step = {TEAM(TREE, TREE, 2, 1, 1, TWO_LANES),
                                                 .first = terminate};
static const dd_team_case terminate_tree_any_time = {TEAM(TREE, TREE, 2, 1, 1, TWO_LANES),
                                                     .sender = {terminate}};
static const dd_team_case pool = {TEAM(PTHREAD, TREE, 2, 1, 0, TWO_LANES),
                                  .first = terminate_spawn};

/* ---- Timelines --------------------------------------------------------------------------------
 */

static const dd_team_case trace_tree = {TEAM(TREE, TREE, 2, 0, 1, TWO_LANES), .trace = true};
static const dd_team_case trace_pthread = {TEAM(PTHREAD, CONTROL, 2, 1, 1, TWO_LANES),
                                           .trace = true};
static const dd_team_case trace_spawn = {TEAM(PTHREAD, TREE, 1, 0, 0, TWO_LANES), .trace = true,
                                         .max_workers = 2, .first = spawn};
static const dd_team_case trace_terminate = {TEAM(PTHREAD, TREE, 2, 1, 0, TWO_LANES), .trace = true,
                                             .first = terminate};
static const dd_team_case trace_deep = {TEAM(TREE, TREE, 2, 1, 1, TWO_LANES), .trace = true};

/* ---- Twelve workers and more -------------------------------------------------------------------
 */

/* Twelve spheres around Node Zero, all workers; or one of them a control of two more. */
#define TWELVE(b, r, l) TEAM(b, r, 12, 0, 2, l)
#define THIRTEEN                                                                                   \
    {                                                                                              \
        .workers = 13, .controls = 1, .beside = 11                                                 \
    }

static const dd_points_case twelve_points = {POINTS_OF(TREE, 12, 0), .climb = true, .spins = 1,
                                             .generation = WRAP};
static const dd_points_case twelve_collect = {POINTS_OF(TREE, 12, 0), .generation = WRAP_31};
static const dd_points_case twelve_barriers = {POINTS_OF(PTHREAD, 12, 0)};
static const dd_points_case thirteen_points = {
    .barrier = DD_BARRIER_TREE, .spread = THIRTEEN, .rounds = 2, .stages = 2, .climb = true};
static const dd_team_case twelve_tree = {TWELVE(TREE, TREE, ALL_LANES)};
static const dd_team_case twelve_control = {TWELVE(TREE, CONTROL, ALL_LANES)};
static const dd_team_case twelve_sliced = {TWELVE(TREE, SLICED, ALL_LANES)};
static const dd_team_case twelve_owner = {TWELVE(TREE, OWNER, ALL_LANES)};
static const dd_team_case twelve_pthread = {TWELVE(PTHREAD, TREE, ALL_LANES)};
/* Who may steal holds up to four segments. */
static const dd_team_case twelve_steal = {TWELVE(TREE, TREE, ALL_LANES), .max_segments = 48,
                                          .stealing = true};
static const dd_team_case twelve_stop = {TWELVE(TREE, TREE, ALL_LANES), .sender = {stop},
                                         .last = start};
static const dd_team_case twelve_pause = {TWELVE(TREE, TREE, ALL_LANES), .first = start,
                                          .sender = {pause_resume}};
static const dd_team_case twelve_cancel = {TWELVE(TREE, OWNER, ALL_LANES), .sender = {cancel}};
static const dd_team_case twelve_spawn = {TEAM(TREE, TREE, 11, 0, 2, ALL_LANES), .max_workers = 12,
                                          .sender = {spawn}};
static const dd_snapshot_case twelve_snapshot = {
    .writers = 12,
    .pages = 24,
    .rounds = 3,
    .round = {ROUND(TAKE, 0xffffff), ROUND(KEEP, 0xdb6db6), ROUND(TAKE, 0x7fffff)},
    .onlooker = true,
    .saves = true};
static const dd_team_case twelve_terminate = {
    .barrier = DD_BARRIER_TREE,
    .reduce = DD_REDUCE_TREE,
    .spread = {.workers = 12, .controls = 1, .beside = 10},
    .steps = 2,
    .lanes = ALL_LANES,
    .sender = {terminate}};

/* ---- The table ------------------------------------------------------------------------------- */

#define ROW(n, a, f, c, w, s) .name = n, .about = a, .run = f, .arg = &c, .workers = w, .steps = s
#define ALONE(n, a, f, c, w, s) ROW(n, a, dd_protocol_##f##_, c, w, s), .spurious = true
#define POINTS(n, a, c, w, s) ALONE(n, a, points, c, w, s)
#define SNAPSHOTS(n, a, c, w, s) ROW(n, a, dd_protocol_snapshot_, c, w, s)
#define TEAMS(n, a, c, w, s) ROW(n, a, dd_protocol_team_, c, w, s)
/* Under sequential consistency, under C11, or under both: some seconds to two minutes; what has too
 * many states, under C11 or SC: changes of thread allowed; and where minutes are enough for all. */
#define SLOW_SC .slow = true
#define SLOW_C11 .slow_c11 = true
#define SLOW .slow = true, .slow_c11 = true
#define CHANGES(n) .bounded_c11 = (n) + 1
#define CHANGES_SC(n) .bounded = (n) + 1
#define WHOLE_SC .whole = true
#define WHOLE_C11 .whole_c11 = true
/* What has too many to visit them all. */
#define REDUCED_SC .reduced = true
#define REDUCED_C11 .reduced_c11 = true
#define LARGE .large = true
#define LARGE_C11 .large_c11 = true

const dd_program dd_protocols[] = {
    {ALONE("eventcount", "one advances, two await every advance; 31-bit wrap", eventcount,
           eventcount, 2, 3)},
    {ALONE("eventcount-shared", "two advance at once, two await both; 31-bit wrap",
           eventcount_shared, eventcount_shared, 2, 2)},
    {ALONE("mailbox", "two senders with two mails each; 31-bit wrap", mailbox, mailbox, 2, 2),
     SLOW_C11, CHANGES(2)},
    {ALONE("mailbox-rung", "one sender, and one who only rings", mailbox, mailbox_rung, 1, 2)},

    {POINTS("points-tree", "A, B, V, U, leave: climbing as a pair; 32-bit wrap", points_tree, 2,
            2)},
    {POINTS("points-collect", "the same, collecting", points_collect, 2, 2)},
    {POINTS("points-triangle", "collecting, in one triangle; 31-bit wrap", points_triangle, 2, 2),
     SLOW_C11},
    {ROW("points-round", "one round of the first, without returns for no reason",
         dd_protocol_points_, points_round, 2, 1)},
    {POINTS("points-slices", "with slices between B and V", points_slices, 2, 1)},
    {POINTS("points-pthread", "the same by pthread barriers", points_pthread, 2, 2)},
    {POINTS("points-three", "three workers, three triangles", points_three, 3, 1), SLOW_C11},
    {POINTS("points-thrice", "three rounds of points-tree", points_thrice, 2, 3)},
    {POINTS("points-three-twice", "two rounds of points-three", points_three_twice, 3, 2),
     SLOW_C11},
    {POINTS("points-three-thrice", "three rounds of points-three", points_three_thrice, 3, 3), SLOW,
     CHANGES(2), WHOLE_C11},
    {POINTS("points-three-collect", "the same, collecting", points_three_thrice_collect, 3, 3),
     SLOW_C11, CHANGES(2), WHOLE_C11, REDUCED_C11},
    {POINTS("points-three-pthread", "the same by pthread barriers", points_three_thrice_pthread, 3,
            3)},
    {POINTS("points-deep", "two workers under one control: climbing; wrap", points_deep, 2, 1)},
    {POINTS("points-uneven", "one worker, and one under a control", points_uneven, 2, 1), SLOW_C11},
    {POINTS("points-deep-collect", "the same, collecting", points_deep_collect, 2, 1), SLOW_C11},
    {POINTS("points-deep-pthread", "the same by pthread barriers", points_deep_pthread, 2, 2)},
    {POINTS("points-wide", "one worker under each of two controls: climbing", points_wide, 2, 1),
     SLOW, CHANGES(2), WHOLE_C11, REDUCED_C11},
    {POINTS("points-wide-collect", "the same, collecting", points_wide_collect, 2, 1), SLOW,
     CHANGES(2), WHOLE_C11, REDUCED_C11},
    {POINTS("points-wide-pthread", "the same by pthread barriers", points_wide_pthread, 2, 2)},
    {POINTS("points-four", "two workers under each of two controls: climbing; 32-bit wrap",
            points_four, 4, 1),
     SLOW, CHANGES_SC(2), CHANGES(1)},
    {POINTS("points-four-collect", "the same, collecting; 31-bit wrap", points_four_collect, 4, 1),
     SLOW, CHANGES_SC(2), CHANGES(1)},
    {ROW("points-four-round",
         "one round of points-four, then left at once; no returns for no reason",
         dd_protocol_points_, points_four_round, 4, 1),
     SLOW, CHANGES(2), WHOLE_C11, REDUCED_C11},
    {POINTS("points-four-pthread", "the same by pthread barriers", points_four_pthread, 4, 3)},
    {POINTS("leave-deep", "leave alone: three workers under one control", leave_deep, 3, 0)},
    {POINTS("leave-wide", "leave alone: one worker under each of two controls", leave_wide, 2, 0)},

    {ALONE("queues", "an owner and a thief on four lanes", queues, queues_two, 2, 1)},
    {ALONE("queues-full", "the same, filled before: who finds nothing has missed nothing", queues,
           queues_full, 2, 1)},
    {ALONE("queues-three", "an owner and two thieves on four lanes", queues, queues_three, 3, 1)},

    {SNAPSHOTS("snapshot", "two write four pages, an onlooker; kept through two rounds", snapshot,
               2, 2)},
    {SNAPSHOTS("snapshot-again", "taken in every round, one page each", snapshot_again, 2, 3)},
    {SNAPSHOTS("snapshot-given-up", "dropped when half is copied, then taken again",
               snapshot_given_up, 2, 3)},
    {SNAPSHOTS("snapshot-saved", "saved by a thread while writers go on, then taken again",
               snapshot_saved, 2, 3)},
    {SNAPSHOTS("snapshot-three", "three writers, an onlooker, and the saver beside them",
               snapshot_three, 3, 2),
     SLOW_C11},
    {SNAPSHOTS("snapshot-failing", "the same; any thread or allocation cannot be had",
               snapshot_failing, 2, 2),
     .thread_failures = 1, .alloc_failures = 1},

    {TEAMS("step-tree-tree", "tree barrier and reduction: open, step, close; 32-bit wrap",
           step_tree_tree, 2, 1),
     CHANGES(2)},
    {TEAMS("step-tree-control", "control reduction; 31-bit wrap", step_tree_control, 2, 1),
     SLOW_C11, CHANGES(2)},
    {TEAMS("step-tree-sliced", "sliced reduction", step_tree_sliced, 2, 1), SLOW, CHANGES(2)},
    {TEAMS("step-tree-owner", "owner reduction", step_tree_owner, 2, 1), SLOW, CHANGES(2)},
    {TEAMS("step-pthread-tree", "pthread barrier, tree reduction", step_pthread_tree, 2, 2),
     SLOW_C11},
    {TEAMS("step-pthread-control", "control reduction", step_pthread_control, 2, 2)},
    {TEAMS("step-pthread-sliced", "sliced reduction", step_pthread_sliced, 2, 2)},
    {TEAMS("step-pthread-owner", "owner reduction, six lanes a worker in bundles of two",
           step_pthread_owner, 2, 2),
     SLOW_C11},
    {TEAMS("steps-tree-tree", "as step-tree-tree, two steps", steps_tree_tree, 2, 2), SLOW,
     CHANGES(1)},
    {TEAMS("steps-tree-control", "as step-tree-control, two steps", steps_tree_control, 2, 2), SLOW,
     CHANGES(1)},
    {TEAMS("steps-tree-sliced", "as step-tree-sliced, two steps", steps_tree_sliced, 2, 2), SLOW,
     CHANGES(1)},
    {TEAMS("steps-tree-owner", "as step-tree-owner, two steps", steps_tree_owner, 2, 2), SLOW,
     CHANGES(1)},
    {TEAMS("sparse-pthread-tree", "three non-empty lanes: pruned folds", sparse, 2, 2), SLOW_C11},
    {TEAMS("three-pthread-tree", "three workers on four lanes", three, 3, 1), SLOW_C11},
    {TEAMS("three-pthread-owner", "the same, owner reduction", three_owner, 3, 1), SLOW_C11},
    {TEAMS("alone-pthread-owner", "one worker on all lanes, owner reduction", alone_owner, 1, 2)},

    {TEAMS("deep-pthread-tree", "two workers under one control", deep_pthread, 2, 1), SLOW_C11},
    {TEAMS("deep-pthread-control", "control reduction", deep_control, 2, 1), SLOW_C11},
    {TEAMS("deep-pthread-sliced", "sliced reduction", deep_sliced, 2, 1), SLOW_C11},
    {TEAMS("deep-pthread-owner", "owner reduction", deep_owner, 2, 1), SLOW_C11},
    {TEAMS("deep-tree-tree", "tree barrier", deep_tree, 2, 1), SLOW, CHANGES(1)},
    {TEAMS("wide-pthread-control", "one worker under each of two controls", wide_pthread, 2, 1),
     SLOW, REDUCED_C11},

    {TEAMS("four-pthread-tree", "two workers under each of two controls", four_pthread_tree, 4, 1),
     REDUCED_SC, SLOW_C11, LARGE_C11},
    {TEAMS("four-pthread-control", "control reduction", four_pthread_control, 4, 1), REDUCED_SC,
     SLOW_C11, LARGE_C11},
    {TEAMS("four-pthread-sliced", "sliced reduction", four_pthread_sliced, 4, 1), REDUCED_SC,
     SLOW_C11, LARGE_C11},
    {TEAMS("four-pthread-owner", "owner reduction", four_pthread_owner, 4, 1), REDUCED_SC, SLOW_C11,
     LARGE_C11},
    {TEAMS("four-tree-tree", "tree barrier", four_tree_tree, 4, 1), SLOW, CHANGES_SC(2), LARGE_C11},
    {TEAMS("four-tree-control", "control reduction", four_tree_control, 4, 1), SLOW, CHANGES_SC(1),
     LARGE_C11},
    {TEAMS("four-tree-owner", "owner reduction", four_tree_owner, 4, 1), SLOW, CHANGES_SC(1),
     LARGE_C11},

    {TEAMS("steal-pthread-tree", "stealing from each other, six lanes", steal_pthread, 2, 1),
     SLOW_C11},
    {TEAMS("steal-pthread-control", "control reduction", steal_control, 2, 1), SLOW_C11},
    {TEAMS("steal-pthread-owner", "owner reduction", steal_owner, 2, 1), SLOW_C11},
    {TEAMS("steal-twice", "three lanes, two steps", steal_twice, 2, 2), SLOW, REDUCED_C11},
    {TEAMS("steal-tree-tree", "tree barrier, four lanes", steal_tree, 2, 1), SLOW, CHANGES(1)},

    {TEAMS("cancel-pthread-tree", "as step-pthread-tree, cancelled at any moment",
           cancel_pthread_tree, 2, 2),
     SLOW, CHANGES(1)},
    {TEAMS("cancel-pthread-control", "as step-pthread-control, cancelled at any moment",
           cancel_pthread_control, 2, 1),
     SLOW_C11, CHANGES(1), WHOLE_C11},
    {TEAMS("cancel-pthread-sliced", "as step-pthread-sliced, cancelled at any moment",
           cancel_pthread_sliced, 2, 1),
     REDUCED_C11, SLOW_C11},
    {TEAMS("cancel-pthread-owner", "as step-pthread-owner, cancelled at any moment",
           cancel_pthread_owner, 2, 1),
     SLOW, REDUCED_C11},
    {TEAMS("cancel-steal-owner", "with stealing, three lanes, cancelled at any moment",
           cancel_steal_owner, 2, 1),
     SLOW, CHANGES(1), WHOLE_C11, REDUCED_C11},
    {TEAMS("cancel-tree-tree", "as step-tree-tree, cancelled at any moment", cancel_tree_tree, 2,
           1),
     SLOW, CHANGES(1)},
    {TEAMS("each-pthread", "requests without folds and update, cancelled at any moment",
           each_pthread, 2, 1),
     SLOW_C11, CHANGES(2)},
    {TEAMS("discard-pthread", "the verdict goes either way in every step", discard_pthread, 2, 2),
     SLOW_C11},
    {TEAMS("discard-tree", "the same, tree barrier", discard_tree, 2, 1), SLOW, CHANGES(2)},
    {TEAMS("fp-env-pthread", "any look finds the floating-point environment changed",
           fp_env_pthread, 2, 1),
     .fp_changes = 1, SLOW_C11},
    {TEAMS("fp-env-tree", "the same, tree barrier", fp_env_tree, 2, 1), .fp_changes = 1, SLOW,
     CHANGES(1)},
    {TEAMS("fp-env-sliced", "as fp-env-pthread, sliced reduction: also after the slices",
           fp_env_sliced, 2, 1),
     .fp_changes = 1, SLOW_C11},
    {TEAMS("fp-env-tree-owner", "as fp-env-tree, owner reduction", fp_env_owner_tree, 2, 1),
     .fp_changes = 1, SLOW_SC, REDUCED_SC, CHANGES(1)},
    {TEAMS("fp-env-steal", "as fp-env-pthread, with stealing and tree reduction", fp_env_steal, 2,
           1),
     .fp_changes = 1, SLOW_C11, CHANGES(2)},
    {TEAMS("fp-env-each", "as fp-env-pthread, requests without folds and update", fp_env_each, 2,
           1),
     .fp_changes = 1, SLOW_C11},
    {TEAMS("fp-env-twice", "any two looks in two steps, tree reduction", fp_env_twice, 2, 2),
     .fp_changes = 2, SLOW, REDUCED_SC, CHANGES(1)},
    {TEAMS("spoilt-pthread-tree", "any lane may leave a value that is not finite",
           spoilt_pthread_tree, 2, 2),
     SLOW},
    {TEAMS("spoilt-pthread-control", "the same, control reduction", spoilt_pthread_control, 2, 2),
     SLOW_C11},
    {TEAMS("spoilt-pthread-sliced", "the same, sliced reduction", spoilt_pthread_sliced, 2, 2),
     SLOW_C11},
    {TEAMS("spoilt-pthread-owner", "the same, owner reduction", spoilt_pthread_owner, 2, 2),
     SLOW_C11},
    {TEAMS("spoilt-tree-tree", "the same, tree barrier", spoilt_tree_tree, 2, 1), SLOW_SC,
     REDUCED_SC, CHANGES(1)},
    {TEAMS("spoilt-tree-owner", "the same, tree barrier, owner reduction", spoilt_tree_owner, 2, 1),
     SLOW_SC, REDUCED_SC, CHANGES(1)},
    {TEAMS("creation-pthread", "any thread or allocation cannot be had; then opened again",
           creation_pthread, 2, 1),
     .thread_failures = 1, .alloc_failures = 1, SLOW_C11},

    {TEAMS("stop-pthread", "stopped at any moment, started again", stop_pthread, 1, 1), SLOW_C11,
     CHANGES(2)},
    {TEAMS("stop-two", "the same, two workers", stop_two, 2, 1), REDUCED_SC, SLOW, CHANGES(1)},
    {TEAMS("stop-watched", "stopped, with an onlooker", stop_watched, 1, 1), SLOW_SC, CHANGES(0)},
    {TEAMS("spawn-watched", "an onlooker while threads are made", spawn_watched, 1, 0), REDUCED_SC,
     CHANGES(0)},
    {TEAMS("pause-pthread", "paused at any moment, and resumed", pause_pthread, 1, 1), SLOW,
     CHANGES(2)},
    {TEAMS("pause-two", "the same, two steps", pause_two, 1, 2), SLOW, CHANGES(1)},
    {TEAMS("pause-workers", "as pause-pthread, two workers", pause_workers, 2, 1), SLOW, REDUCED_SC,
     CHANGES(1)},
    {TEAMS("pause-tree", "as pause-pthread, tree barrier", pause_tree, 1, 1), SLOW_SC, REDUCED_SC,
     CHANGES(1)},
    {TEAMS("pause-tree-workers", "the same, two workers", pause_tree_workers, 2, 1), SLOW,
     CHANGES_SC(2), CHANGES(1)},
    {TEAMS("stop-tree", "as stop-pthread, tree barrier", stop_tree, 1, 1), SLOW_SC, CHANGES(1)},
    {TEAMS("stop-tree-workers", "the same, two workers", stop_tree_workers, 2, 1), SLOW,
     CHANGES_SC(2), CHANGES(1)},
    {TEAMS("pause-cancel", "paused at any moment, what is held is cancelled", pause_cancel_pthread,
           1, 1),
     SLOW, CHANGES(2)},
    {TEAMS("stop-cancel", "a stop and a cancel come at once", stop_cancel, 1, 0), SLOW_C11,
     CHANGES(2), WHOLE_C11, REDUCED_C11},
    {TEAMS("stop-cancel-step", "the same, at any moment of a step", stop_cancel_step, 1, 1), SLOW,
     CHANGES(1)},
    {TEAMS("senders", "a stop and a pause come at once", senders, 1, 0), SLOW, CHANGES(1)},

    {TEAMS("spawn", "a worker becomes a control of two, then a step", spawn_first, 1, 1),
     REDUCED_C11, SLOW_C11},
    {TEAMS("spawn-any-time", "as spawn, at any moment of a step", spawn_any_time, 1, 1), REDUCED_SC,
     SLOW, CHANGES(1)},
    {TEAMS("spawn-failing", "the same; any thread or allocation cannot be had", spawn_failing, 1,
           1),
     .thread_failures = 1, .alloc_failures = 1, SLOW, REDUCED_C11},
    {TEAMS("spawn-tree", "as spawn, tree barrier, no step", spawn_tree, 1, 0), SLOW, REDUCED_C11},
    {TEAMS("spawn-between", "as spawn, between two steps", spawn_between, 1, 2), SLOW, REDUCED_C11},
    {TEAMS("terminate", "a control of two becomes a worker, then a step", terminate_first, 2, 1),
     SLOW, REDUCED_C11},
    {TEAMS("terminate-tree", "as terminate, tree barrier, no step", terminate_tree, 2, 0), SLOW,
     CHANGES(2)},
    {TEAMS("terminate-between", "the same, between two steps", terminate_between, 2, 2), SLOW,
     REDUCED_C11},
    {TEAMS("terminate-owner", "the same, owner reduction: lanes keep their segments",
           terminate_owner, 2, 2),
     SLOW, REDUCED_C11},
    {TEAMS("terminate-any-time", "as terminate, at any moment of a step", terminate_any_time, 2, 1),
     SLOW, CHANGES_SC(2), WHOLE_SC, REDUCED_SC, CHANGES(1)},
    {TEAMS("spawn-tree-step", "as spawn-tree, then a step", spawn_tree_step, 1, 1), CHANGES_SC(2),
     SLOW_C11, CHANGES(1)},
    {TEAMS("spawn-tree-any-time", "the same, at any moment of a step", spawn_tree_any_time, 1, 1),
     SLOW, CHANGES_SC(2), CHANGES(0)},
    {TEAMS("terminate-tree-step", "as terminate-tree, then a step", terminate_tree_step, 2, 1),
     SLOW_SC, REDUCED_SC, CHANGES(1)},
    {TEAMS("terminate-tree-any-time", "the same, at any moment of a step", terminate_tree_any_time,
           2, 1),
     SLOW, CHANGES_SC(2), CHANGES(0)},
    {TEAMS("pool", "a control's two threads are parked and called again", pool, 2, 0), REDUCED_SC,
     SLOW, CHANGES(1)},

    {TEAMS("trace-tree-tree", "as step-tree-tree, timelines taken", trace_tree, 2, 1), REDUCED_SC,
     SLOW_SC, CHANGES(1)},
    {TEAMS("trace-pthread-control", "as deep-pthread-control, timelines taken", trace_pthread, 2,
           1),
     REDUCED_SC, REDUCED_C11, SLOW},
    {TEAMS("trace-spawn", "a worker becomes a control of two, timelines taken", trace_spawn, 1, 0),
     REDUCED_C11, SLOW_C11},
    {TEAMS("trace-terminate", "a control of two becomes a worker, timelines taken", trace_terminate,
           2, 0),
     REDUCED_SC, SLOW, CHANGES(1)},
    {TEAMS("trace-deep-tree", "as deep-tree-tree, timelines taken", trace_deep, 2, 1), REDUCED_SC,
     SLOW, CHANGES(1)},

    {POINTS("twelve-points", "a full sphere: A, B, V, U, leave, climbing", twelve_points, 12, 2),
     LARGE},
    {POINTS("twelve-points-collect", "the same, collecting", twelve_collect, 12, 2), LARGE},
    {POINTS("twelve-points-pthread", "the same by pthread barriers", twelve_barriers, 12, 2),
     LARGE},
    {POINTS("thirteen-points", "a full sphere, one of it a control; slices", thirteen_points, 13,
            2),
     LARGE},
    {SNAPSHOTS("twelve-snapshot", "twelve writers, an onlooker, saved beside them", twelve_snapshot,
               12, 3),
     LARGE},
    {TEAMS("twelve-tree", "a full sphere trains: tree reduction", twelve_tree, 12, 2), LARGE},
    {TEAMS("twelve-control", "control reduction", twelve_control, 12, 2), LARGE},
    {TEAMS("twelve-sliced", "sliced reduction", twelve_sliced, 12, 2), LARGE},
    {TEAMS("twelve-owner", "owner reduction", twelve_owner, 12, 2), LARGE},
    {TEAMS("twelve-pthread", "pthread barriers", twelve_pthread, 12, 2), LARGE},
    {TEAMS("twelve-steal", "stealing from each other", twelve_steal, 12, 2), LARGE},
    {TEAMS("twelve-stop", "stopped at any moment, started again", twelve_stop, 12, 2), LARGE},
    {TEAMS("twelve-pause", "paused at any moment, and resumed", twelve_pause, 12, 2), LARGE},
    {TEAMS("twelve-cancel", "cancelled at any moment, owner reduction", twelve_cancel, 12, 2),
     LARGE},
    {TEAMS("twelve-spawn", "one of eleven becomes a control at any moment", twelve_spawn, 12, 2),
     LARGE},
    {TEAMS("twelve-terminate", "a control becomes a worker at any moment", twelve_terminate, 12, 2),
     LARGE},
    {.name = NULL},
};
