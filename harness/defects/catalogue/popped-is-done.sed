# A lane taken from a queue is handed to the fold tree at once and run afterwards: what is folded,
# and validated, is the memory of the step before, while workers still write to it.
# catalogue: popped-is-done
# source: control/lanes.c
# caught: explore steal-pthread-tree RACE,CHECK
# caught: tsan --workers 2 --reduce tree --steal
# caught: serial --workers 2 --reduce tree --steal
s/^        work->lane(work->user, self->worker, lane, 1, segment, resume);$/        (void)work;/
/^static bool run_queued/,/^}/s/^    return skipping;$/    if (!skipping)\n        work->lane(work->user, self->worker, lane, 1, segment, resume);\n&/
