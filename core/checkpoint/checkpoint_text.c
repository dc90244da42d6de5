/* SPDX-License-Identifier: MIT
 * Values and their texts. printf and strtod follow the locale where they meet a decimal point, so
 * reals are written and read here bit by bit. */
#include "checkpoint_text.h"

#include "platform.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum field_type { FIELD_U32, FIELD_U64, FIELD_REAL, FIELD_POLICY, FIELD_HASH } field_type;

typedef struct field {
    const char *name;
    field_type type;
    bool progress; /* how far it is, which differs from checkpoint to checkpoint */
    size_t offset;
} field;

#define AT(member) .offset = offsetof(dd_checkpoint_info, member)
/* clang-format off */
static const field fields[] = {
    {"L", FIELD_U32, AT(config.shape.L)},
    {"NH", FIELD_U32, AT(config.shape.NH)},
    {"C", FIELD_U32, AT(config.shape.C)},
    {"V", FIELD_U32, AT(config.shape.V)},
    {"T", FIELD_U32, AT(config.shape.T_max)},
    {"batch", FIELD_U32, AT(config.batch)},
    {"seq", FIELD_U32, AT(config.seq)},
    {"lane-depth", FIELD_U32, AT(config.lane_depth)},
    {"seed", FIELD_U64, AT(config.seed)},
    {"steps", FIELD_U64, AT(config.horizon)},
    {"warmup", FIELD_U64, AT(config.warmup)},
    {"lr", FIELD_REAL, AT(config.lr)},
    {"min-lr-ratio", FIELD_REAL, AT(config.min_lr_ratio)},
    {"beta1", FIELD_REAL, AT(config.beta1)},
    {"beta2", FIELD_REAL, AT(config.beta2)},
    {"eps", FIELD_REAL, AT(config.eps)},
    {"weight-decay", FIELD_REAL, AT(config.weight_decay)},
    {"grad-clip", FIELD_REAL, AT(config.grad_clip)},
    {"nan-policy", FIELD_POLICY, AT(config.nan_policy)},
    {"data-tokens", FIELD_U64, AT(n_tokens)},
    {"data-hash", FIELD_HASH, AT(data_hash)},
    {"step", FIELD_U64, AT(step), .progress = true},
    {"updates", FIELD_U64, AT(updates), .progress = true},
};
/* clang-format on */
#undef AT
_Static_assert(sizeof fields / sizeof *fields == DD_CHECKPOINT_FIELDS, "all of them");
_Static_assert(sizeof(double) == 8 && sizeof(dd_nan_policy) == 4, "read and written as integers");

static const char *const policies[] = {[DD_NAN_ABORT] = "abort", [DD_NAN_SKIP_STEP] = "skip-step"};

const char *dd_checkpoint_field_name(uint32_t i)
{
    assert(i < DD_CHECKPOINT_FIELDS);
    return fields[i].name;
}

/* ---- Hashes ---- */

void dd_checkpoint_hash_write(const uint8_t hash[16], char text[DD_CHECKPOINT_FIELD_TEXT])
{
    for (int i = 0; i < 16; i++)
        (void)snprintf(text + 2 * (size_t)i, 3, "%02x", hash[i]);
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool dd_checkpoint_hash_read(const char *text, uint8_t hash[16])
{
    if (strlen(text) != 32)
        return false;
    for (size_t i = 0; i < 16; i++) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash[i] = (uint8_t)(16 * high + low);
    }
    return true;
}

/* ---- Numbers ---- */

#define MANTISSA ((UINT64_C(1) << 52) - 1)

/* -0x1.8000000000000p-3, as C has it, always with all digits. Finite values only. */
static void write_real(uint64_t bits, char text[DD_CHECKPOINT_FIELD_TEXT])
{
    const int exponent = (int)(bits >> 52 & 0x7ff);
    (void)snprintf(text, DD_CHECKPOINT_FIELD_TEXT, "%s0x%d.%013" PRIx64 "p%d",
                   bits >> 63 ? "-" : "", exponent > 0, bits & MANTISSA,
                   exponent ? exponent - 1023 : -1022);
}

/* As lax as sscanf: the caller writes the value again and compares. */
static uint64_t read_real(const char *text)
{
    const bool negative = text[0] == '-';
    unsigned lead = 0;
    uint64_t mantissa = 0;
    int exponent = 0;
    if (sscanf(text + negative, "0x%1u.%13" SCNx64 "p%5d", &lead, &mantissa, &exponent) != 3 ||
        exponent < -1022 || exponent > 1023)
        return 0;
    const uint64_t biased = lead ? (uint64_t)(exponent + 1023) & 0x7ff : 0;
    return (uint64_t)negative << 63 | biased << 52 | (mantissa & MANTISSA);
}

