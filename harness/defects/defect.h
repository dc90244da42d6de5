/* SPDX-License-Identifier: MIT */
/* clang-format off */
/* Planted defects: what there is to plant, and which means must catch it.
 *
 * Two kinds are files, harness/defects/KIND/NAME.sed, KIND being `catalogue` (bugs of real trainers
 * of this kind) or `protocol` (bugs made up against the synchronisation protocol). Such a file is a
 * sed script with a head:
 *
 *     # What it breaks and how that shows, in as many lines as it takes.
 *     # catalogue: ID [ID…]                the real bugs it reproduces; of kind `catalogue` only
 *     # source: FOLDER/FILE.c              the one file of core/ that it changes
 *     # caught: MEANS [ARGUMENT…]          a line for each that must catch it, one at least
 *     s/…/…/                               a command a line, each of which changes something
 *
 * MEANS, with its arguments, is one of
 *
 *     explore PROTOCOL VERDICT[,VERDICT…]  `dodeca explore PROTOCOL` gives one of these verdicts
 *     unit TEST [CASE]                     the cmocka program TEST fails, in CASE, a pattern
 *     serial [OPTION…]                     `dodeca train` with these options ends in other weights
 *                                          than the oracle of the untouched sources, or in none
 *     tsan, asan [TEST | OPTION…]          a report of that sanitizer in `dodeca train`, or in TEST
 *     helgrind, drd, memcheck [the same]   a report of that valgrind tool
 *     guard [OPTION…]                      `dodeca train --guard` reports a touch it forbids
 *     finite [OPTION…]                     `dodeca train` reports a value that is not finite
 *     watchdog [OPTION…]                   a cell of `dodeca run` with a stall limit is a HANG
 *
 * The third kind, `generated`, is made from the sources (generate.h); any of explore, unit, tsan
 * and serial must catch it, unless harness/defects/equivalent.txt argues that nothing can. */
/* clang-format on */
#ifndef DD_DEFECT_H
#define DD_DEFECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generate.h"

typedef enum dd_means {
    DD_MEANS_UNIT,
    DD_MEANS_EXPLORE,
    DD_MEANS_TSAN,
    DD_MEANS_HELGRIND,
    DD_MEANS_DRD,
    DD_MEANS_MEMCHECK,
    DD_MEANS_ASAN,
    DD_MEANS_GUARD,
    DD_MEANS_SERIAL,
    DD_MEANS_FINITE,
    DD_MEANS_WATCHDOG,
    DD_N_MEANS
} dd_means;

typedef enum dd_defect_kind { DD_CATALOGUE, DD_PROTOCOL, DD_GENERATED } dd_defect_kind;

enum { DD_EXPECTED_MAX = 8, DD_DEFECT_MESSAGE = 1024 };

typedef struct dd_expectation {
    dd_means means;
    char arguments[232];
} dd_expectation;

typedef struct dd_defect {
    dd_defect_kind kind;
    char name[160];   /* of a file: without folder and .sed */
    char *about;      /* one line */
    char *catalogue;  /* ids, "" for none */
    char source[64];  /* relative to core/ */
    char *script;     /* path of the sed file, NULL if generated */
    uint64_t hash;    /* of the file, or of what the mutant replaces and by what */
    size_t mutant;    /* generated: number in dd_defects.mutants */
    char *equivalent; /* why nothing can catch it, NULL if something must */
    uint32_t n_expected;
    dd_expectation expected[DD_EXPECTED_MAX];
} dd_defect;

typedef struct dd_defects {
    dd_defect *defect; /* by kind, then by name or place */
    size_t n, room;
    dd_mutants mutants;
} dd_defects;

/* "unit", "explore" … */
const char *dd_means_name(dd_means means);
/* returns  false: no such means */
bool dd_means_find(const char *name, size_t length, dd_means *out);
/* "catalogue", "protocol", "generated" */
const char *dd_defect_kind_name(dd_defect_kind kind);

/* Reads one defect file's text; path names it in messages, tests is the folder of unit tests.
 * errors   false: message is path:line: what is wrong; nothing to release                   */
bool dd_defect_read(const char *path, const char *text, dd_defect_kind kind, const char *core,
                    const char *tests, dd_defect *out, char message[DD_DEFECT_MESSAGE]);
void dd_defect_clear(dd_defect *d);

/* Everything there is to plant in the tree `source`: files, mutants, and arguments of equivalence.
 * owns     *out, released with dd_defects_close; on failure nothing                         */
bool dd_defects_open(const char *source, dd_defects *out, char message[DD_DEFECT_MESSAGE]);
void dd_defects_close(dd_defects *d);

/* Reads arguments of equivalence and notes them with the mutants they name:
 *
 *     # a comment
 *     gen:…
 *     gen:…
 *         The argument, indented, for all mutants named since the one before.
 *
 * errors   false: a name that no mutant has, a mutant named twice, a missing argument       */
bool dd_equivalents_read(const char *path, const char *text, dd_defects *d,
                         char message[DD_DEFECT_MESSAGE]);

#endif
