# An eventcount's advance releases nothing: whoever waited for it does not see what was announced by it.
# source: sync/eventcount.c
# caught: explore eventcount RACE
s/dd_u32_exchange(&e->word, next, DD_RELEASE)/dd_u32_exchange(\&e->word, next, DD_RELAXED)/
