/* SPDX-License-Identifier: MIT
 * The report's page without a browser and without gnuplot: what is read of a results folder and
 * what is refused, that the page is whole, well-formed and asks for nothing, and that whatever
 * labels hold stays text, for browsers and for gnuplot. The folder is harness/unit/page. */
#include "folder_fixture.h"
#include "page.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Files ---- */

/* Copies the fixture into the test's folder, in one file the first `from` replaced by `to`. */
static void copy(const char *changed, const char *from, const char *to)
{
    static const char *const names[] = {"run.json", "speedup.json"};
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", FIXTURE, names[i]);
        char *text = read_file(path, NULL);
        if (changed && strcmp(changed, names[i]) == 0) {
            char *at = strstr(text, from), *other = NULL;
            assert_non_null(at);
            assert_true(
                asprintf(&other, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) > 0);
            free(text);
            text = other;
        }
        put_file(names[i], text);
        free(text);
    }
}

/* Of the fixture's second row, whose step is compared with the oracle's. */
#define TOTAL "\"x\": 16, \"low\": 15.52, \"high\": 16.32, \"divided_by\": "

/* ---- Reading ---- */

static void test_read(void **state)
{
    (void)state;
    char message[DD_PAGE_MESSAGE_MAX];
    dd_page_results r;
    assert_true(dd_page_results_open(&r, FIXTURE, message));
    assert_int_equal(r.n_cells, 6);
    assert_int_equal(r.n_checks, 4);
    assert_int_equal(r.cores, 2);
    /* one repeat of the second cell skipped a check, the other held: it held */
    assert_int_equal(r.cell[1].check[3], DD_PASS);
    assert_int_equal(r.cell[5].check[0], DD_HANG);
    assert_int_equal(r.cell[5].check[1], DD_SKIP);
    assert_true(dd_page_timed(&r.cell[1]) && !dd_page_timed(&r.cell[5]));
    const dd_page_row *row = r.cell[1].row;
    assert_int_equal(row->gain[DD_GAIN_PARALLEL].to, 0);
    assert_true(row->gain[DD_GAIN_PARALLEL].x == 2 && row->step_ns == 5e6);
    assert_true(row->gain[DD_GAIN_TOTAL].x == 16 && row->gain[DD_GAIN_TOTAL].to == DD_NO_ROW);
    assert_true(isnan(row->gain[DD_GAIN_SIMD].x));
    assert_true(row->wide && row->n_outliers == 1 && !r.cell[0].row->wide);
    /* the parked sphere is left out */
    assert_int_equal(r.cell[1].n_spheres, 3);
    assert_int_equal(r.cell[1].sphere[2].first_lane, 6);
    assert_true(r.cell[1].sphere[1].wait_ns[1] == 4e6 && r.cell[1].steps_ns == 20e6);
    assert_int_equal(r.cell[1].n_phases, 4);
    assert_int_equal(dd_page_best_(&r), 1);
    dd_page_results_close(&r);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to, *says;
    } cases[] = {
        {"run.json", "{", "[", "run.json: line "},
        {"run.json", "\"format\": 1", "\"format\": 2", "run.json: format must be 1"},
        {"run.json", "\"format\": 1", "\"format\": 1, \"kind\": \"soak\"", "soak.md"},
        {"run.json", "\"cells\": [", "\"other\": [", "cells must be an array"},
        {"run.json", "\"cores_usable\": 2", "\"cores_usable\": -2", "machine.cores_usable"},
        {"run.json", "\"verdict\": \"PASS\"", "\"verdict\": \"FINE\"",
         "cells[0].verdict must be PASS"},
        {"run.json", "[1000000, 0, 0, 0]", "[1000000, 0, 0]",
         "cells[0].repeats[0].effective.sphere[1].wait_ns_at_a_b_v_u must be four numbers"},
        {"run.json", "\"name\": \"no-hang\"", "\"name\": 7",
         "repeats[0].checks[0].name must be a text"},
        {"run.json", "\"share\": 0.6", "\"share\": []", "phases[0].share must be a number"},
        {"speedup.json", "\"schema\": 1", "\"schema\": 3", "speedup.json: schema must be 1"},
        {"speedup.json", "small & <quick>", "large", "another scenario"},
        {"speedup.json", "\"index\": 1", "\"index\": 0", "rows[1].index: there was a row 0 before"},
        {"speedup.json", "\"index\": 5", "\"index\": 6", "rows[5].index must be a whole number"},
        {"speedup.json", "\"divided_by\": 0", "\"divided_by\": 99",
         "rows[0].ratio.parallel.divided_by"},
        {"speedup.json", "\"divided_by\": 0", "\"divided_by\": null",
         "number of a row, or \"oracle\""},
        {"speedup.json", TOTAL "\"oracle\"}", TOTAL "\"oracle\", \"row\": 6}",
         "rows[1].ratio.total.row must be a whole number from 0 to 5"},
        {"speedup.json", "\"workers\": 1, \"over", "\"workers\": \"1\", \"over", "rows[0].workers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[DD_PAGE_MESSAGE_MAX] = "";
        dd_page_results r;
        copy(cases[i].file, cases[i].from, cases[i].to);
        const bool taken = dd_page_results_open(&r, folder, message);
        dd_page_results_close(&r);
        if (taken || !strstr(message, cases[i].says) || strchr(message, '\n'))
            fail_msg("%s in place of %s: \"%s\", not \"%s\"", cases[i].to, cases[i].from, message,
                     cases[i].says);
    }
    char message[DD_PAGE_MESSAGE_MAX];
    dd_page_results r;
    copy(NULL, NULL, NULL);
    assert_int_equal(unlink(file_named("speedup.json")), 0);
    assert_false(dd_page_results_open(&r, folder, message));
    dd_page_results_close(&r);
    assert_non_null(strstr(message, "speedup.json: No such file"));
}

