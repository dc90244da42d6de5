/* SPDX-License-Identifier: MIT
 * The litmus tests: a table of programs and their interpreter. Explored code; see world.h for its
 * rules. The names are those of Alglave, Maranget, Tautschnig, Herding Cats, TOPLAS 36(2), 2014. */
#include "litmus.h"

#include "platform.h"

#define THREADS 4
#define INSTRUCTIONS 5
#define WORDS 3
#define REGISTERS 4

bool dd_litmus_reached[1 << 2 * DD_LITMUS_DIGITS];

typedef enum operation {
    END,
    LOAD,    /* reg = word */
    STORE,   /* word = value */
    ADD,     /* reg = word; word += value */
    REPLACE, /* reg = word; if that is `expected`, word = value */
    WAIT,    /* futex: sleep while the word is 0 */
    WAKE,    /* futex */
    ONLY_IF, /* the thread ends unless reg == value */
    WRITE,   /* plain memory */
    READ,    /* plain memory */
} operation;

typedef struct instruction {
    operation what;
    uint32_t word, value, expected, reg;
    dd_order order, failure;
} instruction;

typedef struct test {
    instruction thread[THREADS][INSTRUCTIONS];
    const char *outcome; /* its digits: a to d are registers, x to z words */
} test;

typedef struct field {
    dd_atomic_u32 word[WORDS];
    uint32_t reg[REGISTERS]; /* its thread, before it is joined */
    uint32_t plain;
    const test *test;
} field;

/* ---- The interpreter ------------------------------------------------------------------------- */

static void run_thread(field *f, uint32_t thread)
{
    for (const instruction *i = f->test->thread[thread];
         i < f->test->thread[thread] + INSTRUCTIONS && i->what != END; i++) {
        dd_atomic_u32 *word = &f->word[i->word];
        uint32_t *reg = &f->reg[i->reg];
        switch (i->what) {
        case LOAD:
            *reg = dd_u32_load(word, i->order);
            break;
        case STORE:
            dd_u32_store(word, i->value, i->order);
            break;
        case ADD:
            *reg = dd_u32_fetch_add(word, i->value, i->order);
            break;
        case REPLACE:
            *reg = i->expected;
            (void)dd_u32_compare_exchange(word, reg, i->value, i->order, i->failure);
            break;
        case WAIT:
            dd_futex_wait(word, 0);
            break;
        case WAKE:
            dd_futex_wake(word, UINT32_MAX);
            break;
        case ONLY_IF:
            if (*reg != i->value)
                return;
            break;
        case WRITE:
            DD_WRITE(&f->plain, sizeof f->plain);
            f->plain = i->value;
            break;
        case READ:
            DD_READ(&f->plain, sizeof f->plain);
            *reg = f->plain;
            break;
        case END:
            break;
        }
    }
}

static void thread_0(void *arg)
{
    run_thread(arg, 0);
}

static void thread_1(void *arg)
{
    run_thread(arg, 1);
}

static void thread_2(void *arg)
{
    run_thread(arg, 2);
}

static void thread_3(void *arg)
{
    run_thread(arg, 3);
}

static void run_test(const void *arg)
{
    static void (*const main_of[THREADS])(void *) = {thread_0, thread_1, thread_2, thread_3};
    static const char *const name[THREADS] = {"thread-0", "thread-1", "thread-2", "thread-3"};
    field *f = dd_alloc(sizeof *f);
    f->test = arg;
    for (uint32_t w = 0; w < WORDS; w++)
        dd_u32_init(&f->word[w], 0);
    dd_thread t[THREADS];
    uint32_t n = 0, outcome = 0;
    for (; n < THREADS && f->test->thread[n][0].what != END; n++)
        dd_thread_create(&t[n], name[n], 0, main_of[n], f);
    for (uint32_t i = 0; i < n; i++)
        dd_thread_join(&t[i]);
    for (const char *c = f->test->outcome; *c; c++)
        outcome = outcome << 2 |
                  (*c >= 'x' ? dd_u32_load(&f->word[*c - 'x'], DD_RELAXED) : f->reg[*c - 'a']);
    dd_litmus_reached[outcome % (1 << 2 * DD_LITMUS_DIGITS)] = true;
    dd_free(f);
}

/* ---- The table ------------------------------------------------------------------------------- */

/* clang-format off */
enum { x, y, z };       /* words, 0 at first */
enum { a, b, c, d };    /* registers, 0 at first */

#define RLX DD_RELAXED
#define ACQ DD_ACQUIRE
#define REL DD_RELEASE
#define AR  DD_ACQ_REL
#define SC  DD_SEQ_CST

