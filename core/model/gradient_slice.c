/* SPDX-License-Identifier: MIT
 * Evaluates a list of folds for one piece of the gradient at a time. The list is depth first, so it
 * is the program of a stack machine: an operand is the value on top of the stack if that belongs to
 * its segment, else what the segment itself holds. Left values wait on the stack, in scratch; only
 * the last fold writes to the root's memory. */
#include "gradient_slice.h"

#include "platform.h"

#include <assert.h>
#include <string.h>

/* Elements folded at a time: the values of a few operands fit a first-level cache together. */
#define PIECE 1024

/* A value that waits for its right operand, or is it. */
typedef struct value {
    uint32_t segment; /* whose value */
    const float *at;  /* NULL: absent */
    double loss;
} value;

struct dd_slice_scratch {
    uint32_t max_values;
    value *stack;   /* (max_values) */
    float **buffer; /* (max_values) memory of the value at each place of the stack */
    float *memory;  /* (max_values, PIECE) */
};

dd_status dd_slice_scratch_open(uint32_t max_values, dd_slice_scratch **out)
{
    dd_slice_scratch *s = dd_alloc(sizeof *s);
    if (!s)
        return DD_ERR_MEMORY;
    s->max_values = max_values;
    s->stack = dd_alloc(max_values * sizeof *s->stack);
    s->buffer = dd_alloc(max_values * sizeof *s->buffer);
    s->memory = dd_alloc((size_t)max_values * PIECE * sizeof *s->memory);
    if (!s->stack || !s->buffer || !s->memory) {
        dd_slice_scratch_close(s);
        return DD_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < max_values; i++)
        s->buffer[i] = s->memory + (size_t)i * PIECE;
    *out = s;
    return DD_OK;
}

void dd_slice_scratch_close(dd_slice_scratch *s)
{
    if (!s)
        return;
    dd_free(s->memory);
    dd_free(s->buffer);
    dd_free(s->stack);
    dd_free(s);
}

uint64_t dd_slice_scratch_size(uint32_t max_values)
{
    const dd_slice_scratch *s = NULL;
    return sizeof *s + max_values * (sizeof *s->stack + sizeof *s->buffer +
                                     (uint64_t)PIECE * sizeof *s->memory);
}

uint64_t dd_slice_scratch_bytes(const dd_slice_scratch *s)
{
    return dd_slice_scratch_size(s->max_values);
}

/* The stack while a list is evaluated. */
typedef struct machine {
    dd_slice_scratch *scratch;
    uint32_t depth;
} machine;

/* Takes the value of `segment` off the stack if it stands on top. */
static bool pop(machine *m, uint32_t segment)
{
    if (!m->depth || m->scratch->stack[m->depth - 1].segment != segment)
        return false;
    m->depth--;
    return true;
}

/* The place of `segment`'s value on top of the stack, a new one unless it is there. */
static value *top_for(machine *m, uint32_t segment, bool *fresh)
{
    *fresh = !pop(m, segment);
    assert(m->depth < m->scratch->max_values);
    value *top = &m->scratch->stack[m->depth++];
    top->segment = segment;
    return top;
}

/* Which part of a segment is folded: n elements from canonical element e on, or, of the lookup row
 * of `token`, those from column e on. */
typedef struct part {
    bool lookup;
    uint32_t token;
    uint64_t e;
    size_t n;
} part;

static const float *held_by(const dd_segment *segment, const part *p)
{
    if (!p->lookup)
        return segment->dense + p->e;
    const dd_rows *rows = &segment->lookup;
    const uint32_t slot = rows->slot[p->token];
    return slot == DD_NO_SLOT ? NULL : rows->row + (size_t)slot * rows->width + p->e;
}

/* The value of the part, which lies in a segment or in scratch; NULL: absent everywhere. The last
 * fold, if it has two operands, writes to `into` where that is not NULL. */
