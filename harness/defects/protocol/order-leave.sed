# Leaving acquires nothing: the last one frees the points while others may still be using them.
# source: sync/points.c
# caught: explore leave-deep MEMORY
s/fetch_add(&m->arrived, 1, DD_ACQ_REL)/fetch_add(\&m->arrived, 1, DD_RELEASE)/