#define LD(r, w, o)          {.what = LOAD, .word = w, .reg = r, .order = o}
#define ST(w, v, o)          {.what = STORE, .word = w, .value = v, .order = o}
#define FA(r, w, v, o)       {.what = ADD, .word = w, .reg = r, .value = v, .order = o}
#define CX(r, w, e, v, o, f) {.what = REPLACE, .word = w, .reg = r, .expected = e, .value = v, .order = o, .failure = f}
#define IF(r, v)             {.what = ONLY_IF, .reg = r, .value = v}
#define WR(v)                {.what = WRITE, .value = v}
#define RD(r)                {.what = READ, .reg = r}
#define SLEEP(w)             {.what = WAIT, .word = w}
#define RING(w)              {.what = WAKE, .word = w}

#define T(...) {__VA_ARGS__}
#define TEST(n, digits, ...) \
    .program = {.name = n, .about = "litmus", .run = run_test, .arg = &(const test){.thread = {__VA_ARGS__}, .outcome = digits}}
#define REACHES .verdict = DD_EXPLORE_PASS, .outcomes =
#define RACES .verdict = DD_EXPLORE_RACE

#define ALL_2 "00 01 10 11"
#define ALL_3 "000 001 010 011 100 101 110 111"
#define ALL_4 "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1010 1011 1100 1101 1110 1111"