/* ---- The page ---- */

/* The page of a folder, with a drop of SVG where gnuplot would draw. */
static char *make_page(const char *dir)
{
    char message[DD_PAGE_MESSAGE_MAX], *text = NULL;
    size_t size;
    dd_page_results r;
    dd_figures figures;
    assert_true(dd_page_results_open(&r, dir, message));
    assert_true(dd_figures_open(&figures, &r));
    assert_true(figures.n >= 5);
    for (size_t i = 0; i < figures.n; i++) {
        assert_non_null(figures.plot[i].svg =
                            dd_plot_inline("<?xml?><svg viewBox=\"0 0 9 9\"><g id='a'/></svg>",
                                           figures.plot[i].name, figures.plot[i].title));
        assert_true(figures.plot[i].height > 0 && strstr(figures.plot[i].commands, "plot "));
    }
    FILE *out = open_memstream(&text, &size);
    assert_true(dd_page_write(&r, &figures, out));
    fclose(out);
    dd_figures_close(&figures);
    dd_page_results_close(&r);
    return text;
}

/* Tags nest, attributes are quoted, and & begins an entity. */
static void check_nesting(const char *text)
{
    char stack[32][16];
    size_t depth = 0;
    for (const char *p = strstr(text, "<html"); *p; p++) {
        if (*p == '&') {
            const size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz#0123456789");
            if (!n || p[n + 1] != ';')
                fail_msg("no entity: %.40s", p);
        }
        if (*p != '<')
            continue;
        const bool closing = p[1] == '/';
        const char *name = p + 1 + closing;
        const size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz123456");
        char quote = '\0';
        for (p = name + n; *p != '>' || quote; p++) {
            if (!*p || *p == '<')
                fail_msg("a tag does not end: %.40s", name);
            if (!quote && *p == '=' && p[1] != '"' && p[1] != '\'')
                fail_msg("an attribute without quotes: %.40s", p);
            if (*p == quote)
                quote = '\0';
            else if (!quote && (*p == '"' || *p == '\''))
                quote = *p;
        }
        if (closing) {
            if (!depth || strlen(stack[depth - 1]) != n || strncmp(stack[depth - 1], name, n) != 0)
                fail_msg("</%.*s> closes <%s>", (int)n, name, depth ? stack[depth - 1] : "");
            depth--;
        } else if (p[-1] != '/') {
            assert_true(depth < 32);
            snprintf(stack[depth++], 16, "%.*s", (int)n, name);
        }
    }
    assert_int_equal(depth, 0);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* Every id is one, and every link inside the page leads to one. */
static void check_ids(const char *text)
{
    for (const char *p = text; (p = strstr(p, " id=\"")); p++) {
        char id[128];
        snprintf(id, sizeof id, " id=\"%.*s\"", (int)strcspn(p + 5, "\""), p + 5);
        if (count(text, id) != 1)
            fail_msg("%s: there are %zu", id, count(text, id));
    }
    for (const char *p = text; (p = strstr(p, "href=\"#")); p++) {
        char id[128];
        snprintf(id, sizeof id, " id=\"%.*s\"", (int)strcspn(p + 7, "\""), p + 7);
        if (count(text, id) != 1)
            fail_msg("a link leads nowhere: %.60s", p);
    }
}

static const char *const sections[] = {"answer", "verdicts", "speed", "simd",    "lock-free",
                                       "phases", "spheres",  "folds", "machine", "files"};

static void test_page(void **state)
{
    (void)state;
    char *text = make_page(FIXTURE);
    check_nesting(text);
    check_ids(text);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char begin[64];
        snprintf(begin, sizeof begin, "<section id=\"%s\">", sections[i]);
        assert_int_equal(count(text, begin), 1);
    }
    /* nothing is asked for, and nothing runs */
    static const char *const foreign[] = {"http://", "https://", "src=",    "url(",   "@import",
                                          "<script", "<link",    "<iframe", "<object"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strstr(text, foreign[i]))
            fail_msg("the page asks for something: %.60s", strstr(text, foreign[i]));
    /* whatever a label holds is text */
    assert_null(strstr(text, "a<b>"));
    assert_null(strstr(text, ">nan<")); /* a plug-in tells no tokens */
    assert_true(count(text, "a&lt;b&gt; &amp; &quot;c&quot; 'd' `e` % \xc3\xa9") >= 4);
    assert_non_null(strstr(text, "<title>small &amp; &lt;quick&gt;: dodeca report</title>"));
    /* the answer first: what held, how fast, against what */
    const char *answer = strstr(text, "5 of 6 cells held"), *table = strstr(text, "<table");
    assert_true(answer && answer < table);
    assert_non_null(strstr(text, "1 HANG."));
    assert_non_null(strstr(text, "in 5 of the 5 cells that promise it"));
    assert_non_null(strstr(text, "<dd class=\"big\">2.00 ×</dd>"));
    assert_non_null(strstr(text, "in 2 repeats 1.94–2.04"));
    assert_non_null(strstr(text, "of <a href=\"#row-1\">row 1</a>, workers=1"));
    /* every cell has a row in the matrix and one of times; every table a caption */
    assert_int_equal(count(text, "<tr id=\"row-"), 6);
    assert_int_equal(count(text, "<table"), count(text, "<caption"));
    assert_int_equal(count(text, "✗ HANG"), 1);
    assert_non_null(strstr(text, "not timed: a check did not hold"));
    assert_non_null(strstr(text, "<a href=\"logs/cell-6-repeat-1.log\">"));
    /* worker 0 of the second cell waits 4 + 1 of 20 ms; where lanes meet, the least at B is 0 */
    assert_non_null(strstr(text, "waits 25.0 % of a step: 20.0 at B, 5.0 at V, 0.0 at U"));
    assert_non_null(strstr(text, "lanes 0–11: of several workers; the last to arrive waits 0.0 %"));
    /* with 18 sequences every eighth of 144 lanes has one; the second worker runs the last nine */
    assert_non_null(strstr(text, "lane 71: sphere 0.0, which waits 2.5 % of a step at B"));
    assert_non_null(strstr(text, "lane 143: sphere 0.6, which waits 50.0 % of a step at B"));
    free(text);
}

