# The twelve stand in a ring around the centre, in one plane: neighbours' centres are 1.035 radii
# apart, and they overlap.
# catalogue: flat-spheres
# source: spheres/spheres.c
# caught: unit test_spheres
s/^            ball.centre\[axis\] += ball.radius \* sqrt(2.0) \* step\[axis\];$/            ball.centre[axis] += axis == 2 ? 0 : 2 * ball.radius * sin((double)(step - dd_position[0]) * 0.17453292519943295 + axis * 1.5707963267948966);/
