/* SPDX-License-Identifier: MIT
 * How each library is loaded, held to an instruction set and one thread, and called. A process
 * loads only one of them: they share names. */
#include "peer_libraries.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* POSIX makes a function pointer of what dlsym returns; ISO C has no cast for it. */
static bool look_up(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static void *load_library(const char *file, char why[DD_PEER_WHY_MAX])
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        (void)snprintf(why, DD_PEER_WHY_MAX,
                       "%s cannot be loaded: scripts/setup.sh --peers installs it", file);
    return library;
}

static bool refuse(char why[DD_PEER_WHY_MAX], const char *file, const char *what)
{
    (void)snprintf(why, DD_PEER_WHY_MAX, "%s %s", file, what);
    return false;
}

/* What a library that goes by names of CPUs is to take this one for. Where there is AVX-512 they
 * are told, since they do not know every CPU that has it; elsewhere NULL: they choose. */
static const char *kind_of_cpu(const char *set, const char *with_avx2, const char *with_avx512)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return strcmp(set, "avx2") == 0 ? with_avx2 : with_avx512;
#endif
    (void)set;
    (void)with_avx2;
    (void)with_avx512;
    return NULL;
}

/* ---- OpenBLAS and BLIS: the C interface of the BLAS ---- */

enum { ROW_MAJOR = 101, PLAIN = 111, TURNED = 112 }; /* the interface's own numbers */

static void (*cblas_sgemm)(int layout, int turn_a, int turn_b, int M, int N, int K, float alpha,
                           const float *a, int lda, const float *b, int ldb, float beta, float *c,
                           int ldc);

static void cblas_multiply(const dd_gemm *g)
{
    cblas_sgemm(ROW_MAJOR, g->a_turned ? TURNED : PLAIN, g->b_turned ? TURNED : PLAIN, g->M, g->N,
                g->K, 1, g->a, g->a_turned ? g->M : g->K, g->b, g->b_turned ? g->K : g->N,
                g->add ? 1 : 0, g->c, g->N);
}

static bool openblas_load(const char *file, const char *set, char about[DD_PEER_WHY_MAX],
                          char why[DD_PEER_WHY_MAX])
{
    void (*set_threads)(int);
    char *(*config)(void), *(*core)(void);
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    const char *kind = kind_of_cpu(set, "Haswell", "SkylakeX");
    if (kind)
        (void)setenv("OPENBLAS_CORETYPE", kind, 1);
    void *library = load_library(file, why);
    if (!library)
        return false;
    if (!look_up(library, "openblas_get_config", &config) ||
        !look_up(library, "openblas_get_corename", &core) ||
        !look_up(library, "openblas_set_num_threads", &set_threads) ||
        !look_up(library, "cblas_sgemm", &cblas_sgemm))
        return refuse(why, file, "is no OpenBLAS");
    set_threads(1);
    (void)snprintf(about, DD_PEER_WHY_MAX, "%.15s for %s", config(), core());
    return true;
}

static bool blis_load(const char *file, const char *set, char about[DD_PEER_WHY_MAX],
                      char why[DD_PEER_WHY_MAX])
{
    enum { ARCHITECTURES = 16 };
    void (*init)(void);
    int (*query)(void);
    char *(*string)(int);
    const char *(*version)(void);
    (void)setenv("BLIS_NUM_THREADS", "1", 1);
    void *library = load_library(file, why);
    if (!library)
        return false;
    if (!look_up(library, "bli_init", &init) || !look_up(library, "bli_arch_query_id", &query) ||
        !look_up(library, "bli_arch_string", &string) ||
        !look_up(library, "bli_info_get_version_str", &version) ||
        !look_up(library, "cblas_sgemm", &cblas_sgemm))
        return refuse(why, file, "is no BLIS with a C interface");
    /* its kinds of CPU have numbers, which differ from version to version */
    const char *wanted = kind_of_cpu(set, "haswell", "skx");
    for (int i = 0; wanted && i < ARCHITECTURES; i++)
        if (strcmp(string(i), wanted) == 0) {
            char number[16];
            (void)snprintf(number, sizeof number, "%d", i);
            (void)setenv("BLIS_ARCH_TYPE", number, 1);
            break;
        }
    init(); /* looks at the environment */
    const char *kind = string(query());
    if (wanted && strcmp(kind, wanted) != 0)
        return refuse(why, file, "cannot be held to this instruction set");
    (void)snprintf(about, DD_PEER_WHY_MAX, "BLIS %s for %s", version(), kind);
    return true;
}

/* ---- oneDNN ---- */

static int (*dnnl_sgemm)(char turn_a, char turn_b, int64_t M, int64_t N, int64_t K, float alpha,
                         const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                         float *c, int64_t ldc);

static void dnnl_multiply(const dd_gemm *g)
{
    /* A failure leaves C as it is, which the comparison with sums in double finds. */
    (void)dnnl_sgemm(g->a_turned ? 'T' : 'N', g->b_turned ? 'T' : 'N', g->M, g->N, g->K, 1, g->a,
                     g->a_turned ? g->M : g->K, g->b, g->b_turned ? g->K : g->N, g->add ? 1 : 0,
                     g->c, g->N);
}

static bool dnnl_load(const char *file, const char *set, char about[DD_PEER_WHY_MAX],
                      char why[DD_PEER_WHY_MAX])
{
    struct version { /* the beginning of dnnl_version_t */
        int major, minor, patch;
    };
    const struct version *(*version)(void);
    (void)setenv("OMP_NUM_THREADS", "1", 1);
    const char *kind = kind_of_cpu(set, "AVX2", "ALL");
    if (kind)
        (void)setenv("DNNL_MAX_CPU_ISA", kind, 1);
    void *library = load_library(file, why);
    if (!library)
        return false;
    if (!look_up(library, "dnnl_version", &version) || !look_up(library, "dnnl_sgemm", &dnnl_sgemm))
        return refuse(why, file, "is no oneDNN");
    const struct version *v = version();
    (void)snprintf(about, DD_PEER_WHY_MAX, "oneDNN %d.%d.%d, instructions: %s", v->major, v->minor,
                   v->patch, kind ? kind : "its choice");
    return true;
}

const dd_library dd_libraries[DD_PEERS] = {
    {"OpenBLAS", "libopenblas.so.0", openblas_load, cblas_multiply},
    {"BLIS", "libblis.so.4", blis_load, cblas_multiply},
    {"oneDNN", "libdnnl.so.2", dnnl_load, dnnl_multiply},
};
