/* SPDX-License-Identifier: MIT
 * Pages through mmap, mprotect and madvise, keys through the C library's pkey functions. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise, pkey_alloc */
#include "pages.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int protection(dd_pages_access access)
{
    switch (access) {
    case DD_PAGES_READ:
        return PROT_READ;
    case DD_PAGES_WRITE:
        return PROT_READ | PROT_WRITE;
    case DD_PAGES_NONE:
        break;
    }
    return PROT_NONE;
}

size_t dd_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *dd_pages_map(size_t bytes, dd_pages_access access)
{
    if (bytes == 0 || bytes > PTRDIFF_MAX)
        return NULL;
    void *pages = mmap(NULL, bytes, protection(access), MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void dd_pages_unmap(void *pages, size_t bytes)
{
    if (!pages)
        return;
    int error = munmap(pages, bytes);
    assert(error == 0);
    (void)error;
}

bool dd_pages_protect(void *pages, size_t bytes, dd_pages_access access)
{
    return mprotect(pages, bytes, protection(access)) == 0;
}

void dd_pages_discard(void *pages, size_t bytes)
{
    (void)madvise(pages, bytes, MADV_DONTNEED); /* locked pages stay */
}

void dd_pages_huge(void *at, size_t bytes)
{
    const size_t page = dd_page_bytes(), past = (uintptr_t)at % page, skip = past ? page - past : 0;
    if (bytes <= skip)
        return;
    /* whole pages alone: the neighbours on the others asked for nothing */
    const size_t whole = (bytes - skip) / page * page;
    if (whole)
        (void)madvise((char *)at + skip, whole, MADV_HUGEPAGE); /* refused: small pages will do */
}

/* ---- Protection keys ---- */

#ifdef PKEY_DISABLE_WRITE

int dd_key_open(const char **why)
{
    int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
    if (key > 0 && pkey_set(key, PKEY_DISABLE_WRITE) == 0)
        return key;
    if (key > 0) {
        (void)pkey_free(key);
        errno = ENOSYS;
    }
    switch (errno) {
    case ENOSYS:
        *why = "this kernel or C library has no protection keys (pkey_alloc: ENOSYS)";
        break;
    case EINVAL:
        *why = "this CPU has no protection keys, or the kernel does not use them (pkey_alloc: "
               "EINVAL)";
        break;
    case ENOSPC: /* valgrind's answer too */
        *why = "no protection key is free, or the CPU has none (pkey_alloc: ENOSPC)";
        break;
    default:
        *why = "pkey_alloc failed";
    }
    return DD_NO_KEY;
}

void dd_key_close(int key)
{
    (void)pkey_free(key);
}

bool dd_key_assign(void *pages, size_t bytes, int key)
{
    return pkey_mprotect(pages, bytes, PROT_READ | PROT_WRITE, key) == 0;
}

void dd_key_rights(int key, bool write)
{
    int error = pkey_set(key, write ? 0 : PKEY_DISABLE_WRITE);
    assert(error == 0);
    (void)error;
}

#else

int dd_key_open(const char **why)
{
    *why = "this C library knows no protection keys";
    return DD_NO_KEY;
}

void dd_key_close(int key)
{
    (void)key;
}

bool dd_key_assign(void *pages, size_t bytes, int key)
{
    return key == DD_NO_KEY && dd_pages_protect(pages, bytes, DD_PAGES_WRITE);
}

void dd_key_rights(int key, bool write)
{
    (void)key, (void)write;
}

#endif
