/* SPDX-License-Identifier: MIT
 * core/sync: eventcounts and the four points, with a thread for every sphere of hierarchies of all
 * kinds. What threads say to each other is plain memory, ordered by the points alone. An argument
 * divides the rounds, for race detectors; a second one, twelve or more, is the most workers of a
 * hierarchy, for a detector whose time grows faster than by their square. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "edges.h"
#include "eventcount.h"
#include "points.h"
#include "system_limits.h"

static uint32_t divisor = 1, most_workers = UINT32_MAX;

/* Generations from which a few rounds pass every wrap of 31 and 32 bits. */
static const uint32_t starts[] = {0, INT32_MAX - 1u, UINT32_MAX - 1u};
enum { FEW_ROUNDS = 5 };
enum { N_STARTS = sizeof starts / sizeof starts[0] };

static const uint32_t patience[] = {0, 100, DD_YIELDING};
enum { N_PATIENCE = sizeof patience / sizeof patience[0] };

/* ---- Allocation that fails on demand ---- */

void *__real_dd_alloc(size_t bytes);
void *__wrap_dd_alloc(size_t bytes);
void __real_dd_free(void *p);
void __wrap_dd_free(void *p);
dd_pbarrier *__real_dd_pbarrier_open(uint32_t n_threads);
dd_pbarrier *__wrap_dd_pbarrier_open(uint32_t n_threads);
void __real_dd_pbarrier_close(dd_pbarrier *b);
void __wrap_dd_pbarrier_close(dd_pbarrier *b);

/* Main thread only; threads that come last free what is no longer counted. */
static bool counting;
static uint32_t until_failure; /* 0: never */
static int64_t live;

static bool granted(void)
{
    if (!counting)
        return true;
    if (until_failure > 0 && --until_failure == 0)
        return false;
    live++;
    return true;
}

void *__wrap_dd_alloc(size_t bytes)
{
    return granted() ? __real_dd_alloc(bytes) : NULL;
}

dd_pbarrier *__wrap_dd_pbarrier_open(uint32_t n_threads)
{
    return granted() ? __real_dd_pbarrier_open(n_threads) : NULL;
}

void __wrap_dd_free(void *p)
{
    if (counting && p)
        live--;
    __real_dd_free(p);
}

void __wrap_dd_pbarrier_close(dd_pbarrier *b)
{
    if (counting && b)
        live--;
    __real_dd_pbarrier_close(b);
}

/* ---- Eventcount ---- */

/* Two threads that take turns, each waiting until the other is through. */
typedef struct ping_pong {
    dd_eventcount ping, pong;
    uint32_t start, rounds, spins;
    uint32_t value; /* plain: whose turn it is writes */
} ping_pong;

static void pong_main(void *arg)
{
    ping_pong *p = arg;
    for (uint32_t i = 0; i < p->rounds; i++) {
        dd_eventcount_await(&p->ping, p->start + i, p->spins);
        p->value++;
        dd_eventcount_advance(&p->pong);
    }
}

static void takes_turns(uint32_t start, uint32_t spins)
{
    ping_pong p = {.start = start, .rounds = 2000 / divisor + 10, .spins = spins};
    dd_eventcount_init(&p.ping, p.start);
    dd_eventcount_init(&p.pong, p.start);
    dd_thread thread;
    assert_int_equal(dd_thread_create(&thread, "pong", 0, pong_main, &p), 0);
    for (uint32_t i = 0; i < p.rounds; i++) {
        assert_int_equal(p.value, 2 * i);
        p.value++;
        dd_eventcount_advance(&p.ping);
        dd_eventcount_await(&p.pong, p.start + i, spins);
    }
    dd_thread_join(&thread);
    assert_int_equal(p.value, 2 * p.rounds);
    dd_eventcount_forget(&p.ping);
    dd_eventcount_forget(&p.pong);
}

static void test_eventcount_takes_turns(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < N_STARTS; s++)
        for (uint32_t w = 0; w < N_PATIENCE; w++)
            takes_turns(starts[s], patience[w]);
}

/* Wakes that no advance goes with, as the kernel allows itself: the sleeper must stay. */
typedef struct stray {
    dd_eventcount gate;
    dd_atomic_u32 passed;
} stray;

