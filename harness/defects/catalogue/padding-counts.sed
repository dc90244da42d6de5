# Columns that are not there, in a row's last vector, count in its variance as zeros do.
# catalogue: padding-counts
# source: kernels/rows.c
# caught: serial --workers 1 --simd auto
# caught: unit test_kernels
s/^    return dd_v16_keep(p, dd_v16_fma(u, u, p), n);$/    return dd_v16_fma(u, u, p);/
