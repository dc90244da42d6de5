# A thief leaves one of the lanes it took in the queue.
# source: sync/queues.c
# caught: explore queues CHECK,RACE
s/range_of(front_of(range), back), DD_RELAXED/range_of(front_of(range), back + (n > 1)), DD_RELAXED/
