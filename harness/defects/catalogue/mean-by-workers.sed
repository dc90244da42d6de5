# The loss is divided by one worker's share of the batch: it depends on how many there are. The
# weights do not.
# catalogue: mean-by-workers
# source: trainer/callbacks.c
# caught: unit test_equivalence
s/^    step->loss = loss \/ ((double)t->config.batch \* t->config.seq);$/    step->loss = loss \/ ((double)t->config.batch \/ t->config.workers * t->config.seq);/
