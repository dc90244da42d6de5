/* SPDX-License-Identifier: MIT
 * core/platform on the machine: memory, threads, bounded polling, pages, how many CPUs, threads and
 * how much memory there are, and in which order near CPUs come. */
#define _GNU_SOURCE /* pthread_getname_np */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cpu.h"
#include "folder_fixture.h"
#include "pages.h"
#include "platform.h"
#include "system_limits.h"
#include "topology.h"

/* ---- Memory ---- */

static void test_alloc(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 8, 56, 57, 63, 64, 65, 4096, 1000003, 64u << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *p = dd_alloc(sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % DD_CACHE_LINE, 0);
        for (size_t b = 0; b<sizes[i]; b += sizes[i]> 4096 ? 997 : 1)
            assert_int_equal(p[b], 0);
        memset(p, 0xff, sizes[i]); /* so that the next block is not zero by luck */
        dd_free(p);
    }
    assert_null(dd_alloc(SIZE_MAX));
    assert_null(dd_alloc(SIZE_MAX - 71));
    assert_null(dd_alloc((size_t)PTRDIFF_MAX + 1));
    dd_free(NULL);
}

/* ---- Threads ---- */

typedef struct inside {
    char name[16];
    sigset_t blocked;
    size_t stack_bytes;
} inside;

static void look_around(void *arg)
{
    inside *in = arg;
    pthread_attr_t attributes;
    pthread_getname_np(pthread_self(), in->name, sizeof in->name);
    pthread_sigmask(SIG_BLOCK, NULL, &in->blocked);
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &in->stack_bytes);
    pthread_attr_destroy(&attributes);
}

static void test_thread(void **state)
{
    (void)state;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    inside in;
    dd_thread thread;
    assert_int_equal(dd_thread_create(&thread, "a-name-too-long-by-far", 1 << 20, look_around, &in),
                     0);
    dd_thread_join(&thread);
    assert_string_equal(in.name, "a-name-too-long");
    assert_in_range(in.stack_bytes, 1 << 20, 1 << 21);
    static const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGCHLD, SIGUSR1, SIGPROF};
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++)
        assert_int_equal(sigismember(&in.blocked, blocked[i]), 1);
    assert_int_equal(sigismember(&in.blocked, SIGSEGV), 0);
    assert_int_equal(sigismember(&in.blocked, SIGBUS), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int s = 1; s < SIGRTMIN; s++)
        assert_int_equal(sigismember(&before, s), sigismember(&after, s));
    assert_int_not_equal(dd_thread_create(&thread, "", 1, look_around, &in), 0); /* too small */
}

static void test_await_is_bounded(void **state)
{
    (void)state;
    uint32_t polls = 0;
    assert_false(DD_AWAIT(polls++ > 1000, 10));
    assert_int_equal(polls, 11);
    assert_false(DD_AWAIT(polls++ > 1000, 0));
    assert_int_equal(polls, 12);
    assert_true(DD_AWAIT(polls++ > 1000, DD_FOREVER));
    assert_int_equal(polls, 1002);
}

static void test_clocks_and_fp_env(void **state)
{
    (void)state;
    uint64_t wall_ns = dd_now_ns(), cpu_ns = dd_thread_cpu_ns();
    while (dd_thread_cpu_ns() == cpu_ns)
        continue;
    assert_true(dd_now_ns() > wall_ns);
    assert_int_equal(dd_fp_env(), DD_FP_ENV_DEFAULT);
}

/* ---- Pages ---- */

static void test_pages(void **state)
{
    (void)state;
    const size_t page = dd_page_bytes(), bytes = 3 * page + 1;
    assert_true(page >= 4096 && (page & (page - 1)) == 0);
    unsigned char *p = dd_pages_map(bytes, DD_PAGES_WRITE);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % page, 0);
    for (size_t i = 0; i < 4 * page; i++) /* whole pages */
        assert_int_equal(p[i], 0);
    memset(p, 5, bytes);
    assert_true(dd_pages_protect(p, bytes, DD_PAGES_READ));
    assert_int_equal(p[bytes - 1], 5);
    assert_true(dd_pages_protect(p, bytes, DD_PAGES_WRITE));
    p[0] = 6;
    dd_pages_discard(p + page, page);
    assert_int_equal(p[0], 6);
    assert_int_equal(p[page], 0); /* anonymous pages come back as zeros on Linux */
    dd_pages_unmap(p, bytes);
    dd_pages_unmap(NULL, bytes);
    assert_null(dd_pages_map(0, DD_PAGES_WRITE));
    assert_null(dd_pages_map(SIZE_MAX, DD_PAGES_WRITE));
    assert_null(dd_pages_map((size_t)1 << 62, DD_PAGES_NONE));
    assert_false(dd_pages_protect(NULL, page, DD_PAGES_READ));
}

/* ---- CPUs ---- */

/* The CPUs that the process may use, ascending. */
static uint32_t usable_cpus(uint32_t cpu[CPU_SETSIZE])
{
    cpu_set_t set;
    uint32_t n = 0;
    assert_int_equal(sched_getaffinity(getpid(), sizeof set, &set), 0);
    for (uint32_t c = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET(c, &set))
            cpu[n++] = c;
    return n;
}

