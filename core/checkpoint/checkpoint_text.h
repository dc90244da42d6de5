/* SPDX-License-Identifier: MIT
 * What a checkpoint says in words: one table of its settings and counts, each with the one form in
 * which it is written. Knows no files. */
#ifndef DD_CHECKPOINT_TEXT_H
#define DD_CHECKPOINT_TEXT_H

#include "dodeca.h"

enum {
    DD_CHECKPOINT_FIELDS = 23,
    DD_CHECKPOINT_FIELD_TEXT = 40 /* bytes that any field's text fits into, its end included */
};

/* "batch", "lr", …: i < DD_CHECKPOINT_FIELDS */
const char *dd_checkpoint_field_name(uint32_t i);
void dd_checkpoint_field_write(const dd_checkpoint_info *info, uint32_t i,
                               char text[DD_CHECKPOINT_FIELD_TEXT]);
/* returns  false: it is not what dd_checkpoint_field_write writes */
bool dd_checkpoint_field_read(dd_checkpoint_info *info, uint32_t i, const char *text);

/* A difference between a checkpoint and a training in what decides the bits, for a message.
 * returns  false: there is none */
typedef struct dd_checkpoint_difference {
    const char *name;
    char saved[DD_CHECKPOINT_FIELD_TEXT], wanted[DD_CHECKPOINT_FIELD_TEXT];
} dd_checkpoint_difference;
bool dd_checkpoint_differs(const dd_checkpoint_info *saved, const dd_checkpoint_info *wanted,
                           dd_checkpoint_difference *out);

/* A data source's spec as it is written, and back: bytes that are not printable ASCII, and %, as %
 * and two hexadecimal digits, since a file's name may hold any.
 * owns     what is written, released by dd_free; NULL: no memory
 * errors   reading into `spec`, strlen(text) + 1 bytes: false, it was not written so */
char *dd_checkpoint_spec_write(const char *spec);
bool dd_checkpoint_spec_read(const char *text, char *spec);

/* A hash as 32 hexadecimal digits, and back.  returns  false: it is none */
void dd_checkpoint_hash_write(const uint8_t hash[16], char text[DD_CHECKPOINT_FIELD_TEXT]);
bool dd_checkpoint_hash_read(const char *text, uint8_t hash[16]);

#endif
