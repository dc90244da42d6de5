/* SPDX-License-Identifier: MIT
 * A peer's child process and the talk with it: one request, one answer. A child that dies or hangs
 * up is an answer, too: the parent never waits for what cannot come. */
#include "peers.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peak.h"
#include "peer_libraries.h"
#include "platform.h"

typedef struct request {
    enum { BEGIN, TIME } what;
    uint64_t at_least_ns;
    /* BEGIN */
    dd_pass pass;
    bool add;
    size_t M, N, K, copies;
    bool a_cold, b_cold, c_cold;
} request;

typedef struct answer {
    bool ok;
    double ns, peak;
    char text[DD_PEER_WHY_MAX];
} answer;

struct dd_peer {
    pid_t child;
    int socket;
    char about[DD_PEER_WHY_MAX];
};

/* ---- The child ---- */

typedef struct operands {
    dd_gemm gemm; /* with the first copies */
    float *a, *b, *c;
    size_t a_stride, b_stride, c_stride, copies; /* stride 0: one for all */
} operands;

static void fill(float *x, size_t n, uint32_t state)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

static float *take(size_t n, bool cold, size_t copies, size_t *stride, uint32_t seed)
{
    *stride = cold ? (n + 15) / 16 * 16 : 0;
    const size_t all = (copies - 1) * *stride + n;
    float *x = dd_alloc(all * sizeof *x);
    if (x)
        fill(x, all, seed);
    return x;
}

/* Some elements against sums in double; the bound allows any order of the additions. NaN fails. */
static bool multiplies_right(const dd_library *library, operands *o)
{
    const dd_gemm *g = &o->gemm;
    const size_t M = (size_t)g->M, N = (size_t)g->N, K = (size_t)g->K;
    dd_gemm once = *g;
    once.add = false;
    library->multiply(&once);
    uint32_t state = 1;
    for (int i = 0; i < 200; i++) {
        state = state * 1664525u + 1013904223u;
        const size_t row = i ? (state >> 8) % M : M - 1;
        state = state * 1664525u + 1013904223u;
        const size_t column = i ? (state >> 8) % N : N - 1;
        double sum = 0, size = 0;
        for (size_t k = 0; k < K; k++) {
            const double product = (double)g->a[g->a_turned ? k * M + row : row * K + k] *
                                   (double)g->b[g->b_turned ? column * K + k : k * N + column];
            sum += product;
            size += fabs(product);
        }
        if (!(fabs((double)g->c[row * N + column] - sum) <= size * (double)K * 0x1p-24))
            return false;
    }
    return true;
}

static void release(operands *o)
{
    dd_free(o->a);
    dd_free(o->b);
    dd_free(o->c);
    *o = (operands){0};
}

static void begin(const dd_library *library, const request *r, operands *o, answer *to)
{
    release(o);
    o->copies = r->copies;
    o->a = take(r->M * r->K, r->a_cold, r->copies, &o->a_stride, 1);
    o->b = take(r->K * r->N, r->b_cold, r->copies, &o->b_stride, 2);
    o->c = take(r->M * r->N, r->c_cold, r->copies, &o->c_stride, 3);
    o->gemm = (dd_gemm){.M = (int)r->M,
                        .N = (int)r->N,
                        .K = (int)r->K,
                        .a_turned = r->pass == DD_PASS_WEIGHT,
                        .b_turned = r->pass == DD_PASS_FORWARD,
                        .add = r->add,
                        .a = o->a,
                        .b = o->b,
                        .c = o->c};
    to->ok = o->a && o->b && o->c;
    if (!to->ok) {
        (void)snprintf(to->text, sizeof to->text, "no memory for its operands");
        return;
    }
    to->ok = multiplies_right(library, o);
    if (!to->ok)
        (void)snprintf(to->text, sizeof to->text, "its result is wrong");
}

/* CPU time of all threads the library may have: an unasked helper would count. */
static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static double pass_ns(const dd_library *library, const operands *o)
{
    dd_gemm g = o->gemm;
    const double before = cpu_ns();
    for (size_t i = 0; i < o->copies; i++) {
        library->multiply(&g);
        g.a += o->a_stride;
        g.b += o->b_stride;
        g.c += o->c_stride;
    }
    return cpu_ns() - before;
}

