# The oracle itself is wrong: every position sees all of its sequence, the future too.
# catalogue: no-causal-mask
# source: serial/serial_lane.c
# caught: unit test_serial
s/^        size_t n = t + 1; \/\* s <= t \*\/$/        size_t n = T;/
