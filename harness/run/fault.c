/* SPDX-License-Identifier: MIT
 * The fault handler. Writes its text by hand: printf is not async-signal-safe. */
#include "fault.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- Text ---- */

typedef struct text {
    char *at, *end; /* end: room for the terminator */
} text;

static void put(text *t, const char *s)
{
    while (*s && t->at < t->end)
        *t->at++ = *s++;
    *t->at = '\0';
}

static void put_number(text *t, uint64_t number, unsigned base)
{
    char digits[24];
    size_t n = sizeof digits;
    digits[--n] = '\0';
    do {
        digits[--n] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    put(t, digits + n);
}

/* ---- What the machine tells ---- */

typedef enum touch { TOUCHED, READ, WROTE, RAN } touch;

static touch kind_of_touch(const void *context)
{
#if defined(__x86_64__)
    enum { PAGE_FAULT = 14, WRITE = 1 << 1, FETCH = 1 << 4 };
    const ucontext_t *c = context;
    if (c && c->uc_mcontext.gregs[REG_TRAPNO] == PAGE_FAULT) {
        const greg_t error = c->uc_mcontext.gregs[REG_ERR];
        return error & FETCH ? RAN : error & WRITE ? WROTE : READ;
    }
#else
    (void)context;
#endif
    return TOUCHED;
}

static const char *reason(int signal, int code)
{
    if (signal == SIGBUS)
        return "the bus refuses it";
    switch (code) {
    case SEGV_MAPERR:
        return "no memory is there";
    case SEGV_ACCERR:
        return "the page forbids it";
#ifdef SEGV_PKUERR
    case SEGV_PKUERR:
        return "its protection key forbids it";
#endif
    default:
        return "the kernel does not say why";
    }
}

bool dd_fault_describe(const dd_trainer *trainer, int signal, const siginfo_t *info,
                       const void *context, char line[DD_FAULT_LINE_MAX])
{
    static const char *const words[] = {"touched ", "read ", "wrote to ", "ran "};
    text t = {line, line + DD_FAULT_LINE_MAX - 1};
    char name[17] = "";
    prctl(PR_GET_NAME, name, 0L, 0L, 0L);
    put(&t, "thread ");
    put_number(&t, (uint64_t)gettid(), 10);
    put(&t, " \"");
    put(&t, name);
    put(&t, "\"");
    if (info->si_code <= 0) {
        put(&t, " was sent the signal by process ");
        put_number(&t, (uint64_t)info->si_pid, 10);
        return false;
    }

    dd_region_info r = {.thread = UINT32_MAX};
    const bool found = trainer && dd_trainer_region_of(trainer, info->si_addr, &r);
    if (found && r.thread != UINT32_MAX) {
        put(&t, " (thread ");
        put_number(&t, r.thread, 10);
        put(&t, ", sphere ");
        put(&t, r.sphere);
        put(&t, ")");
    }
    put(&t, " ");
    put(&t, words[kind_of_touch(context)]);
    if (found) {
        const bool segment = strcmp(r.region, "segment") == 0;
        put(&t, r.region);
        if (segment) {
            put(&t, " ");
            put_number(&t, r.segment, 10);
            put(&t, " of worker ");
            put_number(&t, r.owner, 10);
        }
        put(&t, " at byte ");
        put(&t, r.offset < 0 ? "-" : "");
        put_number(&t, r.offset < 0 ? -(uint64_t)r.offset : (uint64_t)r.offset, 10);
        put(&t, ", ");
    }
    put(&t, "address 0x");
    put_number(&t, (uint64_t)(uintptr_t)info->si_addr, 16);
    put(&t, ": ");
    put(&t, reason(signal, info->si_code));
    return found;
}

/* ---- The handler ---- */

static const int faults[] = {SIGSEGV, SIGBUS};
enum { N_FAULTS = sizeof faults / sizeof *faults };

static const dd_trainer *watched; /* fixed while the handlers stand, as the next two */
static int out_fd;
static struct sigaction before[N_FAULTS];
static atomic_flag taken = ATOMIC_FLAG_INIT;

static void hand_on(int signal, siginfo_t *info, void *context)
{
    const struct sigaction *old = &before[signal == faults[1]];
    if (old->sa_flags & SA_SIGINFO) {
        old->sa_sigaction(signal, info, context);
    } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(signal);
    } else {
        /* The default, which ignoring comes to for a fault: pending until this handler returns. */
        struct sigaction act = {.sa_handler = SIG_DFL};
        sigaction(signal, &act, NULL);
        raise(signal);
    }
}

static void caught(int signal, siginfo_t *info, void *context)
{
    /* The first to fault tells its story to the end, then the process goes. */
    while (atomic_flag_test_and_set(&taken))
        pause();
    char line[DD_FAULT_LINE_MAX];
    const char *prefix = "dodeca: ";
    char whole[DD_FAULT_LINE_MAX + 16];
    text t = {whole, whole + sizeof whole - 1};
    (void)dd_fault_describe(watched, signal, info, context, line);
    put(&t, prefix);
    put(&t, line);
    put(&t, "\n");
    ssize_t wrote = write(out_fd, whole, (size_t)(t.at - whole));
    (void)wrote; /* nobody is left to tell */
    hand_on(signal, info, context);
}

void dd_fault_watch(const dd_trainer *trainer, int fd)
{
    for (int i = 0; i < N_FAULTS && watched; i++)
        sigaction(faults[i], &before[i], NULL);
    watched = trainer;
    out_fd = fd < 0 ? STDERR_FILENO : fd;
    for (int i = 0; i < N_FAULTS && watched; i++) {
        struct sigaction act = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&act.sa_mask);
        sigaction(faults[i], &act, &before[i]);
    }
}
