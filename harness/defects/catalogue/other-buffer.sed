# The backward pass writes one segment and the folds read another.
# catalogue: other-buffer
# source: trainer/callbacks.c
# caught: serial --workers 2 --reduce tree
# caught: unit test_equivalence
s/^                     &t->segments.at\[segment\]);$/                     \&t->segments.at[t->segments.n - 1 - segment]);/
