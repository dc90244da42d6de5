# A worker's gradient begins anew with each of its lanes, and what is folded with the others' is
# the last one alone.
# catalogue: zero-per-batch
# source: control/lanes.c
# caught: explore step-pthread-tree CHECK
# caught: serial --workers 2 --reduce tree
s/^                       op->kind == DD_OP_RUN_FOLD);$/                       false);/
