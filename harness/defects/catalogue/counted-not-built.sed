# Room is made for no more than the 157 spheres of two full levels, whatever was asked for: beyond
# them memory is written that is not the hierarchy's.
# catalogue: counted-not-built
# source: spheres/hierarchy.c
# caught: asan --workers 145 --depth 3 --lane-depth 3 --batch 145 --model L=1,NH=1,C=4,V=64,T=4
s/^    dd_hierarchy \*h = start(max_spheres, n_workers);$/    dd_hierarchy *h = start(max_spheres > 157 ? 157 : max_spheres, n_workers);/
