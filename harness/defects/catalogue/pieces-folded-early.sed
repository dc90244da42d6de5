# The pieces of a lane that is to be folded are added to the left operand one by one, instead of
# when the lane is whole.
# catalogue: micro-batch-overwrites
# source: model/gpt2.c
# caught: serial --workers 2 --batch 24 --micro-batch 1
# caught: unit test_micro_batch
s/^    const bool apart = sink == DD_FOLD /    const bool apart = false \&\& sink == DD_FOLD /
s/^        to\.sink = DD_RESUME;$/        to.sink = sink == DD_FOLD ? DD_FOLD : DD_RESUME;/
