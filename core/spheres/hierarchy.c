/* SPDX-License-Identifier: MIT
 * Hierarchies: made whole, level by level, and never changed. */
#include "hierarchy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "platform.h"

/* ---- Places as text ---- */

/* "0" to "11" without leading zeros, at *text, which moves past it. */
static bool read_position(const char **text, uint32_t *out)
{
    const char *c = *text;
    if (*c < '0' || *c > '9')
        return false;
    *out = (uint32_t)(*c++ - '0');
    if (*out == 1 && (*c == '0' || *c == '1'))
        *out = 10 + (uint32_t)(*c++ - '0');
    *text = c;
    return true;
}

bool dd_place_read(const char *text, dd_place *out)
{
    dd_place place = {0, 0};
    if (strcmp(text, "zero") == 0) {
        *out = place;
        return true;
    }
    for (;;) {
        uint32_t position;
        if (place.level == DD_DEPTH_MAX || !read_position(&text, &position))
            return false;
        place = dd_place_child(place, position);
        if (*text == '\0')
            break;
        if (*text++ != '.')
            return false;
    }
    *out = place;
    return true;
}

char *dd_place_write(dd_place place, char text[DD_PLACE_TEXT])
{
    assert(place.level <= DD_DEPTH_MAX);
    int used = 0;
    if (place.level == 0)
        (void)snprintf(text, DD_PLACE_TEXT, "zero");
    for (uint32_t up = place.level; up-- > 0;)
        used += snprintf(text + used, (size_t)(DD_PLACE_TEXT - used), "%u%s",
                         place.path / dd_power_of_12(up) % DD_POSITIONS, up ? "." : "");
    return text;
}

/* ---- Making ---- */

/* Room for max_spheres; the root is there, as a worker. */
static dd_hierarchy *start(uint32_t max_spheres, uint32_t n_workers)
{
    dd_hierarchy *h = dd_alloc(sizeof *h);
    if (!h)
        return NULL;
    h->sphere = dd_alloc(max_spheres * sizeof *h->sphere);
    h->worker = dd_alloc(n_workers * sizeof *h->worker);
    if (!h->sphere || !h->worker) {
        dd_hierarchy_close(h);
        return NULL;
    }
    h->n_workers = n_workers;
    h->sphere[0].parent = DD_NO_SPHERE;
    h->n_spheres = 1;
    return h;
}

/* Spheres are given children in the order of their numbers, so levels come one after another. */
static dd_sphere *add_child(dd_hierarchy *h, uint32_t parent, uint32_t position)
{
    dd_sphere *up = &h->sphere[parent];
    if (up->n_children++ == 0)
        up->first_child = h->n_spheres;
    dd_sphere *child = &h->sphere[h->n_spheres++];
    child->place = dd_place_child(up->place, position);
    child->parent = parent;
    h->depth = child->place.level;
    return child;
}

static uint32_t position_of(uint32_t child, uint32_t n_children)
{
    return DD_POSITIONS * child / n_children;
}

/* Counts and numbers the workers, once all spheres are there. */
static void number(dd_hierarchy *h)
{
    for (uint32_t s = h->n_spheres; s-- > 0;) {
        dd_sphere *it = &h->sphere[s];
        if (it->n_children == 0)
            it->n_workers = 1;
        else
            h->n_controls++;
        if (s > 0)
            h->sphere[it->parent].n_workers += it->n_workers;
    }
    assert(h->sphere[0].n_workers == h->n_workers);
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        const dd_sphere *it = &h->sphere[s];
        uint32_t next = it->first_worker;
        for (uint32_t c = it->first_child; c < it->first_child + it->n_children; c++) {
            h->sphere[c].first_worker = next;
            next += h->sphere[c].n_workers;
        }
        if (it->n_children == 0)
            h->worker[it->first_worker] = s;
    }
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Children of a sphere with n_workers and `levels` levels below it. */
static uint32_t n_children_of(uint32_t levels, uint32_t n_workers)
{
    uint32_t root = 1; /* floor(n_workers^(1/levels)) */
    for (;;) {
        uint32_t power = 1;
        for (uint32_t k = 0; k < levels; k++)
            power *= root + 1;
        if (power > n_workers)
            break;
        root++;
    }
    const uint32_t child_room = dd_power_of_12(levels - 1);
    return max_u32(root, (n_workers + child_room - 1) / child_room);
}

dd_status dd_hierarchy_open(uint32_t depth, uint32_t n_workers, dd_hierarchy **out)
{
    assert(depth >= 1 && depth <= DD_DEPTH_MAX);
    assert(n_workers >= 1 && n_workers <= dd_power_of_12(depth));
    uint32_t max_spheres = 1;
    for (uint32_t level = 1; level <= depth; level++) {
        uint32_t room = dd_power_of_12(level);
        max_spheres += n_workers < room ? n_workers : room;
    }
    dd_hierarchy *h = start(max_spheres, n_workers);
    if (!h)
        return DD_ERR_MEMORY;
    /* Until the workers are numbered, a sphere's n_workers says how many it is to get. */
    h->sphere[0].n_workers = n_workers;
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        const uint32_t levels = depth - h->sphere[s].place.level, W = h->sphere[s].n_workers;
        h->sphere[s].n_workers = 0;
        if (levels == 0)
            continue;
        const uint32_t n = n_children_of(levels, W);
        for (uint32_t i = 0; i < n; i++)
            add_child(h, s, position_of(i, n))->n_workers = (i + 1) * W / n - i * W / n;
    }
    number(h);
    *out = h;
    return DD_OK;
}

