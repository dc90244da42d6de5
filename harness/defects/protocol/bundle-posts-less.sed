# The last lane of a bundle of several runs, but is not posted.
# source: sync/plan.c
# caught: explore step-pthread-owner CHECK
s/^        for (uint32_t k = 0; k < n; k++) {$/        for (uint32_t k = 0; k < n - (n > 1); k++) {/