static const float *fold_part(const dd_kernels *kernels, const dd_fold_list *list, const part *p,
                              dd_slice_scratch *scratch, float *into)
{
    assert(p->n <= PIECE);
    machine m = {.scratch = scratch};
    for (uint32_t i = 0; i < list->n; i++) {
        const dd_fold_pair pair = list->pair[i];
        const bool made = pop(&m, pair.from); /* by folds before this one */
        const float *right =
            made ? scratch->stack[m.depth].at : held_by(&list->segment[pair.from], p);
        bool fresh;
        value *left = top_for(&m, pair.into, &fresh);
        const uint32_t place = m.depth - 1;
        if (fresh)
            left->at = held_by(&list->segment[pair.into], p);
        if (left->at && right) {
            float *to = into && i + 1 == list->n ? into : scratch->buffer[place];
            kernels->add(p->n, left->at, right, to);
            left->at = to;
        } else if (right) {
            left->at = right;
            if (made && !fresh) { /* it may lie in the buffer of the place above: trade */
                float *buffer = scratch->buffer[place];
                scratch->buffer[place] = scratch->buffer[place + 1];
                scratch->buffer[place + 1] = buffer;
            }
        }
    }
    if (!list->n)
        return held_by(&list->segment[list->root], p);
    assert(m.depth == 1 && scratch->stack[0].segment == list->root);
    return scratch->stack[0].at;
}

double dd_gradient_loss(const dd_fold_list *list, dd_slice_scratch *scratch)
{
    machine m = {.scratch = scratch};
    for (uint32_t i = 0; i < list->n; i++) {
        const dd_fold_pair pair = list->pair[i];
        const double right =
            pop(&m, pair.from) ? scratch->stack[m.depth].loss : list->segment[pair.from].loss;
        bool fresh;
        value *left = top_for(&m, pair.into, &fresh);
        left->loss = (fresh ? list->segment[pair.into].loss : left->loss) + right;
    }
    return list->n ? scratch->stack[0].loss : list->segment[list->root].loss;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void dd_gradient_fold(const dd_kernels *kernels, const dd_fold_list *list, uint64_t first,
                      uint64_t n, dd_slice_scratch *scratch, float *into)
{
    for (uint64_t e = 0; e < n; e += PIECE) {
        const part p = {.e = first + e, .n = least(PIECE, n - e)};
        const float *made = fold_part(kernels, list, &p, scratch, into + e);
        if (made != into + e)
            memcpy(into + e, made, p.n * sizeof *into);
    }
}

void dd_gradient_add_lookup(const dd_kernels *kernels, const dd_layout *layout,
                            const dd_fold_list *list, uint64_t first, uint64_t last,
                            dd_slice_scratch *scratch, float *gradient)
{
    const uint64_t C = layout->shape.C, begin = layout->offset[DD_WTE];
    last = least(last, layout->offset[DD_WTE + 1]);
    for (uint64_t e = first, end; e < last; e = end) {
        const uint64_t token = (e - begin) / C, row = begin + token * C;
        end = least(least(row + C, last), e + PIECE);
        const part p = {.lookup = true, .token = (uint32_t)token, .e = e - row, .n = end - e};
        const float *lookup = fold_part(kernels, list, &p, scratch, NULL);
        if (lookup)
            kernels->add(p.n, gradient + e, lookup, gradient + e);
    }
}

void dd_gradient_slice(const dd_kernels *kernels, const dd_layout *layout, const dd_fold_list *list,
                       uint64_t first_block, uint64_t last_block, dd_slice_scratch *scratch,
                       double *block_sums)
{
    const uint64_t P = dd_layout_size(layout);
    float *root = list->segment[list->root].dense;
    for (uint64_t b = first_block; b < last_block; b++) {
        const uint64_t first = b * DD_NORM_BLOCK, last = least(first + DD_NORM_BLOCK, P);
        dd_gradient_fold(kernels, list, first, last - first, scratch, root + first);
        dd_gradient_add_lookup(kernels, layout, list, first, last, scratch, root);
        block_sums[b] = kernels->sum_squares(last - first, root + first);
    }
}
