# The first control gets as many workers as it has room for, and the others what is left: most have
# one.
# catalogue: leaf-starved
# source: spheres/hierarchy.c
# caught: unit test_hierarchy
s/^        const uint32_t n = n_children_of(levels, W);$/&\n        uint32_t left = W;/
s/^            add_child(h, s, position_of(i, n))->n_workers = (i + 1) \* W \/ n - i \* W \/ n;$/        {\n            const uint32_t room = dd_power_of_12(levels - 1), most = left - (n - 1 - i);\n            add_child(h, s, position_of(i, n))->n_workers = most < room ? most : room;\n            left -= most < room ? most : room;\n        }/
