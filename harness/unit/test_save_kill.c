/* SPDX-License-Identifier: MIT
 * A save that is killed at each of its system calls, and one whose system calls fail in turn: what
 * is there afterwards is the old checkpoint or the new one, whole, with at most a temporary file
 * beside it, which the next save takes away.
 *
 * Each killed save has a process of its own, followed by ptrace from the save's begin on, with the
 * thread that writes. The files are on /dev/shm, where there is one: what a kill leaves does not
 * depend on the disk, and the thousand syncs take no time there. */
#define _GNU_SOURCE /* ptrace, __WALL */
#include "checkpoint_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- System calls that fail ---- */

enum { CALLS = 256 };

static long n_calls, failing = -1; /* the call of this number fails */
static int failing_with;
static const char *called[CALLS]; /* the first so many, by name */

static bool fails(const char *name)
{
    if (n_calls < CALLS)
        called[n_calls] = name;
    if (n_calls++ != failing)
        return false;
    errno = failing_with;
    return true;
}

#define FAILING(result, name, declared, ...)                                                       \
    result __real_##name declared;                                                                 \
    result __wrap_##name declared;                                                                 \
    result __wrap_##name declared                                                                  \
    {                                                                                              \
        return fails(#name) ? (result)-1 : __real_##name(__VA_ARGS__);                             \
    }
FAILING(int, fstat, (int fd, struct stat *out), fd, out)
FAILING(int, ftruncate, (int fd, off_t n), fd, n)
FAILING(int, fsync, (int fd), fd)
FAILING(int, link, (const char *from, const char *to), from, to)
FAILING(int, rename, (const char *from, const char *to), from, to)
FAILING(int, unlink, (const char *path), path)
FAILING(ssize_t, pwrite, (int fd, const void *from, size_t n, off_t at), fd, from, n, at)

int __real_open(const char *path, int flags, int mode);
int __wrap_open(const char *path, int flags, int mode);

/* The mode that is not passed is not looked at either. */
int __wrap_open(const char *path, int flags, int mode)
{
    return fails("open") ? -1 : __real_open(path, flags, mode);
}

/* ---- Saves ---- */

typedef struct variant {
    uint32_t earlier, keep; /* saves that are there already */
    bool beside;            /* by a thread, while a step is made */
} variant;

/* In a process of its own, since nobody forks beside threads: saves after 1 and more steps, until
 * `saves` are there. With `watched` the last one is followed by the parent. */
static void save_all(const variant *v, uint32_t saves, bool watched)
{
    dd_config config = smallest();
    config.workers = 1;
    dd_trainer *t = open_trainer(&config);
    dd_error error = {""};
    dd_status st = DD_OK;
    for (uint32_t i = 1; i <= saves && !st; i++) {
        step_ok(t);
        if (watched && i == saves) {
            if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
                perror("ptrace, which this test needs");
                _exit(3);
            }
            raise(SIGSTOP);
        }
        st = dd_trainer_save(t, file_named("c"), v->keep, &error);
        if (!st && v->beside)
            step_ok(t);
        if (!st)
            st = dd_trainer_save_wait(t, &error);
    }
    if (st)
        fprintf(stderr, "%s\n", error.message);
    _exit(st != DD_OK);
}

static pid_t begin_saving(const variant *v, uint32_t saves, bool watched)
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        save_all(v, saves, watched);
    return child;
}

static void save_in_peace(const variant *v, uint32_t saves)
{
    int status = 0;
    const pid_t child = begin_saving(v, saves, false);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The step that a whole checkpoint goes on with; 0: there is none, or it is not whole. */
static uint64_t step_of(const char *name)
{
    dd_checkpoint *c;
    dd_checkpoint_info info;
    if (dd_checkpoint_open(file_named(name), &c, NULL) != DD_OK)
        return 0;
    dd_checkpoint_info_get(c, &info);
    const bool whole = dd_checkpoint_verify(c, NULL) == DD_OK;
    dd_checkpoint_close(c);
    return whole ? info.step : 0;
}

/* What a save of number `earlier` + 1 may leave, ended or not. With a step beside each save they
 * are two steps apart. */
static void check_left(const variant *v, const char *when, uint32_t n)
{
    const uint32_t apart = v->beside ? 2 : 1;
    const uint64_t old = v->earlier ? (v->earlier - 1) * apart + 1 : 0;
    const uint64_t new = v->earlier *apart + 1, got = step_of("c");
    if (got != new && (got != old || (!old && access(file_named("c"), F_OK) == 0)))
        fail_msg("%s %u: the checkpoint is of step %d, neither old nor new", when, n, (int)got);
    int known = got != 0;
    for (uint32_t g = 1; g < 8; g++) {
        char name[16];
        (void)snprintf(name, sizeof name, "c.%u", g);
        if (access(file_named(name), F_OK) != 0)
            continue;
        known++;
        if (g >= v->keep || !step_of(name) || step_of(name) > got)
            fail_msg("%s %u: %s is of step %d", when, n, name, (int)step_of(name));
    }
    const int temporary = access(file_named("c.dodeca-tmp"), F_OK) == 0;
    if (count_files() != known + temporary)
        fail_msg("%s %u: %d files, %d of them known", when, n, count_files(), known + temporary);
}

/* ---- Killed ---- */

/* Follows the child and its new threads from one system call to the next, and kills it at the n-th
 * that begins.  returns  whether it came so far */
static bool kill_at(pid_t child, uint32_t n)
{
    int status;
    uint32_t seen = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, options), 0);
    bool inside[2] = {false, false}; /* a call has begun: of the caller, of the thread */
    assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
    for (;;) {
        const pid_t id = waitpid(-1, &status, __WALL);
        assert_true(id > 0);
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (id != child)
                continue;
            assert_int_equal(status, 0);
            return false;
        }
        const bool call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        bool *in = &inside[id != child];
        if (call && (*in = !*in) && ++seen == n) {
            kill(child, SIGKILL);
            while (waitpid(-1, &status, __WALL) > 0) /* until there is no child any more */
                continue;
            return true;
        }
        /* ESRCH: the process ends; a later wait tells */
        assert_true(ptrace(PTRACE_SYSCALL, id, NULL, NULL) == 0 || errno == ESRCH);
    }
}

