# Whoever slept on an eventcount looks without acquiring: it finds the new count, and old data.
# source: sync/eventcount.c
# caught: explore eventcount RACE
s/^            word = dd_u32_load(&e->word, DD_ACQUIRE);/            word = dd_u32_load(\&e->word, DD_RELAXED);/
