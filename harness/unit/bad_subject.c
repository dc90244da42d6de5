/* SPDX-License-Identifier: MIT
 * A plug-in that is good, unless told by its option `do` how to be bad; and, compiled with one of
 * the macros BAD_…, one that is bad before anybody can tell it anything. Its "training" is
 * arithmetic on eight numbers. */
#include <dodeca_subject.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { N = 8 };

typedef struct subject {
    const char *does; /* one of the words below; "" for good */
    uint32_t workers;
    uint64_t step;
    float weight[N];
    _Atomic uint64_t heartbeat;
    jmp_buf opened;
    char *nowhere; /* NULL */
} subject;

static char words[64];

static int is(const subject *s, const char *word)
{
    return strcmp(s->does, word) == 0;
}

static void stand_still(void)
{
    for (;;)
        pause();
}

static void *stay(void *nothing)
{
    stand_still();
    return nothing;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* ---- Opening ---- */

static dd_subject_result open_subject(const dd_subject_settings *settings, void **self,
                                      char error[DD_SUBJECT_MESSAGE])
{
    subject *s = calloc(1, sizeof *s);
    if (!s)
        return DD_SUBJECT_LACKING;
    s->does = "";
    s->workers = settings->workers;
    for (uint32_t i = 0; i < settings->n_options; i++) {
        if (strcmp(settings->options[i].key, "do") != 0) {
            snprintf(error, DD_SUBJECT_MESSAGE, "subject-options %s: there is only do",
                     settings->options[i].key);
            free(s);
            return DD_SUBJECT_FAILED;
        }
        snprintf(words, sizeof words, "%s", settings->options[i].value);
        s->does = words;
    }
    if (is(s, "open-null")) {
        free(s);
        return DD_SUBJECT_OK;
    }
    if (is(s, "open-lacks") || is(s, "open-unterminated") || is(s, "open-silent")) {
        const int lacks = is(s, "open-lacks");
        if (lacks)
            snprintf(error, DD_SUBJECT_MESSAGE, "no\nroom");
        else if (is(s, "open-unterminated"))
            memset(error, 'x', DD_SUBJECT_MESSAGE);
        free(s);
        return lacks ? DD_SUBJECT_LACKING : DD_SUBJECT_FAILED;
    }
    if (is(s, "open-hang"))
        stand_still();
    for (int i = 0; i < N; i++)
        s->weight[i] = (float)(1 + (settings->seed + (uint64_t)i) % 7);
    *self = s;
    if (is(s, "longjmp"))
        (void)setjmp(s->opened);
    return DD_SUBJECT_OK;
}

static void close_subject(void *self)
{
    const subject *s = self;
    if (is(s, "close-hang"))
        stand_still();
    free(self);
}

/* ---- A step ---- */

/* Two threads that add to one number: with do=threads under a lock, with do=race without. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *add(void *arg)
{
    subject *s = arg;
    for (int i = 0; i < 1000; i++) {
        if (is(s, "threads"))
            pthread_mutex_lock(&lock);
        s->weight[7] += 1;
        if (is(s, "threads"))
            pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void add_at_once(subject *s)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, add, s))
            abort();
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
}

static void scribble(void)
{
    for (int fd = 3; fd < 64; fd++)
        if (write(fd, "garbage\n", 8) < 0)
            continue;
}

static void leak(const subject *s)
{
    pthread_t thread;
    if (is(s, "leak-thread"))
        pthread_create(&thread, NULL, stay, NULL);
    if (is(s, "leak-file"))
        (void)open("/dev/null", O_RDONLY);
    if (is(s, "leak-process") && fork() == 0)
        stand_still();
}

/* What it does of its word in the middle of the run. */
static dd_subject_result misbehave(subject *s, char error[DD_SUBJECT_MESSAGE])
{
    if (is(s, "hang"))
        stand_still();
    while (is(s, "spin"))
        continue;
    if (is(s, "crash"))
        memset(s->nowhere, 1, 1);
    if (is(s, "abort"))
        abort();
    if (is(s, "exit-0"))
        exit(0);
    if (is(s, "exit-3"))
        _exit(3);
    if (is(s, "scribble"))
        scribble();
    if (is(s, "close-all"))
        for (int fd = 3; fd < 64; fd++)
            close(fd);
    if (is(s, "longjmp"))
        longjmp(s->opened, 1);
    leak(s);
    for (int i = 0; i < 40 && is(s, "alive"); i++) {
        nap();
        atomic_fetch_add(&s->heartbeat, 1);
    }
    if (!is(s, "step-fails"))
        return DD_SUBJECT_OK;
    snprintf(error, DD_SUBJECT_MESSAGE, "sample 12 is no sample");
    return DD_SUBJECT_FAILED;
}

static void print(const subject *s)
{
    if (is(s, "print"))
        printf("{\"end\": {}}\n\xff\xfe not a record\n");
    for (int i = 0; i < 2000 && is(s, "flood"); i++)
        puts("all the same, all the same, all the same, all the same, all the same, all the same");
    fflush(stdout);
}

static dd_subject_result step_subject(void *self, dd_subject_step *out,
                                      char error[DD_SUBJECT_MESSAGE])
{
    subject *s = self;
    const dd_subject_result result = s->step == 4 ? misbehave(s, error) : DD_SUBJECT_OK;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    atomic_fetch_add(&s->heartbeat, 1);
    print(s);
    if (is(s, "threads") || is(s, "race"))
        add_at_once(s);
    for (int i = 0; i < N; i++)
        s->weight[i] *= 0.9f;
    if (is(s, "near") && s->workers > 1)
        s->weight[5] = nextafterf(s->weight[5], 9);
    if (is(s, "far") && s->workers > 1)
        s->weight[5] *= 1.01f;
    if (is(s, "random"))
        s->weight[2] += (float)now.tv_nsec * 1e-12f;
    if (is(s, "nan-weight") && s->step == 7)
        s->weight[6] = NAN;
    if (!is(s, "no-loss"))
        out->loss = (double)s->weight[0];
    if (is(s, "nan-loss") && s->step == 3)
        out->loss = (double)NAN;
    if (is(s, "loss-far") && s->step == 2)
        out->loss *= 1 + s->workers * 1e-3;
    if (is(s, "loss-stays"))
        out->loss = 1;
    out->norm = is(s, "infinite-norm") ? (double)INFINITY : 0.1;
    s->step++;
    return result;
}

/* ---- Weights ---- */

static void give_weights(void *self, dd_subject_take *take, void *user)
{
    subject *s = self;
    if (is(s, "no-weights"))
        return;
    if (is(s, "unknown-type")) {
        take(user, "w", (dd_subject_type)77, s->weight, N);
        return;
    }
    if (is(s, "null-weights")) {
        take(user, "w", DD_SUBJECT_F32, NULL, N);
        return;
    }
    if (is(s, "unlike") && s->workers > 1) {
        take(user, "w", DD_SUBJECT_F32, s->weight, N - 1);
        return;
    }
    take(user, "first", DD_SUBJECT_F32, s->weight, N / 2);
    take(user, NULL, DD_SUBJECT_F32, s->weight + N / 2, N / 2);
    if (is(s, "bytes"))
        take(user, "bytes", DD_SUBJECT_BYTES, s->workers > 1 ? "ab" : "ac", 2);
}

static uint64_t heartbeat(const void *self)
{
    return atomic_load(&((subject *)(uintptr_t)self)->heartbeat);
}

/* ---- The table ---- */

#if defined BAD_CONSTRUCTOR_CRASHES
__attribute__((constructor)) static void construct(void)
{
    abort();
}
#elif defined BAD_CONSTRUCTOR_HANGS
__attribute__((constructor)) static void construct(void)
{
    stand_still();
}
#elif defined BAD_DESTRUCTOR_HANGS
__attribute__((destructor)) static void destruct(void)
{
    stand_still();
}
#endif

#if !defined BAD_NO_STEP
#define BAD_NO_STEP 0
#endif

#if defined BAD_NO_SYMBOL
#define dd_subject_v1 dd_subject_v0
const dd_subject_table *dd_subject_v0(void);
#endif

const dd_subject_table *dd_subject_v1(void)
{
    static const dd_subject_table table = {
#if defined BAD_ABI
        .abi = 7,
#else
        .abi = DD_SUBJECT_ABI,
#endif
#if defined BAD_SIZE
        .size = 16,
#elif defined BAD_OLDER
        .size = offsetof(dd_subject_table, heartbeat), /* as if compiled before there was one */
#else
        .size = sizeof table,
#endif
        .name = "bad, if told so",
        .open = open_subject,
        .step = BAD_NO_STEP ? NULL : step_subject,
        .weights = give_weights,
        .close = close_subject,
        .heartbeat = heartbeat,
    };
#if defined BAD_NO_TABLE
    return table.open ? NULL : &table;
#else
    return &table;
#endif
}
