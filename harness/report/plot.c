/* SPDX-License-Identifier: MIT
 * Runs gnuplot in a folder of its own beside the old plots, which takes their place when everything
 * is drawn. */
#include "plot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "table.h"
#include "tool.h"

#define PATH_BYTES 4096
#define LIMIT_S 120.0 /* all plots together; they take a second */

/* Each at least 3 to 1 against its page, and told apart by those who do not see red or green. */
const dd_colour dd_colours[DD_N_COLOURS] = {
    {"#2f6fb5", "#6ea8e8"}, {"#b3541e", "#e39157"}, {"#2e7d4f", "#62bd86"}, {"#8a55a8", "#c093dc"},
    {"#8f6d00", "#d3ad3f"}, {"#c2327a", "#ee79b3"}, {"#16808a", "#4fc3cd"}, {"#6b6f76", "#a9b1bb"},
    {"#7a4a2b", "#c79a77"}, {"#4444aa", "#a0a0f0"},
};

void dd_plot_text(const char *text, bool format, FILE *out)
{
    fputc('\'', out);
    for (; *text; text++) {
        const bool unfit = (unsigned char)*text < ' ' || *text == '`' || *text == 0x7f;
        if (*text == '\'' || (*text == '%' && format))
            fputc(*text, out);
        fputc(unfit ? '?' : *text, out);
    }
    fputc('\'', out);
}

/* ---- Inlining ---- */

/* The value of a colour as gnuplot's SVG writes it: "rgb( 47, 111, 181)". */
static void write_rgb(const char *hex, FILE *out)
{
    const unsigned long rgb = strtoul(hex + 1, NULL, 16);
    fprintf(out, "rgb(%3lu, %3lu, %3lu)", rgb >> 16, rgb >> 8 & 255, rgb & 255);
}

void dd_plot_css(bool dark, FILE *out)
{
    static const char *const attributes[] = {"stroke", "fill", "color"};
    /* gnuplot has two ways to say black */
    if (!dark)
        for (size_t k = 0; k < sizeof attributes / sizeof *attributes; k++)
            fprintf(out, ".plot [%s=black],.plot [%s=\"rgb(  0,   0,   0)\"]{%s:currentColor}\n",
                    attributes[k], attributes[k], attributes[k]);
    for (size_t i = 0; dark && i < DD_N_COLOURS; i++)
        for (size_t k = 0; k < sizeof attributes / sizeof *attributes; k++) {
            fprintf(out, ".plot [%s=\"", attributes[k]);
            write_rgb(dd_colours[i].light, out);
            fprintf(out, "\"]{%s:%s}\n", attributes[k], dd_colours[i].dark);
        }
}

/* If text goes on with prefix: its length. */
static size_t begins(const char *text, const char *prefix)
{
    const size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? n : 0;
}

/* Past an element without children that begins here; `end` closes it. */
static const char *past(const char *text, const char *end)
{
    const char *found = strstr(text, end);
    return found ? found + strlen(end) : text + strlen(text);
}

char *dd_plot_inline(const char *document, const char *name, const char *label)
{
    char *text = NULL;
    size_t size, n;
    const char *p = strstr(document, "<svg");
    const char *inside = p ? strchr(p, '>') : NULL, *box = p ? strstr(p, "viewBox=\"") : NULL;
    const char *end = inside ? strstr(inside, "</svg>") : NULL;
    FILE *out = end && box && box < inside ? open_memstream(&text, &size) : NULL;
    if (!out)
        return NULL;
    box += strlen("viewBox=\"");
    fprintf(out, "<svg class=\"plot\" viewBox=\"%.*s\" role=\"img\" aria-label=\"",
            (int)strcspn(box, "\""), box);
    dd_text_xml(label, out);
    fputs("\">", out);
    for (p = inside + 1; p < end;) {
        if (begins(p, "<title>"))
            p = past(p, "</title>"); /* names that only gnuplot knows */
        else if (begins(p, "<desc>"))
            p = past(p, "</desc>");
        else if ((n = begins(p, "xlink:")))
            p += n;
        else if ((n = begins(p, " id=\"")) || (n = begins(p, " id='"))) {
            fprintf(out, "%.*s%s-", (int)n, p, name);
            p += n;
        } else if ((n = begins(p, "href='#"))) {
            fprintf(out, "%.*s%s-", (int)n, p, name);
            p += n;
        } else
            fputc(*p++, out);
    }
    fputs("</svg>", out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- Folders ---- */

typedef struct folders {
    char old[PATH_BYTES], new[PATH_BYTES];
} folders;

const char *const dd_plot_files[] = {"plots.gp", "*.svg", "*.png", "gnuplot.log", NULL};

static bool move_file(const folders *f, const char *name, const char *ending)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    (void)snprintf(from, sizeof from, "%.3900s/%.64s%s", f->new, name, ending);
    (void)snprintf(to, sizeof to, "%.3900s/%.64s%s", f->old, name, ending);
    return rename(from, to) == 0;
}

/* The new files take the old ones' places, in a folder that may hold others.
 * returns  false with errno */
static bool replace_files(const dd_plot *plot, size_t n, const folders *f)
{
    struct stat info;
    dd_folder_clear(f->old, dd_plot_files);
    if (mkdir(f->old, 0777) && errno != EEXIST)
        return false;
    if (lstat(f->old, &info) != 0)
        return false;
    if (!S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return false;
    }
    bool moved = move_file(f, "plots", ".gp");
    for (size_t i = 0; i < n && moved; i++)
        moved = move_file(f, plot[i].name, ".svg") && move_file(f, plot[i].name, ".png");
    return moved;
}

/* The whole of a small file; NULL with errno. */
static char *read_file(const char *folder, const char *name, const char *ending)
{
    char path[PATH_BYTES], *text = NULL, *ends = NULL;
    size_t size = 0;
    (void)snprintf(path, sizeof path, "%.3900s/%.64s%s", folder, name, ending);
    FILE *f = fopen(path, "re");
    if (f && getdelim(&text, &size, '\0', f) > 0)
        ends = text;
    else
        free(text);
    if (f)
        fclose(f);
    return ends;
}

/* ---- Drawing ---- */

static bool write_script(const dd_plot *plot, size_t n, const char *folder)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.3900s/plots.gp", folder);
    FILE *f = fopen(path, "we");
    if (!f)
        return false;
    fputs("# Draws the plots of dodeca's report into the current folder: gnuplot plots.gp\n", f);
    for (size_t i = 0; i < n; i++) {
        const dd_plot *p = &plot[i];
        fprintf(f,
                "\nreset\nset encoding utf8\n"
                "set terminal svg size %d,%u dynamic font 'sans,13' noenhanced\n"
                "set output '%s.svg'\n%sunset output\n"
                "set terminal pngcairo size %d,%u font 'sans,13' fontscale 2 linewidth 2 "
                "pointscale 2 noenhanced background rgb 'white'\nset output '%s.png'\n",
                DD_PLOT_WIDTH, p->height, p->name, p->commands, 2 * DD_PLOT_WIDTH, 2 * p->height,
                p->name);
        fputs("set title ", f);
        dd_plot_text(p->title, false, f);
        fprintf(f, "\n%sunset output\n", p->commands);
    }
    const bool written = !ferror(f);
    return fclose(f) == 0 && written;
}

