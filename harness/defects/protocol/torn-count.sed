# Copied pages are counted by load and store: of two writers' counts one is lost.
# source: memory/snapshot.c
# caught: explore snapshot CHECK
s/dd_u64_fetch_add(&a->n_copied, copied, DD_RELAXED);/dd_u64_store(\&a->n_copied, dd_u64_load(\&a->n_copied, DD_RELAXED) + copied, DD_RELAXED);/
