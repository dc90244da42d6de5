# The owner takes from its queue as if nobody else did: what a thief took in between is in the
# queue again.
# catalogue: spsc-shared
# source: sync/queues.c
# caught: explore queues CHECK,RACE
# caught: explore steal-pthread-tree CHECK,RACE,MEMORY
s/^        if (dd_u32_compare_exchange(&own->range, &range, range_of(front + 1, back_of(range)),$/        if (dd_u32_store(\&own->range, range_of(front + 1, back_of(range)), DD_RELAXED), true || (/
