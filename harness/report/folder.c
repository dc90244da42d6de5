/* SPDX-License-Identifier: MIT
 * Removes by name, and not by way of a symbolic link. */
#include "folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stddef.h>
#include <unistd.h>

void dd_folder_clear(const char *path, const char *const *patterns)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        for (const char *const *p = patterns; *p; p++)
            if (fnmatch(*p, entry->d_name, 0) == 0)
                (void)unlinkat(fd, entry->d_name, 0);
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
    (void)rmdir(path);
}
