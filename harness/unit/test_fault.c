/* SPDX-License-Identifier: MIT
 * harness/run/fault: what is said of a stray access, and how the process then ends. The trainer is
 * pretended; its regions are real. With --required a machine without protection keys fails. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "guard.h"
#include "platform.h"

enum { BYTES = 8192 };

static bool required;
static dd_guard *guard;
static char *weights, *segment;
static const char *why;

bool dd_trainer_region_of(const dd_trainer *trainer, const void *address, dd_region_info *out)
{
    dd_region_kind kind;
    bool on_guard_page;
    uint32_t number;
    assert_ptr_equal(trainer, &guard);
    *out = (dd_region_info){.thread = 5};
    strcpy(out->sphere, "3.0");
    if (!dd_guard_find(guard, address, &kind, &number, &out->offset, &on_guard_page))
        return false;
    out->region = on_guard_page ? "guard page" : kind == DD_REGION_WEIGHTS ? "weights" : "segment";
    out->segment = number;
    out->owner = 2;
    return true;
}

static int set_up(void **state)
{
    (void)state;
    if (dd_guard_open(true, &guard, &why))
        return -1;
    weights = dd_guard_alloc(guard, DD_REGION_WEIGHTS, 0, BYTES);
    segment = dd_guard_alloc(guard, DD_REGION_SEGMENT, 7, BYTES);
    return !weights || !segment || dd_guard_protect(guard);
}

static int tear_down(void **state)
{
    (void)state;
    dd_guard_close(guard);
    return 0;
}

/* ---- A child that comes to harm ---- */

static char *target;

static void write_target(void *unused)
{
    (void)unused;
    *(volatile char *)target = 1;
}

static void read_target(void *unused)
{
    (void)unused;
    char byte = *(volatile char *)target;
    (void)byte;
}

static void write_from_threads(void *unused)
{
    (void)unused;
    dd_thread thread[8];
    for (int t = 0; t < 8; t++)
        if (dd_thread_create(&thread[t], "dd-worker", 65536, write_target, NULL))
            _exit(3);
    for (int t = 0; t < 8; t++)
        dd_thread_join(&thread[t]);
}

static void send_itself(void *unused)
{
    (void)unused;
    kill(getpid(), SIGSEGV);
    for (;;)
        pause();
}

static void exit_42(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    _exit(info->si_addr == target ? 42 : 1);
}

static void exit_43(int signal)
{
    (void)signal;
    _exit(43);
}

/* The child's wait status; what it wrote is in `said`. */
static int harm(void (*action)(void *), struct sigaction before, char said[1024])
{
    int fd[2], status = 0;
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        sigaction(SIGSEGV, &before, NULL);
        dd_fault_watch((const dd_trainer *)(const void *)&guard, fd[1]);
        action(NULL);
        _exit(0);
    }
    close(fd[1]);
    assert_true(child > 0);
    size_t n = 0;
    for (ssize_t got; n < 1023 && (got = read(fd[0], said + n, 1023 - n)) > 0;)
        n += (size_t)got;
    said[n] = '\0';
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Dies by SIGSEGV after having said so. */
static void assert_harm(void (*action)(void *), const char *name, const char *what,
                        const char *reason)
{
    char said[1024], expected[512], *after;
    const int status = harm(action, (struct sigaction){.sa_handler = SIG_DFL}, said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_memory_equal(said, "dodeca: thread ", 15);
    assert_true(strtol(said + 15, &after, 10) > 0);
    snprintf(expected, sizeof expected, " \"%s\"%s address 0x%lx: %s\n", name, what,
             (unsigned long)(uintptr_t)target, reason);
    assert_string_equal(after, expected);
}

#ifdef __x86_64__
#define WROTE "wrote to"
#define READ "read"
#else
#define WROTE "touched"
#define READ "touched"
#endif
#define WHO " (thread 5, sphere 3.0) "

static void test_regions_are_named(void **state)
{
    (void)state;
    target = weights + 4097;
    assert_harm(write_target, "test_fault", WHO WROTE " weights at byte 4097,",
                "the page forbids it");
    target = segment - 8;
    assert_harm(read_target, "test_fault", WHO READ " guard page at byte -8,",
                "the page forbids it");
    target = (char *)16;
    assert_harm(write_target, "test_fault", " " WROTE, "no memory is there");
}

static void test_segments_are_named(void **state)
{
    (void)state;
    const uint32_t owner[8] = {9, 9, 9, 9, 9, 9, 9, 2};
    if (dd_guard_n_keys(guard) == 0) {
        if (required)
            fail_msg("no protection keys: %s", why);
        print_message("SKIP (optional): %s\n", why);
        skip();
    }
    assert_true(dd_guard_turn(guard, owner, 8, 3) == 1);
    target = segment + 5000;
    assert_harm(write_target, "test_fault", WHO WROTE " segment 7 of worker 2 at byte 5000,",
                "its protection key forbids it");
}

static void test_threads_with_small_stacks(void **state)
{
    (void)state;
    target = weights;
    for (int i = 0; i < 20; i++) /* whoever is first has the word */
        assert_harm(write_from_threads, "dd-worker", WHO WROTE " weights at byte 0,",
                    "the page forbids it");
}

static void test_a_signal_that_was_sent(void **state)
{
    (void)state;
    char said[1024];
    const int status = harm(send_itself, (struct sigaction){.sa_handler = SIG_DFL}, said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_non_null(strstr(said, " was sent the signal by process "));
}

static void test_handlers_that_stood_before(void **state)
{
    (void)state;
    char said[1024];
    target = weights + 100;
    int status = harm(write_target,
                      (struct sigaction){.sa_sigaction = exit_42, .sa_flags = SA_SIGINFO}, said);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    assert_non_null(strstr(said, "weights at byte 100"));
    status = harm(write_target, (struct sigaction){.sa_handler = exit_43}, said);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 43);
    status = harm(write_target, (struct sigaction){.sa_handler = SIG_IGN}, said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_a_watch_ends(void **state)
{
    (void)state;
    struct sigaction first = {.sa_sigaction = exit_42, .sa_flags = SA_SIGINFO}, now, old;
    sigaction(SIGSEGV, &first, &old);
    dd_fault_watch((const dd_trainer *)(const void *)&guard, -1);
    sigaction(SIGSEGV, NULL, &now);
    assert_true(now.sa_sigaction != exit_42);
    dd_fault_watch((const dd_trainer *)(const void *)&guard, -1); /* again: no handler is lost */
    dd_fault_watch(NULL, -1);
    sigaction(SIGSEGV, NULL, &now);
    assert_true(now.sa_sigaction == exit_42);
    dd_fault_watch(NULL, -1);
    sigaction(SIGSEGV, &old, &now);
    assert_true(now.sa_sigaction == exit_42);
}

int main(int argc, char **argv)
{
    required = argc == 2 && strcmp(argv[1], "--required") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions_are_named),
        cmocka_unit_test(test_segments_are_named),
        cmocka_unit_test(test_threads_with_small_stacks),
        cmocka_unit_test(test_a_signal_that_was_sent),
        cmocka_unit_test(test_handlers_that_stood_before),
        cmocka_unit_test(test_a_watch_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