static void stray_main(void *arg)
{
    stray *s = arg;
    dd_eventcount_await(&s->gate, 0, 0);
    dd_u32_store(&s->passed, 1, DD_RELEASE);
}

static void test_eventcount_ignores_stray_wakes(void **state)
{
    (void)state;
    stray s;
    dd_thread thread;
    dd_eventcount_init(&s.gate, 0);
    dd_u32_init(&s.passed, 0);
    assert_int_equal(dd_thread_create(&thread, "stray", 0, stray_main, &s), 0);
    /* the flag says that it sleeps or is about to */
    assert_true(DD_AWAIT(dd_u32_load(&s.gate.word, DD_ACQUIRE) == 1, DD_FOREVER));
    for (int i = 0; i < 1000; i++) {
        dd_futex_wake(&s.gate.word, UINT32_MAX);
        sched_yield();
        assert_int_equal(dd_u32_load(&s.passed, DD_ACQUIRE), 0);
    }
    dd_eventcount_advance(&s.gate);
    dd_thread_join(&thread);
    assert_int_equal(dd_u32_load(&s.passed, DD_ACQUIRE), 1);
    dd_u32_forget(&s.passed);
    dd_eventcount_forget(&s.gate);
}

/* Several threads advance one count at once: none of the advances is lost, nor a wake-up. */
enum { N_RINGERS = 4 };

typedef struct bell {
    dd_eventcount count;
    uint32_t start, rings;
    uint32_t said[N_RINGERS]; /* plain: its ringer before it advances */
} bell;

typedef struct ringer {
    dd_thread thread;
    bell *bell;
    uint32_t number;
} ringer;

static void ringer_main(void *arg)
{
    ringer *r = arg;
    for (uint32_t i = 1; i <= r->bell->rings; i++) {
        if (i == r->bell->rings)
            r->bell->said[r->number] = i;
        dd_eventcount_advance_shared(&r->bell->count);
    }
}

static void test_eventcount_shared_advances(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < N_STARTS; s++) {
        bell b = {.start = starts[s], .rings = 2000 / divisor + 10};
        dd_eventcount_init(&b.count, b.start);
        ringer r[N_RINGERS];
        for (uint32_t i = 0; i < N_RINGERS; i++) {
            r[i] = (ringer){.bell = &b, .number = i};
            assert_int_equal(dd_thread_create(&r[i].thread, "ringer", 0, ringer_main, &r[i]), 0);
        }
        const uint32_t end = (b.start + N_RINGERS * b.rings) & INT32_MAX;
        for (uint32_t now; (now = dd_eventcount_now(&b.count)) != end;)
            dd_eventcount_await(&b.count, now, 0);
        for (uint32_t i = 0; i < N_RINGERS; i++)
            assert_int_equal(b.said[i], b.rings);
        for (uint32_t i = 0; i < N_RINGERS; i++)
            dd_thread_join(&r[i].thread);
        assert_int_equal(dd_eventcount_now(&b.count), end);
        dd_eventcount_forget(&b.count);
    }
}

/* ---- Points ---- */

static void test_spins(void **state)
{
    (void)state;
    static const struct {
        uint32_t threads, cores;
    } yields[] = {{2, 1}, {8, 1}, {3, 2}, {16, 2}, {1728, 216}},
      sleeps[] = {{9, 1}, {17, 2}, {1729, 216}, {UINT32_MAX, 2}};
    for (uint32_t n = 1; n <= 12; n++) {
        const uint32_t spins = dd_points_spins(n, 12);
        assert_in_range(spins, 1, DD_YIELDING - 1);
        assert_int_equal(spins, dd_points_spins(1, 1));
    }
    for (size_t i = 0; i < sizeof yields / sizeof yields[0]; i++)
        assert_int_equal(dd_points_spins(yields[i].threads, yields[i].cores), DD_YIELDING);
    for (size_t i = 0; i < sizeof sleeps / sizeof sleeps[0]; i++)
        assert_int_equal(dd_points_spins(sleeps[i].threads, sleeps[i].cores), 0);
}

/* How a step crosses B, V and U. */
typedef enum way {
    COLLECT, /* every control collects, arrives and releases for itself */
    DESCEND, /* the last arriver climbs, and controls sleep from A to A */
    WAYS
} way;

