/* SPDX-License-Identifier: MIT
 * A pass over a plug-in's weights. Comparisons are written so that a NaN is told. */
#include "plugin_weights.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell_body.h"
#include "hash.h"
#include "text.h"

/* ---- The store: pieces one behind the other, each a head and its data ---- */

typedef struct head {
    uint64_t type, count;
    char name[48];
} head;

struct dd_weights_store {
    int fd; /* of a file that has no name */
};

dd_weights_store *dd_weights_store_open(void)
{
    dd_weights_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->fd = memfd_create("dodeca-reference", MFD_CLOEXEC);
    if (store->fd >= 0)
        return store;
    free(store);
    return NULL;
}

void dd_weights_store_close(dd_weights_store *store)
{
    if (!store)
        return;
    close(store->fd);
    free(store);
}

static bool append(const dd_weights_store *store, const void *p, size_t bytes)
{
    const char *at = p;
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = write(store->fd, at + done, bytes - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* ---- Elements ---- */

static size_t bytes_of(dd_subject_type type)
{
    switch (type) {
    case DD_SUBJECT_F32:
        return 4;
    case DD_SUBJECT_F64:
        return 8;
    case DD_SUBJECT_F16:
    case DD_SUBJECT_BF16:
        return 2;
    case DD_SUBJECT_BYTES:
        return 1;
    }
    return 0;
}

static const char *type_name(uint64_t type)
{
    static const char *const names[] = {"?", "F32", "F64", "F16", "BF16", "BYTES"};
    return names[type <= DD_SUBJECT_BYTES ? type : 0];
}

static double from_f16(uint16_t half)
{
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const double size = exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                        : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                       : ldexp(mantissa, -24);
    return half >> 15 ? -size : size;
}

/* Element i, wherever it lies. */
static double element(dd_subject_type type, const void *data, uint64_t i)
{
    const char *at = (const char *)data + i * bytes_of(type);
    float f32 = 0;
    double f64 = 0;
    uint16_t half = 0;
    uint32_t bits;
    switch (type) {
    case DD_SUBJECT_F32:
        memcpy(&f32, at, sizeof f32);
        return (double)f32;
    case DD_SUBJECT_F64:
        memcpy(&f64, at, sizeof f64);
        return f64;
    case DD_SUBJECT_F16:
        memcpy(&half, at, sizeof half);
        return from_f16(half);
    case DD_SUBJECT_BF16:
        memcpy(&half, at, sizeof half);
        bits = (uint32_t)half << 16;
        memcpy(&f32, &bits, sizeof f32);
        return (double)f32;
    case DD_SUBJECT_BYTES:
        return (unsigned char)*at;
    }
    return (double)NAN;
}

/* ---- The pass ---- */

typedef struct pass {
    dd_weights_store *leave;
    const char *beside;         /* mapped; NULL: nothing to compare with */
    size_t beside_bytes, place; /* of it, and where the next piece begins */
    uint64_t n_pieces;
    dd_hasher *hasher;
    dd_own_weights *out;
    dd_status status;
    dd_error *error;
} pass;

__attribute__((format(printf, 2, 3))) static void fail(pass *p, const char *format, ...)
{
    va_list args;
    if (p->status != DD_OK)
        return;
    p->status = DD_ERR_REFUSED;
    va_start(args, format);
    (void)vsnprintf(p->error->message, sizeof p->error->message, format, args);
    va_end(args);
    dd_text_one_line(p->error->message);
}

static void find_not_finite(pass *p, const head *h, const void *data)
{
    dd_own_weights *out = p->out;
    for (uint64_t i = 0; h->type != DD_SUBJECT_BYTES && i < h->count; i++)
        if (!isfinite(element((dd_subject_type)h->type, data, i)) && !out->n_not_finite++)
            (void)snprintf(out->not_finite, sizeof out->not_finite, "%s[%" PRIu64 "]", h->name, i);
}

/* In units of the largest, whose square may be no double. */
static double root_mean_square(dd_subject_type type, const void *data, uint64_t n)
{
    double most = 0, squares = 0;
    for (uint64_t i = 0; i < n; i++)
        most = fmax(most, fabs(element(type, data, i)));
    if (most == 0 || isinf(most))
        return most;
    for (uint64_t i = 0; i < n; i++)
        squares += element(type, data, i) / most * (element(type, data, i) / most);
    return most * sqrt(squares / (double)n);
}

/* Of two elements, in units of the larger of the second and its like. */
static double distance(double a, double b, double like)
{
    const double apart = fabs(a - b);
    return apart == 0 ? 0 : apart / fmax(fabs(b), like);
}

/* Takes over the largest distance; a NaN is larger than all. */
static void compare(pass *p, const head *h, const void *data, const void *other)
{
    dd_own_weights *out = p->out;
    const dd_subject_type type = (dd_subject_type)h->type;
    const bool bytes = type == DD_SUBJECT_BYTES;
    const double like = root_mean_square(type, other, h->count);
    for (uint64_t i = 0; i < h->count && !isnan(out->distance); i++) {
        const double a = element(type, data, i), b = element(type, other, i);
        double d = distance(a, b, like);
        if (bytes && a != b)
            d = (double)INFINITY;
        if (d <= out->distance)
            continue;
        out->distance = d;
        (void)snprintf(out->farthest, sizeof out->farthest, "%s[%" PRIu64 "]", h->name, i);
    }
}

static void say_unlike(pass *p, const char *own, const char *others)
{
    if (p->out->unlike[0])
        return;
    (void)snprintf(p->out->unlike, sizeof p->out->unlike,
                   "piece %" PRIu64 " of the weights is %.70s, the reference's %.70s", p->n_pieces,
                   own, others);
    p->out->distance = (double)NAN;
}

static void describe(const head *h, char text[96])
{
    (void)snprintf(text, 96, "%.47s, %" PRIu64 " %s", h->name, h->count, type_name(h->type));
}

/* The same piece of the reference, if it has it. */
static void compare_next(pass *p, const head *h, const void *data)
{
    char own[96], others[96] = "not there";
    head other;
    describe(h, own);
    if (p->beside_bytes - p->place < sizeof other) {
        say_unlike(p, own, others);
        return;
    }
    memcpy(&other, p->beside + p->place, sizeof other);
    p->place += sizeof other;
    if (other.type != h->type || other.count != h->count || strcmp(other.name, h->name) != 0) {
        describe(&other, others);
        say_unlike(p, own, others);
    }
    /* Complete, as the child that wrote it ended well. */
    if (!p->out->unlike[0])
        compare(p, h, data, p->beside + p->place);
    p->place += other.count * bytes_of((dd_subject_type)other.type);
}

static void take(void *user, const char *name, dd_subject_type type, const void *data,
                 uint64_t count)
{
    pass *p = user;
    const size_t each = bytes_of(type);
    if (!each)
        fail(p, "weights: piece %" PRIu64 " is of type %d, which dodeca_subject.h does not know",
             p->n_pieces, (int)type);
    else if (!data && count)
        fail(p, "weights: piece %" PRIu64 " has %" PRIu64 " elements at NULL", p->n_pieces, count);
    else if (count > SIZE_MAX / each / 2)
        fail(p, "weights: piece %" PRIu64 " has %" PRIu64 " elements, more than memory can hold",
             p->n_pieces, count);
    if (p->status != DD_OK)
        return;
    head h = {.type = type, .count = count};
    if (name)
        (void)snprintf(h.name, sizeof h.name, "%s", name);
    else
        (void)snprintf(h.name, sizeof h.name, "piece %" PRIu64, p->n_pieces);
    dd_text_one_line(h.name);
    dd_hasher_add(p->hasher, data, count * each);
    find_not_finite(p, &h, data);
    if (p->beside && !p->out->unlike[0])
        compare_next(p, &h, data);
    if (p->leave && (!append(p->leave, &h, sizeof h) || !append(p->leave, data, count * each))) {
        fail(p, "weights: the reference's cannot be kept: %s", strerror(errno));
        p->status = DD_ERR_MEMORY;
    }
    p->n_pieces++;
    p->out->n += count;
}

static bool map(pass *p, const dd_weights_store *beside)
{
    struct stat is;
    if (fstat(beside->fd, &is) != 0 || is.st_size == 0)
        return false;
    void *at = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_PRIVATE, beside->fd, 0);
    if (at == MAP_FAILED)
        return false;
    p->beside = at;
    p->beside_bytes = (size_t)is.st_size;
    return true;
}

dd_status dd_plugin_weights(const dd_subject_table *table, void *self, dd_weights_store *leave,
                            const dd_weights_store *beside, dd_own_weights *out, char hash[33],
                            dd_error *error)
{
    uint8_t bytes[16];
    *out = (dd_own_weights){.n = 0};
    pass p = {.leave = leave, .hasher = dd_hasher_open(), .out = out, .error = error};
    if (!p.hasher || (leave && (ftruncate(leave->fd, 0) || lseek(leave->fd, 0, SEEK_SET))) ||
        (beside && !map(&p, beside))) {
        (void)snprintf(error->message, sizeof error->message,
                       "no memory to go through the weights: %s", strerror(errno));
        dd_hasher_close(p.hasher);
        return DD_ERR_MEMORY;
    }
    out->compared = beside;
    table->weights(self, take, &p);
    if (!out->n)
        fail(&p, "weights: not one element was handed over");
    if (p.beside && p.place < p.beside_bytes)
        say_unlike(&p, "not there", "there");
    dd_hasher_take(p.hasher, bytes);
    dd_hash_text(bytes, hash);
    dd_hasher_close(p.hasher);
    if (p.beside)
        munmap((void *)(uintptr_t)p.beside, p.beside_bytes);
    return p.status;
}
