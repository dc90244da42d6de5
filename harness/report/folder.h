/* SPDX-License-Identifier: MIT
 * Taking back what was written into a folder that may hold a user's own files, too. */
#ifndef DD_FOLDER_H
#define DD_FOLDER_H

/* Removes the files of a folder whose names match one of the patterns (NULL ends them), then the
 * folder, if nothing else is in it. One that is not there is well; what lies behind a symbolic link
 * is left alone. */
void dd_folder_clear(const char *path, const char *const *patterns);

#endif