typedef struct settings {
    dd_barrier kind;
    way way;
    uint32_t spins, start, rounds;
} settings;

typedef struct hammer hammer;

/* The thread of a sphere. */
typedef struct thread {
    _Alignas(DD_CACHE_LINE) hammer *hammer;
    dd_thread thread;
    uint32_t sphere;
    uint32_t arrivals; /* a worker's, before each arrival */
    uint32_t wrong;
    uint32_t acted;  /* for Node Zero */
    bool left, last; /* before it leaves; leave said so */
} thread;

/* Everything here but `points` is plain memory, ordered by the points. */
struct hammer {
    const dd_hierarchy *h;
    dd_points *points; /* closed by the last to leave */
    settings how;
    uint32_t
        published;  /* whoever acts for Node Zero: before A and V of round i, 2 i + 1, 2 i + 2 */
    bool ended;     /* Node Zero before the last A */
    thread *thread; /* (n_spheres) */
};

/* Workers below a sphere that have not arrived, or have gone further. */
static uint32_t not_arrived(const hammer *x, uint32_t sphere, uint32_t arrivals)
{
    const dd_sphere *s = &x->h->sphere[sphere];
    uint32_t wrong = 0;
    for (uint32_t w = s->first_worker; w < s->first_worker + s->n_workers; w++)
        wrong += x->thread[x->h->worker[w]].arrivals != arrivals;
    return wrong;
}

static void worker_round(thread *self, uint32_t a)
{
    hammer *x = self->hammer;
    const bool climb = x->how.way != COLLECT;
    self->wrong += x->published != a;
    self->arrivals++;
    if (dd_points_arrive(x->points, self->sphere, climb)) {
        self->acted++;
        self->wrong += not_arrived(x, 0, a);
        x->published = a + 1;
    }
    if (x->how.way == DESCEND)
        dd_points_descend(x->points, self->sphere, x->how.spins);
    else
        dd_points_await(x->points, self->sphere, x->how.spins);
    self->wrong += x->published != a + 1;
    self->arrivals++;
    if (dd_points_arrive(x->points, self->sphere, climb)) {
        self->acted++;
        self->wrong += not_arrived(x, 0, a + 1);
        dd_points_wake_root(x->points);
    }
}

/* From A, seen, to U. */
static void control_round(thread *self, uint32_t a)
{
    hammer *x = self->hammer;
    self->wrong += x->published != a;
    dd_points_release(x->points, self->sphere);
    if (x->how.way == DESCEND)
        return;
    dd_points_collect(x->points, self->sphere);
    self->wrong += not_arrived(x, self->sphere, a);
    dd_points_arrive(x->points, self->sphere, false);
    dd_points_await(x->points, self->sphere, x->how.spins);
    self->wrong += x->published != a + 1;
    dd_points_release(x->points, self->sphere);
    dd_points_collect(x->points, self->sphere);
    self->wrong += not_arrived(x, self->sphere, a + 1);
    dd_points_arrive(x->points, self->sphere, false);
}

static void root_round(thread *self, uint32_t a)
{
    hammer *x = self->hammer;
    x->published = a;
    dd_points_release(x->points, 0);
    dd_points_collect(x->points, 0);
    if (x->how.way == COLLECT) {
        self->wrong += not_arrived(x, 0, a);
        x->published = a + 1;
        dd_points_release(x->points, 0);
        dd_points_collect(x->points, 0);
    }
    self->wrong += not_arrived(x, 0, a + 1);
}

static void leave(thread *self)
{
    hammer *x = self->hammer;
    self->left = true;
    self->last = dd_points_leave(x->points, self->sphere);
    if (!self->last)
        return;
    for (uint32_t s = 0; s < x->h->n_spheres; s++)
        self->wrong += !x->thread[s].left;
    dd_points_close(x->points);
}

static void hammer_main(void *arg)
{
    thread *self = arg;
    hammer *x = self->hammer;
    const bool control = x->h->sphere[self->sphere].n_children > 0;
    for (uint32_t a = 1;; a += 2) {
        dd_points_await(x->points, self->sphere, x->how.spins);
        if (x->ended)
            break;
        if (control)
            control_round(self, a);
        else
            worker_round(self, a);
    }
    if (control)
        dd_points_release(x->points, self->sphere);
    leave(self);
}

