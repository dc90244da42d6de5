/* SPDX-License-Identifier: MIT
 * The program that drives a snapshot: writers who overwrite an array, round after round, between
 * points at which the caller takes it and gives it up; an onlooker for copies while they are made;
 * a thread that saves what is held while writers go on, as core/trainer/save_file.c does. All
 * content follows from the round in which it was written, and every access to it is announced. */
#include <string.h>

#include "protocols.h"
#include "snapshot.h"

#define MAX_WRITERS 12
#define MAX_PAGES 24
#define PAGE_WORDS (DD_SNAPSHOT_PAGE_BYTES / sizeof(uint64_t))
#define TAIL_WORDS 5 /* of the last page */

typedef struct album {
    const dd_snapshot_case *how;
    dd_snapshot *snapshot;
    dd_pbarrier *point; /* of writers, onlooker and caller */
    uint64_t n_words;
    uint64_t *live; /* (n_words) from point to point: each page its writer's; else the caller's */
    uint64_t *out;  /* (n_words) of whoever reads all that is held: the saver, or the caller */
    uint64_t kept[MAX_PAGES]; /* what a page held when the snapshot was taken; the caller's, then */
    /* the caller's, while all but the saver wait at a point */
    struct {
        uint64_t round;
        bool held, copied[MAX_PAGES];
    } known;
    uint64_t now[MAX_PAGES]; /* what a page holds after the last round; the caller's alone */
    dd_thread saver;         /* likewise */
    bool saving;             /* likewise */
    dd_atomic_u32 saved;     /* the saver stores release, the caller loads acquire */
} album;

typedef struct hand {
    album *album;
    uint32_t writer;
    dd_thread thread;
} hand;

/* ---- What may fail does so once ---- */

static void *have(size_t bytes)
{
    void *p = dd_alloc(bytes);
    return p ? p : dd_alloc(bytes);
}

static dd_pbarrier *have_point(uint32_t n_threads)
{
    dd_pbarrier *point = dd_pbarrier_open(n_threads);
    return point ? point : dd_pbarrier_open(n_threads);
}

static void have_thread(dd_thread *t, const char *name, void (*run)(void *), void *arg)
{
    if (dd_thread_create(t, name, 0, run, arg))
        dd_thread_create(t, name, 0, run, arg);
}

/* ---- Content ---- */

static uint64_t first_word(uint64_t page)
{
    return page * PAGE_WORDS;
}

static uint64_t n_words(const album *a, uint64_t page)
{
    return page + 1 < a->how->pages ? PAGE_WORDS : TAIL_WORDS;
}

/* Every word of a page that was last written in this round, from 1; 0: when all began. */
static uint64_t content(uint64_t page, uint64_t round)
{
    return round << 32 | (page + 1);
}

static uint64_t written(const album *a, uint64_t round)
{
    return a->how->round[round].written;
}

static void fill_page(album *a, uint64_t page, uint64_t round)
{
    for (uint64_t k = 0; k < n_words(a, page); k++)
        a->live[first_word(page) + k] = content(page, round);
}

static void check_page(const album *a, const uint64_t *words, uint64_t page)
{
    for (uint64_t k = 0; k < n_words(a, page); k++)
        DD_CHECK(words[k] == a->kept[page], "a page is not what it was when it was taken", page,
                 words[k]);
}

static void check_all(album *a)
{
    DD_WRITE(a->out, a->n_words * sizeof *a->out);
    DD_READ(a->kept, sizeof a->kept);
    dd_snapshot_read(a->snapshot, 0, 0, a->n_words * sizeof *a->out, a->out);
    for (uint64_t p = 0; p < a->how->pages; p++)
        check_page(a, a->out + first_word(p), p);
}

/* ---- Between points -------------------------------------------------------------------------- */

/* The pages of a writer, which has others in every round. */
static uint64_t own(const album *a, uint32_t writer)
{
    const uint64_t each = a->how->pages / a->how->writers;
    return ((UINT64_C(1) << each) - 1) << (writer + a->known.round) % a->how->writers * each;
}

