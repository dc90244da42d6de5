/* SPDX-License-Identifier: MIT
 * The words and the JSON of `dodeca diff`. Decides nothing. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diff.h"

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- For people ---- */

static void print_run(const dd_diff *d, int i)
{
    const dd_record_head *h = &d->record[i].head;
    const dd_record_line *end = &d->steps.end[i];
    char subject[DD_SPEC_MAX], model[DD_SPEC_MAX];
    dd_settings_get(&h->settings, "subject", subject);
    dd_settings_get(&h->settings, "model", model);
    printf("%c  %s: %s, %s, %u worker%s%s%s, kernels %s; %" PRIu64 " step%s", "AB"[i],
           d -> record[i].path, subject, model, h->workers, plural(h->workers),
           h->reduce[0] ? ", reduce " : "", h->reduce, h->kernels, d->steps.steps[i],
           plural(d->steps.steps[i]));
    if (h->began)
        printf(", from step %" PRIu64 " on", h->began);
    if (end->kind == DD_RECORD_NOTHING)
        printf(", cut off%s", d->steps.cut[i] ? " within a line" : "");
    else if (strcmp(end->end, "DD_OK") != 0)
        printf(", ended by %s", end->end);
    printf("\n   commit %s, %s\n", h->commit, h->compiler);
}

static void print_group(const dd_diff_settings *s, bool decides_bits, const char *title)
{
    for (size_t i = 0; i < s->n; i++) {
        const dd_diff_setting *one = &s->setting[i];
        if (one->decides_bits != decides_bits)
            continue;
        printf("%s  %s: %s | %s\n", title, one->name, one->value[0][0] ? one->value[0] : "-",
               one->value[1][0] ? one->value[1] : "-");
        title = "                             ";
    }
}

static void print_settings(const dd_diff *d)
{
    const dd_diff_settings *s = &d->settings;
    print_group(s, true, "differ, and decide the bits:");
    print_group(s, false, "differ without a say in them:");
    if (!s->same_data)
        printf("the data differs: %s | %s\n", d->record[0].head.data_hash,
               d->record[1].head.data_hash);
    if (!s->same_program)
        printf("recorded by two programs\n");
    if (s->must_be_equal)
        printf("by the bit contract the weights must be the same\n");
    else
        printf("the weights may part: %s\n", s->why);
}

static void print_two(const char *what, double a, double b)
{
    const bool same = memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
    if (same)
        printf("  %-5s %.9g, the same bits\n", what, a);
    else
        printf("  %-5s %.17g | %.17g\n", what, a, b);
}

static void print_tensors(const dd_diff *d)
{
    const dd_record_line *l = d->steps.line;
    int n = 0;
    for (int k = 0; k < DD_N_TENSORS; k++)
        n += memcmp(l[0].weights.tensor[k], l[1].weights.tensor[k], 16) != 0;
    if (!n) {
        printf("  yet the hash of every tensor is the same: one of the records is damaged\n");
        return;
    }
    printf("  %d of %d tensors:", n, DD_N_TENSORS);
    for (int k = 0; k < DD_N_TENSORS; k++)
        if (memcmp(l[0].weights.tensor[k], l[1].weights.tensor[k], 16) != 0)
            printf(" %s", dd_tensor_name((dd_tensor)k));
    putchar('\n');
}

static void print_parting(const dd_diff *d)
{
    const dd_diff_steps *s = &d->steps;
    const dd_record_line *l = s->line;
    if (s->point == s->first)
        printf("they part at the start, before step %" PRIu64 "\n", s->first);
    else
        printf("they part at step %" PRIu64 "; %s\n", s->point - 1,
               s->point == s->first + 1 ? "their start is the same" : "all before is the same");
    for (int i = 0; i < 2; i++)
        if (l[i].kind == DD_RECORD_END)
            printf("  %c ended there by %s, %c went on\n", "AB"[i], l[i].end, "BA"[i]);
    if (l[0].kind != DD_RECORD_STEP || l[1].kind != DD_RECORD_STEP)
        return;
    if (s->point > s->first) {
        print_two("loss", l[0].loss, l[1].loss);
        print_two("norm", l[0].norm, l[1].norm);
    }
    for (int i = 0; i < 2; i++)
        if (l[i].discarded)
            printf("  %c discarded the step\n", "AB"[i]);
    if (d->settings.same_shape)
        print_tensors(d);
    else
        printf("  the shapes differ: there is nothing to compare element by element\n");
    if (s->equal_points)
        printf("  of the %" PRIu64 " recorded from there on %" PRIu64 " are equal again\n",
               s->equal_points + s->parted_points, s->equal_points);
}