/* Every ratio says what it was divided by: a row, or the oracle's run that judges. */
static void test_divided_by(void **state)
{
    (void)state;
    char *text = make_page(FIXTURE);
    assert_int_equal(count(text, "divided by row 4"), 1);
    assert_int_equal(count(text, " ÷ judge</small>"), 5);
    assert_int_equal(count(text, "<dd class=\"soft\">of its run that judges, made once</dd>"), 1);
    free(text);
    copy("speedup.json", TOTAL "\"oracle\"}", TOTAL "\"oracle\", \"row\": 3}");
    text = make_page(folder);
    check_ids(text);
    assert_int_equal(count(text, "divided by row 4"), 2);
    assert_int_equal(count(text, " ÷ judge</small>"), 4);
    assert_null(strstr(text, "of its run that judges"));
    assert_int_equal(count(text, "<dd class=\"soft\">of <a href=\"#row-4\">row 4</a>"), 2);
    free(text);
    copy("speedup.json", TOTAL "\"oracle\"}", TOTAL "\"oracle\", \"row\": null}");
    text = make_page(folder);
    assert_int_equal(count(text, " ÷ judge</small>"), 5);
    free(text);
}

/* What a folder has not, the page says so of; a log elsewhere is no link. */
static void test_absent(void **state)
{
    (void)state;
    copy("run.json", "\"log\": \"logs/", "\"log\": \"logs/../../etc/");
    char path[128];
    snprintf(path, sizeof path, "%s/run.json", folder);
    char *run = read_file(path, NULL);
    for (char *p = run; (p = strstr(p, "\"time\": {"));)
        memcpy(p, "\"emit\"", 6);
    for (char *p = run; (p = strstr(p, "\"complete\": true"));)
        memcpy(p, "\"complete\":false", 16);
    put_file("run.json", run);
    free(run);
    snprintf(path, sizeof path, "%s/speedup.json", folder);
    char *speedup = read_file(path, NULL);
    for (char *p = speedup; (p = strstr(p, "\"lock_free\": {"));)
        memcpy(p, "\"lockXfree\"", 11);
    put_file("speedup.json", speedup);
    free(speedup);
    char message[DD_PAGE_MESSAGE_MAX], *text = NULL;
    size_t size;
    dd_page_results r;
    dd_figures none = {0};
    assert_true(dd_page_results_open(&r, folder, message));
    FILE *out = open_memstream(&text, &size);
    assert_true(dd_page_write(&r, &none, out));
    fclose(out);
    dd_page_results_close(&r);
    check_nesting(text);
    check_ids(text);
    assert_non_null(strstr(text, "says nothing of phases"));
    assert_non_null(strstr(text, "Nothing to compare: no timed cell has one with the subject"));
    assert_non_null(strstr(text, "The sweep is not complete"));
    assert_null(strstr(text, "<a href=\"logs/../"));
    assert_null(strstr(text, "× locks-gradient"));
    free(text);
}

