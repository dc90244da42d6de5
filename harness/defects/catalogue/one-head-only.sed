# Keys and values are looked for one head's width further on, which is right where there is one
# head: else heads are mixed.
# catalogue: one-head-only
# source: model/operators.c
# caught: serial --workers 1
s/^        \.q = qkv, \.k = qkv + C, \.v = qkv + 2 \* C, /        .q = qkv, .k = qkv + d, .v = qkv + 2 * d, /
s/^        \.gq = gqkv, \.gk = gqkv + C, \.gv = gqkv + 2 \* C,$/        .gq = gqkv, .gk = gqkv + d, .gv = gqkv + 2 * d,/
