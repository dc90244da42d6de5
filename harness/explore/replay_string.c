/* SPDX-License-Identifier: MIT
 * Replay strings. */
#define _GNU_SOURCE /* open_memstream, asprintf */
#include "replay_string.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "states.h"

#define MAX_REPEATS 1000000u

static const char *const model_names[] = {[DD_MEMORY_SC] = "sc", [DD_MEMORY_C11] = "c11"};

static uint32_t check_of(const char *text, size_t n)
{
    return (uint32_t)(XXH3_64bits(text, n) & 0xffff);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Words known to be shared now that no rehearsal shows. Afterwards the same are known again. */
static void write_words(FILE *out, const dd_stage *stage)
{
    uint32_t *known = NULL, word;
    uint64_t n = 0, room = 0;
    for (uint32_t from = 0; dd_world_next_shared(from, &word); from = word + 1) {
        if (n == room) {
            room = room ? 2 * room : 256;
            known = dd_states_memory(known, room * sizeof *known);
        }
        known[n++] = word;
    }
    dd_stage_rehearse(stage);
    for (uint64_t i = 0; i < n; i++)
        if (!dd_world_next_shared(known[i], &word) || word != known[i]) {
            fprintf(out, "+%" PRIx32, known[i]);
            (void)dd_world_share(known[i]);
        }
    free(known);
}

static void write_choices(FILE *out, const dd_execution *e)
{
    uint64_t n = e->n;
    while (n > 0 && e->index[n - 1] == 0)
        n--;
    for (uint64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && e->index[end] == e->index[i];)
            end++;
        fprintf(out, "%s%" PRIu32, i ? "." : "", e->index[i]);
        if (end - i > 1)
            fprintf(out, "x%" PRIu64, end - i);
    }
}

