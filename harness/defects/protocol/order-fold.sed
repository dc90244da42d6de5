# The second to arrive at a fold node does not acquire what the first released: it folds a segment that is not written yet.
# source: sync/fold.c
# caught: explore step-pthread-tree RACE
s/fetch_add(&node->arrived, 1, DD_ACQ_REL)/fetch_add(\&node->arrived, 1, DD_RELEASE)/