static void time_passes(const dd_library *library, const operands *o, const dd_kernels *set,
                        uint64_t at_least_ns, answer *to)
{
    to->ns = HUGE_VAL;
    const double start = cpu_ns();
    do {
        const double ns = pass_ns(library, o);
        to->ns = ns < to->ns ? ns : to->ns;
    } while (cpu_ns() - start < (double)at_least_ns);
    to->ns /= (double)o->copies;
    to->peak = dd_peak_at_work(set);
}

static bool tell(int socket, const void *message, size_t bytes)
{
    return send(socket, message, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool hear(int socket, void *message, size_t bytes)
{
    ssize_t n;
    do
        n = recv(socket, message, bytes, MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)bytes;
}

static _Noreturn void child_main(const dd_library *library, const dd_kernels *set, int socket)
{
    operands o = {0};
    request r;
    answer to = {0};
    to.ok = library->load(library->file, set->name, to.text, to.text);
    while (tell(socket, &to, sizeof to) && hear(socket, &r, sizeof r)) {
        to = (answer){.ok = true};
        if (r.what == BEGIN)
            begin(library, &r, &o, &to);
        else
            time_passes(library, &o, set, r.at_least_ns, &to);
    }
    _exit(0); /* nothing of the parent's is flushed or run twice */
}

/* ---- The parent ---- */

const char *dd_peer_name(unsigned peer)
{
    return dd_libraries[peer].name;
}

const char *dd_peer_about(const dd_peer *p)
{
    return p->about;
}

static bool fail(char why[DD_PEER_WHY_MAX], const char *text)
{
    (void)snprintf(why, DD_PEER_WHY_MAX, "%s", text);
    return false;
}

bool dd_peer_open(unsigned peer, const dd_kernels *set, dd_peer **out, char why[DD_PEER_WHY_MAX])
{
    int ends[2];
    *out = NULL;
    dd_peer *p = calloc(1, sizeof *p);
    if (!p)
        return fail(why, "no memory");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(p);
        return fail(why, "no socket for its process");
    }
    p->socket = ends[0];
    (void)fflush(NULL);
    p->child = fork();
    if (p->child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        child_main(&dd_libraries[peer], set, ends[1]);
    }
    close(ends[1]);
    answer a;
    bool ok = p->child > 0;
    if (!ok)
        (void)fail(why, "no process for it");
    else if (!(ok = hear(p->socket, &a, sizeof a)))
        (void)fail(why, "its process ended while it was loaded");
    else if (!(ok = a.ok))
        (void)fail(why, a.text);
    if (!ok) {
        dd_peer_close(p);
        return false;
    }
    memcpy(p->about, a.text, sizeof p->about);
    *out = p;
    return true;
}

void dd_peer_close(dd_peer *p)
{
    if (!p)
        return;
    (void)shutdown(p->socket,
                   SHUT_RDWR); /* ends the child, though later children hold the socket */
    close(p->socket);
    if (p->child > 0)
        while (waitpid(p->child, NULL, 0) < 0 && errno == EINTR)
            ;
    free(p);
}

bool dd_peer_begin(dd_peer *p, const dd_case *c, char why[DD_PEER_WHY_MAX])
{
    const request r = {.what = BEGIN,
                       .pass = c->pass,
                       .add = c->sink == DD_FOLD,
                       .M = c->M,
                       .N = c->N,
                       .K = c->K,
                       .copies = c->copies,
                       .a_cold = c->array[0].cold,
                       .b_cold = c->array[1].cold,
                       .c_cold = c->array[2].cold};
    answer a;
    if (!tell(p->socket, &r, sizeof r) || !hear(p->socket, &a, sizeof a))
        return fail(why, "its process ended");
    return a.ok || fail(why, a.text);
}

double dd_peer_time(dd_peer *p, uint64_t at_least_ns, double *peak)
{
    const request r = {.what = TIME, .at_least_ns = at_least_ns};
    answer a;
    if (!tell(p->socket, &r, sizeof r) || !hear(p->socket, &a, sizeof a)) {
        *peak = (double)NAN;
        return (double)NAN;
    }
    *peak = a.peak;
    return a.ns;
}
