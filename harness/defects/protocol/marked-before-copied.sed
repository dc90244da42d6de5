# Pages are marked as copied before they are: an onlooker reads a copy that is being made, or an older one.
# source: memory/snapshot.c
# caught: explore snapshot RACE,CHECK
s/^        DD_READ(a->live + p \* PAGE, to - p \* PAGE);$/        for (uint64_t q = p; q < next; q++)\n            dd_u64_store(\&a->copied_in[q], s->take, DD_RELEASE);\n&/
s/^            dd_u64_store(&a->copied_in\[p\], s->take, DD_RELEASE);/            (void)0;/
