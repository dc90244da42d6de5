/* SPDX-License-Identifier: MIT
 * Runs gnuplot in a folder of its own, and looks whether its pictures are whole. */
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
    while (*text) {
        const size_t n = dd_text_character(text);
        if (*text == '\'' || (*text == '%' && format))
            fputc(*text, out);
        if (*text == '\n' || *text == '\r' || *text == '\t')
            fputc(' ', out);
        else if (n == 0 || *text == 0x7f)
            fputc('?', out);
        else
            fwrite(text, 1, n, out);
        text += n ? n : 1;
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

/* Where the last element of the document ends, behind which there is nothing; NULL: it is cut. */
static const char *end_of(const char *document)
{
    static const char tag[] = "</svg>";
    const char *end = NULL;
    for (const char *p = document; (p = strstr(p, tag)); p++)
        end = p;
    return end && end[strlen(tag) + strspn(end + strlen(tag), " \r\n\t")] == '\0' ? end : NULL;
}

/* Copies to the end. In texts ">" becomes an entity, as gnuplot leaves "]]>" to be, which XML does
 * not allow. name: ids in tags begin with it; NULL: tags stay as they are */
static void copy(const char *p, const char *end, const char *name, FILE *out)
{
    size_t n;
    bool tag = false;
    while (p < end) {
        if (!tag && name && begins(p, "<title>"))
            p = past(p, "</title>"); /* names that only gnuplot knows */
        else if (!tag && name && begins(p, "<desc>"))
            p = past(p, "</desc>");
        else if (tag && name && (n = begins(p, "xlink:")))
            p += n;
        else if (tag && name &&
                 ((n = begins(p, " id=\"")) || (n = begins(p, " id='")) ||
                  (n = begins(p, "href='#")))) {
            fprintf(out, "%.*s%s-", (int)n, p, name);
            p += n;
        } else {
            fputs(*p == '>' && !tag ? "&gt;" : (char[]){*p, '\0'}, out);
            tag = *p == '<' || (tag && *p != '>');
            p++;
        }
    }
}

char *dd_plot_inline(const char *document, const char *name, const char *label)
{
    char *text = NULL;
    size_t size;
    const char *p = strstr(document, "<svg"), *end = p ? end_of(p) : NULL;
    const char *inside = p ? strchr(p, '>') : NULL, *box = p ? strstr(p, "viewBox=\"") : NULL;
    FILE *out = end && box && box < inside ? open_memstream(&text, &size) : NULL;
    if (!out)
        return NULL;
    box += strlen("viewBox=\"");
    fprintf(out, "<svg class=\"plot\" viewBox=\"%.*s\" role=\"img\" aria-label=\"",
            (int)strcspn(box, "\""), box);
    dd_text_xml(label, out);
    fputs("\">", out);
    copy(inside + 1, end, name, out);
    fputs("</svg>", out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- Files ---- */

const char *const dd_plot_files[] = {"plots.gp", "*.svg", "*.png", "gnuplot.log", NULL};

static FILE *open_file(const char *folder, const char *name, const char *ending, const char *mode)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.3900s/%.64s%s", folder, name, ending);
    return fopen(path, mode);
}

/* The whole of a small file; NULL with errno. */
static char *read_file(const char *folder, const char *name, const char *ending)
{
    char *text = NULL, *ends = NULL;
    size_t size = 0;
    FILE *f = open_file(folder, name, ending, "re");
    if (f && getdelim(&text, &size, '\0', f) > 0)
        ends = text;
    else
        free(text);
    if (f)
        fclose(f);
    return ends;
}

static bool is_whole_png(const char *folder, const char *name)
{
    static const char begin[8] = "\x89PNG\r\n\x1a\n", end[12] = "\0\0\0\0IEND\xae\x42\x60\x82";
    char first[sizeof begin], last[sizeof end];
    FILE *f = open_file(folder, name, ".png", "re");
    const bool whole =
        f && fread(first, sizeof first, 1, f) == 1 && fseek(f, -(long)sizeof last, SEEK_END) == 0 &&
        fread(last, sizeof last, 1, f) == 1 && memcmp(first, begin, sizeof begin) == 0 &&
        memcmp(last, end, sizeof end) == 0;
    if (f)
        fclose(f);
    return whole;
}

/* Writes the document anew where a text in it is none in XML.  returns  false: it is cut, or cannot
 * be written */
static bool mend_svg(const char *folder, const char *name, const char *document)
{
    const char *p = strstr(document, "<svg"), *end = p ? end_of(p) : NULL;
    if (!end || !strstr(p, "]]>"))
        return end;
    FILE *f = open_file(folder, name, ".svg", "we");
    if (!f)
        return false;
    fprintf(f, "%.*s", (int)(p - document), document);
    copy(p, end, NULL, f);
    fputs(end, f);
    const bool failed = ferror(f);
    return fclose(f) == 0 && !failed;
}

/* ---- Drawing ---- */

static bool write_script(const dd_plot *plot, size_t n, const char *folder)
{
    FILE *f = open_file(folder, "plots", ".gp", "we");
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

/* What became of the pictures, and the first line of what gnuplot said that says something. */
static dd_plot_end tell_words(const char *folder, const char *what, char *message, size_t size)
{
    char *words = read_file(folder, "gnuplot.log", "");
    const char *line = words ? words : "";
    while (*line && (line[strspn(line, " \t^")] == '\n'))
        line = strchr(line, '\n') + 1;
    if (!*line)
        line = "it said nothing";
    (void)snprintf(message, size, "%s: %.*s", what, (int)strcspn(line, "\n"), line);
    free(words);
    return DD_PLOT_FAILED;
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
    if (end.ending == DD_TOOL_ENDED && end.status == 0)
        return DD_PLOT_DRAWN;
    if (end.ending != DD_TOOL_LATE)
        return tell_words(folder, "gnuplot refused the plots", message, size);
    (void)snprintf(message, size, "gnuplot was not done after %.0f s", LIMIT_S);
    return DD_PLOT_FAILED;
}

/* Whether gnuplot, which tells nobody of a full disk, wrote all of the pictures. */
static bool take_pictures(dd_plot *plot, const char *folder)
{
    char *document = read_file(folder, plot->name, ".svg");
    if (document && mend_svg(folder, plot->name, document))
        plot->svg = dd_plot_inline(document, plot->name, plot->title);
    free(document);
    return plot->svg && is_whole_png(folder, plot->name);
}

static dd_plot_end draw_in(dd_plot *plot, size_t n, const char *folder, char *message, size_t size)
{
    char what[128];
    if (mkdir(folder, 0777) || !write_script(plot, n, folder)) {
        (void)snprintf(message, size, "%.400s: %s", folder, strerror(errno));
        return DD_PLOT_FAILED;
    }
    const dd_plot_end end = run_gnuplot(folder, message, size);
    for (size_t i = 0; i < n && end == DD_PLOT_DRAWN; i++)
        if (!take_pictures(&plot[i], folder)) {
            (void)snprintf(what, sizeof what,
                           "gnuplot made no whole picture of %s, as on a full disk", plot[i].name);
            return tell_words(folder, what, message, size);
        }
    return end;
}

dd_plot_end dd_plots_draw(dd_plot *plot, size_t n, const char *folder, char *message, size_t size)
{
    static const char *const log[] = {"gnuplot.log", NULL};
    if (n == 0)
        return DD_PLOT_DRAWN;
    const dd_plot_end end = draw_in(plot, n, folder, message, size);
    dd_folder_clear(folder, end == DD_PLOT_DRAWN ? log : dd_plot_files);
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
