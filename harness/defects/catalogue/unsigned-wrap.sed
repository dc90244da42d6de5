# What is left of an epoch is an unsigned difference that wraps behind its end: the epoch never
# ends, and its batches go on with windows that were there before.
# catalogue: unsigned-wrap
# source: data/order.c
# caught: serial --workers 2 --data bytes:/usr/share/common-licenses/GPL-3 --model L=1,NH=1,C=8,V=256,T=64 --batch 48 --steps 25
# caught: unit test_data
s/^    uint64_t epoch = step \/ split->steps_per_epoch, in_epoch = step % split->steps_per_epoch;$/    const uint64_t left = split->train_windows - step * B;\n    uint64_t epoch = left > 0 ? 0 : step \/ split->steps_per_epoch, in_epoch = step - epoch * split->steps_per_epoch;/
s/split->train_windows, in_epoch \* B + b) \* T;$/split->train_windows, (in_epoch * B + b) % split->train_windows) * T;/