static void overwrite(album *a, uint64_t first, uint64_t last)
{
    const uint64_t begin = first_word(first), end = first_word(last - 1) + n_words(a, last - 1);
    dd_snapshot_before_write(a->snapshot, 0, begin * sizeof *a->live, end * sizeof *a->live);
    DD_WRITE(a->live + begin, (end - begin) * sizeof *a->live);
    for (uint64_t p = first; p < last; p++)
        fill_page(a, p, a->known.round + 1);
    /* once more, as by somebody who writes in parts: nothing is shared any more */
    if (a->how->twice)
        dd_snapshot_before_write(a->snapshot, 0, begin * sizeof *a->live, end * sizeof *a->live);
}

static void write_own(album *a, uint32_t writer)
{
    const uint64_t pages = own(a, writer) & written(a, a->known.round);
    for (uint64_t first = 0, last; first < a->how->pages; first = last) {
        for (last = first; pages >> last & 1; last++)
            continue;
        if (last > first)
            overwrite(a, first, last);
        else
            last++;
    }
}

static void writer_main(void *arg)
{
    const hand *self = arg;
    album *a = self->album;
    for (uint32_t r = 0; r < a->how->rounds; r++) {
        dd_pbarrier_wait(a->point);
        DD_READ(&a->known, sizeof a->known);
        write_own(a, self->writer);
        dd_pbarrier_wait(a->point);
    }
}

static void look(const album *a)
{
    DD_READ(a->kept, sizeof a->kept);
    DD_READ(&a->known, sizeof a->known);
    const uint64_t round = a->known.round;
    for (uint64_t p = 0; p < a->how->pages; p++) {
        const uint64_t *copy = dd_snapshot_copied_page(a->snapshot, 0, p);
        const bool copied = a->known.copied[p];
        const bool may_be = a->known.held && (copied || written(a, round) >> p & 1);
        DD_CHECK(copy || !copied, "a copy is gone", p, round);
        DD_CHECK(!copy || may_be, "a copy of what nobody writes", p, round);
        if (!copy)
            continue;
        DD_READ(copy, n_words(a, p) * sizeof *copy);
        check_page(a, copy, p);
    }
}

static void onlooker_main(void *arg)
{
    const hand *self = arg;
    album *a = self->album;
    for (uint32_t r = 0; r < a->how->rounds; r++) {
        dd_pbarrier_wait(a->point);
        look(a);
        dd_pbarrier_wait(a->point);
    }
}

/* ---- At points ------------------------------------------------------------------------------- */

static void saver_main(void *arg)
{
    album *a = arg;
    check_all(a);
    dd_u32_store(&a->saved, 1, DD_RELEASE); /* pairs with look_after */
}

static void drop(album *a)
{
    if (a->saving)
        dd_thread_join(&a->saver);
    else if (a->known.held)
        check_all(a);
    dd_snapshot_drop(a->snapshot);
    DD_WRITE(&a->known, sizeof a->known);
    a->known.held = a->saving = false;
    memset(a->known.copied, 0, sizeof a->known.copied);
}

static void take(album *a)
{
    if (a->saving)
        drop(a);
    dd_snapshot_take(a->snapshot);
    DD_WRITE(a->kept, sizeof a->kept);
    DD_WRITE(&a->known, sizeof a->known);
    memcpy(a->kept, a->now, sizeof a->kept);
    a->known.held = true;
    memset(a->known.copied, 0, sizeof a->known.copied);
}

