# A page is said to have a copy before it has: who restores, or reads what was kept, meets half of
# one.
# catalogue: cow-race
# source: memory/snapshot.c
# caught: tsan test_memory
s/^        memcpy(a->copy + p \* PAGE, a->live + p \* PAGE, to - p \* PAGE);$/        for (uint64_t q = p; q < next; q++)\n            dd_u64_store(\&a->copied_in[q], s->take, DD_RELEASE);\n&/
s/^            dd_u64_store(&a->copied_in\[p\], s->take, DD_RELEASE); .*$/            (void)0;/