/* ---- Plots ---- */

static char *quoted(const char *text, bool format)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    dd_plot_text(text, format, f);
    fclose(f);
    return out;
}

static void test_plot_text(void **state)
{
    (void)state;
    char *plain = quoted("it's `rm` 5%\n\"x\" é\x01\xff\x7f", false), *format = quoted("5%", true);
    assert_string_equal(plain, "'it''s `rm` 5% \"x\" é?"
                               "?"
                               "?'");
    assert_string_equal(format, "'5%%'");
    free(plain);
    free(format);
}

static void test_inline(void **state)
{
    (void)state;
    static const char document[] =
        "<?xml version=\"1.0\"?>\n<svg \n viewBox=\"0 0 480 340\"\n xmlns=\"http://www.w3.org/\">"
        "<title>gnuplot</title><desc>by gnuplot</desc><defs><path id='gpPt0'/></defs>"
        "<g id=\"plot_1\" ><title>plot_1</title><use xlink:href='#gpPt0' color='red'/></g></svg>\n";
    char *svg = dd_plot_inline(document, "speedup-1", "a \"<b>\"");
    assert_string_equal(svg, "<svg class=\"plot\" viewBox=\"0 0 480 340\" role=\"img\" "
                             "aria-label=\"a &quot;&lt;b&gt;&quot;\"><defs><path "
                             "id='speedup-1-gpPt0'/></defs><g id=\"speedup-1-plot_1\" >"
                             "<use href='#speedup-1-gpPt0' color='red'/></g></svg>");
    free(svg);
    /* a text is no mark-up, whatever it looks like */
    svg = dd_plot_inline("<svg viewBox=\"0 0 1 1\"><text>&lt;/svg> xlink:a id=\"b\" href='#c "
                         "]]></text></svg>",
                         "p", "");
    assert_string_equal(svg, "<svg class=\"plot\" viewBox=\"0 0 1 1\" role=\"img\" aria-label=\"\">"
                             "<text>&lt;/svg&gt; xlink:a id=\"b\" href='#c ]]&gt;</text></svg>");
    free(svg);
    assert_null(dd_plot_inline("no picture", "a", "b"));
    assert_null(dd_plot_inline("<svg viewBox=\"0 0 1 1\"><g>", "a", "b"));
    assert_null(dd_plot_inline("<svg viewBox=\"0 0 1 1\"></svg><svg>", "a", "b")); /* cut */
}

