/* SPDX-License-Identifier: MIT
 * Files and table of a soak. */
#include "soak_report.h"

#include "build_info.h"
#include "folder.h"
#include "progress.h"
#include "report_json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AGAIN_BYTES = 1200 };

typedef struct source {
    const dd_report *report;
    const dd_soak *soak;
    const char *log;
} source;

/* ---- What is said ---- */

static void log_name(const dd_soak_failure *f, char name[64])
{
    snprintf(name, 64, "logs/round-%" PRIu64 ".log", f->number + 1);
}

/* The reason of the check that made the verdict, with its name where the run ended by itself. */
static const char *reason_of(const dd_soak_failure *f, const char **check)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    *check = "";
    for (size_t i = 0; i < n; i++)
        if (f->check[i].applies && f->check[i].verdict == f->verdict) {
            if (f->run.outcome == DD_RUN_ENDED)
                *check = checks[i].name;
            return f->check[i].reason;
        }
    return f->run.reason;
}

static uint64_t n_failed(const dd_soak_sums *s)
{
    return s->rounds - s->passed - s->skipped;
}

static bool all_passed(const dd_soak_sums *s)
{
    return s->passed == s->rounds && s->rounds > 0;
}

static void add_groups(const dd_soak *soak, dd_table *t)
{
    dd_table_add(t, "settings that decide the bits", false);
    for (size_t i = 0; i < soak->n_groups; i++)
        dd_table_put(t, i, "%s", soak->group[i].shape[0] ? soak->group[i].shape : "all the same");
    const struct {
        const char *heading;
        size_t at;
    } columns[] = {
        {"rounds", offsetof(dd_soak_sums, rounds)},
        {"steps", offsetof(dd_soak_sums, steps)},
        {"changes", offsetof(dd_soak_sums, changes)},
        {"pauses", offsetof(dd_soak_sums, storm.pauses)},
        {"stops", offsetof(dd_soak_sums, storm.stops)},
        {"cancels", offsetof(dd_soak_sums, storm.cancels)},
        {"checkpoints", offsetof(dd_soak_sums, storm.checkpoints)},
    };
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        dd_table_add(t, columns[c].heading, true);
        for (size_t i = 0; i < soak->n_groups; i++) {
            uint64_t n;
            memcpy(&n, (const char *)&soak->group[i].sums + columns[c].at, sizeof n);
            dd_table_put(t, i, "%" PRIu64, n);
        }
    }
    dd_table_add(t, "verdict", false);
    for (size_t i = 0; i < soak->n_groups; i++) {
        const dd_soak_sums *s = &soak->group[i].sums;
        if (n_failed(s))
            dd_table_put(t, i, "%" PRIu64 " of %" PRIu64 " failed", n_failed(s), s->rounds);
        else
            dd_table_put(t, i, "%s", s->passed ? "PASS" : s->rounds ? "SKIP" : "-");
    }
}

static void write_totals(const dd_soak *soak, FILE *out)
{
    const dd_soak_sums *s = &soak->sums;
    char clock[32];
    dd_progress_clock((double)soak->wall_ns * 1e-9, clock);
    fprintf(out,
            "%" PRIu64 " rounds in %s (draw seed %" PRIu64 "), beside %" PRIu64
            " run%s of the oracle: %" PRIu64 " passed, %" PRIu64 " did not, %" PRIu64
            " could not run here%s\n",
            s->rounds, clock, soak->seed, soak->oracles, soak->oracles == 1 ? "" : "s", s->passed,
            n_failed(s), s->skipped, soak->interrupted ? "; interrupted" : "");
    fprintf(out,
            "%" PRIu64 " steps, %" PRIu64 " changes of membership, %" PRIu64 " pauses, %" PRIu64
            " stops, %" PRIu64 " cancels, %" PRIu64 " checkpoints, %" PRIu64
            " rebalances by storms; %" PRIu64
            " steps cut short and repeated; the schedule perturbed %" PRIu64 " times\n",
            s->steps, s->changes, s->storm.pauses, s->storm.stops, s->storm.cancels,
            s->storm.checkpoints, s->storm.rebalances, s->storm.cut, s->perturbations);
    if (soak->message[0])
        fprintf(out, "it could not go on: %s\n", soak->message);
}

/* The command that runs the failed round once more. */
static void again(const dd_soak *soak, const dd_soak_failure *f, char text[AGAIN_BYTES])
{
    snprintf(text, AGAIN_BYTES, "%.1100s%" PRIu64, soak->command, f->round.seed);
}

