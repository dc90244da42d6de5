# A sleeper waits while the word is what it is now, not what it was when it was looked at.
# source: sync/eventcount.c
# caught: explore eventcount DEADLOCK
s/dd_futex_wait(&e->word, word | SLEEPER)/dd_futex_wait(\&e->word, dd_u32_load(\&e->word, DD_RELAXED))/