void dd_hierarchy_close(dd_hierarchy *h)
{
    if (!h)
        return;
    dd_free(h->worker);
    dd_free(h->sphere);
    dd_free(h);
}

uint32_t dd_hierarchy_at(const dd_hierarchy *h, dd_place place)
{
    uint32_t s = 0;
    for (uint32_t up = place.level; up-- > 0;) {
        const uint32_t position = place.path / dd_power_of_12(up) % DD_POSITIONS;
        const dd_sphere *it = &h->sphere[s];
        uint32_t c = it->first_child, end = c + it->n_children;
        while (c < end && dd_place_position(h->sphere[c].place) != position)
            c++;
        if (c == end)
            return DD_NO_SPHERE;
        s = c;
    }
    return s;
}

/* ---- Changes ---- */

/* The sphere at a place, or DD_NO_SPHERE with a message that says what stands on the way there. */
static uint32_t find(const dd_hierarchy *h, dd_place place, dd_error *error)
{
    const uint32_t s = dd_hierarchy_at(h, place);
    if (s != DD_NO_SPHERE)
        return s;
    char wanted[DD_PLACE_TEXT] = "too deep", above[DD_PLACE_TEXT], children[64] = "";
    if (place.level <= DD_DEPTH_MAX)
        dd_place_write(place, wanted);
    dd_place up = place;
    uint32_t last;
    do {
        up = dd_place_parent(up);
        last = dd_hierarchy_at(h, up);
    } while (last == DD_NO_SPHERE);
    const dd_sphere *it = &h->sphere[last];
    dd_place_write(up, above);
    for (uint32_t c = 0, used = 0; c < it->n_children; c++)
        used += (uint32_t)snprintf(children + used, sizeof children - used, " %u",
                                   dd_place_position(h->sphere[it->first_child + c].place));
    if (it->n_children == 0)
        (void)dd_error_set(error, DD_ERR_ARGUMENT,
                           "there is no sphere %s: %s is a worker and has no children", wanted,
                           above);
    else
        (void)dd_error_set(error, DD_ERR_ARGUMENT,
                           "there is no sphere %s: the children of %s are at positions%s", wanted,
                           above, children);
    return DD_NO_SPHERE;
}

/* A copy of h in which sphere `changed` has n_children workers and nothing else below it. Made anew
 * from the root down, beside a walk through h: from[s] is the sphere of h that s is, DD_NO_SPHERE
 * if it is new. */
static dd_status copy_with(const dd_hierarchy *h, uint32_t changed, uint32_t n_children,
                           uint32_t n_workers, dd_hierarchy **out)
{
    uint32_t *from = dd_alloc((h->n_spheres + n_children) * sizeof *from);
    dd_hierarchy *copy = start(h->n_spheres + n_children, n_workers);
    if (!from || !copy) {
        dd_free(from);
        dd_hierarchy_close(copy);
        return DD_ERR_MEMORY;
    }
    for (uint32_t s = 0; s < copy->n_spheres; s++) {
        if (from[s] == DD_NO_SPHERE)
            continue;
        if (from[s] == changed) {
            for (uint32_t i = 0; i < n_children; i++) {
                from[copy->n_spheres] = DD_NO_SPHERE;
                (void)add_child(copy, s, position_of(i, n_children));
            }
            continue;
        }
        const dd_sphere *old = &h->sphere[from[s]];
        for (uint32_t c = old->first_child; c < old->first_child + old->n_children; c++) {
            from[copy->n_spheres] = c;
            (void)add_child(copy, s, dd_place_position(h->sphere[c].place));
        }
    }
    number(copy);
    dd_free(from);
    *out = copy;
    return DD_OK;
}

dd_status dd_hierarchy_expand(const dd_hierarchy *h, dd_place place, uint32_t n_children,
                              dd_hierarchy **out, dd_error *error)
{
    const uint32_t s = find(h, place, error);
    if (s == DD_NO_SPHERE)
        return DD_ERR_ARGUMENT;
    char text[DD_PLACE_TEXT];
    dd_place_write(place, text);
    if (h->sphere[s].n_children > 0)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "sphere %s is a control already, of %u children: only a worker can "
                            "become one",
                            text, h->sphere[s].n_children);
    if (n_children < 1 || n_children > DD_POSITIONS)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "sphere %s cannot have %u children: a control has 1 to %d", text,
                            n_children, DD_POSITIONS);
    if (place.level == DD_DEPTH_MAX)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "sphere %s cannot have children: it is at level %d, the deepest", text,
                            DD_DEPTH_MAX);
    dd_status st = copy_with(h, s, n_children, h->n_workers - 1 + n_children, out);
    return st == DD_OK ? st
                       : dd_error_set(error, st, "no memory for a hierarchy of %u workers",
                                      h->n_workers - 1 + n_children);
}

dd_status dd_hierarchy_collapse(const dd_hierarchy *h, dd_place place, dd_hierarchy **out,
                                dd_error *error)
{
    const uint32_t s = find(h, place, error);
    if (s == DD_NO_SPHERE)
        return DD_ERR_ARGUMENT;
    char text[DD_PLACE_TEXT];
    dd_place_write(place, text);
    if (s == 0)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "sphere zero cannot collapse: Node Zero is never a worker");
    if (h->sphere[s].n_children == 0)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "sphere %s is a worker already: only a control can become one", text);
    const uint32_t n_workers = h->n_workers + 1 - h->sphere[s].n_workers;
    dd_status st = copy_with(h, s, 0, n_workers, out);
    return st == DD_OK
               ? st
               : dd_error_set(error, st, "no memory for a hierarchy of %u workers", n_workers);
}
