# GELU computes a twentieth of its elements a second time: 5 % more work in one kernel, the same bits.
# For core/kernels/rows.c, by harness/defects/plant.sh.
s/^    gelu_of_block(n - i, x + i, y + i);$/&\n    for (i = 0; i + GELU_BLOCK <= n \/ 20; i += GELU_BLOCK)\n        gelu_of_block(GELU_BLOCK, x + i, y + i);\n    gelu_of_block(n \/ 20 - i, x + i, y + i);/
