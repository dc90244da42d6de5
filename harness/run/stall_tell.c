/* SPDX-License-Identifier: MIT
 * A stall in full: as text, and as JSON. */
#include "stall.h"

#include <jansson.h>
#include <string.h>

#define MAX_WRITTEN 200 /* threads that are shown; of more the rest is counted */

static void write_thread(const dd_stall *s, const dd_stall_thread *t, FILE *out)
{
    char who[80], where[80], state[200];
    dd_stall_who(t, who);
    dd_stall_where(s, t, where);
    dd_stall_state(s, t, state);
    fprintf(out, "thread %d \"%s\", %s", (int)t->seen.tid, t->seen.name, state);
    if (t->told)
        fprintf(out, "\n  %s%s%s, %llu lanes done, heartbeat %llu", who, where[0] ? ": " : "",
                where, (unsigned long long)t->lanes_done, (unsigned long long)t->heartbeat);
    if (t->placed)
        fprintf(out, ", generation %u, for %.1f s", t->generation, (double)t->age_ns * 1e-9);
    fprintf(out, "\n%s", t->seen.stack ? t->seen.stack : "  no memory for a stack\n");
}

void dd_stall_write(const dd_stall *s, FILE *out)
{
    if (s->sentence[0])
        fprintf(out, "stall: %s\n", s->sentence);
    fprintf(out, "process %d, %zu thread%s\n", (int)s->pid, s->n, s->n == 1 ? "" : "s");
    for (size_t i = 0; i < s->n && i < MAX_WRITTEN; i++)
        write_thread(s, &s->thread[i], out);
    if (s->n > MAX_WRITTEN)
        fprintf(out, "and %zu more threads\n", s->n - MAX_WRITTEN);
}

/* ---- For programs ---- */

static json_t *thread_json(const dd_stall *s, const dd_stall_thread *t)
{
    static const char *const names[DD_ACTIVITIES] = {
        "pool", "mail",    "orders", "change",  "a", "relay",  "lane", "folds",
        "b",    "combine", "slice",  "verdict", "v", "update", "u"};
    char state[2] = {t->seen.state, '\0'};
    json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:b, s:I}", "tid", (int)t->seen.tid, "name",
                          t->seen.name, "state", state, "call", t->seen.call, "blamed",
                          (int)t->blamed, "cpu_ns", (json_int_t)t->cpu_ns);
    if (o && t->told) {
        json_t *told =
            json_pack("{s:I, s:s, s:b, s:b, s:I, s:I}", "thread", (json_int_t)t->number, "sphere",
                      t->sphere, "control", (int)t->control, "parked", (int)t->parked, "lanes_done",
                      (json_int_t)t->lanes_done, "heartbeat", (json_int_t)t->heartbeat);
        (void)json_object_update(o, told);
        json_decref(told);
    }
    if (o && t->placed && t->at < DD_ACTIVITIES) {
        char where[80];
        dd_stall_where(s, t, where);
        json_t *placed = json_pack("{s:s, s:s, s:I, s:I, s:f}", "at", names[t->at], "where", where,
                                   "lane", (json_int_t)t->lane, "generation",
                                   (json_int_t)t->generation, "for_s", (double)t->age_ns * 1e-9);
        (void)json_object_update(o, placed);
        json_decref(placed);
    }
    if (o && t->seen.futex)
        (void)json_object_set_new(o, "futex_moved", json_boolean(t->seen.slept_on != t->seen.is));
    return o;
}

char *dd_stall_json(const dd_stall *s)
{
    json_t *threads = json_array();
    for (size_t i = 0; i < s->n; i++)
        (void)json_array_append_new(threads, thread_json(s, &s->thread[i]));
    json_t *o = json_pack("{s:s, s:i, s:I, s:I, s:o}", "sentence", s->sentence, "process",
                          (int)s->pid, "steps_done", (json_int_t)s->steps, "interval_ns",
                          (json_int_t)s->interval_ns, "threads", threads);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}
