# A worker hands its value to the fold tree by its segment's number, and stores its next lane into
# the same segment.
# catalogue: pointer-then-reuse
# source: sync/plan.c
# caught: serial --workers 3 --reduce control
# caught: unit test_plan
s/^                 \.acting = t->acting});$/&\n    segment_give(b, t->low, from);/