/* Rounds with a thread for every sphere, and the end of the membership. */
static void hammer_points(const dd_hierarchy *h, settings how)
{
    hammer x = {.h = h, .how = how};
    assert_int_equal(dd_points_open(how.kind, h, how.start, &x.points), DD_OK);
    x.thread = dd_alloc(h->n_spheres * sizeof *x.thread);
    assert_non_null(x.thread);
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        thread *t = &x.thread[s];
        t->hammer = &x;
        t->sphere = s;
        if (s > 0)
            assert_int_equal(dd_thread_create(&t->thread, "hammer", 128 << 10, hammer_main, t), 0);
    }

    for (uint32_t i = 0; i < how.rounds; i++)
        root_round(&x.thread[0], 2 * i + 1);
    x.ended = true;
    dd_points_release(x.points, 0);
    leave(&x.thread[0]);

    uint32_t wrong = 0, acted = 0, last = 0;
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        if (s > 0)
            dd_thread_join(&x.thread[s].thread);
        wrong += x.thread[s].wrong;
        acted += x.thread[s].acted;
        last += x.thread[s].last;
    }
    dd_free(x.thread);
    assert_int_equal(wrong, 0);
    assert_int_equal(last, 1);
    assert_int_equal(acted, how.way == COLLECT ? 0 : 2 * how.rounds);
}

/* All kinds and ways. */
static void hammer_all(const dd_hierarchy *h, uint32_t spins, uint32_t start, uint32_t rounds)
{
    settings how = {DD_BARRIER_PTHREAD, COLLECT, spins, start, rounds};
    if (h->n_workers > most_workers) {
        print_message("left out: %u workers, of which the argument allows %u\n", h->n_workers,
                      most_workers);
        return;
    }
    hammer_points(h, how);
    how.kind = DD_BARRIER_TREE;
    for (int w = 0; w < WAYS; w++) {
        how.way = (way)w;
        hammer_points(h, how);
    }
}

static dd_hierarchy *even(uint32_t depth, uint32_t n_workers)
{
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(depth, n_workers, &h), DD_OK);
    return h;
}

/* Changes the hierarchy: the worker at a place gets children. */
static void expand(dd_hierarchy **h, const char *where, uint32_t n_children)
{
    dd_hierarchy *wider;
    dd_place place;
    dd_error error;
    assert_true(dd_place_read(where, &place));
    assert_int_equal(dd_hierarchy_expand(*h, place, n_children, &wider, &error), DD_OK);
    dd_hierarchy_close(*h);
    *h = wider;
}

/* Workers at every level, controls with one child, with two in one triangle, with twelve. */
static dd_hierarchy *uneven(void)
{
    dd_hierarchy *h = even(1, 12);
    expand(&h, "1", 1);
    expand(&h, "1.0", 12);
    expand(&h, "3", 2);
    expand(&h, "11", 1);
    expand(&h, "11.0", 1);
    return h;
}

static void test_points_of_twelve(void **state)
{
    (void)state;
    dd_hierarchy *h = even(1, DD_POSITIONS);
    for (int w = 0; w < WAYS; w++) {
        const settings how = {DD_BARRIER_TREE, (way)w, 0, 0, 6000 / divisor};
        hammer_points(h, how);
    }
    const settings pthread = {DD_BARRIER_PTHREAD, COLLECT, 0, 0, 6000 / divisor};
    hammer_points(h, pthread);
    dd_hierarchy_close(h);
}

static void test_points_of_every_size(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++) {
        dd_hierarchy *h = even(1, workers);
        for (uint32_t s = 0; s < N_STARTS; s++)
            for (uint32_t w = 0; w < N_PATIENCE; w++)
                hammer_all(h, patience[w], starts[s], 40 / divisor + FEW_ROUNDS);
        dd_hierarchy_close(h);
    }
}

static void test_points_of_several_levels(void **state)
{
    (void)state;
    static const struct {
        uint32_t depth, workers;
    } shape[] = {{2, 1}, {2, 2}, {2, 5}, {2, 13}, {2, 30}, {3, 1}, {3, 4}, {3, 17}, {3, 40}};
    for (size_t i = 0; i < sizeof shape / sizeof shape[0]; i++) {
        dd_hierarchy *h = even(shape[i].depth, shape[i].workers);
        for (uint32_t w = 0; w < N_PATIENCE; w++)
            hammer_all(h, patience[w], starts[w % N_STARTS], 150 / divisor + FEW_ROUNDS);
        dd_hierarchy_close(h);
    }
}