/* The first line of what gnuplot said that says something. */
static void tell_words(const char *folder, char *message, size_t size)
{
    char *words = read_file(folder, "gnuplot.log", "");
    const char *line = words ? words : "";
    while (*line && (line[strspn(line, " \t^")] == '\n'))
        line = strchr(line, '\n') + 1;
    (void)snprintf(message, size, "gnuplot refused the plots: %.*s", (int)strcspn(line, "\n"),
                   *line ? line : "it said nothing");
    free(words);
}

static dd_plot_end run_gnuplot(const char *folder, char *message, size_t size)
{
    char log[PATH_BYTES];
    /* -d: whatever the user has set for gnuplot does not count */
    static const char *const argv[] = {"gnuplot", "-d", "plots.gp", NULL};
    (void)snprintf(log, sizeof log, "%.3900s/gnuplot.log", folder);
    const dd_tool_end end = dd_tool_run(
        &(dd_tool){.argv = argv, .folder = folder, .out = log, .limit_s = LIMIT_S, .stop_fd = -1});
    if (end.ending == DD_TOOL_NOT_RUN || (end.ending == DD_TOOL_ENDED && end.status == 127)) {
        (void)snprintf(message, size, "gnuplot cannot be run: %s",
                       end.ending == DD_TOOL_NOT_RUN ? strerror(end.status) : "not found");
        return DD_PLOT_NO_PROGRAM;
    }
    if (end.ending == DD_TOOL_ENDED && end.status == 0) {
        (void)unlink(log);
        return DD_PLOT_DRAWN;
    }
    if (end.ending == DD_TOOL_LATE)
        (void)snprintf(message, size, "gnuplot was not done after %.0f s", LIMIT_S);
    else
        tell_words(folder, message, size);
    return DD_PLOT_FAILED;
}

static dd_plot_end fail(const char *path, char *message, size_t size)
{
    (void)snprintf(message, size, "%.400s: %s", path, strerror(errno));
    return DD_PLOT_FAILED;
}

static dd_plot_end draw_in(dd_plot *plot, size_t n, const folders *f, char *message, size_t size)
{
    if (mkdir(f->new, 0777) || !write_script(plot, n, f->new))
        return fail(f->new, message, size);
    const dd_plot_end end = run_gnuplot(f->new, message, size);
    for (size_t i = 0; i < n && end == DD_PLOT_DRAWN; i++) {
        char *document = read_file(f->new, plot[i].name, ".svg");
        plot[i].svg = document ? dd_plot_inline(document, plot[i].name, plot[i].title) : NULL;
        free(document);
        if (!plot[i].svg) {
            (void)snprintf(message, size, "gnuplot made no picture of %s", plot[i].name);
            return DD_PLOT_FAILED;
        }
    }
    if (end != DD_PLOT_DRAWN)
        return end;
    return replace_files(plot, n, f) ? DD_PLOT_DRAWN : fail(f->old, message, size);
}

dd_plot_end dd_plots_draw(dd_plot *plot, size_t n, const char *dir, char *message, size_t size)
{
    folders f;
    (void)snprintf(f.old, sizeof f.old, "%.3900s/plots", dir);
    (void)snprintf(f.new, sizeof f.new, "%.3900s/plots.tmp", dir);
    dd_folder_clear(f.new, dd_plot_files); /* of a run that was killed */
    if (n == 0) {
        dd_folder_clear(f.old, dd_plot_files);
        return DD_PLOT_DRAWN;
    }
    const dd_plot_end end = draw_in(plot, n, &f, message, size);
    dd_folder_clear(f.new, dd_plot_files);
    return end;
}

void dd_plots_close(dd_plot *plot, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(plot[i].title);
        free(plot[i].commands);
        free(plot[i].svg);
    }
}