static uint64_t load(const dd_checkpoint_info *info, const field *f)
{
    const char *at = (const char *)info + f->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (f->type == FIELD_U64 || f->type == FIELD_REAL)
        memcpy(&wide, at, sizeof wide);
    else
        memcpy(&narrow, at, sizeof narrow);
    return f->type == FIELD_U64 || f->type == FIELD_REAL ? wide : narrow;
}

static void store(dd_checkpoint_info *info, const field *f, uint64_t value)
{
    char *at = (char *)info + f->offset;
    const uint32_t narrow = (uint32_t)value;
    if (f->type == FIELD_U64 || f->type == FIELD_REAL)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

void dd_checkpoint_field_write(const dd_checkpoint_info *info, uint32_t i,
                               char text[DD_CHECKPOINT_FIELD_TEXT])
{
    assert(i < DD_CHECKPOINT_FIELDS);
    const field *f = &fields[i];
    switch (f->type) {
    case FIELD_U32:
    case FIELD_U64:
        (void)snprintf(text, DD_CHECKPOINT_FIELD_TEXT, "%" PRIu64, load(info, f));
        break;
    case FIELD_REAL:
        write_real(load(info, f), text);
        break;
    case FIELD_POLICY:
        (void)snprintf(text, DD_CHECKPOINT_FIELD_TEXT, "%s", policies[load(info, f) != 0]);
        break;
    case FIELD_HASH:
        dd_checkpoint_hash_write((const uint8_t *)info + f->offset, text);
        break;
    }
}

bool dd_checkpoint_field_read(dd_checkpoint_info *info, uint32_t i, const char *text)
{
    assert(i < DD_CHECKPOINT_FIELDS);
    const field *f = &fields[i];
    switch (f->type) {
    case FIELD_U32:
    case FIELD_U64:
        store(info, f, strtoull(text, NULL, 10));
        break;
    case FIELD_REAL:
        store(info, f, read_real(text));
        break;
    case FIELD_POLICY:
        store(info, f, strcmp(text, policies[DD_NAN_ABORT]) != 0);
        break;
    case FIELD_HASH:
        return dd_checkpoint_hash_read(text, (uint8_t *)info + f->offset);
    }
    char again[DD_CHECKPOINT_FIELD_TEXT];
    dd_checkpoint_field_write(info, i, again);
    return strcmp(again, text) == 0;
}

/* ---- Differences ---- */

/* For people: a real in decimal. The message's locale is theirs. */
static void tell(const dd_checkpoint_info *info, uint32_t i, char text[DD_CHECKPOINT_FIELD_TEXT])
{
    double real;
    dd_checkpoint_field_write(info, i, text);
    if (fields[i].type != FIELD_REAL)
        return;
    memcpy(&real, (const char *)info + fields[i].offset, sizeof real);
    (void)snprintf(text, DD_CHECKPOINT_FIELD_TEXT, "%.17g", real);
}

bool dd_checkpoint_differs(const dd_checkpoint_info *saved, const dd_checkpoint_info *wanted,
                           dd_checkpoint_difference *out)
{
    for (uint32_t i = 0; i < DD_CHECKPOINT_FIELDS; i++) {
        if (fields[i].progress)
            continue;
        dd_checkpoint_field_write(saved, i, out->saved);
        dd_checkpoint_field_write(wanted, i, out->wanted);
        if (strcmp(out->saved, out->wanted) == 0)
            continue;
        out->name = fields[i].name;
        tell(saved, i, out->saved);
        tell(wanted, i, out->wanted);
        return true;
    }
    return false;
}

/* ---- Specs ---- */

static bool plain(char c)
{
    return c >= ' ' && c < 0x7f && c != '%';
}

char *dd_checkpoint_spec_write(const char *spec)
{
    static const char digits[] = "0123456789abcdef";
    char *text = dd_alloc(3 * strlen(spec) + 1), *to = text;
    for (; text && *spec; spec++) {
        if (plain(*spec)) {
            *to++ = *spec;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)*spec >> 4];
        *to++ = digits[(unsigned char)*spec & 15];
    }
    return text;
}

bool dd_checkpoint_spec_read(const char *text, char *spec)
{
    while (*text) {
        if (plain(*text)) {
            *spec++ = *text++;
            continue;
        }
        const int high = *text == '%' ? digit(text[1]) : -1, low = high < 0 ? -1 : digit(text[2]);
        const char c = (char)(16 * high + low);
        if (low < 0 || plain(c) || !c)
            return false;
        *spec++ = c;
        text += 3;
    }
    *spec = '\0';
    return true;
}
