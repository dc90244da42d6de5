/* SPDX-License-Identifier: MIT
 * The copy. */
#include "mirror.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "files.h"

typedef struct mirror {
    size_t root; /* length of the original's path */
    XXH3_state_t *hash;
    char *message;
} mirror;

static bool refuse(const mirror *m, const char *what, const char *path)
{
    snprintf(m->message, 512, "%s %.400s: %s", what, path, strerror(errno));
    return false;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool is_source(const char *name, bool top)
{
    return !top || (strncmp(name, "build", 5) != 0 && strcmp(name, "results") != 0);
}

static bool ends(const char *name, const char *ending)
{
    const size_t n = strlen(name), e = strlen(ending);
    return n >= e && strcmp(name + n - e, ending) == 0;
}

static bool remove_all(const mirror *m, const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return errno == ENOENT || refuse(m, "cannot look at", path);
    if (!S_ISDIR(s.st_mode))
        return unlink(path) == 0 || refuse(m, "cannot remove", path);
    struct dirent **entry;
    const int n = scandir(path, &entry, NULL, alphasort);
    bool done = n >= 0;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char below[DD_FILE_PATH];
        if (done && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            done = remove_all(m, dd_path(below, path, name));
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return done && (rmdir(path) == 0 || refuse(m, "cannot remove", path));
}

static bool copy_file(const mirror *m, const char *from, const char *to, mode_t mode)
{
    size_t n, n_old = 0;
    char *bytes = dd_slurp(from, &n);
    if (!bytes)
        return refuse(m, "cannot read", from);
    if (!ends(from, ".sed") && !ends(from, ".txt") && !ends(from, ".md")) {
        XXH3_64bits_update(m->hash, from + m->root, strlen(from + m->root) + 1);
        XXH3_64bits_update(m->hash, bytes, n);
    }
    char *old = dd_slurp(to, &n_old);
    const bool same = old && n_old == n && memcmp(old, bytes, n) == 0;
    const bool done = (same || dd_spill(to, bytes, n)) && chmod(to, mode & 0777) == 0;
    free(old);
    free(bytes);
    return done || refuse(m, "cannot write", to);
}

static bool copy_all(const mirror *m, const char *from, const char *to, bool top);

static bool copy_entry(const mirror *m, const char *from, const char *to)
{
    struct stat s;
    if (stat(from, &s) != 0)
        return refuse(m, "cannot look at", from);
    if (S_ISDIR(s.st_mode))
        return copy_all(m, from, to, false);
    return copy_file(m, from, to, s.st_mode);
}

/* What the original lacks goes. */
static bool prune(const mirror *m, const char *from, const char *to)
{
    struct dirent **entry;
    const int n = scandir(to, &entry, is_shown, alphasort);
    bool done = n >= 0 || refuse(m, "cannot read", to);
    for (int i = 0; i < n; i++) {
        char original[DD_FILE_PATH], copy[DD_FILE_PATH];
        if (done && access(dd_path(original, from, entry[i]->d_name), F_OK) != 0)
            done = remove_all(m, dd_path(copy, to, entry[i]->d_name));
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return done;
}

static bool copy_all(const mirror *m, const char *from, const char *to, bool top)
{
    if (mkdir(to, 0755) != 0 && errno != EEXIST)
        return refuse(m, "cannot make the folder", to);
    if (!prune(m, from, to))
        return false;
    struct dirent **entry;
    const int n = scandir(from, &entry, is_shown, alphasort);
    bool done = n >= 0 || refuse(m, "cannot read", from);
    for (int i = 0; i < n; i++) {
        char original[DD_FILE_PATH], copy[DD_FILE_PATH];
        if (done && is_source(entry[i]->d_name, top))
            done = copy_entry(m, dd_path(original, from, entry[i]->d_name),
                              dd_path(copy, to, entry[i]->d_name));
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return done;
}

bool dd_mirror(const char *from, const char *to, uint64_t *revision, char message[512])
{
    mirror m = {.root = strlen(from), .hash = XXH3_createState(), .message = message};
    if (!m.hash) {
        snprintf(message, 512, "no memory");
        return false;
    }
    XXH3_64bits_reset(m.hash);
    const bool done = copy_all(&m, from, to, true);
    *revision = XXH3_64bits_digest(m.hash);
    XXH3_freeState(m.hash);
    return done;
}