dd_end dd_replay_write(const dd_stage *stage, const dd_schedule *choices, dd_execution *e,
                       char **text)
{
    size_t bytes;
    FILE *out = open_memstream(text, &bytes);
    if (!out)
        dd_states_memory(NULL, SIZE_MAX / 2); /* ends the program as any lack of memory does */
    fprintf(out, "%s:%s", stage->program->name, model_names[stage->mode.memory]);
    if (stage->mode.unreduced)
        fputs("+all", out);
    else
        write_words(out, stage);
    fputc(':', out);
    const dd_end end = dd_execution_repeat(stage, choices->choice, choices->n, e);
    write_choices(out, e);
    fflush(out);
    fprintf(out, ":%04" PRIx32, check_of(*text, bytes));
    fclose(out);
    return end;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static char *complaint(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *complaint(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return text ? text : dd_states_memory(NULL, SIZE_MAX / 2);
}

typedef struct script {
    uint32_t *index;
    uint64_t n, room;
    dd_states *met; /* to notice when an execution comes back to where it was */
    unsigned char *bytes;
    bool returned; /* for no reason: a way back that need not be taken */
    /* where it did not fit; n_possible 0: it did */
    uint64_t misfit;
    uint32_t n_possible;
} script;

/* A number at *text, which moves on. */
static bool read_number(const char **text, uint64_t limit, uint64_t *number)
{
    const char *at = *text;
    for (*number = 0; *at >= '0' && *at <= '9'; at++) {
        *number = 10 * *number + (uint64_t)(*at - '0');
        if (*number > limit)
            return false;
    }
    const bool any = at > *text;
    *text = at;
    return any;
}

static bool read_choices(const char *at, const char *end, script *s)
{
    while (at < end) {
        uint64_t index, n = 1;
        if (!read_number(&at, DD_CHOICES - 1, &index))
            return false;
        if (*at == 'x') {
            at++;
            if (!read_number(&at, DD_EXECUTION_STEPS, &n) || n == 0)
                return false;
        }
        if (s->n + n > DD_EXECUTION_STEPS)
            return false;
        if (s->n + n > s->room) {
            s->room = 2 * (s->n + n);
            s->index = dd_states_memory(s->index, s->room * sizeof *s->index);
        }
        while (n-- > 0)
            s->index[s->n++] = (uint32_t)index;
        if (at < end && *at++ != '.')
            return false;
    }
    return true;
}

static bool read_model(const char *at, size_t n, dd_stage *stage, const char **words)
{
    const size_t n_name = strcspn(at, "+:");
    if (n_name > n)
        return false;
    *words = at + n_name;
    for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11; m++)
        if (strlen(model_names[m]) == n_name && strncmp(at, model_names[m], n_name) == 0) {
            stage->mode = (dd_world_mode){.memory = m};
            return true;
        }
    return false;
}

/* "+all" or "+WORD" each, after the rehearsal. */
static bool read_words(const char *at, const char *end, dd_stage *stage)
{
    if (end - at == 4 && strncmp(at, "+all", 4) == 0) {
        stage->mode.unreduced = true;
        return true;
    }
    dd_stage_rehearse(stage);
    while (at < end) {
        char *after;
        if (*at != '+' || strspn(at + 1, "0123456789abcdef") == 0)
            return false;
        const unsigned long word = strtoul(at + 1, &after, 16);
        if (word > UINT32_MAX || !dd_world_share((uint32_t)word))
            return false;
        at = after;
    }
    return true;
}

static bool was_met(script *s)
{
    uint32_t number;
    const size_t bytes = dd_world_size();
    s->bytes = dd_states_memory(s->bytes, bytes);
    dd_world_save(s->bytes);
    return !dd_states_add(s->met, s->bytes, bytes, &number);
}

static void begin_again(void *user)
{
    script *s = user;
    dd_states_close(s->met);
    s->met = dd_states_open();
    s->returned = false;
}

static uint32_t pick_scripted(void *user, const dd_options_now *now)
{
    script *s = user;
    const uint32_t index = now->step < s->n ? s->index[now->step] : 0;
    if (was_met(s) && !s->returned) {
        dd_world_fail_livelock();
        return DD_PICK_NONE;
    }
    if (index < now->n) {
        s->returned |= now->choice[index].spurious;
        return index;
    }
    s->misfit = now->step;
    s->n_possible = now->n;
    return DD_PICK_NONE;
}

static const dd_program *program_named(const dd_program *table, const char *name, size_t n)
{
    for (const dd_program *p = table; p->name; p++)
        if (strlen(p->name) == n && strncmp(p->name, name, n) == 0)
            return p;
    return NULL;
}

char *dd_replay_read(const dd_program *table, const char *text, dd_stage *stage, dd_execution *e,
                     dd_end *end)
{
    const char *model = strchr(text, ':'), *choices = model ? strchr(model + 1, ':') : NULL,
               *check = choices ? strchr(choices + 1, ':') : NULL, *words;
    if (!check)
        return complaint("\"%.40s\" is no replay string: they are PROTOCOL:MODEL:CHOICES:CHECK, as "
                         "a failure prints them",
                         text);
    char right[8];
    (void)snprintf(right, sizeof right, "%04" PRIx32, check_of(text, (size_t)(check - text)));
    if (strcmp(check + 1, right) != 0)
        return complaint(
            "the replay string is damaged: it ends in \"%.8s\" where what stands before "
            "has the check %s",
            check + 1, right);
    *stage = (dd_stage){.program = program_named(table, text, (size_t)(model - text))};
    if (!stage->program)
        return complaint("the replay string is of \"%.*s\", and there is no such protocol",
                         (int)(model - text), text);
    if (!read_model(model + 1, (size_t)(choices - model - 1), stage, &words) ||
        !read_words(words, choices, stage))
        return complaint("\"%.*s\" is no memory model of this program: there are sc and c11",
                         (int)(choices - model - 1), model + 1);
    script s = {.met = dd_states_open()};
    char *wrong = NULL;
    if (!read_choices(choices + 1, check, &s)) {
        wrong = complaint("the choices of the replay string are no list of numbers below %u",
                          DD_CHOICES);
    } else {
        *end = dd_execution_run(stage, pick_scripted, begin_again, &s, e);
        if (s.n_possible)
            wrong = complaint("the replay string does not fit %s: in step %" PRIu64
                              " it takes choice %" PRIu32 ", and only %" PRIu32
                              " are possible there; it is from another build",
                              stage->program->name, s.misfit + 1, s.index[s.misfit], s.n_possible);
        else if (e->n < s.n && *end != DD_END_FAILED)
            wrong = complaint("the replay string does not fit %s: it has %" PRIu64
                              " steps, and the execution ends after %" PRIu64
                              "; it is from another build",
                              stage->program->name, s.n, e->n);
    }
    dd_states_close(s.met);
    free(s.bytes);
    free(s.index);
    return wrong;
}
