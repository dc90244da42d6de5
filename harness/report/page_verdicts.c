/* SPDX-License-Identifier: MIT
 * The page's section of verdicts: what was checked, each cell by each check, and the reasons of
 * what did not hold. */
#include "page.h"
#include "table.h"

#include <string.h>

/* What a mark in the matrix says in a word is there for those who do not see it. */
static void write_mark(dd_verdict verdict, FILE *out)
{
    if (verdict == DD_PASS)
        fputs(
            "<span class=\"pass\" aria-hidden=\"true\">✓</span><span class=\"unseen\">PASS</span>",
            out);
    else if (verdict == DD_SKIP)
        fputs("<span aria-hidden=\"true\">–</span><span class=\"unseen\">SKIP</span>", out);
    else
        fprintf(out, "<span class=\"fail\">✗ %s</span>", dd_verdict_name(verdict));
}

/* Cells in which the check had that verdict; `bad`: one that is worse than SKIP. */
static size_t count(const dd_page_results *r, size_t check, dd_verdict verdict, bool bad)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_cells; i++) {
        const dd_page_cell *c = &r->cell[i];
        n += c->applies[check] && (bad ? c->check[check] > DD_SKIP : c->check[check] == verdict);
    }
    return n;
}

static void write_checks(const dd_page_results *r, FILE *out)
{
    dd_page_table_("checks",
                   "What had to hold, and in how many cells it did. A check that could not be "
                   "judged in any repeat is skipped; one that settings do not promise is left out.",
                   out);
    fputs("<thead><tr><th scope=\"col\">check</th><th scope=\"col\" class=\"n\">held</th>"
          "<th scope=\"col\" class=\"n\">skipped</th><th scope=\"col\" class=\"n\">did not hold"
          "</th><th scope=\"col\">what must hold</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t k = 0; k < r->n_checks; k++) {
        const dd_check *known = dd_check_named(r->check[k]);
        const size_t bad = count(r, k, DD_FAIL, true);
        fputs("<tr><th scope=\"row\">", out);
        dd_page_text_(r->check[k], out);
        fprintf(out,
                "</th><td class=\"n\">%zu</td><td class=\"n\">%zu</td><td class=\"n%s\">%zu</td>"
                "<td>",
                count(r, k, DD_PASS, false), count(r, k, DD_SKIP, false), bad ? " fail" : "", bad);
        dd_page_text_(known ? known->asserts : "", out);
        fputs("</td></tr>\n", out);
    }
    fputs("</tbody>\n", out);
    dd_page_table_end_(out);
}

static void write_matrix(const dd_page_results *r, FILE *out)
{
    dd_page_table_("matrix",
                   "Every cell by every check: the worst of its repeats. ✓ held, – skipped, ✗ did "
                   "not hold; empty where the settings do not promise it.",
                   out);
    fputs("<thead><tr><th scope=\"col\" class=\"n\">row</th><th scope=\"col\">cell</th>"
          "<th scope=\"col\">verdict</th>",
          out);
    for (size_t k = 0; k < r->n_checks; k++) {
        fputs("<th scope=\"col\" class=\"m\"><span>", out);
        dd_page_text_(r->check[k], out);
        fputs("</span></th>", out);
    }
    fputs("<th scope=\"col\" class=\"n\">repeats</th></tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < r->n_cells; i++) {
        const dd_page_cell *c = &r->cell[i];
        fprintf(out, "<tr><td class=\"n\">%zu</td><th scope=\"row\">", i + 1);
        dd_page_text_(dd_page_label(r, c), out);
        fprintf(out, "</th><td class=\"%s\">%s</td>",
                c->verdict == DD_PASS   ? "pass"
                : c->verdict == DD_SKIP ? "soft"
                                        : "fail",
                dd_verdict_name(c->verdict));
        for (size_t k = 0; k < r->n_checks; k++) {
            fputs("<td class=\"m\">", out);
            if (c->applies[k])
                write_mark(c->check[k], out);
            fputs("</td>", out);
        }
        fprintf(out, "<td class=\"n\">%zu</td></tr>\n", json_array_size(c->repeats));
    }
    fputs("</tbody>\n", out);
    dd_page_table_end_(out);
}

/* A link, if it can only lead to a file below the page. */
static void write_log(const char *name, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./";
    const bool safe =
        strncmp(name, "logs/", 5) == 0 && name[strspn(name, plain)] == '\0' && !strstr(name, "..");
    fputs(safe ? " (<a href=\"" : " (", out);
    dd_page_text_(name, out);
    if (safe) {
        fputs("\">", out);
        dd_page_text_(name, out);
        fputs("</a>", out);
    }
    fputc(')', out);
}

/* The first check of a repeat that did not hold; of one that could not be judged where all of the
 * cell is a SKIP. NULL: there is none. */
static const json_t *first_bad(const json_t *repeat, bool skips)
{
    const json_t *checks = json_object_get(repeat, "checks");
    for (size_t k = 0; k < json_array_size(checks); k++) {
        const json_t *check = json_array_get(checks, k);
        const char *verdict = json_string_value(json_object_get(check, "verdict"));
        if (strcmp(verdict, "PASS") != 0 && (strcmp(verdict, "SKIP") == 0) == skips)
            return check;
    }
    return NULL;
}

static void write_reasons(const dd_page_results *r, FILE *out)
{
    bool begun = false;
    for (size_t i = 0; i < r->n_cells; i++) {
        const dd_page_cell *c = &r->cell[i];
        for (size_t k = 0; c->verdict != DD_PASS && k < json_array_size(c->repeats); k++) {
            const json_t *repeat = json_array_get(c->repeats, k);
            const json_t *bad = first_bad(repeat, c->verdict == DD_SKIP);
            const char *log = json_string_value(json_object_get(repeat, "log"));
            if (!bad)
                continue;
            fputs(begun ? "" : "<h3>What did not hold, and why</h3>\n<ul>\n", out);
            begun = true;
            fprintf(out, "<li><strong>%s</strong> row %zu, ",
                    json_string_value(json_object_get(bad, "verdict")), i + 1);
            dd_page_text_(dd_page_label(r, c), out);
            fprintf(out, ", repeat %zu: ", k + 1);
            dd_page_text_(json_string_value(json_object_get(bad, "name")), out);
            fputs(": ", out);
            dd_page_text_(json_string_value(json_object_get(bad, "reason")), out);
            if (log)
                write_log(log, out);
            fputs("</li>\n", out);
        }
    }
    fputs(begun ? "</ul>\n" : "", out);
}

void dd_page_verdicts_(const dd_page_results *r, FILE *out)
{
    fputs("<section id=\"verdicts\">\n<h2>Verdicts</h2>\n", out);
    write_reasons(r, out);
    write_checks(r, out);
    write_matrix(r, out);
    fputs("</section>\n", out);
}
