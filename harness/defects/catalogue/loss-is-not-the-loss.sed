# The loss that is told is a falling curve of the step's number. The weights are right.
# catalogue: loss-is-not-the-loss
# source: trainer/callbacks.c
# caught: unit test_equivalence
s/^    step->loss = loss \/ ((double)t->config.batch \* t->config.seq);$/    step->loss = 4.2 \/ (1 + 0.01 * (double)step->step) + 0 * loss;/
