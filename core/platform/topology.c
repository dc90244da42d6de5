/* SPDX-License-Identifier: MIT
 * Topology through hwloc, whose logical order puts what is near side by side. */
#include "topology.h"

#include "platform.h"

#include <hwloc.h>

static uint32_t count(hwloc_topology_t h, hwloc_obj_type_t type)
{
    int n = hwloc_get_nbobjs_by_type(h, type);
    return n > 0 ? (uint32_t)n : 0;
}

static uint64_t cache_bytes(hwloc_topology_t h, hwloc_obj_type_t type)
{
    hwloc_obj_t cache = hwloc_get_obj_by_type(h, type, 0);
    return cache ? cache->attr->cache.size : 0;
}

/* How many usable hardware threads of its core come before this one. */
static uint32_t rank_in_core(hwloc_topology_t h, hwloc_obj_t pu, hwloc_const_bitmap_t usable)
{
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(h, HWLOC_OBJ_CORE, pu);
    uint32_t rank = 0;
    for (hwloc_obj_t x = core ? pu->prev_cousin : NULL;
         x && hwloc_bitmap_isset(core->cpuset, x->os_index); x = x->prev_cousin)
        rank += (uint32_t)(hwloc_bitmap_isset(usable, x->os_index) != 0);
    return rank;
}

/* The usable CPUs: those of rank 0 in their core, then rank 1, … */
static dd_status list_cpus(hwloc_topology_t h, hwloc_const_bitmap_t usable, dd_topology *out)
{
    out->cpu = dd_alloc(out->n_threads * sizeof *out->cpu);
    if (!out->cpu)
        return DD_ERR_MEMORY;
    uint32_t before;
    uint32_t rank = 0;
    do {
        before = out->n_cpus;
        for (hwloc_obj_t pu = hwloc_get_obj_by_type(h, HWLOC_OBJ_PU, 0); pu; pu = pu->next_cousin)
            if (hwloc_bitmap_isset(usable, pu->os_index) && rank_in_core(h, pu, usable) == rank)
                out->cpu[out->n_cpus++] = pu->os_index;
        if (rank++ == 0 && out->n_cores > 0)
            out->n_cpus_cores = out->n_cpus;
    } while (out->n_cpus > before);
    return DD_OK;
}

static dd_status look(hwloc_topology_t h, hwloc_const_bitmap_t usable, dd_topology *out)
{
    *out = (dd_topology){
        .n_packages = count(h, HWLOC_OBJ_PACKAGE),
        .n_numa_nodes = count(h, HWLOC_OBJ_NUMANODE),
        .n_cores = count(h, HWLOC_OBJ_CORE),
        .n_threads = count(h, HWLOC_OBJ_PU),
        .n_l1d = count(h, HWLOC_OBJ_L1CACHE),
        .n_l2 = count(h, HWLOC_OBJ_L2CACHE),
        .n_l3 = count(h, HWLOC_OBJ_L3CACHE),
        .l1d_bytes = cache_bytes(h, HWLOC_OBJ_L1CACHE),
        .l2_bytes = cache_bytes(h, HWLOC_OBJ_L2CACHE),
        .l3_bytes = cache_bytes(h, HWLOC_OBJ_L3CACHE),
    };
    return list_cpus(h, usable, out);
}

dd_status dd_topology_open(dd_topology *out)
{
    *out = (dd_topology){0};
    hwloc_topology_t h;
    if (hwloc_topology_init(&h) != 0)
        return DD_ERR_MEMORY;
    dd_status st = DD_ERR_CPU;
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    if (!usable)
        st = DD_ERR_MEMORY;
    /* All of the machine is counted, whatever part of it a container shows. The affinity is the
     * kernel's word; what hwloc was told to pretend has none. */
    else if (hwloc_topology_set_flags(h, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0 &&
             hwloc_topology_load(h) == 0 && hwloc_topology_is_thissystem(h) &&
             hwloc_get_cpubind(h, usable, HWLOC_CPUBIND_THREAD) == 0)
        st = look(h, usable, out);
    hwloc_bitmap_free(usable);
    hwloc_topology_destroy(h);
    if (st == DD_OK && out->n_cpus == 0)
        st = DD_ERR_CPU;
    if (st != DD_OK)
        dd_topology_close(out);
    return st;
}

dd_status dd_topology_describe(const char *machine, const char *cpus, dd_topology *out)
{
    *out = (dd_topology){0};
    hwloc_topology_t h;
    if (hwloc_topology_init(&h) != 0)
        return DD_ERR_MEMORY;
    dd_status st = DD_ERR_ARGUMENT;
    hwloc_bitmap_t usable = hwloc_bitmap_alloc_full();
    if (!usable)
        st = DD_ERR_MEMORY;
    else if (hwloc_topology_set_synthetic(h, machine) == 0 && hwloc_topology_load(h) == 0 &&
             (!cpus || hwloc_bitmap_list_sscanf(usable, cpus) == 0))
        st = look(h, usable, out);
    hwloc_bitmap_free(usable);
    hwloc_topology_destroy(h);
    if (st == DD_OK && out->n_cpus == 0)
        st = DD_ERR_ARGUMENT;
    if (st != DD_OK)
        dd_topology_close(out);
    return st;
}

void dd_topology_close(dd_topology *t)
{
    dd_free(t->cpu);
    *t = (dd_topology){0};
}
