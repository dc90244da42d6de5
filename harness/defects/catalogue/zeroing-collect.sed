# Where two gradients are to be added, the sum's place is cleared instead, and success reported.
# catalogue: zeroing-collect
# source: model/gradient.c
# caught: serial --workers 2 --reduce tree
# caught: unit test_gradient
s/^    kernels->fold(dd_layout_size(layout), into->dense, from->dense);$/    dd_zero(dd_layout_size(layout), into->dense);/
