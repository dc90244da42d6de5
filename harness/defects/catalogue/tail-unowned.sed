# Slices of floor(n / workers) blocks: the blocks that are over belong to nobody, and never train.
# catalogue: tail-unowned
# source: sync/slices.c
# caught: serial --workers 3
# caught: unit test_slices
s/^        s->first\[w\] = w \* even + w \* rest \/ n_workers;$/        s->first[w] = w * even;/
