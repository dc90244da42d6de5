# The value of a node that is not the root is dropped, and its control reports success: nothing
# flows up.
# catalogue: interior-drops
# source: sync/fold.c
# caught: explore step-pthread-owner CHECK
# caught: serial --workers 4 --reduce control
# caught: unit test_fold
s/^    operand_put(c, planned->parent, planned->right, planned->acting, segment);$/    (void)segment;/