static void test_points_of_an_uneven_hierarchy(void **state)
{
    (void)state;
    dd_hierarchy *h = uneven();
    for (uint32_t w = 0; w < N_PATIENCE; w++)
        hammer_all(h, patience[w], starts[2], 1000 / divisor + FEW_ROUNDS);
    dd_hierarchy_close(h);
}

static void test_points_of_many(void **state)
{
    (void)state;
    dd_hierarchy *h = even(2, 144);
    hammer_all(h, DD_YIELDING, starts[1], 60 / divisor + FEW_ROUNDS);
    dd_hierarchy_close(h);
    if (divisor > 1)
        return; /* detectors do not hold so many threads */
    h = even(3, 1728);
    dd_limits limits;
    dd_limits_read("", &limits);
    if (dd_limits_threads_left(&limits) < h->n_spheres) {
        print_message("SKIP: %u threads, of which the system grants %u\n", h->n_spheres,
                      (uint32_t)dd_limits_threads_left(&limits));
        dd_hierarchy_close(h);
        skip();
    }
    for (int w = 0; w < WAYS; w++) {
        const settings how = {DD_BARRIER_TREE, (way)w, 0, 0, 10};
        hammer_points(h, how);
    }
    dd_hierarchy_close(h);
}

static void test_open_without_memory(void **state)
{
    (void)state;
    dd_hierarchy *h = uneven();
    for (int kind = DD_BARRIER_TREE; kind <= DD_BARRIER_PTHREAD; kind++) {
        dd_points *points;
        dd_status st = DD_ERR_MEMORY;
        uint32_t failures = 0;
        for (; st != DD_OK; failures++) {
            counting = true;
            live = 0;
            until_failure = failures + 1;
            st = dd_points_open((dd_barrier)kind, h, 0, &points);
            if (st == DD_OK)
                dd_points_close(points);
            counting = false;
            assert_true(st == DD_OK || st == DD_ERR_MEMORY);
            assert_int_equal(live, 0);
        }
        /* the points, gatherings and members; and two barriers for each control */
        assert_int_equal(failures - 1, kind == DD_BARRIER_TREE ? 3 : 3 + 2 * h->n_controls);
    }
    dd_points_close(NULL);
    dd_hierarchy_close(h);
}

#ifdef DD_CHECK_EDGES
/* Everything that the tests before have used. */
static void test_edges_follow_contacts(void **state)
{
    (void)state;
    dd_edge_count count[DD_EDGE_KINDS];
    dd_place acting, owner;
    dd_edges_take(count, &acting, &owner);
    for (int kind = 0; kind < DD_EDGE_KINDS; kind++)
        assert_int_equal(count[kind].apart, 0);
    const dd_edge_count *release = &count[DD_EDGE_RELEASE], *arrive = &count[DD_EDGE_ARRIVE];
    /* a control its own, a child its parent's */
    assert_true(release->equal > 0 && release->centre > release->equal);
    assert_true(release->triangle == 0 && release->neighbour == 0);
    /* to the triangle's first position, which may be the own one, and then to the centre */
    assert_true(arrive->equal > 0 && arrive->triangle > 0 && arrive->centre > 0);
    assert_int_equal(arrive->neighbour, 0);
}
#endif

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    most_workers = argc > 2 ? (uint32_t)atoi(argv[2]) : UINT32_MAX;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eventcount_takes_turns),
        cmocka_unit_test(test_eventcount_ignores_stray_wakes),
        cmocka_unit_test(test_eventcount_shared_advances),
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_spins),
        cmocka_unit_test(test_points_of_twelve),
        cmocka_unit_test(test_points_of_every_size),
        cmocka_unit_test(test_points_of_several_levels),
        cmocka_unit_test(test_points_of_an_uneven_hierarchy),
        cmocka_unit_test(test_points_of_many),
#ifdef DD_CHECK_EDGES
        cmocka_unit_test(test_edges_follow_contacts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
