# A new thread is counted relaxed: an onlooker may read the thread's record before it is written.
# source: control/members.c
# caught: explore spawn-watched RACE
s/dd_u32_store(&team->n_threads, number + 1, DD_RELEASE)/dd_u32_store(\&team->n_threads, number + 1, DD_RELAXED)/
