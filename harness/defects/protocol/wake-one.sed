# An eventcount's advance wakes one sleeper instead of all: with two workers asleep one sleeps on.
# source: sync/eventcount.c
# caught: explore eventcount DEADLOCK
s/dd_futex_wake(&e->word, UINT32_MAX)/dd_futex_wake(\&e->word, 1)/