static void print_replay(const dd_diff *d, int i)
{
    const dd_replay *r = &d->replay[i];
    printf("replay of %c by %s%s%s%s: %s\n", "AB"[i],
           r -> recorded ? "the program that recorded it" : "this program", r->why[0] ? " (" : "",
           r->why, r->why[0] ? ")" : "",
           d->reproduced[i] ? "the recorded weights"
                            : "OTHER WEIGHTS than recorded: not reproducible");
}

static void place_text(const dd_layout *layout, int k, uint64_t element, char text[96])
{
    const dd_diff_place p = dd_diff_place_of(layout, (dd_tensor)k, element);
    int n = snprintf(text, 96, "%s[%" PRIu64 "]", dd_tensor_name((dd_tensor)k), element);
    if (p.layer != UINT32_MAX)
        n += snprintf(text + n, 96 - (size_t)n, " layer %" PRIu32, p.layer);
    if (p.row != UINT32_MAX)
        n += snprintf(text + n, 96 - (size_t)n, " row %" PRIu32, p.row);
    (void)snprintf(text + n, 96 - (size_t)n, " column %" PRIu32, p.column);
}

static void print_element(const dd_diff *d, int k, uint64_t element, const float value[2],
                          uint64_t ulp)
{
    char place[96];
    place_text(&d->record[0].head.layout, k, element, place);
    printf("    %-42s %a %.9g | %a %.9g, ", place, (double)value[0], (double)value[0],
           (double)value[1], (double)value[1]);
    if (ulp == UINT64_MAX)
        printf("no number\n");
    else
        printf("%" PRIu64 " ulp\n", ulp);
}

/* The first of all, and what each tensor has. */
static void print_elements(const dd_diff *d)
{
    int first = 0;
    while (first < DD_N_TENSORS && !d->tensor[first].differ)
        first++;
    if (first == DD_N_TENSORS) {
        printf("the replays' weights are the same bits: what parted the runs did not happen "
               "again\n");
        return;
    }
    char place[96];
    place_text(&d->record[0].head.layout, first, d->tensor[first].first, place);
    printf("the first element that differs is %s\n", place);
    for (int k = first; k < DD_N_TENSORS; k++) {
        const dd_diff_tensor *t = &d->tensor[k];
        if (!t->differ)
            continue;
        printf("%s: %" PRIu64 " of %" PRIu64 " elements differ%s\n", dd_tensor_name((dd_tensor)k),
               t->differ, t->size,
               t->most == t->first ? "" : "; the first, and the farthest apart");
        print_element(d, k, t->first, t->at_first, t->first_ulp);
        if (t->most != t->first)
            print_element(d, k, t->most, t->at_most, t->most_ulp);
    }
}

void dd_diff_print(const dd_diff *d)
{
    const dd_diff_steps *s = &d->steps;
    for (int i = 0; i < 2; i++)
        print_run(d, i);
    print_settings(d);
    if (!s->parted) {
        const uint64_t n = s->steps[s->steps[1] < s->steps[0]];
        printf("equal: the start and %" PRIu64 " step%s, every weight the same bits\n", n,
               plural(n));
        return;
    }
    print_parting(d);
    if (!d->replayed)
        return;
    for (int i = 0; i < 2; i++)
        print_replay(d, i);
    print_elements(d);
}

