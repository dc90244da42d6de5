/* SPDX-License-Identifier: MIT
 * core/platform on the machine: memory, threads, bounded polling, and how many CPUs there are. */
#define _GNU_SOURCE /* pthread_getname_np, mkdtemp, nftw */
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cpu.h"
#include "platform.h"

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

/* ---- CPUs ---- */

/* A machine made of files: root holds proc/self/{cgroup,mountinfo} and the groups. */
static char root[] = "/tmp/dodeca-test-XXXXXX";

static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    memcpy(root + sizeof root - 7, "XXXXXX", 6);
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_quota_v2(void **state)
{
    (void)state;
    assert_int_equal(dd_cpu_quota(root), UINT32_MAX); /* nothing to read */
    put("proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                               "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
    put("proc/self/cgroup", "0::/user.slice/job\n");
    put("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
    assert_int_equal(dd_cpu_quota(root), UINT32_MAX);
    put("sys/fs/cgroup/user.slice/job/cpu.max", "650000 100000\n");
    assert_int_equal(dd_cpu_quota(root), 6);
    put("sys/fs/cgroup/user.slice/cpu.max", "350000 100000\n"); /* an ancestor binds */
    assert_int_equal(dd_cpu_quota(root), 3);
    put("sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_int_equal(dd_cpu_quota(root), 1);
}

static void test_quota_v1(void **state)
{
    (void)state;
    put("proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
        "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "32 31 0:29 /docker/4f /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    put("proc/self/cgroup", "9:name=systemd:/\n"
                            "3:cpuset:/docker/4f\n"
                            "2:cpu,cpuacct:/docker/4f\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(dd_cpu_quota(root), UINT32_MAX);
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"); /* seen from inside docker */
    assert_int_equal(dd_cpu_quota(root), 4);
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
        cmocka_unit_test_setup_teardown(test_quota_v2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_quota_v1, make_root, remove_root),
        cmocka_unit_test(test_available_follows_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
