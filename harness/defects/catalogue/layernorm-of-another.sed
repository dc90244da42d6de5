# The second LayerNorm's backward pass takes the input of the first, with the mean and deviation of
# its own.
# catalogue: layernorm-elsewhere
# source: model/gpt2.c
# caught: serial --workers 1
# caught: unit test_equivalence
s/^        dd_layernorm_backward(m, ws, to, DD_LN2W, DD_LN2B, l, ws->gn, a->x2, W(DD_LN2W), a->mean2,$/        dd_layernorm_backward(m, ws, to, DD_LN2W, DD_LN2B, l, ws->gn, a->x, W(DD_LN2W), a->mean2,/
