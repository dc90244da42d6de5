/* SPDX-License-Identifier: MIT
 * The table of protocols. */
#include "protocols.h"

#define ALL_LANES 0xfffu
/* Three lanes to a worker, folded with each other and across: a cancel comes before, between and
 * after them. */
#define SIX_LANES 0x2cbu
#define FOUR_LANES 0x249u
/* Words that count generations wrap within the first step: at 2^32, and in the eventcount's 31
 * bits. */
#define WRAP 0xffffffffu
#define WRAP_31 0x7fffffffu

static const dd_eventcount_case eventcount = {.advances = 3, .from = WRAP_31 - 1, .spins = 1};

static const dd_points_case points_tree = {.barrier = DD_BARRIER_TREE,
                                           .workers = 2,
                                           .rounds = 2,
                                           .spins = 1,
                                           .generation = WRAP,
                                           .position = {0, 6}};
static const dd_points_case points_triangle = {.barrier = DD_BARRIER_TREE,
                                               .workers = 2,
                                               .rounds = 2,
                                               .generation = WRAP_31,
                                               .position = {3, 4}};
static const dd_points_case points_pthread = {
    .barrier = DD_BARRIER_PTHREAD, .workers = 2, .rounds = 2, .position = {0, 6}};
static const dd_points_case points_three = {
    .barrier = DD_BARRIER_TREE, .workers = 3, .rounds = 2, .spins = 1, .position = {0, 1, 6}};

#define TEAM(b, r, l)                                                                              \
    .barrier = DD_BARRIER_##b, .reduce = DD_REDUCE_##r, .workers = 2, .steps = 2, .lanes = l

static const dd_team_case step_tree_tree = {TEAM(TREE, TREE, ALL_LANES), .may_spin = true,
                                            .generation = WRAP};
static const dd_team_case step_tree_control = {TEAM(TREE, CONTROL, ALL_LANES),
                                               .generation = WRAP_31};
static const dd_team_case step_pthread_tree = {TEAM(PTHREAD, TREE, ALL_LANES)};
static const dd_team_case step_pthread_control = {TEAM(PTHREAD, CONTROL, ALL_LANES)};
static const dd_team_case cancel_tree_tree = {TEAM(TREE, TREE, FOUR_LANES), .may_spin = true,
                                              .cancel = true};
static const dd_team_case cancel_tree_control = {TEAM(TREE, CONTROL, FOUR_LANES), .cancel = true};
static const dd_team_case cancel_pthread_tree = {TEAM(PTHREAD, TREE, SIX_LANES), .cancel = true};
static const dd_team_case cancel_pthread_control = {TEAM(PTHREAD, CONTROL, SIX_LANES),
                                                    .cancel = true};
static const dd_team_case each_tree = {TEAM(TREE, TREE, FOUR_LANES), .cancel = true, .each = true};
static const dd_team_case each_pthread = {TEAM(PTHREAD, TREE, SIX_LANES), .cancel = true,
                                          .each = true};
static const dd_team_case discard_tree = {TEAM(TREE, TREE, ALL_LANES), .discard = true};
static const dd_team_case discard_pthread = {TEAM(PTHREAD, CONTROL, ALL_LANES), .discard = true};
static const dd_team_case fp_env_tree = {TEAM(TREE, TREE, ALL_LANES)};
static const dd_team_case fp_env_pthread = {TEAM(PTHREAD, CONTROL, ALL_LANES)};
static const dd_team_case creation_tree = {TEAM(TREE, TREE, ALL_LANES), .may_not_open = true};
static const dd_team_case creation_pthread = {TEAM(PTHREAD, TREE, ALL_LANES), .may_not_open = true};
static const dd_team_case sparse = {TEAM(PTHREAD, TREE, 0x482u)}; /* positions 1, 7 and 10 */
static const dd_team_case three = {.barrier = DD_BARRIER_TREE,
                                   .workers = 3,
                                   .steps = 1,
                                   .lanes = 0x249, /* one lane in each triangle */
                                   .may_spin = true};

#define ROW(n, a, f, c, w, s)                                                                      \
    .name = n, .about = a, .run = f, .arg = &c, .workers = w, .steps = s, .spurious = true
#define POINTS(n, a, c, w) ROW(n, a, dd_protocol_points_, c, w, 2)
#define STEPS(n, a, c) ROW(n, a, dd_protocol_team_, c, 2, 2)

const dd_program dd_protocols[] = {
    {ROW("eventcount", "one advances, two await every advance; 31-bit wrap",
         dd_protocol_eventcount_, eventcount, 2, 3)},
    {POINTS("points-tree", "Points A, B, V, U in two triangles; 32-bit wrap", points_tree, 2)},
    {POINTS("points-triangle", "the same within one triangle; 31-bit wrap", points_triangle, 2)},
    {POINTS("points-pthread", "Points A, B, V, U by pthread barriers", points_pthread, 2)},
    {POINTS("points-three", "three workers in two triangles", points_three, 3)},

    {STEPS("step-tree-tree", "tree barrier, tree reduction: open, two steps, close; 32-bit wrap",
           step_tree_tree)},
    {STEPS("step-tree-control", "tree barrier, control reduction; 31-bit wrap", step_tree_control)},
    {STEPS("step-pthread-tree", "pthread barrier, tree reduction", step_pthread_tree)},
    {STEPS("step-pthread-control", "pthread barrier, control reduction", step_pthread_control)},
    {STEPS("sparse-pthread-tree", "three non-empty lanes: pruned folds", sparse)},

    {STEPS("cancel-pthread-tree", "as step-pthread-tree, a further thread cancels at any moment",
           cancel_pthread_tree)},
    {STEPS("cancel-pthread-control", "as step-pthread-control, cancelled at any moment",
           cancel_pthread_control)},
    {STEPS("cancel-tree-tree", "as step-tree-tree, cancelled at any moment", cancel_tree_tree),
     .slow = true},
    {STEPS("cancel-tree-control", "as step-tree-control, cancelled at any moment",
           cancel_tree_control),
     .slow = true},
    {STEPS("each-pthread", "requests without folds and update, cancelled at any moment",
           each_pthread)},
    {STEPS("each-tree", "the same, tree barrier", each_tree), .slow = true},

    {STEPS("discard-pthread", "the verdict goes either way in every step", discard_pthread)},
    {STEPS("discard-tree", "the same, tree barrier", discard_tree), .slow = true},
    {STEPS("fp-env-pthread", "any look finds the floating-point environment changed",
           fp_env_pthread),
     .fp_changes = 1},
    {STEPS("fp-env-tree", "the same, tree barrier", fp_env_tree), .fp_changes = 1, .slow = true},
    {STEPS("creation-pthread", "any thread or allocation cannot be had; then opened again",
           creation_pthread),
     .thread_failures = 1, .alloc_failures = 1},
    {STEPS("creation-tree", "the same, tree barrier", creation_tree), .thread_failures = 1,
     .alloc_failures = 1, .slow = true},
    {ROW("three-tree-tree", "three workers on four lanes, one step", dd_protocol_team_, three, 3,
         1),
     .slow = true},
    {.name = NULL},
};
