/* SPDX-License-Identifier: MIT
 * Renames, in an order from which every moment can be told from the names that are there. */
#include "page_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "plot.h"

#define PATH_BYTES 4352 /* a folder's and a name */

typedef struct path {
    char text[PATH_BYTES];
} path;

/* The names, in the order in which they come to be. */
static const char page_new[] = "report.html.tmp", plots_new[] = "plots.tmp",
                  plots_old[] = "plots.old", /* old plots, and the old page */
    plots_moving[] = "plots.new",            /* plots.tmp from when plots has no old ones */
    page_old[] = "plots.old/report.html", page[] = "report.html", plots[] = "plots";

static const char *in(const char *dir, const char *name, path *p)
{
    (void)snprintf(p->text, sizeof p->text, "%.4000s/%s", dir, name);
    return p->text;
}

static bool is_there(const char *dir, const char *name)
{
    struct stat info;
    path p;
    return lstat(in(dir, name, &p), &info) == 0;
}

static bool move(const char *dir, const char *from, const char *to)
{
    path a, b;
    return rename(in(dir, from, &a), in(dir, to, &b)) == 0;
}

static bool move_plots(const char *dir, const char *from, const char *to)
{
    path a, b;
    return dd_folder_move(in(dir, from, &a), in(dir, to, &b), dd_plot_files);
}

static void clear(const char *dir, const char *name)
{
    path p;
    dd_folder_clear(in(dir, name, &p), dd_plot_files);
}

static bool make(const char *dir, const char *name)
{
    path p;
    return dd_folder_make(in(dir, name, &p));
}

/* What was built, and is not wanted. */
static void drop_new(const char *dir)
{
    path p;
    (void)unlink(in(dir, page_new, &p));
    clear(dir, plots_new);
    clear(dir, plots_moving);
}

/* What was put aside is back, the page last: until then it is known to be missing.
 * returns  false with errno: something is still aside */
static bool take_back(const char *dir)
{
    if (is_there(dir, plots_moving)) { /* the plots in place are new ones */
        if (is_there(dir, plots) && !move_plots(dir, plots, plots_moving))
            return false;
        clear(dir, plots_moving);
    }
    if (!make(dir, plots) || !move_plots(dir, plots_old, plots))
        return false;
    if (is_there(dir, page_old) && !move(dir, page_old, page))
        return false;
    path p;
    (void)rmdir(in(dir, plots, &p)); /* not if something is in it */
    return true;
}

static void tidy(const char *dir)
{
    if (is_there(dir, plots_old) && !is_there(dir, page) && !take_back(dir))
        return; /* nothing is lost: it stays aside */
    path p;
    (void)unlink(in(dir, page_old, &p));
    clear(dir, plots_old);
    drop_new(dir);
}

bool dd_page_files_open(dd_page_files *f, const char *dir, char *message, size_t size)
{
    *f = (dd_page_files){.lock = -1};
    f->lock = dd_folder_lock(dir);
    if (f->lock < 0) {
        (void)snprintf(message, size, "%.400s: %s", dir,
                       errno == EWOULDBLOCK
                           ? "another dodeca is making a page there, or beginning a run"
                           : strerror(errno));
        return false;
    }
    f->dir = strdup(dir);
    if (!f->dir || asprintf(&f->page, "%s/%s", dir, page_new) < 0)
        f->page = NULL;
    if (!f->page || asprintf(&f->plots, "%s/%s", dir, plots_new) < 0)
        f->plots = NULL;
    if (!f->plots) {
        (void)snprintf(message, size, "no memory");
        return false;
    }
    return true;
}

void dd_page_files_begin(dd_page_files *f)
{
    f->begun = true;
    tidy(f->dir);
}

/* returns  false with errno */
static bool put(const char *dir)
{
    return make(dir, plots_old) && make(dir, plots) &&
           (!is_there(dir, page) || move(dir, page, page_old)) &&
           move_plots(dir, plots, plots_old) &&
           (is_there(dir, plots_new) ? move(dir, plots_new, plots_moving)
                                     : make(dir, plots_moving)) &&
           move_plots(dir, plots_moving, plots) && move(dir, page_new, page);
}

/* returns  false with errno: the name is there, and of another kind */
static bool is_fit(const char *dir, const char *name, mode_t kind)
{
    struct stat info;
    path p;
    if (lstat(in(dir, name, &p), &info) != 0 || (info.st_mode & S_IFMT) == kind)
        return true;
    errno = kind == S_IFDIR ? ENOTDIR : EISDIR;
    return S_ISLNK(info.st_mode) && kind == S_IFREG; /* a link is replaced as a file is */
}

bool dd_page_files_put(dd_page_files *f, char *message, size_t size)
{
    const char *wrong = !is_fit(f->dir, plots, S_IFDIR)  ? plots
                        : !is_fit(f->dir, page, S_IFREG) ? page
                                                         : NULL;
    path p;
    if (!wrong && put(f->dir)) {
        (void)unlink(in(f->dir, page_old, &p));
        (void)rmdir(in(f->dir, plots, &p)); /* where nothing is drawn and nothing else lies */
        return true;
    }
    const int why = errno;
    (void)snprintf(message, size, "%.400s: %s", in(f->dir, wrong ? wrong : page, &p),
                   strerror(why));
    if (!wrong && !take_back(f->dir))
        (void)snprintf(message, size, "%.380s: %s; the page before is in %s", f->dir, strerror(why),
                       plots_old);
    return false;
}

void dd_page_files_close(dd_page_files *f)
{
    if (f->lock >= 0) {
        if (f->begun)
            tidy(f->dir);
        close(f->lock);
    }
    free(f->dir);
    free(f->page);
    free(f->plots);
    *f = (dd_page_files){.lock = -1};
}

bool dd_page_files_forget(const dd_page_files *f)
{
    const char *dir = f->dir;
    path p;
    const bool was = unlink(in(dir, page, &p)) == 0;
    const bool aside = unlink(in(dir, page_old, &p)) == 0;
    clear(dir, plots_old);
    drop_new(dir);
    if (was || aside)
        clear(dir, plots);
    return was;
}
