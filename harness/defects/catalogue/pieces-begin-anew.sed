# Each piece of a lane begins chains of its own and adds them up: right on paper, other bits. Nothing
# shows where lanes run whole.
# catalogue: micro-batch-overwrites
# source: model/gpt2.c
# caught: serial --workers 2 --batch 24 --micro-batch 1
# caught: unit test_micro_batch
s/^        to\.sink = DD_RESUME;$/        to.sink = DD_FOLD;/