static struct {
    uint32_t n, cpu[CPU_SETSIZE];
    uint32_t ran_on[CPU_SETSIZE], left; /* left: CPUs after it was let off again */
    uint32_t id, n_refused;
} pinned;

static void be_pinned(void *arg)
{
    (void)arg;
    cpu_set_t set;
    pinned.id = dd_thread_id();
    for (uint32_t i = 0; i < pinned.n; i++) {
        pinned.n_refused += !dd_thread_pin(pinned.cpu[i]);
        pinned.ran_on[i] = (uint32_t)sched_getcpu();
    }
    pinned.n_refused += !dd_thread_pin(UINT32_MAX);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        pinned.left = (uint32_t)CPU_COUNT(&set);
}

static void test_pinning(void **state)
{
    (void)state;
    dd_thread thread;
    pinned.n = usable_cpus(pinned.cpu);
    assert_int_equal(dd_thread_create(&thread, "pinned", 0, be_pinned, NULL), 0);
    dd_thread_join(&thread);
    assert_int_equal(pinned.n_refused, 0);
    for (uint32_t i = 0; i < pinned.n; i++)
        assert_int_equal(pinned.ran_on[i], pinned.cpu[i]);
    assert_int_equal(pinned.left, pinned.n);
    assert_int_equal(dd_thread_id(), getpid()); /* the first thread's is the process's */
    assert_int_not_equal(pinned.id, getpid());
    uint32_t after[CPU_SETSIZE];
    assert_int_equal(usable_cpus(after), pinned.n);
    assert_false(dd_thread_pin(1 << 20));
    assert_int_equal(usable_cpus(after), pinned.n);
}

static void assert_order(const char *machine, const char *cpus, const char *expected,
                         uint32_t n_cores)
{
    dd_topology t;
    char order[512] = "";
    assert_int_equal(dd_topology_describe(machine, cpus, &t), DD_OK);
    for (uint32_t i = 0; i < t.n_cpus; i++)
        snprintf(order + strlen(order), sizeof order - strlen(order), "%s%u", i ? " " : "",
                 t.cpu[i]);
    assert_string_equal(order, expected);
    assert_int_equal(t.n_cpus_cores, n_cores);
    dd_topology_close(&t);
}

static void test_order_of_cpus(void **state)
{
    (void)state;
    dd_topology t;
    assert_int_equal(dd_topology_describe("package:2 l3:1 core:3 pu:2", NULL, &t), DD_OK);
    assert_int_equal(t.n_packages, 2);
    assert_int_equal(t.n_cores, 6);
    assert_int_equal(t.n_threads, 12);
    assert_int_equal(t.n_l3, 2);
    assert_true(t.l3_bytes > 0);
    assert_int_equal(t.n_cpus, 12);
    dd_topology_close(&t);
    dd_topology_close(&t);
    /* as kernels often number them, the second threads of all cores after the first ones */
    static const char *const numbered = "package:2 core:3 pu:2(indexes=0,6,1,7,2,8,3,9,4,10,5,11)";
    assert_order("package:1 core:4 pu:1", NULL, "0 1 2 3", 4);
    assert_order(numbered, NULL, "0 1 2 3 4 5 6 7 8 9 10 11", 6);
    assert_order("package:2 core:3 pu:2", NULL, "0 2 4 6 8 10 1 3 5 7 9 11", 6);
    /* part of a machine: the one thread that is left of a core stands for it */
    assert_order("package:2 core:3 pu:2", "1,4-7", "1 4 6 5 7", 3);
    assert_order("package:2 core:3 pu:2", "11", "11", 1);
    /* caches shared by pairs of cores whose numbers lie apart */
    assert_order("l2:2 core:2 pu:1(indexes=0,2,1,3)", NULL, "0 2 1 3", 4);
    assert_int_equal(dd_topology_describe("package:2 core:3 pu:2", "12-20", &t), DD_ERR_ARGUMENT);
    assert_int_equal(dd_topology_describe("nonsense", NULL, &t), DD_ERR_ARGUMENT);
    assert_int_equal(dd_topology_describe("package:1 core:1 pu:1", "x", &t), DD_ERR_ARGUMENT);
    assert_null(t.cpu);
}

