# The oracle itself is wrong: its second LayerNorm goes backward over the input of the first.
# catalogue: layernorm-elsewhere
# source: serial/serial_lane.c
# caught: unit test_serial
s/^    layernorm_backward(R, C, a->gn, x2, w->ln2w + l \* C, /    layernorm_backward(R, C, a->gn, x, w->ln2w + l * C, /
