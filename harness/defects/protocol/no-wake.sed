# An eventcount's advance wakes nobody: the plainest lost wake-up.
# source: sync/eventcount.c
# caught: explore eventcount DEADLOCK
s/dd_futex_wake(&e->word, UINT32_MAX)/(void)0/
