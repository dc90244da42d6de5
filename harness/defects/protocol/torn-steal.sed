# A thief loads and stores instead of comparing and exchanging: the owner may take the same lane.
# source: sync/queues.c
# caught: explore queues CHECK,RACE
s/if (dd_u32_compare_exchange(&of->range, &range, range_of(front_of(range), back), DD_RELAXED,/if (dd_u32_store(\&of->range, range_of(front_of(range), back), DD_RELAXED), true || (DD_RELAXED,/