static void write_failures(const dd_soak *soak, bool markdown, FILE *out)
{
    const uint64_t failed = soak->sums.rounds - soak->sums.passed;
    for (size_t i = 0; i < soak->n_failures; i++) {
        const dd_soak_failure *f = &soak->failure[i];
        const char *check, *reason = reason_of(f, &check);
        char text[AGAIN_BYTES], log[64];
        log_name(f, log);
        fprintf(out, "%sround %" PRIu64 ": %s %s%s%s\n", markdown ? "\n* " : "\n", f->number + 1,
                dd_verdict_name(f->verdict), check, check[0] ? ": " : "", reason);
        fprintf(out, "  %s\n  again: ", f->round.label);
        again(soak, f, text);
        if (markdown)
            dd_text_code(text, out);
        else
            fputs(text, out);
        fputc('\n', out);
        if (f->run.log)
            fprintf(out, "  log: %s\n", log);
    }
    if (failed > soak->n_failures)
        fprintf(out, "\nand %" PRIu64 " more, of which no more is kept than run.json's line each\n",
                failed - soak->n_failures);
}

static bool write_markdown(const void *from, FILE *out)
{
    const source *s = from;
    dd_table table;
    dd_report_markdown_head(s->report, s->soak->scenario, "", out);
    write_totals(s->soak, out);
    fputc('\n', out);
    dd_table_open(&table, s->soak->n_groups);
    add_groups(s->soak, &table);
    dd_table_markdown(&table, out);
    dd_table_close(&table);
    write_failures(s->soak, true, out);
    return true;
}

/* ---- For programs ---- */

static json_t *sums_json(const dd_soak_sums *s)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rounds",
        (json_int_t)s->rounds, "passed", (json_int_t)s->passed, "skipped", (json_int_t)s->skipped,
        "steps", (json_int_t)s->steps, "changes", (json_int_t)s->changes, "pauses",
        (json_int_t)s->storm.pauses, "stops", (json_int_t)s->storm.stops, "cancels",
        (json_int_t)s->storm.cancels, "checkpoints", (json_int_t)s->storm.checkpoints, "rebalances",
        (json_int_t)s->storm.rebalances, "refused", (json_int_t)s->storm.refused, "steps_cut_short",
        (json_int_t)s->storm.cut, "perturbations", (json_int_t)s->perturbations);
}

static json_t *groups_json(const dd_soak *soak)
{
    json_t *a = json_array();
    for (size_t i = 0; i < soak->n_groups; i++) {
        const dd_soak_group *g = &soak->group[i];
        (void)json_array_append_new(
            a, json_pack("{s:s, s:s, s:s, s:o}", "shape", g->shape, "oracle",
                         dd_outcome_name(g->oracle.outcome), "oracle_hash",
                         g->oracle.outcome == DD_RUN_ENDED ? g->oracle.end.hash : "", "sums",
                         sums_json(&g->sums)));
    }
    return a;
}

static json_t *rounds_json(const dd_soak *soak)
{
    json_t *a = json_array();
    for (size_t i = 0; i < soak->n_rows; i++) {
        const dd_soak_row *r = &soak->row[i];
        char seed[24]; /* as text: it may be larger than JSON's integers */
        snprintf(seed, sizeof seed, "%" PRIu64, r->seed);
        (void)json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:I, s:I, s:s}", "seed", seed,
                                                 "verdict", dd_verdict_name(r->verdict), "group",
                                                 (int)r->group, "steps", (json_int_t)r->steps,
                                                 "wall_ns", (json_int_t)r->wall_ns, "drawn",
                                                 r->label));
    }
    return a;
}

static json_t *failures_json(const dd_soak *soak, bool *ok)
{
    json_t *a = json_array();
    for (size_t i = 0; i < soak->n_failures; i++) {
        const dd_soak_failure *f = &soak->failure[i];
        const char *check, *reason = reason_of(f, &check);
        char text[AGAIN_BYTES], log[64];
        log_name(f, log);
        again(soak, f, text);
        json_t *o =
            json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:o}", "round", (json_int_t)f->number + 1,
                      "verdict", dd_verdict_name(f->verdict), "check", check, "outcome",
                      dd_outcome_name(f->run.outcome), "again", text, "drawn", f->round.label,
                      "requested", dd_settings_json(&f->round.settings, ok));
        (void)json_object_set_new(o, "reason", json_string(reason));
        if (f->run.log)
            (void)json_object_set_new(o, "log", json_string(log));
        if (f->run.stall)
            (void)json_object_set_new(o, "stall", json_loads(f->run.stall, 0, NULL));
        (void)json_array_append_new(a, o);
    }
    return a;
}

