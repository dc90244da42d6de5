# A shared node folds right + left: the same number of folds, other bits.
# source: sync/fold.c
# caught: explore step-pthread-tree CHECK
s/const uint32_t left = node->operand\[0\], right = node->operand\[1\];/const uint32_t left = node->operand[1], right = node->operand[0];/
