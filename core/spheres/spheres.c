/* SPDX-License-Identifier: MIT
 * Positions, places and contacts, exact in integers; balls in space, in doubles. No threads, no
 * memory. */
#include "spheres.h"

#include <assert.h>
#include <math.h>

/* Triangle by triangle: for the sign patterns +++, +--, -+-, --+ the three vertices that have one
 * coordinate zero. */
const int8_t dd_position[DD_POSITIONS][3] = {
    {+1, +1, 0}, {+1, 0, +1}, {0, +1, +1}, /* +++ */
    {+1, -1, 0}, {+1, 0, -1}, {0, -1, -1}, /* +-- */
    {-1, +1, 0}, {-1, 0, -1}, {0, +1, -1}, /* -+- */
    {-1, -1, 0}, {-1, 0, +1}, {0, -1, +1}, /* --+ */
};

/* Equal spheres of radius r touch at centre distance 2r. In units of r sqrt 2 that is a squared
 * distance of 2, which is also that of every position from the centre. */
bool dd_in_contact(uint32_t a, uint32_t b)
{
    assert(a != b && a <= DD_CENTRE && b <= DD_CENTRE);
    if (a == DD_CENTRE || b == DD_CENTRE)
        return true;
    int squared = 0;
    for (int axis = 0; axis < 3; axis++) {
        int d = dd_position[a][axis] - dd_position[b][axis];
        squared += d * d;
    }
    return squared == 2;
}

uint32_t dd_power_of_12(uint32_t level)
{
    assert(level <= 8);
    uint32_t power = 1;
    while (level-- > 0)
        power *= DD_POSITIONS;
    return power;
}

dd_place dd_place_child(dd_place parent, uint32_t position)
{
    assert(position < DD_POSITIONS && parent.level < 8);
    return (dd_place){parent.level + 1, parent.path * DD_POSITIONS + position};
}

dd_place dd_place_parent(dd_place place)
{
    assert(place.level > 0);
    return (dd_place){place.level - 1, place.path / DD_POSITIONS};
}

uint32_t dd_place_position(dd_place place)
{
    assert(place.level > 0);
    return place.path % DD_POSITIONS;
}

bool dd_place_equal(dd_place a, dd_place b)
{
    return a.level == b.level && a.path == b.path;
}

bool dd_places_touch(dd_place a, dd_place b)
{
    if (dd_place_equal(a, b))
        return true;
    if (a.level > 0 && dd_place_equal(dd_place_parent(a), b))
        return true;
    if (b.level > 0 && dd_place_equal(dd_place_parent(b), a))
        return true;
    return a.level > 0 && b.level > 0 && dd_place_equal(dd_place_parent(a), dd_place_parent(b)) &&
           dd_in_contact(dd_place_position(a), dd_place_position(b));
}

dd_ball dd_place_ball(dd_place place)
{
    dd_ball ball = {.radius = 1};
    for (uint32_t up = place.level; up-- > 0;) {
        const int8_t *step = dd_position[place.path / dd_power_of_12(up) % DD_POSITIONS];
        ball.radius /= 3;
        for (int axis = 0; axis < 3; axis++)
            ball.centre[axis] += ball.radius * sqrt(2.0) * step[axis];
    }
    return ball;
}
