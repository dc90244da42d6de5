# The lookup rows of a lane's next piece replace those of the ones before.
# catalogue: micro-batch-overwrites
# source: model/operators.c
# caught: serial --workers 2 --batch 24 --micro-batch 1
# caught: unit test_micro_batch
s/^    if (to->sink != DD_RESUME)$/    if (true)/
