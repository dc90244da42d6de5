/* SPDX-License-Identifier: MIT
 * Inside `dodeca sample`: prompts and drawn tokens as people write and read them, bytes or numbers
 * with commas between them. There is no tokenizer. */
#ifndef DD_SAMPLE_TEXT_H
#define DD_SAMPLE_TEXT_H

#include "settings.h"

typedef struct dd_prompt {
    uint32_t *token; /* n of them, by malloc; the reader's to free */
    size_t n;
} dd_prompt;

/* A file's content, "-" is stdin, up to DD_PROMPT_MOST bytes.
 * owns     *bytes on success, by malloc
 * returns  false, message filled                                                             */
#define DD_PROMPT_MOST ((size_t)64 << 20)
bool dd_prompt_file(const char *path, char **bytes, size_t *n, char message[DD_MESSAGE_MAX]);

/* Every byte a token. n >= 1.  returns  false: no memory, message filled */
bool dd_prompt_bytes(const char *bytes, size_t n, dd_prompt *out, char message[DD_MESSAGE_MAX]);
/* Numbers below `vocabulary`, commas or blanks between them.  returns  false, message filled */
bool dd_prompt_numbers(const char *text, size_t n, uint32_t vocabulary, dd_prompt *out,
                       char message[DD_MESSAGE_MAX]);

/* To stdout, at once: the token as a byte; or as a number, with a comma before it if it is not the
 * first.  returns  false: it could not be written */
bool dd_sample_write(const uint32_t *token, size_t n, bool as_bytes, bool first);

#endif
