# A writer copies all pages that are still shared, others' too, which these are writing.
# source: memory/snapshot.c
# caught: explore snapshot RACE,CHECK
s/^    const uint64_t end = pages(last);$/    const uint64_t end = a->n_pages;\n    first = 0;/