static void put_gnuplot(const char *script)
{
    char path[256];
    put_file("gnuplot", script);
    snprintf(path, sizeof path, "%s/gnuplot", folder);
    assert_int_equal(chmod(path, 0755), 0);
}

#define SVG "printf '<svg viewBox=\"0 0 1 1\"><text>a]]></text></svg>\\n' >a.svg\n"
#define PNG "printf '\\211PNG\\r\\n\\032\\n pixels \\0\\0\\0\\0IEND\\256\\102\\140\\202' >a.png\n"

/* Without a gnuplot, with one that refuses and with one that writes half of a picture, as on a full
 * disk, there is no plot, and nothing is left. */
static void test_gnuplot_fails(void **state)
{
    (void)state;
    static const char *const cut[] = {
        "#!/bin/sh\nexit 0\n",
        "#!/bin/sh\n" SVG,
        "#!/bin/sh\n" PNG,
        "#!/bin/sh\n" SVG PNG "printf '%.40s' \"$(cat a.svg)\" >a.svg\n",
        "#!/bin/sh\n" SVG PNG "head -c 27 a.png >b; mv b a.png\n",
        "#!/bin/sh\n" SVG PNG ": >a.png\n",
    };
    char path[256], message[256], *kept;
    const char *usual = getenv("PATH");
    char *before = strdup(usual ? usual : "/usr/bin:/bin");
    dd_plot plot = {.name = "a", .title = strdup("b"), .height = 9, .commands = strdup("plot 1\n")};
    snprintf(path, sizeof path, "%s/drawn", folder);
    setenv("PATH", folder, 1);
    assert_int_equal(dd_plots_draw(&plot, 1, path, message, sizeof message), DD_PLOT_NO_PROGRAM);
    assert_non_null(strstr(message, "gnuplot cannot be run"));
    snprintf(message, sizeof message, "%s:%s", folder, before);
    setenv("PATH", message, 1);
    put_gnuplot("#!/bin/sh\necho\necho 'line 3: planted refusal'\nexit 1\n");
    assert_int_equal(dd_plots_draw(&plot, 1, path, message, sizeof message), DD_PLOT_FAILED);
    assert_string_equal(message, "gnuplot refused the plots: line 3: planted refusal");
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        put_gnuplot(cut[i]);
        assert_int_equal(dd_plots_draw(&plot, 1, path, message, sizeof message), DD_PLOT_FAILED);
        assert_string_equal(
            message, "gnuplot made no whole picture of a, as on a full disk: it said nothing");
        assert_int_equal(count_files(), 1);
        free(plot.svg);
        plot.svg = NULL;
    }
    put_gnuplot("#!/bin/sh\necho 'words that are no refusal'\n" SVG PNG);
    assert_int_equal(dd_plots_draw(&plot, 1, path, message, sizeof message), DD_PLOT_DRAWN);
    setenv("PATH", before, 1);
    kept = read_file(file_named("drawn/a.svg"), NULL); /* as XML wants it */
    assert_string_equal(kept, "<svg viewBox=\"0 0 1 1\"><text>a]]&gt;</text></svg>\n");
    assert_int_not_equal(access(file_named("drawn/gnuplot.log"), F_OK), 0);
    free(kept);
    free(before);
    dd_plots_close(&plot, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test_setup_teardown(test_refusals, make_folder, remove_folder),
        cmocka_unit_test(test_page),
        cmocka_unit_test_setup_teardown(test_divided_by, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_absent, make_folder, remove_folder),
        cmocka_unit_test(test_plot_text),
        cmocka_unit_test(test_inline),
        cmocka_unit_test_setup_teardown(test_gnuplot_fails, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
