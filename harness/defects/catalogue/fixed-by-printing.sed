# A waiter sets its flag with a plain store, which may fall upon the advance it waits for, and
# polls for so long before that that no run has ever been seen to hang: repetition finds nothing
# here.
# catalogue: fixed-by-printing
# source: sync/eventcount.c
# caught: explore eventcount DEADLOCK
# caught: explore points-tree DEADLOCK
s/moved_on(word, seen)), spins))$/moved_on(word, seen)), spins < 10000 ? 10000 : spins))/
s/^            dd_u32_compare_exchange(&e->word, &word, word | SLEEPER, DD_ACQUIRE, DD_ACQUIRE)) {$/            (dd_u32_store(\&e->word, word | SLEEPER, DD_RELAXED), true)) {/
