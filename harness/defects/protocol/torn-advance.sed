# An eventcount's advance loads and stores instead of exchanging: a flag set between the two is lost, and its sleeper with it.
# source: sync/eventcount.c
# caught: explore points-tree DEADLOCK
s/if (dd_u32_exchange(&e->word, next, DD_RELEASE) & SLEEPER)/uint32_t old = dd_u32_load(\&e->word, DD_RELAXED);\n    dd_u32_store(\&e->word, next, DD_RELEASE);\n    if (old \& SLEEPER)/
