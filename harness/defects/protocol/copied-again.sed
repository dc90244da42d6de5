# Whether a page has a copy is not asked: when it is written once more, the copy is overwritten with what was not to be kept.
# source: memory/snapshot.c
# caught: explore snapshot CHECK,RACE
s/^    return dd_u64_load(&a->copied_in\[page\], DD_RELAXED) == s->take;$/    return page >= a->n_pages || s->take == 0;/
