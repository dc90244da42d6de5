/* SPDX-License-Identifier: MIT
 * Where defects are planted: a copy of the source tree and builds of it, plain and with sanitizers,
 * all in one folder. Refuses to touch the original.
 *
 *     FOLDER/source/   the copy       FOLDER/plain/ tsan/ asan/   builds
 *     FOLDER/logs/     what was last said    FOLDER/untouched-…   programs of the untouched copy */
#ifndef DD_WORKSHOP_H
#define DD_WORKSHOP_H

#include <stdbool.h>
#include <stdint.h>

#include "defect.h"
#include "files.h"

typedef enum dd_bench_build {
    DD_BUILD_PLAIN,
    DD_BUILD_TSAN,
    DD_BUILD_ASAN,
    DD_N_BUILDS
} dd_bench_build;

typedef enum dd_built {
    DD_BUILT,
    DD_BUILD_FAILED, /* the compiler or linker said no */
    DD_BUILD_STOPPED,
} dd_built;

typedef struct dd_workshop {
    char folder[DD_FILE_PATH], source[DD_FILE_PATH], logs[DD_FILE_PATH];
    char keeper[DD_FILE_PATH]; /* folder of the untouched programs: its own, until a hunt says */
    const char *compiler;      /* the caller's */
    size_t compilers;          /* at a time */
    uint64_t revision;         /* of what was copied: mirror.h */
    int stop_fd;               /* readable: give up whatever runs. -1: none */
    int lock_fd;
    bool configured[DD_N_BUILDS];
    char planted[64]; /* the source that is changed, relative to core/; "" for none */
    char *original;   /* its text */
    size_t original_bytes;
} dd_workshop;

/* Whether a source tree is there; else message says so. */
bool dd_workshop_sources(const char *source, char message[DD_DEFECT_MESSAGE]);

/* Copies the tree `source` into folder and takes the folder for itself.
 * compiler  path of the C compiler for the plain build
 * errors    false: no such tree, a folder that cannot be written or is taken, a missing cmake    */
bool dd_workshop_open(dd_workshop *w, const char *source, const char *folder, const char *compiler,
                      int stop_fd, char message[DD_DEFECT_MESSAGE]);
/* Restores what is planted. */
void dd_workshop_close(dd_workshop *w);

/* Changes the copy's source; what was planted before is restored.
 * errors   false: the script fails or no longer changes anything                            */
bool dd_workshop_plant(dd_workshop *w, const dd_defects *all, const dd_defect *d,
                       char message[DD_DEFECT_MESSAGE]);
bool dd_workshop_restore(dd_workshop *w, char message[DD_DEFECT_MESSAGE]);

/* Builds targets, a list that ends with NULL; configures first where that was not done.     */
dd_built dd_workshop_build(dd_workshop *w, dd_bench_build build, const char *const *targets,
                           char message[DD_DEFECT_MESSAGE]);
/* Puts a program of the build aside, where it stays as it is while defects are planted. */
bool dd_workshop_keep(const dd_workshop *w, dd_bench_build build, const char *name,
                      char message[DD_DEFECT_MESSAGE]);
/* The path of a program in a build, or of the one put aside: "dodeca", or a unit test. */
const char *dd_workshop_program(const dd_workshop *w, dd_bench_build build, const char *name,
                                bool untouched, char path[DD_FILE_PATH]);
/* A log's path. */
const char *dd_workshop_log(const dd_workshop *w, const char *name, char path[DD_FILE_PATH]);

#endif