const dd_litmus dd_litmus_tests[] = {
    /* MP: b = 0 after a = 1 is what release and acquire together forbid: x = 1 then happens-before the load of x. */
#define MP(n, o1, o2, o3, o4) TEST(n, "ab", T(ST(x, 1, o1), ST(y, 1, o2)), T(LD(a, y, o3), LD(b, x, o4)))
    {MP("MP", RLX, RLX, RLX, RLX),             REACHES ALL_2},
    {MP("MP+rel+rlx", RLX, REL, RLX, RLX),     REACHES ALL_2},
    {MP("MP+rlx+acq", RLX, RLX, ACQ, RLX),     REACHES ALL_2},
    {MP("MP+rel+acq", RLX, REL, ACQ, RLX),     REACHES "00 01 11"},
    {MP("MP+sc", SC, SC, SC, SC),              REACHES "00 01 11"},

    /* SB: a = b = 0 has each load before the other's store: forbidden only where all four are in one total order. */
#define SB(n, o1, o2, o3, o4) TEST(n, "ab", T(ST(x, 1, o1), LD(a, y, o2)), T(ST(y, 1, o3), LD(b, x, o4)))
    {SB("SB", RLX, RLX, RLX, RLX),             REACHES ALL_2},
    {SB("SB+rel+acq", REL, ACQ, REL, ACQ),     REACHES ALL_2},
    {SB("SB+sc+rlx", SC, SC, SC, RLX),         REACHES ALL_2},
    {SB("SB+sc", SC, SC, SC, SC),              REACHES "01 10 11"},

    /* LB: a = b = 1 has each load read what comes after the other load. C11 allows it where nothing synchronises, and
     * this machine cannot do it. With release and acquire each store would happen-before itself. */
#define LB(n, o1, o2, o3, o4) TEST(n, "ab", T(LD(a, x, o1), ST(y, 1, o2)), T(LD(b, y, o3), ST(x, 1, o4)))
    {LB("LB", RLX, RLX, RLX, RLX),             REACHES "00 01 10", .beyond = "11"},
    {LB("LB+acq+rlx", ACQ, RLX, ACQ, RLX),     REACHES "00 01 10", .beyond = "11"},
    {LB("LB+acq+rel", ACQ, REL, ACQ, REL),     REACHES "00 01 10"},

    /* IRIW: a = c = 1, b = d = 0: two readers see two stores in opposite orders. Only a total order of all that is
     * involved forbids it. (C++20 forbids it with seq_cst loads of any stores; C11 does not.) */
#define IRIW(n, s, l) TEST(n, "abcd", T(ST(x, 1, s)), T(ST(y, 1, s)), T(LD(a, x, l), LD(b, y, l)), T(LD(c, y, l), LD(d, x, l)))
    {IRIW("IRIW", RLX, RLX),                   REACHES ALL_4},
    {IRIW("IRIW+rel+acq", REL, ACQ),           REACHES ALL_4},
    {IRIW("IRIW+sc+acq", SC, ACQ),             REACHES ALL_4},
    {IRIW("IRIW+rlx+sc", RLX, SC),             REACHES ALL_4},
    {IRIW("IRIW+sc", SC, SC), REACHES "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111"},

    /* 2+2W: x = y = 1 at the end has both first stores last: mo is then opposite to program order in both words. */
#define WW(n, o) TEST(n, "xy", T(ST(x, 1, o), ST(y, 2, o)), T(ST(y, 1, o), ST(x, 2, o)))
    {WW("2+2W", RLX),                          REACHES "11 12 21 22"},
    {WW("2+2W+rel", REL),                      REACHES "11 12 21 22"},
    {WW("2+2W+sc", SC),                        REACHES "12 21 22"},

    /* Coherence: one word behaves in every order. CoRR: values never go back. CoWW: own stores stay in order. CoRW:
     * a store comes after what its thread read (not a = 2, then 2 at the end). CoWR: a load does not read what was
     * there before its thread's store (not a = 2, then 1 at the end). */
    {TEST("CoRR", "ab", T(ST(x, 1, RLX), ST(x, 2, RLX)), T(LD(a, x, RLX), LD(b, x, RLX))),
     REACHES "00 01 02 11 12 22"},
    {TEST("CoRR+two", "abcd", T(ST(x, 1, RLX)), T(ST(x, 2, RLX)), T(LD(a, x, RLX), LD(b, x, RLX)),
          T(LD(c, x, RLX), LD(d, x, RLX))),
     /* any two of 0 before 1 and 2, where both readers agree on which of these comes first */
     REACHES "0000 0001 0002 0011 0012 0021 0022 0100 0101 0102 0111 0112 0121 0122 0200 0201 0202 0211 0212 0221 0222 "
             "1100 1101 1102 1111 1112 1121 1122 2200 2201 2202 2211 2212 2221 2222 "
             "1200 1201 1202 1211 1212 1222 2100 2101 2102 2111 2121 2122"},
    {TEST("CoWW", "x", T(ST(x, 1, RLX), ST(x, 2, RLX))), REACHES "2"},
    {TEST("CoRW", "ax", T(LD(a, x, RLX), ST(x, 1, RLX)), T(ST(x, 2, RLX))), REACHES "01 02 21"},
    {TEST("CoWR", "ax", T(ST(x, 1, RLX), LD(a, x, RLX)), T(ST(x, 2, RLX))), REACHES "11 12 22"},
    {TEST("CoRMW", "abx", T(FA(a, x, 1, RLX)), T(FA(b, x, 1, RLX))), REACHES "012 102"},
    /* a store has its place before or after the addition, which is then of 1 or of 0 */
    {TEST("CoRMW+store", "ax", T(FA(a, x, 1, RLX)), T(ST(x, 2, RLX))), REACHES "02 23"},

    /* WRC: a = b = 1, c = 0. Happens-before is transitive; where the middle's load is relaxed, coherence alone
     * forbids it: that load happens-before the last one, which must not read something older. */
#define WRC(n, o1, o2, o3, o4) TEST(n, "abc", T(ST(x, 1, o1)), T(LD(a, x, o2), ST(y, 1, o3)), T(LD(b, y, o4), LD(c, x, RLX)))
    {WRC("WRC", RLX, RLX, RLX, RLX),           REACHES ALL_3},
    {WRC("WRC+rel+rlx+acq", REL, ACQ, RLX, ACQ), REACHES ALL_3},
    {WRC("WRC+rlx+rel+acq", RLX, RLX, REL, ACQ), REACHES "000 001 010 011 100 101 111"},
    {WRC("WRC+rel+acq", REL, ACQ, REL, ACQ),   REACHES "000 001 010 011 100 101 111"},

    /* ISA2: the same with two messages: b = 1 after a = 1, but c = 0. */
#define ISA2(n, o1, o2, o3, o4) \
    TEST(n, "abc", T(ST(x, 1, RLX), ST(y, 1, o1)), T(LD(a, y, o2), ST(z, 1, o3)), T(LD(b, z, o4), LD(c, x, RLX)))
    {ISA2("ISA2", RLX, RLX, RLX, RLX),         REACHES ALL_3},
    {ISA2("ISA2+rel+rlx", REL, RLX, REL, ACQ), REACHES ALL_3},
    {ISA2("ISA2+rel+acq", REL, ACQ, REL, ACQ), REACHES "000 001 010 011 100 101 111"},

    /* R: y = 2 last and a = 0: forbidden by a total order alone. */
#define R(n, s, l) TEST(n, "ay", T(ST(x, 1, s), ST(y, 1, s)), T(ST(y, 2, s), LD(a, x, l)))
    {R("R", RLX, RLX),                         REACHES "01 02 11 12"},
    {R("R+rel+acq", REL, ACQ),                 REACHES "01 02 11 12"},
    {R("R+sc", SC, SC),                        REACHES "01 11 12"},

    /* S: a = 1 and x = 2 last: with release and acquire x = 2 happens-before x = 1. */
#define S(n, s, l) TEST(n, "ax", T(ST(x, 2, RLX), ST(y, 1, s)), T(LD(a, y, l), ST(x, 1, RLX)))
    {S("S", RLX, RLX),                         REACHES "01 02 11 12"},
    {S("S+rel+rlx", REL, RLX),                 REACHES "01 02 11 12"},
    {S("S+rel+acq", REL, ACQ),                 REACHES "01 02 11"},

    /* Release sequences: what a relaxed read-modify-write makes of a released value (3) still carries the release; if
     * it comes first (2) there is none. A store (3) carries nothing, and one of the same thread (2) does in C11, not
     * in C++20, which is what is explored. */
    {TEST("REL-SEQ+rmw", "ab", T(ST(x, 1, RLX), ST(y, 1, REL)), T(FA(c, y, 2, RLX)), T(LD(a, y, ACQ), LD(b, x, RLX))),
     REACHES "00 01 11 20 21 31"},
    {TEST("REL-SEQ+store", "ab", T(ST(x, 1, RLX), ST(y, 1, REL)), T(LD(c, y, RLX), IF(c, 1), ST(y, 3, RLX)),
          T(LD(a, y, ACQ), LD(b, x, RLX))),
     REACHES "00 01 11 30 31"},
    {TEST("REL-SEQ+own-store", "ab", T(ST(x, 1, RLX), ST(y, 1, REL), ST(y, 2, RLX)), T(LD(a, y, ACQ), LD(b, x, RLX))),
     REACHES "00 01 11 20 21"},

    /* Plain data behind a flag. */
#define DATA(n, s, ...) TEST(n, "a", T(WR(1), ST(x, 1, s)), T(__VA_ARGS__, IF(b, 1), RD(a)))
    {DATA("data+rlx", RLX, LD(b, x, RLX)),     RACES},
    {DATA("data+rel+rlx", REL, LD(b, x, RLX)), RACES},
    {DATA("data+rlx+acq", RLX, LD(b, x, ACQ)), RACES},
    {DATA("data+rel+acq", REL, LD(b, x, ACQ)), REACHES "0 1"},
    {DATA("data+sc", SC, LD(b, x, SC)),        REACHES "0 1"},
    {DATA("data+rmw", REL, FA(b, x, 0, ACQ)),  REACHES "0 1"},
    {DATA("data+rmw+rlx", REL, FA(b, x, 0, RLX)), RACES},
    /* the order of a compare-exchange that fails is its second */
    {DATA("data+failure-acq", REL, CX(b, x, 2, 3, RLX, ACQ)), REACHES "0 1"},
    {DATA("data+failure-rlx", REL, CX(b, x, 2, 3, AR, RLX)),  RACES},
    {DATA("data+success-acq", REL, CX(b, x, 1, 2, ACQ, RLX)), REACHES "0 1"},
    {DATA("data+success-rlx", REL, CX(b, x, 1, 2, RLX, ACQ)), RACES},
    /* a wake orders nothing */
    {TEST("data+wake", "a", T(WR(1), ST(x, 1, RLX), RING(x)), T(SLEEP(x), LD(b, x, RLX), IF(b, 1), RD(a))), RACES},
    {TEST("data+wake+acq", "a", T(WR(1), ST(x, 1, REL), RING(x)), T(SLEEP(x), LD(b, x, ACQ), IF(b, 1), RD(a))),
     REACHES "0 1"},
    {TEST("data+rmw-between", "a", T(WR(1), ST(x, 1, REL)), T(FA(c, x, 2, RLX)), T(LD(b, x, ACQ), IF(b, 3), RD(a))),
     REACHES "0 1"},
    {TEST("data+store-between", "a", T(WR(1), ST(x, 1, REL)), T(LD(c, x, RLX), IF(c, 1), ST(x, 3, RLX)),
          T(LD(b, x, ACQ), IF(b, 3), RD(a))), RACES},
    /* Dekker: whoever does not see the other's flag goes in. */
#define DEKKER(n, s, l) TEST(n, "", T(ST(x, 1, s), LD(a, y, l), IF(a, 0), WR(1)), T(ST(y, 1, s), LD(b, x, l), IF(b, 0), WR(2)))
    {DEKKER("dekker+rel+acq", REL, ACQ),       RACES},
    {DEKKER("dekker+sc", SC, SC),              REACHES ""},
    {.program = {.name = NULL}},
};
/* clang-format on */
