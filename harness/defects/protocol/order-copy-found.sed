# A page's mark is looked up without acquire: the copy that it tells of may not be there yet.
# source: memory/snapshot.c
# caught: explore snapshot RACE
s/dd_u64_load(&a->copied_in\[page\], DD_ACQUIRE) == s->take/dd_u64_load(\&a->copied_in[page], DD_RELAXED) == s->take/
