# A page is marked as copied without release: whoever finds the mark may read a copy that is not there yet.
# source: memory/snapshot.c
# caught: explore snapshot RACE
s/dd_u64_store(&a->copied_in\[p\], s->take, DD_RELEASE);/dd_u64_store(\&a->copied_in[p], s->take, DD_RELAXED);/
