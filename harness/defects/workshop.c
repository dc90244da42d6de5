/* SPDX-License-Identifier: MIT
 * Copying, planting and building. */
#include "workshop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mirror.h"
#include "tool.h"

static const char *const build_names[DD_N_BUILDS] = {"plain", "tsan", "asan"};

const char *dd_workshop_log(const dd_workshop *w, const char *name, char path[DD_FILE_PATH])
{
    return dd_path(path, w->logs, name);
}

const char *dd_workshop_program(const dd_workshop *w, dd_bench_build build, const char *name,
                                bool untouched, char path[DD_FILE_PATH])
{
    char folder[DD_FILE_PATH], tests[DD_FILE_PATH], kept[128];
    if (untouched) {
        snprintf(kept, sizeof kept, "untouched-%s-%.64s", build_names[build], name);
        return dd_path(path, w->keeper, kept);
    }
    dd_path(folder, w->folder, build_names[build]);
    if (strcmp(name, "dodeca") == 0)
        return dd_path(path, folder, name);
    return dd_path(path, dd_path(tests, folder, "harness/unit"), name);
}

bool dd_workshop_keep(const dd_workshop *w, dd_bench_build build, const char *name,
                      char message[DD_DEFECT_MESSAGE])
{
    char from[DD_FILE_PATH], to[DD_FILE_PATH];
    size_t n;
    dd_workshop_program(w, build, name, false, from);
    dd_workshop_program(w, build, name, true, to);
    char *bytes = dd_slurp(from, &n);
    const bool done = bytes && dd_spill(to, bytes, n) && chmod(to, 0755) == 0;
    if (!done)
        snprintf(message, DD_DEFECT_MESSAGE, "%.400s cannot be copied: %s", from, strerror(errno));
    free(bytes);
    return done;
}

/* ---- Opening ---- */

static bool make_folder(const char *path, char message[DD_DEFECT_MESSAGE])
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return true;
    snprintf(message, DD_DEFECT_MESSAGE, "cannot make the folder %.400s: %s", path,
             strerror(errno));
    return false;
}

/* The path without links and dots. */
static bool resolve(const char *path, char out[DD_FILE_PATH])
{
    char *real = realpath(path, NULL);
    const bool fits = real && strlen(real) < DD_FILE_PATH;
    if (fits)
        strcpy(out, real);
    free(real);
    return fits;
}

/* A copy inside the original would copy itself. */
static bool is_inside(const char *folder, const char *source)
{
    const size_t n = strlen(source);
    const char *below = folder + n + 1;
    return strncmp(folder, source, n) == 0 && (folder[n] == '/' || folder[n] == '\0') &&
           !(folder[n] == '/' && (strncmp(below, "build", 5) == 0 || below[0] == '.'));
}