static bool write_json(const void *from, FILE *out)
{
    const source *s = from;
    const dd_soak *soak = s->soak;
    bool ok = true;
    char when[32] = "", seed[24];
    struct tm utc;
    if (soak->started && gmtime_r(&soak->started, &utc))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(seed, sizeof seed, "%" PRIu64, soak->seed);
    json_t *o = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o}",
        "format", 1, "kind", "soak", "scenario", soak->scenario->name, "file", soak->scenario->file,
        "started", when, "draw_seed", seed, "wall_ns", (json_int_t)soak->wall_ns, "interrupted",
        (int)soak->interrupted, "verdict", dd_verdict_name(dd_soak_verdict(soak)), "message",
        soak->message, "machine", dd_machine_json(&s->report->machine, &ok), "build",
        dd_build_json(&ok), "oracles", (json_int_t)soak->oracles, "sums", sums_json(&soak->sums),
        "groups", groups_json(soak), "failures", failures_json(soak, &ok), "rounds",
        rounds_json(soak));
    ok = ok && o && json_dumpf(o, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(o);
    return ok;
}

static void write_case(const char *name, const char *element, const char *message, const char *body,
                       FILE *out)
{
    fputs("    <testcase classname=\"soak\" name=\"", out);
    dd_text_xml(name, out);
    if (!element) {
        fputs("\"/>\n", out);
        return;
    }
    fprintf(out, "\">\n      <%s message=\"", element);
    dd_text_xml(message, out);
    fputs("\">", out);
    dd_text_xml(body ? body : "", out);
    fprintf(out, "</%s>\n    </testcase>\n", element);
}

static bool write_junit(const void *from, FILE *out)
{
    const dd_soak *soak = ((const source *)from)->soak;
    size_t tests = soak->n_failures, failures = 0, errors = 0, skipped = 0;
    for (size_t i = 0; i < soak->n_groups; i++)
        tests += all_passed(&soak->group[i].sums);
    for (size_t i = 0; i < soak->n_failures; i++) {
        failures += soak->failure[i].verdict == DD_FAIL;
        errors += soak->failure[i].verdict > DD_FAIL;
        skipped += soak->failure[i].verdict == DD_SKIP;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"", out);
    dd_text_xml(soak->scenario->name, out);
    fprintf(out,
            "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
            tests, failures, errors, skipped, (double)soak->wall_ns * 1e-9);
    for (size_t i = 0; i < soak->n_groups; i++)
        if (all_passed(&soak->group[i].sums))
            write_case(soak->group[i].shape, NULL, NULL, NULL, out);
    for (size_t i = 0; i < soak->n_failures; i++) {
        const dd_soak_failure *f = &soak->failure[i];
        const char *check, *reason = reason_of(f, &check);
        char name[64];
        snprintf(name, sizeof name, "round %" PRIu64 " %s", f->number + 1, check);
        write_case(name,
                   f->verdict == DD_SKIP   ? "skipped"
                   : f->verdict == DD_FAIL ? "failure"
                                           : "error",
                   reason, f->run.log, out);
    }
    fputs("  </testsuite>\n</testsuites>\n", out);
    return true;
}

/* ---- Files ---- */

static bool write_log(const void *from, FILE *out)
{
    return fputs(((const source *)from)->log, out) >= 0;
}

static void write_logs(dd_report *report, const dd_soak *soak)
{
    char path[DD_PATH_MAX], name[64];
    for (size_t i = 0; i < soak->n_failures; i++) {
        const dd_soak_failure *f = &soak->failure[i];
        if (!f->run.log)
            continue;
        snprintf(path, sizeof path, "%s/logs", report->dir);
        if (!dd_folder_make(path))
            return; /* the first file says why */
        log_name(f, name);
        (void)dd_report_file(report, name, write_log, &(source){.log = f->run.log});
    }
}

void dd_soak_report_write(dd_report *report, const dd_soak *soak)
{
    const source from = {.report = report, .soak = soak};
    write_logs(report, soak);
    (void)dd_report_file(report, "run.json", write_json, &from);
    (void)dd_report_file(report, "soak.md", write_markdown, &from);
    (void)dd_report_file(report, "junit.xml", write_junit, &from);
}

void dd_soak_report_print(const dd_report *report, const dd_soak *soak, FILE *out)
{
    dd_table table;
    fprintf(out, "%s%s%s\n\n", soak->scenario->name, soak->scenario->about[0] ? ": " : "",
            soak->scenario->about);
    dd_table_open(&table, soak->n_groups);
    add_groups(soak, &table);
    dd_table_plain(&table, out);
    dd_table_close(&table);
    fputc('\n', out);
    write_totals(soak, out);
    write_failures(soak, false, out);
    if (report->failure[0])
        fprintf(out, "\n%s: not all results could be written: %s\n", report->dir, report->failure);
    else
        fprintf(out, "\n%s: soak.md, run.json, junit.xml\n", report->dir);
}
