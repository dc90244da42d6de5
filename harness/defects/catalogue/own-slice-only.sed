# A worker puts its slice of its own gradient into the whole one and folds nothing: with N workers
# (N - 1) / N of what was computed is lost. The loss still falls.
# catalogue: own-slice-only
# source: trainer/callbacks.c
# caught: serial --workers 2 --reduce sliced
# caught: unit test_equivalence
s/^    const dd_fold_list list = {.segment = t->segments.at, .pair = pair, .n = n, .root = root};$/    dd_membership now;\n    uint32_t own;\n    dd_team_membership(t->team, \&now);\n    (void)dd_plan_segments(now.plan, worker, \&own);\n    const uint64_t from = first * DD_NORM_BLOCK, to = last * DD_NORM_BLOCK < t->P ? last * DD_NORM_BLOCK : t->P;\n    memmove(t->segments.at[root].dense + from, t->segments.at[own].dense + from, (to - from) * sizeof(float));\n    const dd_fold_list list = {.segment = t->segments.at, .pair = pair, .n = 0, .root = root};/