/* The copy drops what the original lacks, so that it must not meet somebody's own files. */
static bool is_ours(const char *folder)
{
    struct dirent **entry;
    const int n = scandir(folder, &entry, NULL, NULL);
    bool locked = false;
    for (int i = 0; i < n; i++) {
        locked |= strcmp(entry[i]->d_name, "lock") == 0;
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return locked || n == 2; /* itself and its parent */
}

static bool take_folder(dd_workshop *w, char message[DD_DEFECT_MESSAGE])
{
    char path[DD_FILE_PATH];
    w->lock_fd = open(dd_path(path, w->folder, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (w->lock_fd >= 0 && flock(w->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    snprintf(message, DD_DEFECT_MESSAGE, "%.400s is taken: %s", w->folder,
             errno == EWOULDBLOCK ? "another `dodeca defects` works there" : strerror(errno));
    return false;
}

bool dd_workshop_sources(const char *source, char message[DD_DEFECT_MESSAGE])
{
    char path[DD_FILE_PATH];
    if (access(dd_path(path, source, "core/CMakeLists.txt"), R_OK) == 0)
        return true;
    snprintf(message, DD_DEFECT_MESSAGE,
             "there are no sources in %.400s; --source names their folder", source);
    return false;
}

bool dd_workshop_open(dd_workshop *w, const char *source, const char *folder, const char *compiler,
                      int stop_fd, char message[DD_DEFECT_MESSAGE])
{
    *w = (dd_workshop){.compiler = compiler, .compilers = 1, .stop_fd = stop_fd, .lock_fd = -1};
    char original[DD_FILE_PATH];
    if (!dd_workshop_sources(source, message))
        return false;
    if (!dd_tool_there("cmake") || access(compiler, X_OK) != 0) {
        snprintf(message, DD_DEFECT_MESSAGE, "planting takes cmake and the compiler %.300s, and %s",
                 compiler, dd_tool_there("cmake") ? "that is gone" : "there is no cmake");
        return false;
    }
    const bool was_there = access(folder, F_OK) == 0;
    if (!make_folder(folder, message))
        return false;
    bool refused = true;
    if (!resolve(source, original) || !resolve(folder, w->folder))
        snprintf(message, DD_DEFECT_MESSAGE, "the path of %.300s or %.300s is too long", source,
                 folder);
    else if (is_inside(w->folder, original))
        snprintf(message, DD_DEFECT_MESSAGE,
                 "%.300s is inside the sources: its name must begin with \"build\"", w->folder);
    else if (is_inside(original, w->folder) || !is_ours(w->folder))
        snprintf(message, DD_DEFECT_MESSAGE,
                 "%.300s holds other things than a hunt's; name a new or an empty folder",
                 w->folder);
    else
        refused = false;
    if (refused) {
        if (!was_there)
            rmdir(folder);
        return false;
    }
    strcpy(w->keeper, w->folder);
    if (!make_folder(dd_path(w->logs, w->folder, "logs"), message) || !take_folder(w, message) ||
        !dd_mirror(original, dd_path(w->source, w->folder, "source"), &w->revision, message)) {
        dd_workshop_close(w);
        return false;
    }
    return true;
}

void dd_workshop_close(dd_workshop *w)
{
    char message[DD_DEFECT_MESSAGE];
    (void)dd_workshop_restore(w, message); /* the next copy restores what this could not */
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    w->lock_fd = -1;
}

/* ---- Planting ---- */

static const char *core_file(const dd_workshop *w, const char *source, char path[DD_FILE_PATH])
{
    char core[DD_FILE_PATH];
    return dd_path(path, dd_path(core, w->source, "core"), source);
}

bool dd_workshop_restore(dd_workshop *w, char message[DD_DEFECT_MESSAGE])
{
    char path[DD_FILE_PATH];
    bool done = true;
    if (w->planted[0])
        done = dd_spill(core_file(w, w->planted, path), w->original, w->original_bytes);
    if (!done)
        snprintf(message, DD_DEFECT_MESSAGE, "%.400s cannot be restored: %s", path,
                 strerror(errno));
    free(w->original);
    w->original = NULL;
    w->planted[0] = '\0';
    return done;
}

static bool plant_script(const dd_workshop *w, const dd_defect *d, const char *from, const char *to,
                         char message[DD_DEFECT_MESSAGE])
{
    char plant[DD_FILE_PATH], log[DD_FILE_PATH];
    const char *argv[] = {dd_path(plant, w->source, "harness/defects/plant.sh"), d->script, from,
                          to, NULL};
    const dd_tool tool = {
        .argv = argv, .out = dd_workshop_log(w, "plant.log", log), .limit_s = 60, .stop_fd = -1};
    const dd_tool_end end = dd_tool_run(&tool);
    if (end.ending == DD_TOOL_ENDED && end.status == 0)
        return true;
    char *said = dd_slurp(log, NULL);
    snprintf(message, DD_DEFECT_MESSAGE, "%.900s", said && said[0] ? said : "plant.sh did not run");
    message[strcspn(message, "\n")] = '\0';
    free(said);
    return false;
}

static bool plant_mutant(const dd_workshop *w, const dd_mutant *m, const char *to)
{
    FILE *file = fopen(to, "wb");
    if (!file)
        return false;
    const char *rest = w->original + m->at + m->length;
    fwrite(w->original, 1, m->at, file);
    fputs(m->text, file);
    fputs(rest, file);
    const bool failed = ferror(file);
    return (fclose(file) == 0) & !failed;
}

bool dd_workshop_plant(dd_workshop *w, const dd_defects *all, const dd_defect *d,
                       char message[DD_DEFECT_MESSAGE])
{
    char path[DD_FILE_PATH], from[DD_FILE_PATH];
    if (!dd_workshop_restore(w, message))
        return false;
    w->original = dd_slurp(core_file(w, d->source, path), &w->original_bytes);
    dd_path(from, w->folder, "original.c");
    if (!w->original || !dd_spill(from, w->original, w->original_bytes)) {
        snprintf(message, DD_DEFECT_MESSAGE, "%.400s cannot be copied: %s", path, strerror(errno));
        return false;
    }
    strcpy(w->planted, d->source);
    if (d->script)
        return plant_script(w, d, from, path, message);
    if (plant_mutant(w, &all->mutants.mutant[d->mutant], path))
        return true;
    snprintf(message, DD_DEFECT_MESSAGE, "%.400s cannot be written: %s", path, strerror(errno));
    return false;
}

/* ---- Building ---- */

static dd_built run_cmake(const dd_workshop *w, const char *const *argv, const char *what,
                          char message[DD_DEFECT_MESSAGE])
{
    char log[DD_FILE_PATH];
    const dd_tool tool = {.argv = argv,
                          .out = dd_workshop_log(w, "build.log", log),
                          .limit_s = 3600,
                          .gentle = true,
                          .stop_fd = w->stop_fd};
    const dd_tool_end end = dd_tool_run(&tool);
    if (end.ending == DD_TOOL_STOPPED)
        return DD_BUILD_STOPPED;
    if (end.ending == DD_TOOL_ENDED && end.status == 0)
        return DD_BUILT;
    snprintf(message, DD_DEFECT_MESSAGE, "%s failed: see %.800s", what, log);
    return DD_BUILD_FAILED;
}

/* Mutants may leave things unused: warnings are no errors here. */
static dd_built configure(const dd_workshop *w, dd_bench_build build,
                          char message[DD_DEFECT_MESSAGE])
{
    static const char *const sanitizers[DD_N_BUILDS] = {"", "thread", "address,undefined"};
    char folder[DD_FILE_PATH], compiler[DD_FILE_PATH + 32], sanitizer[64];
    dd_path(folder, w->folder, build_names[build]);
    /* only gcc's ThreadSanitizer sees wide vector stores */
    snprintf(compiler, sizeof compiler, "-DCMAKE_C_COMPILER=%s",
             build == DD_BUILD_TSAN ? "gcc" : w->compiler);
    snprintf(sanitizer, sizeof sanitizer, "-DDODECA_SANITIZE=%s", sanitizers[build]);
    const char *argv[16];
    size_t n = 0;
    argv[n++] = "cmake";
    argv[n++] = "-S";
    argv[n++] = w->source;
    argv[n++] = "-B";
    argv[n++] = folder;
    argv[n++] = compiler;
    argv[n++] = sanitizer;
    argv[n++] = "-DCMAKE_BUILD_TYPE=Release";
    if (build != DD_BUILD_PLAIN)
        argv[n++] = "-DCMAKE_C_FLAGS_RELEASE=-O1";
    if (dd_tool_there("ninja"))
        argv[n++] = "-GNinja";
    if (dd_tool_there("ccache"))
        argv[n++] = "-DCMAKE_C_COMPILER_LAUNCHER=ccache";
    argv[n] = NULL;
    return run_cmake(w, argv, "configuring", message);
}

dd_built dd_workshop_build(dd_workshop *w, dd_bench_build build, const char *const *targets,
                           char message[DD_DEFECT_MESSAGE])
{
    if (!w->configured[build]) {
        const dd_built configured = configure(w, build, message);
        if (configured != DD_BUILT)
            return configured;
        w->configured[build] = true;
    }
    char folder[DD_FILE_PATH], compilers[32];
    snprintf(compilers, sizeof compilers, "%zu", w->compilers);
    const char *argv[64] = {"cmake",      "--build", dd_path(folder, w->folder, build_names[build]),
                            "--parallel", compilers, "--target"};
    size_t n = 6;
    for (; *targets && n + 1 < sizeof argv / sizeof argv[0]; targets++)
        argv[n++] = *targets;
    return run_cmake(w, argv, "building", message);
}
