/* SPDX-License-Identifier: MIT
 * The scanner. */
#include "scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const char *at;
    uint32_t line;
} reader;

static void step(reader *r)
{
    r->line += *r->at++ == '\n';
}

static bool begins(const reader *r, const char *text)
{
    return strncmp(r->at, text, strlen(text)) == 0;
}

static void skip_comment(reader *r)
{
    const bool block = r->at[1] == '*';
    while (*r->at && !(block ? begins(r, "*/") : *r->at == '\n'))
        step(r);
    if (block && *r->at)
        r->at += 2;
}

/* To the end of the line, and on where that ends in a backslash. */
static void skip_directive(reader *r)
{
    while (*r->at && *r->at != '\n') {
        if (begins(r, "/*")) {
            skip_comment(r);
            continue;
        }
        if (begins(r, "\\\n"))
            step(r);
        step(r);
    }
}

static void skip_quoted(reader *r)
{
    const char quote = *r->at;
    step(r);
    while (*r->at && *r->at != quote) {
        if (*r->at == '\\' && r->at[1])
            step(r);
        step(r);
    }
    if (*r->at)
        step(r);
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static uint32_t mark_length(const reader *r)
{
    static const char *const longer[] = {
        "<<=", ">>=", "...", "->", "++", "--", "==", "!=", "<=", ">=", "&&",
        "||",  "+=",  "-=",  "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>"};
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++)
        if (begins(r, longer[i]))
            return (uint32_t)strlen(longer[i]);
    return 1;
}

/* The next token, whose length is 0 at the end. */
static dd_token next_token(reader *r)
{
    bool line_begins = r->line == 1;
    for (;;) {
        if (*r->at == '\n') {
            line_begins = true;
            step(r);
        } else if (isspace((unsigned char)*r->at)) {
            step(r);
        } else if (begins(r, "/*") || begins(r, "//")) {
            skip_comment(r);
        } else if (*r->at == '#' && line_begins) {
            skip_directive(r);
        } else {
            break;
        }
    }
    dd_token t = {.at = r->at, .line = r->line, .match = DD_NO_TOKEN};
    if (*r->at == '"' || *r->at == '\'') {
        skip_quoted(r);
    } else if (is_word(*r->at)) {
        t.word = !isdigit((unsigned char)*r->at);
        while (is_word(*r->at) || (!t.word && *r->at == '.'))
            step(r);
    } else if (*r->at) {
        r->at += mark_length(r);
    }
    t.length = (uint32_t)(r->at - t.at);
    return t;
}

/* Finds each bracket's other half. */
static bool match_brackets(dd_scan *scan, uint32_t *line)
{
    size_t open = DD_NO_TOKEN; /* the innermost; the one around it stands in its match until then */
    for (size_t i = 0; i < scan->n; i++) {
        dd_token *t = &scan->token[i];
        *line = t->line;
        if (t->length != 1)
            continue;
        if (strchr("([{", *t->at)) {
            t->match = open;
            open = i;
        } else if (strchr(")]}", *t->at)) {
            const char *pair = strchr("()[]{}", *t->at);
            if (open == DD_NO_TOKEN || *scan->token[open].at != pair[-1])
                return false;
            t->match = open;
            open = scan->token[t->match].match;
            scan->token[t->match].match = i;
        }
    }
    return open == DD_NO_TOKEN;
}

bool dd_scan_text(const char *text, dd_scan *scan, uint32_t *line)
{
    *scan = (dd_scan){.text = text, .token = calloc(strlen(text) + 1, sizeof *scan->token)};
    *line = 0;
    if (!scan->token)
        return false;
    reader r = {text, 1};
    for (dd_token t; (t = next_token(&r)).length;)
        scan->token[scan->n++] = t;
    if (match_brackets(scan, line))
        return true;
    dd_scan_clear(scan);
    return false;
}

void dd_scan_clear(dd_scan *scan)
{
    free(scan->token);
    *scan = (dd_scan){0};
}

bool dd_scan_is(const dd_scan *scan, size_t i, const char *text)
{
    return i < scan->n && scan->token[i].length == strlen(text) &&
           memcmp(scan->token[i].at, text, scan->token[i].length) == 0;
}

bool dd_scan_begins(const dd_scan *scan, size_t i, const char *text)
{
    return i < scan->n && scan->token[i].word && scan->token[i].length >= strlen(text) &&
           memcmp(scan->token[i].at, text, strlen(text)) == 0;
}

bool dd_scan_argument(const dd_scan *scan, size_t open, uint32_t number, size_t *first, size_t *end)
{
    const size_t close = scan->token[open].match;
    for (size_t i = *first = open + 1; i <= close; i++) {
        if (i == close || dd_scan_is(scan, i, ",")) {
            *end = i;
            if (number-- == 0)
                return *end > *first;
            *first = i + 1;
        } else if (scan->token[i].match != DD_NO_TOKEN) {
            i = scan->token[i].match;
        }
    }
    return false;
}

/* At file level a body is a brace behind a bracketed list behind a name. */
size_t dd_scan_function(const dd_scan *scan, size_t i)
{
    for (size_t b = 0; b < i; b++) {
        const dd_token *t = &scan->token[b];
        if (t->match == DD_NO_TOKEN || t->match < b)
            continue;
        const bool body = dd_scan_is(scan, b, "{") && b > 1 && dd_scan_is(scan, b - 1, ")");
        if (body && i < t->match)
            return scan->token[b - 1].match - 1;
        b = t->match;
    }
    return DD_NO_TOKEN;
}