/* What is wholly copied may be saved beside the writers; what is saved goes. */
static void look_after(album *a)
{
    const bool held = a->known.held;
    uint64_t n_copied, expected = 0;
    for (uint64_t p = 0; p < a->how->pages; p++)
        expected += a->known.copied[p];
    const uint64_t pages = dd_snapshot_pages(a->snapshot, &n_copied);
    DD_CHECK(pages == a->how->pages, "pages are miscounted", pages, a->how->pages);
    DD_CHECK(n_copied == expected, "copies are miscounted", n_copied, expected);
    DD_CHECK(dd_snapshot_held(a->snapshot) == held, "held, or not", held, a->known.round);
    if (a->saving) {
        if (dd_u32_load(&a->saved, DD_ACQUIRE)) /* pairs with saver_main */
            drop(a);
    } else if (held && a->how->saves && n_copied == pages) {
        dd_u32_store(&a->saved, 0, DD_RELAXED);
        a->saving = dd_thread_create(&a->saver, "saver", 0, saver_main, a) == 0;
        if (!a->saving)
            drop(a);
    } else if (held) {
        check_all(a);
    }
}

static void begin_round(album *a, uint32_t r)
{
    if (a->how->round[r].before == DD_ALBUM_DROP)
        drop(a);
    if (a->how->round[r].before == DD_ALBUM_TAKE)
        take(a);
    DD_WRITE(&a->known, sizeof a->known);
    a->known.round = r;
}

static void end_round(album *a)
{
    DD_WRITE(&a->known, sizeof a->known);
    for (uint64_t p = 0; p < a->how->pages; p++)
        if (written(a, a->known.round) >> p & 1) {
            a->now[p] = content(p, a->known.round + 1);
            a->known.copied[p] = a->known.held;
        }
    look_after(a);
}

static album *open_album(const dd_snapshot_case *how)
{
    album *a = have(sizeof *a);
    a->how = how;
    a->n_words = first_word(how->pages - 1) + TAIL_WORDS;
    a->live = have(a->n_words * sizeof *a->live);
    a->out = have(a->n_words * sizeof *a->out);
    for (uint64_t p = 0; p < how->pages; p++) {
        fill_page(a, p, 0);
        a->now[p] = content(p, 0);
    }
    dd_u32_init(&a->saved, 0);
    a->point = have_point(how->writers + how->onlooker + 1);
    /* an array of nothing stands beside */
    const void *const array[] = {a->live, NULL};
    const size_t bytes[] = {a->n_words * sizeof *a->live, 0};
    dd_status st = dd_snapshot_open(array, bytes, 2, &a->snapshot);
    DD_CHECK(st == DD_OK || (st == DD_ERR_MEMORY && !a->snapshot), "open", st, 0);
    if (st)
        st = dd_snapshot_open(array, bytes, 2, &a->snapshot);
    DD_CHECK(st == DD_OK, "open failed", st, 0);
    return a;
}

void dd_protocol_snapshot_(const void *arg)
{
    static const char *const name[MAX_WRITERS] = {"writer-0", "writer-1", "writer-2",  "writer-3",
                                                  "writer-4", "writer-5", "writer-6",  "writer-7",
                                                  "writer-8", "writer-9", "writer-10", "writer-11"};
    const dd_snapshot_case *how = arg;
    album *a = open_album(how);
    hand h[MAX_WRITERS + 1];
    for (uint32_t i = 0; i < how->writers + how->onlooker; i++) {
        h[i] = (hand){.album = a, .writer = i};
        if (i < how->writers)
            have_thread(&h[i].thread, name[i], writer_main, &h[i]);
        else
            have_thread(&h[i].thread, "onlooker", onlooker_main, &h[i]);
    }
    for (uint32_t r = 0; r < how->rounds; r++) {
        begin_round(a, r);
        dd_pbarrier_wait(a->point);
        dd_pbarrier_wait(a->point);
        end_round(a);
    }
    for (uint32_t i = 0; i < how->writers + how->onlooker; i++)
        dd_thread_join(&h[i].thread);
    drop(a);
    dd_snapshot_close(a->snapshot);
    dd_pbarrier_close(a->point);
    dd_free(a->out);
    dd_free(a->live);
    dd_free(a);
}