static void killed_at_every_system_call(void **state)
{
    (void)state;
    static const variant variants[] = {{0, 2, false}, {0, 1, true}, {1, 1, false},
                                       {2, 2, false}, {2, 2, true}, {3, 3, false}};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const variant *v = &variants[i];
        uint32_t n = 0;
        for (bool killed = true; killed;) {
            empty_folder();
            killed = kill_at(begin_saving(v, v->earlier + 1, true), ++n);
            check_left(v, "killed at call", n);
        }
        /* header, 48 tensors, and what makes and ends a file */
        assert_true(n > 55);
    }
}

/* Killed where a temporary file lies about: the next save takes it. */
static void the_next_save_cleans_up(void **state)
{
    (void)state;
    const variant v = {1, 2, false};
    for (uint32_t n = 20; n < 80; n += 12) {
        empty_folder();
        if (!kill_at(begin_saving(&v, 2, true), n))
            break;
        save_in_peace(&v, 3);
        assert_int_equal(access(file_named("c.dodeca-tmp"), F_OK), -1);
        assert_int_equal(step_of("c"), 3);
        assert_int_equal(step_of("c.1"), 2);
        assert_int_equal(count_files(), 2);
    }
}

/* ---- Failed ---- */

static void every_failing_call_is_told(void **state)
{
    (void)state;
    static const int numbers[] = {ENOSPC, EIO, EACCES};
    dd_config config = smallest();
    config.workers = 1;
    for (uint32_t keep = 1; keep <= 3; keep++)
        for (size_t e = 0; e < sizeof numbers / sizeof *numbers; e++) {
            uint32_t told = 0;
            dd_trainer *t = open_trainer(&config);
            const variant v = {3, keep, false};
            empty_folder();
            for (uint32_t i = 0; i < 3; i++) {
                step_ok(t);
                save_ok(t, file_named("c"), keep);
            }
            wait_ok(t);
            step_ok(t);
            for (long n = 0; n < n_calls || !n; n++) {
                dd_error error = {""};
                failing = n;
                failing_with = numbers[e];
                n_calls = 0;
                dd_status st = dd_trainer_save(t, file_named("c"), keep, &error);
                if (!st)
                    st = dd_trainer_save_wait(t, &error);
                failing = -1;
                check_left(&v, "failed call", (uint32_t)n);
                told += st != DD_OK;
                if (st && (st != DD_ERR_DATA || !strstr(error.message, strerror(numbers[e]))))
                    fail_msg("call %ld: %s: %s", n, dd_status_name(st), error.message);
                if (!st && step_of("c") != 4)
                    fail_msg("call %ld failed, and the save is not told to have", n);
            }
            save_ok(t, file_named("c"), keep);
            wait_ok(t);
            assert_int_equal(access(file_named("c.dodeca-tmp"), F_OK), -1);
            assert_true(told > 50);
            dd_trainer_close(t);
        }
}

/* ---- Synced ---- */

/* Of the calls from number `from` on the first one of that name, or where there is none n_calls. */
static long next_call(const char *name, long from)
{
    while (from < n_calls && strcmp(called[from], name) != 0)
        from++;
    return from;
}

/* What a loss of power would show and no kill does: the file is on the disk before anything is
 * named anew, and the names are before the save is told to have ended. */
static void synced_before_named_and_after(void **state)
{
    (void)state;
    dd_config config = smallest();
    config.workers = 1;
    for (uint32_t keep = 1; keep <= 3; keep++) {
        dd_trainer *t = open_trainer(&config);
        empty_folder();
        for (uint32_t i = 0; i < 4; i++) {
            step_ok(t);
            n_calls = 0;
            save_ok(t, file_named("c"), keep);
            wait_ok(t);
            assert_true(n_calls < CALLS);
            const long file = next_call("fsync", 0);
            assert_true(next_call("pwrite", 0) < file && next_call("pwrite", file) == n_calls);
            assert_true(next_call("link", 0) > file && next_call("rename", 0) > file);
            long named = next_call("rename", file);
            assert_true(named < n_calls);
            for (long next; (next = next_call("rename", named + 1)) < n_calls;)
                named = next;
            assert_true(next_call("fsync", named) < n_calls);
        }
        dd_trainer_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_system_call),
        cmocka_unit_test(the_next_save_cleans_up),
        cmocka_unit_test(every_failing_call_is_told),
        cmocka_unit_test(synced_before_named_and_after),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