/* ---- JSON ---- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *run_json(const dd_diff *d, int i)
{
    const dd_record_head *h = &d->record[i].head;
    const dd_record_line *end = &d->steps.end[i];
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:o}", "record", d->record[i].path,
                     "commit", h->commit, "compiler", h->compiler, "kernels", h->kernels, "workers",
                     (json_int_t)h->workers, "program", h->program, "steps",
                     (json_int_t)d->steps.steps[i], "end",
                     end->kind == DD_RECORD_END ? json_string(end->end) : json_null());
}

static json_t *settings_json(const dd_diff_settings *s)
{
    json_t *out = json_array();
    for (size_t i = 0; i < s->n; i++)
        (void)json_array_append_new(out, json_pack("{s:s, s:b, s:[s, s]}", "setting",
                                                   s->setting[i].name, "decides_bits",
                                                   (int)s->setting[i].decides_bits, "values",
                                                   s->setting[i].value[0], s->setting[i].value[1]));
    return out;
}

static json_t *parting_json(const dd_diff *d)
{
    const dd_diff_steps *s = &d->steps;
    const dd_record_line *l = s->line;
    if (!s->parted)
        return json_null();
    const bool stepped = s->point > s->first;
    json_t *tensors = json_array();
    for (int k = 0; k < DD_N_TENSORS; k++)
        if (memcmp(l[0].weights.tensor[k], l[1].weights.tensor[k], 16) != 0)
            (void)json_array_append_new(tensors, json_string(dd_tensor_name((dd_tensor)k)));
    return json_pack(
        "{s:o, s:[o, o], s:[o, o], s:o, s:I, s:I}", "step",
        stepped ? json_integer((json_int_t)s->point - 1) : json_null(), "loss",
        number(stepped ? l[0].loss : (double)NAN), number(stepped ? l[1].loss : (double)NAN),
        "norm", number(stepped ? l[0].norm : (double)NAN),
        number(stepped ? l[1].norm : (double)NAN), "tensors", tensors, "steps_apart",
        (json_int_t)s->parted_points, "steps_equal_again", (json_int_t)s->equal_points);
}

static json_t *element_json(const dd_diff *d, int k, uint64_t element, const float value[2],
                            uint64_t ulp)
{
    const dd_diff_place p = dd_diff_place_of(&d->record[0].head.layout, (dd_tensor)k, element);
    char text[2][32];
    for (int i = 0; i < 2; i++)
        (void)snprintf(text[i], sizeof text[i], "%a", (double)value[i]);
    json_t *out = json_pack("{s:I, s:I, s:[s, s], s:[o, o], s:o}", "index", (json_int_t)element,
                            "column", (json_int_t)p.column, "bits", text[0], text[1], "values",
                            number((double)value[0]), number((double)value[1]), "ulp",
                            ulp == UINT64_MAX ? json_null() : json_integer((json_int_t)ulp));
    if (p.layer != UINT32_MAX)
        (void)json_object_set_new(out, "layer", json_integer(p.layer));
    if (p.row != UINT32_MAX)
        (void)json_object_set_new(out, "row", json_integer(p.row));
    return out;
}

static json_t *elements_json(const dd_diff *d)
{
    json_t *out = json_array();
    for (int k = 0; k < DD_N_TENSORS; k++) {
        const dd_diff_tensor *t = &d->tensor[k];
        if (t->differ)
            (void)json_array_append_new(
                out, json_pack("{s:s, s:I, s:I, s:o, s:o}", "tensor", dd_tensor_name((dd_tensor)k),
                               "size", (json_int_t)t->size, "differ", (json_int_t)t->differ,
                               "first", element_json(d, k, t->first, t->at_first, t->first_ulp),
                               "farthest", element_json(d, k, t->most, t->at_most, t->most_ulp)));
    }
    return out;
}

static json_t *replays_json(const dd_diff *d)
{
    json_t *out = json_array();
    for (int i = 0; i < 2; i++)
        (void)json_array_append_new(
            out, json_pack("{s:s, s:b, s:s, s:b}", "program", d->replay[i].program,
                           "recorded_program", (int)d->replay[i].recorded, "why", d->replay[i].why,
                           "reproduced", (int)d->reproduced[i]));
    return out;
}

void dd_diff_print_json(const dd_diff *d)
{
    const dd_diff_settings *s = &d->settings;
    json_t *o =
        json_pack("{s:b, s:[o, o], s:o, s:b, s:b, s:b, s:s, s:o}", "equal", (int)!d->steps.parted,
                  "runs", run_json(d, 0), run_json(d, 1), "settings", settings_json(s), "same_data",
                  (int)s->same_data, "same_program", (int)s->same_program, "must_be_equal",
                  (int)s->must_be_equal, "why_not", s->why, "first", parting_json(d));
    if (o && d->replayed) {
        (void)json_object_set_new(o, "replays", replays_json(d));
        (void)json_object_set_new(o, "elements", elements_json(d));
    }
    if (!o || json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) != 0)
        fputs("{\"error\":\"out of memory\"}", stdout);
    putchar('\n');
    json_decref(o);
}
