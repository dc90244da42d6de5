/* SPDX-License-Identifier: MIT
 * Prompts read, tokens written. */
#include "sample_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* ---- Prompts ---- */

static bool read_all(FILE *file, char **bytes, size_t *n)
{
    size_t room = 4096;
    *n = 0;
    *bytes = malloc(room);
    while (*bytes && !feof(file) && !ferror(file) && *n <= DD_PROMPT_MOST) {
        if (*n == room) {
            char *more = realloc(*bytes, room *= 2);
            if (!more)
                free(*bytes);
            *bytes = more;
            continue;
        }
        *n += fread(*bytes + *n, 1, room - *n, file);
    }
    return *bytes && !ferror(file);
}

bool dd_prompt_file(const char *path, char **bytes, size_t *n, char message[DD_MESSAGE_MAX])
{
    const bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    *bytes = NULL;
    if (!file)
        return dd_text_refuse(message, "prompt-file %s: %s", path, strerror(errno));
    errno = 0;
    bool ok = read_all(file, bytes, n);
    if (!ok)
        dd_text_refuse(message, "prompt-file %s: %s", path, strerror(errno));
    if (!standard)
        (void)fclose(file);
    if (ok && *n > DD_PROMPT_MOST)
        ok = dd_text_refuse(message, "prompt-file %s: more than %zu MiB are no prompt", path,
                            DD_PROMPT_MOST >> 20);
    if (!ok) {
        free(*bytes);
        *bytes = NULL;
    }
    return ok;
}

static bool take(size_t n, dd_prompt *out, char message[DD_MESSAGE_MAX])
{
    *out = (dd_prompt){.token = malloc((n + 1) * sizeof *out->token)};
    return out->token || dd_text_refuse(message, "out of memory for a prompt of %zu bytes", n);
}

bool dd_prompt_bytes(const char *bytes, size_t n, dd_prompt *out, char message[DD_MESSAGE_MAX])
{
    if (!take(n, out, message))
        return false;
    for (; out->n < n; out->n++)
        out->token[out->n] = (unsigned char)bytes[out->n];
    return true;
}

static bool is_between(char c)
{
    return c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

bool dd_prompt_numbers(const char *text, size_t n, uint32_t vocabulary, dd_prompt *out,
                       char message[DD_MESSAGE_MAX])
{
    if (!take(n, out, message))
        return false;
    for (size_t at = 0, end; at < n; at = end) {
        for (end = at; end < n && !is_between(text[end]);)
            end++;
        if (end == at) {
            end++;
            continue;
        }
        char word[32];
        uint64_t token;
        (void)snprintf(word, sizeof word, "%.*s", (int)(end - at < 24 ? end - at : 24), text + at);
        if (!dd_text_uint(word, &token) || token >= vocabulary) {
            dd_text_refuse(
                message,
                "prompt: \"%s\" at byte %zu is no token: whole numbers from 0 to %" PRIu32
                " with commas between them, such as 15,3,9",
                word, at, vocabulary - 1);
            dd_text_one_line(message);
            free(out->token);
            *out = (dd_prompt){0};
            return false;
        }
        out->token[out->n++] = (uint32_t)token;
    }
    return true;
}

/* ---- Tokens ---- */

bool dd_sample_write(const uint32_t *token, size_t n, bool as_bytes, bool first)
{
    for (size_t i = 0; i < n; i++)
        if (as_bytes)
            (void)putchar((int)token[i]);
        else
            printf("%s%" PRIu32, first && i == 0 ? "" : ",", token[i]);
    return fflush(stdout) == 0 && !ferror(stdout);
}