static void test_topology_follows_affinity(void **state)
{
    (void)state;
    uint32_t usable[CPU_SETSIZE], n = usable_cpus(usable);
    dd_topology t;
    cpu_set_t before, one;
    assert_int_equal(dd_topology_open(&t), DD_OK);
    assert_true(t.n_threads >= n && t.n_cores >= 1 && t.n_packages >= 1);
    assert_int_equal(t.n_cpus, n);
    for (uint32_t i = 0; i < n; i++) { /* every one of them once */
        uint32_t found = 0;
        for (uint32_t k = 0; k < n; k++)
            found += t.cpu[k] == usable[i];
        assert_int_equal(found, 1);
    }
    dd_topology_close(&t);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (uint32_t i = 0; i < n; i++) {
        CPU_ZERO(&one);
        CPU_SET(usable[i], &one);
        assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
        assert_int_equal(dd_topology_open(&t), DD_OK);
        assert_int_equal(t.n_cpus, 1);
        assert_int_equal(t.n_cpus_cores, 1);
        assert_int_equal(t.cpu[0], usable[i]);
        assert_true(t.n_threads >= n); /* of the machine, all the same */
        dd_topology_close(&t);
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

/* ---- Quotas and limits ---- */

/* A machine made of files: its root holds proc/self/{cgroup,mountinfo} and the groups. */

static void test_quota_v2(void **state)
{
    (void)state;
    assert_int_equal(dd_cpu_quota(folder), UINT32_MAX); /* nothing to read */
    put_file("proc/self/mountinfo",
             "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
             "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
    put_file("proc/self/cgroup", "0::/user.slice/job\n");
    put_file("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
    assert_int_equal(dd_cpu_quota(folder), UINT32_MAX);
    put_file("sys/fs/cgroup/user.slice/job/cpu.max", "650000 100000\n");
    assert_int_equal(dd_cpu_quota(folder), 6);
    put_file("sys/fs/cgroup/user.slice/cpu.max", "350000 100000\n"); /* an ancestor binds */
    assert_int_equal(dd_cpu_quota(folder), 3);
    put_file("sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_int_equal(dd_cpu_quota(folder), 1);
}

static void test_quota_v1(void **state)
{
    (void)state;
    put_file(
        "proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
        "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 31 0:29 /docker/4f /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    put_file("proc/self/cgroup", "9:name=systemd:/\n"
                                 "3:cpuset:/docker/4f\n"
                                 "2:cpu,cpuacct:/docker/4f\n");
    put_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n");
    put_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(dd_cpu_quota(folder), UINT32_MAX);
    put_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us",
             "200000\n"); /* seen from inside docker */
    assert_int_equal(dd_cpu_quota(folder), 4);
}

static void test_limits(void **state)
{
    (void)state;
    dd_limits l;
    dd_limits_read(folder, &l); /* nothing to read */
    assert_true(l.group.most == DD_NO_LIMIT && l.system.most == DD_NO_LIMIT);
    assert_true(l.memory_bytes > 1 << 20 && l.memory_bytes < DD_NO_LIMIT); /* the machine's */
    put_file("proc/self/mountinfo",
             "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n"
             "33 31 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
             "35 31 0:32 /docker/4f /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    put_file("proc/self/cgroup", "8:pids:/\n4:memory:/docker/4f\n0::/a/b\n");
    put_file("proc/loadavg", "0.00 0.01 0.05 2/394 14805\n");
    put_file("proc/sys/kernel/threads-max", "192730\n");
    put_file("proc/sys/kernel/pid_max", "32768\n");
    put_file("proc/sys/vm/max_map_count", "65530\n");
    put_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9437184\n");
    put_file("sys/fs/cgroup/a/b/memory.max", "max\n");
    put_file("sys/fs/cgroup/a/memory.max", "10485760\n");
    put_file("sys/fs/cgroup/pids/pids.max", "max\n");
    put_file("sys/fs/cgroup/a/b/pids.max", "2000\n");
    put_file("sys/fs/cgroup/a/b/pids.current", "10\n");
    put_file("sys/fs/cgroup/a/pids.max", "5000\n"); /* more, but less of it is left */
    put_file("sys/fs/cgroup/a/pids.current", "4900\n");
    dd_limits_read(folder, &l);
    assert_true(l.memory_bytes == 9437184);
    assert_true(l.group.most == 5000 && l.group.used == 4900);
    assert_true(l.system.most == 32768 && l.system.used == 394);
    assert_true(l.maps == 65530);
    l.user = (dd_limit){.most = 300, .used = 250};
    assert_true(dd_limits_threads_left(&l) == 50);
    l.user = (dd_limit){.most = DD_NO_LIMIT};
    assert_true(dd_limits_threads_left(&l) == 100);
    l.group.most = DD_NO_LIMIT;
    assert_true(dd_limits_threads_left(&l) == 32768 - 394);
    l.maps = 3000;
    assert_true(dd_limits_threads_left(&l) == 1500);
    l.system.used = 40000; /* more than allowed: none is left */
    assert_true(dd_limits_threads_left(&l) == 0);
}

static void test_available_follows_affinity(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_in_range(dd_cpu_available(), 1, CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (size_t c = 0; c < CPU_SETSIZE && !CPU_COUNT(&one); c++)
        if (CPU_ISSET(c, &before))
            CPU_SET(c, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(dd_cpu_available(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_thread),
        cmocka_unit_test(test_await_is_bounded),
        cmocka_unit_test(test_clocks_and_fp_env),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_pinning),
        cmocka_unit_test(test_order_of_cpus),
        cmocka_unit_test(test_topology_follows_affinity),
        cmocka_unit_test_setup_teardown(test_limits, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_quota_v2, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_quota_v1, make_folder, remove_folder),
        cmocka_unit_test(test_available_follows_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
