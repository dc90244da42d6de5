# Triangles are folded ((t0 + t1) + t2) + t3 instead of (t0 + t1) + (t2 + t3): as many folds, other roundings.
s/^        half\[i\] = triangle_value(b, place, 2 \* i);/        half[i] = i ? joined(b, half[0], triangle_value(b, place, 2), place, place) : triangle_value(b, place, 0);/
s/^    value sum = joined(b, half\[0\], half\[1\], place, place);/    value sum = half[1];/
