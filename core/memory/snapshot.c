/* SPDX-License-Identifier: MIT
 * Copies of pages, and which pages have one. */
#include "snapshot.h"

#include "pages.h"
#include "platform.h"

#include <assert.h>
#include <string.h>

#define PAGE ((size_t)DD_SNAPSHOT_PAGE_BYTES)

typedef struct array {
    const char *live;
    size_t bytes;
    uint64_t n_pages;
    char *copy; /* (bytes) page p where the array has its own */
    /* (n_pages) the take in which the page was copied last; atomic: whoever copies it stores
     * release, readers of the copy load acquire */
    dd_atomic_u64 *copied_in;
    dd_atomic_u64 n_copied; /* atomic, relaxed: a count; exact once the writers are through */
} array;

struct dd_snapshot {
    uint32_t n;
    array *array;  /* (n) */
    uint64_t take; /* number of the present one, from 1; changes while nobody writes */
    bool held;     /* likewise */
};

static uint64_t pages(size_t bytes)
{
    return bytes / PAGE + (bytes % PAGE != 0);
}

static bool open_array(array *a, const void *live, size_t bytes)
{
    *a = (array){.live = live, .bytes = bytes, .n_pages = pages(bytes)};
    dd_u64_init(&a->n_copied, 0);
    if (bytes == 0)
        return true;
    a->copy = dd_pages_map(bytes, DD_PAGES_WRITE);
    a->copied_in = dd_alloc(a->n_pages * sizeof *a->copied_in);
    if (!a->copy || !a->copied_in)
        return false;
    for (uint64_t p = 0; p < a->n_pages; p++)
        dd_u64_init(&a->copied_in[p], 0);
    return true;
}

dd_status dd_snapshot_open(const void *const *live, const size_t *bytes, uint32_t n,
                           dd_snapshot **out)
{
    *out = NULL;
    dd_snapshot *s = dd_alloc(sizeof *s);
    if (!s || !(s->array = dd_alloc(n * sizeof *s->array)))
        goto fail;
    while (s->n < n) {
        uint32_t i = s->n++; /* close() releases exactly these */
        if (!open_array(&s->array[i], live[i], bytes[i]))
            goto fail;
    }
    *out = s;
    return DD_OK;
fail:
    dd_snapshot_close(s);
    return DD_ERR_MEMORY;
}

void dd_snapshot_close(dd_snapshot *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++) {
        array *a = &s->array[i];
        for (uint64_t p = 0; a->copied_in && p < a->n_pages; p++)
            dd_u64_forget(&a->copied_in[p]);
        dd_u64_forget(&a->n_copied);
        dd_pages_unmap(a->copy, a->bytes);
        dd_free(a->copied_in);
    }
    dd_free(s->array);
    dd_free(s);
}

/* Old copies stay where they are, to be written over. */
void dd_snapshot_take(dd_snapshot *s)
{
    DD_WRITE(s, sizeof *s);
    s->take++;
    for (uint32_t i = 0; i < s->n; i++)
        dd_u64_store(&s->array[i].n_copied, 0, DD_RELAXED);
    s->held = true;
}

void dd_snapshot_drop(dd_snapshot *s)
{
    DD_WRITE(s, sizeof *s);
    s->take++; /* no page counts as copied */
    for (uint32_t i = 0; i < s->n; i++) {
        dd_u64_store(&s->array[i].n_copied, 0, DD_RELAXED);
        if (s->array[i].copy)
            dd_pages_discard(s->array[i].copy, s->array[i].bytes);
    }
    s->held = false;
}

bool dd_snapshot_held(const dd_snapshot *s)
{
    DD_READ(s, sizeof *s);
    return s->held;
}

/* Asked by the one thread that may write the page now: nobody else can have marked it since take.
 */
static bool is_copied(const dd_snapshot *s, const array *a, uint64_t page)
{
    return dd_u64_load(&a->copied_in[page], DD_RELAXED) == s->take;
}

void dd_snapshot_before_write(dd_snapshot *s, uint32_t i, size_t first, size_t last)
{
    assert(i < s->n && first <= last && last <= s->array[i].bytes);
    array *a = &s->array[i];
    DD_READ(s, sizeof *s);
    if (!s->held || first == last || dd_u64_load(&a->n_copied, DD_RELAXED) == a->n_pages)
        return;
    const uint64_t end = pages(last);
    uint64_t copied = 0;
    for (uint64_t p = first / PAGE, next; p < end; p = next) {
        for (next = p; next < end && !is_copied(s, a, next); next++)
            continue;
        if (next == p) {
            next++;
            continue;
        }
        const size_t to = next < a->n_pages ? next * PAGE : a->bytes;
        DD_READ(a->live + p * PAGE, to - p * PAGE);
        DD_WRITE(a->copy + p * PAGE, to - p * PAGE);
        memcpy(a->copy + p * PAGE, a->live + p * PAGE, to - p * PAGE);
        copied += next - p;
        for (; p < next; p++)
            dd_u64_store(&a->copied_in[p], s->take, DD_RELEASE); /* pairs with copied_page */
    }
    if (copied)
        dd_u64_fetch_add(&a->n_copied, copied, DD_RELAXED);
}

const void *dd_snapshot_copied_page(const dd_snapshot *s, uint32_t i, uint64_t page)
{
    assert(i < s->n && page < s->array[i].n_pages);
    const array *a = &s->array[i];
    DD_READ(s, sizeof *s);
    bool copied = s->held && dd_u64_load(&a->copied_in[page], DD_ACQUIRE) == s->take;
    return copied ? a->copy + page * PAGE : NULL;
}

void dd_snapshot_read(const dd_snapshot *s, uint32_t i, size_t first, size_t bytes, void *out)
{
    assert(s->held && i < s->n && bytes <= s->array[i].bytes && first <= s->array[i].bytes - bytes);
    const array *a = &s->array[i];
    for (size_t done = 0; done < bytes;) {
        const uint64_t page = (first + done) / PAGE;
        const size_t skip = (first + done) % PAGE, left = bytes - done;
        const size_t n = left < PAGE - skip ? left : PAGE - skip;
        const char *copied = dd_snapshot_copied_page(s, i, page);
        const char *from = (copied ? copied : a->live + page * PAGE) + skip;
        DD_READ(from, n);
        memcpy((char *)out + done, from, n);
        done += n;
    }
}

uint64_t dd_snapshot_pages(const dd_snapshot *s, uint64_t *copied)
{
    uint64_t n = 0;
    *copied = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        n += s->array[i].n_pages;
        *copied += dd_u64_load(&s->array[i].n_copied, DD_RELAXED);
    }
    return n;
}
