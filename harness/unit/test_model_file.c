/* SPDX-License-Identifier: MIT
 * core/checkpoint: models in files. What is written reads back to the bit, in both directions and
 * in the layout that the formats have; half precision is widened exactly; what is no model, or not
 * dodeca's kind, is refused in one line; so is a file cut at any byte. */
#define _POSIX_C_SOURCE 200809L
#include "gpt2_names.h"
#include "hash.h"
#include "model_pieces.h"
#include "platform.h"
#include "safetensors.h"
#include "tensors.h"

#include "counted_alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/dodeca-test-model-file-XXXXXX";
static char path[sizeof folder + 16], second[sizeof folder + 16], config[sizeof folder + 16];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", folder);
    (void)snprintf(second, sizeof second, "%s/second", folder);
    (void)snprintf(config, sizeof config, "%s/config.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(second);
    return rmdir(folder);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static uint8_t *read_file(const char *name, size_t *n)
{
    struct stat about;
    assert_int_equal(stat(name, &about), 0);
    *n = (size_t)about.st_size;
    uint8_t *bytes = malloc(*n + 1);
    FILE *f = fopen(name, "rb");
    assert_non_null(bytes);
    assert_non_null(f);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void assert_says(const dd_error *error, const char *words)
{
    assert_null(strchr(error->message, '\n'));
    char list[512];
    (void)snprintf(list, sizeof list, "%s|%s", words, folder);
    char *rest = NULL;
    for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (!strstr(error->message, word))
            fail_msg("\"%s\" does not say \"%s\"", error->message, word);
}

static void assert_refused(const char *words)
{
    dd_model_file *m = NULL;
    dd_error error = {""};
    assert_int_equal(dd_model_file_open(path, &m, &error), DD_ERR_DATA);
    assert_null(m);
    assert_says(&error, words);
}

/* Weights that are all different, with a NaN that carries something, an infinity and a -0. */
static float *make_weights(const dd_shape *shape)
{
    const uint64_t n = dd_shape_n_parameters(shape);
    float *weights = malloc(n * sizeof *weights);
    assert_non_null(weights);
    for (uint64_t i = 0; i < n; i++)
        weights[i] = (float)i + 0.5f;
    const uint32_t nan = 0xffc12345;
    memcpy(&weights[1], &nan, sizeof nan);
    weights[2] = INFINITY;
    weights[3] = -0.0f;
    return weights;
}

static const dd_shape small = {.L = 2, .NH = 2, .C = 6, .V = 5, .T_max = 3};

/* The file at `path` is a model of this format and shape, and holds these weights. */
static void assert_model(dd_file_format format, const dd_shape *shape, const float *weights)
{
    dd_model_file *m;
    dd_error error = {""};
    if (dd_model_file_open(path, &m, &error) != DD_OK)
        fail_msg("%s", error.message);
    dd_model_file_info info;
    dd_model_file_info_get(m, &info);
    assert_int_equal(info.format, format);
    assert_memory_equal(&info.shape, shape, sizeof *shape);
    assert_int_equal(info.n_parameters, dd_shape_n_parameters(shape));
    assert_int_equal(info.padded_vocabulary,
                     format == DD_FILE_LLMC ? (shape->V + 127) / 128 * 128 : shape->V);
    assert_int_equal(info.step, 0);
    float *got = malloc(info.n_parameters * sizeof *got);
    assert_non_null(got);
    assert_int_equal(dd_model_file_read(m, got, &error), DD_OK);
    assert_memory_equal(got, weights, info.n_parameters * sizeof *got);
    free(got);
    dd_model_file_close(m);
}

/* ---- Reading as we like ---- */

static size_t piece_bytes = SIZE_MAX; /* most that one pread gives */
static int interruptions;             /* before the next that gives something */

ssize_t __real_pread(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at)
{
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    return __real_pread(fd, to, bytes < piece_bytes ? bytes : piece_bytes, at);
}

/* ---- Writing and reading ---- */

static void test_round_trips(void **state)
{
    (void)state;
    static const dd_shape shapes[] = {
        {.L = 2, .NH = 2, .C = 6, .V = 5, .T_max = 3},
        {.L = 1, .NH = 1, .C = 1, .V = 1, .T_max = 1},
        {.L = 11, .NH = 5, .C = 35, .V = 128, .T_max = 9},
        {.L = 3, .NH = 1, .C = 64, .V = 129, .T_max = 17},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
            float *weights = make_weights(&shapes[i]);
            dd_error error;
            assert_int_equal(dd_model_file_write(path, format, &shapes[i], weights, &error), DD_OK);
            assert_model(format, &shapes[i], weights);
            /* the same model makes the same bytes */
            assert_int_equal(dd_model_file_write(second, format, &shapes[i], weights, &error),
                             DD_OK);
            size_t n, m;
            uint8_t *a = read_file(path, &n), *b = read_file(second, &m);
            assert_int_equal(n, m);
            assert_memory_equal(a, b, n);
            free(a);
            free(b);
            free(weights);
        }
    assert_int_equal(n_live, 0);
}

static void test_hub_layout(void **state)
{
    (void)state;
    const dd_shape s = small;
    dd_layout layout;
    dd_layout_make(&s, &layout);
    float *weights = make_weights(&s);
    dd_error error;
    assert_int_equal(dd_model_file_write(path, DD_FILE_SAFETENSORS, &s, weights, &error), DD_OK);
    dd_safetensors *file;
    assert_int_equal(dd_safetensors_open(path, &file, &error), DD_OK);
    assert_int_equal(dd_safetensors_n(file), 4 + 12 * 2);
    assert_string_equal(dd_safetensors_metadata(file, "format"), "pt");
    assert_string_equal(dd_safetensors_metadata(file, "n_head"), "2");
    static const struct {
        const char *name;
        dd_tensor tensor;
        uint32_t layer, rows, columns; /* in the file */
        bool transposed;
    } expected[] = {
        {"wte.weight", DD_WTE, 0, 5, 6, false},
        {"wpe.weight", DD_WPE, 0, 3, 6, false},
        {"h.1.ln_1.weight", DD_LN1W, 1, 0, 6, false},
        {"h.1.ln_1.bias", DD_LN1B, 1, 0, 6, false},
        {"h.1.attn.c_attn.weight", DD_QKVW, 1, 6, 18, true},
        {"h.0.attn.c_attn.bias", DD_QKVB, 0, 0, 18, false},
        {"h.1.attn.c_proj.weight", DD_ATTPROJW, 1, 6, 6, true},
        {"h.1.attn.c_proj.bias", DD_ATTPROJB, 1, 0, 6, false},
        {"h.0.ln_2.weight", DD_LN2W, 0, 0, 6, false},
        {"h.0.ln_2.bias", DD_LN2B, 0, 0, 6, false},
        {"h.1.mlp.c_fc.weight", DD_FCW, 1, 6, 24, true},
        {"h.1.mlp.c_fc.bias", DD_FCB, 1, 0, 24, false},
        {"h.1.mlp.c_proj.weight", DD_FCPROJW, 1, 24, 6, true},
        {"h.1.mlp.c_proj.bias", DD_FCPROJB, 1, 0, 6, false},
        {"ln_f.weight", DD_LNFW, 0, 0, 6, false},
        {"ln_f.bias", DD_LNFB, 0, 0, 6, false},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const dd_safetensor *t = dd_safetensors_find(file, expected[i].name);
        assert_non_null(t);
        const uint32_t rows = expected[i].rows ? expected[i].rows : 1;
        const uint32_t columns = expected[i].columns;
        assert_int_equal(t->n_dims, expected[i].rows ? 2 : 1);
        assert_int_equal(t->dim[t->n_dims - 1], columns);
        assert_true(t->n_dims == 1 || t->dim[0] == rows);
        float values[24 * 24];
        assert_int_equal(dd_safetensors_read(file, t, 0, t->bytes, values, &error), DD_OK);
        const float *w = weights + dd_layout_layer(&layout, expected[i].tensor, expected[i].layer);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t c = 0; c < columns; c++) {
                const float *want = w + (expected[i].transposed ? c * rows + r : r * columns + c);
                assert_memory_equal(&values[r * columns + c], want, sizeof *want);
            }
    }
    dd_safetensors_close(file);
    free(weights);
}

static void test_llmc_layout(void **state)
{
    (void)state;
    const dd_shape s = small;
    const uint64_t n = dd_shape_n_parameters(&s);
    float *weights = make_weights(&s);
    dd_error error;
    assert_int_equal(dd_model_file_write(path, DD_FILE_LLMC, &s, weights, &error), DD_OK);
    size_t bytes;
    uint8_t *file = read_file(path, &bytes);
    assert_int_equal(bytes, 1024 + 4 * (n + (128 - 5) * 6));
    const int32_t header[256] = {20240326, 3, 3, 5, 2, 2, 6, 128};
    assert_memory_equal(file, header, sizeof header);
    assert_memory_equal(file + 1024, weights, 4 * 5 * 6);
    for (size_t i = 1024 + 4 * 5 * 6; i < 1024 + 4 * 128 * 6; i++)
        assert_int_equal(file[i], 0);
    assert_memory_equal(file + 1024 + 4 * 128 * 6, weights + 5 * 6, 4 * (n - 5 * 6));
    free(file);
    free(weights);
}

/* Tiles of matrices that are larger than one, and no multiple of it. */
static void test_large_matrix(void **state)
{
    (void)state;
    enum { ROWS = 35, COLUMNS = (1 << 14) + 3, AT = 20, N = ROWS * COLUMNS };
    float *w = malloc(2 * N * sizeof *w), *got = w + N;
    assert_non_null(w);
    for (int i = 0; i < N; i++)
        w[i] = (float)i;
    const dd_model_piece piece = {
        .rows = ROWS, .columns = COLUMNS, .offset = AT, .transposed = true};
    dd_whole_file *file;
    dd_input_file in;
    dd_error error;
    assert_int_equal(dd_whole_file_create(path, &file, &error), DD_OK);
    assert_int_equal(dd_model_pieces_write(file, &piece, 1, w, &error), DD_OK);
    assert_int_equal(dd_whole_file_commit(file, 1, &error), DD_OK);
    size_t bytes;
    uint8_t *raw = read_file(path, &bytes);
    assert_int_equal(bytes, AT + N * sizeof *w);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++)
            if (memcmp(raw + AT + (size_t)(r * COLUMNS + c) * 4, &w[c * ROWS + r], 4) != 0)
                fail_msg("row %d, column %d", r, c);
    assert_int_equal(dd_input_file_open(path, &in, &error), DD_OK);
    assert_int_equal(dd_model_pieces_read(&in, &piece, 1, got, &error), DD_OK);
    assert_memory_equal(got, w, N * sizeof *w);
    dd_input_file_close(&in);
    free(raw);
    free(w);
}

/* Every half, against what IEEE 754 and bfloat16 say it is. */
static void test_half_precision(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    static uint16_t half[N];
    static float got[2][N];
    for (uint32_t i = 0; i < N; i++)
        half[i] = (uint16_t)i;
    write_file(path, half, sizeof half);
    dd_input_file in;
    dd_error error;
    assert_int_equal(dd_input_file_open(path, &in, &error), DD_OK);
    for (int b = 0; b < 2; b++) {
        const dd_model_piece piece = {
            .rows = 1, .columns = N, .dtype = b ? DD_DTYPE_BF16 : DD_DTYPE_F16};
        assert_int_equal(dd_model_pieces_read(&in, &piece, 1, got[b], &error), DD_OK);
    }
    dd_input_file_close(&in);
    for (uint32_t i = 0; i < N; i++) {
        const int e = (int)(i >> 10 & 31), f = (int)(i & 1023);
        double want = e == 31 ? (f ? (double)NAN : (double)INFINITY)
                      : e     ? ldexp(1024 + f, e - 25)
                              : ldexp(f, -24);
        want = i >> 15 ? -want : want;
        uint32_t bits;
        memcpy(&bits, &got[0][i], sizeof bits);
        if (isnan(want)) { /* the payload stays, at the top */
            assert_true(isnan(got[0][i]));
            assert_int_equal(bits, i >> 15 << 31 | 0x7f800000 | (uint32_t)f << 13);
        } else {
            assert_true((double)got[0][i] == want);
            assert_int_equal(bits >> 31, i >> 15);
        }
        memcpy(&bits, &got[1][i], sizeof bits);
        assert_int_equal(bits, i << 16);
    }
}

/* ---- Files of model hubs ---- */

typedef enum kind { PLAIN, DROP, RENAME, DTYPE, DIM, ADD } kind;

/* Writes a container of `small`'s tensors, of which one is changed, in a type that may be half, all
 * bytes of weights being 0. */
typedef struct edit {
    kind kind;
    const char *name; /* which; of what is added the new one's */
    const char *to;   /* a new name */
    uint64_t value;   /* a new dtype, or dimension 0 */
} edit;

static void compose(const dd_shape *shape, dd_dtype dtype, const char *prefix, const edit *e,
                    size_t n_edits, const char *n_head)
{
    dd_safetensor *made;
    dd_gpt2_name *made_name;
    dd_model_piece *piece;
    uint32_t n;
    dd_error error;
    assert_int_equal(dd_gpt2_names_make(shape, &made, &made_name, &piece, &n, &error), DD_OK);
    dd_safetensor tensor[64];
    char name[64][64];
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        dd_safetensor t = made[i];
        bool dropped = false;
        t.dtype = dtype;
        (void)snprintf(name[m], sizeof name[m], "%s%s", prefix, made[i].name);
        for (size_t k = 0; k < n_edits; k++) {
            if (strcmp(e[k].name, made[i].name) != 0)
                continue;
            dropped |= e[k].kind == DROP;
            if (e[k].kind == RENAME)
                (void)snprintf(name[m], sizeof name[m], "%s%s", prefix, e[k].to);
            if (e[k].kind == DTYPE)
                t.dtype = (dd_dtype)e[k].value;
            if (e[k].kind == DIM)
                t.dim[0] = e[k].value;
        }
        t.name = name[m];
        if (!dropped)
            tensor[m++] = t;
    }
    for (size_t k = 0; k < n_edits; k++)
        if (e[k].kind == ADD) {
            tensor[m] = (dd_safetensor){
                .name = e[k].name, .dtype = dtype, .n_dims = 2, .dim = {e[k].value, shape->C}};
            m++;
        }
    const dd_safetensors_pair pair = {"n_head", n_head};
    char *header;
    size_t size;
    assert_int_equal(
        dd_safetensors_header(tensor, m, &pair, n_head != NULL, &header, &size, &error), DD_OK);
    write_file(path, header, size);
    assert_int_equal(truncate(path, (off_t)(tensor[m - 1].offset + tensor[m - 1].bytes)), 0);
    dd_free(header);
    dd_free(made);
    dd_free(made_name);
    dd_free(piece);
}

static void test_hub_variants(void **state)
{
    (void)state;
    float *zeros = calloc(dd_shape_n_parameters(&small), sizeof *zeros);
    assert_non_null(zeros);
    compose(&small, DD_DTYPE_F32, "", NULL, 0, "2");
    assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    compose(&small, DD_DTYPE_F16, "transformer.", NULL, 0, "2");
    assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    compose(&small, DD_DTYPE_BF16, "", NULL, 0, "2");
    assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    static const edit buffers[] = {{ADD, "h.0.attn.bias", NULL, 1},
                                   {ADD, "h.1.attn.bias", NULL, 4},
                                   {ADD, "h.1.attn.masked_bias", NULL, 1},
                                   {ADD, "lm_head.weight", NULL, 5}};
    compose(&small, DD_DTYPE_F32, "", buffers, 4, "2");
    assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    static const edit prefixed[] = {{ADD, "transformer.h.0.attn.bias", NULL, 1},
                                    {ADD, "lm_head.weight", NULL, 5}};
    compose(&small, DD_DTYPE_F32, "transformer.", prefixed, 2, "2");
    assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    static const edit mixed[] = {{DTYPE, "h.0.mlp.c_fc.weight", NULL, DD_DTYPE_BF16},
                                 {DTYPE, "ln_f.bias", NULL, DD_DTYPE_F16}};
    compose(&small, DD_DTYPE_F32, "", mixed, 2, "2");
    assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    free(zeros);
    assert_int_equal(n_live, 0);
}

static void test_bad_hub_files(void **state)
{
    (void)state;
    static const struct {
        edit edit;
        const char *words;
    } bad[] = {
        {{DROP, "wte.weight", NULL, 0}, "no tensor \"wte.weight\""},
        {{DROP, "wpe.weight", NULL, 0}, "no tensor \"wpe.weight\""},
        {{DROP, "h.0.ln_1.weight", NULL, 0}, "no tensor \"h.0.ln_1.weight\""},
        {{DROP, "h.1.ln_1.weight", NULL, 0}, "\"h.1.ln_1.bias\"|none that GPT-2 with 1 layer has"},
        {{DROP, "h.1.mlp.c_fc.bias", NULL, 0}, "has 27 tensors, GPT-2 with 2 layers has 28"},
        {{RENAME, "h.1.mlp.c_fc.bias", "h.1.mlp.c_fb.bias", 0}, "no tensor \"h.1.mlp.c_fc.bias\""},
        {{RENAME, "ln_f.bias", "transformer.ln_f.bias", 0}, "no tensor \"ln_f.bias\""},
        {{ADD, "h.2.attn.bias", NULL, 1}, "\"h.2.attn.bias\"|is none that GPT-2 with 2 layers has"},
        {{ADD, "h.01.attn.bias", NULL, 1}, "\"h.01.attn.bias\"|is none"},
        {{ADD, "h.1.attn.biases", NULL, 1}, "\"h.1.attn.biases\"|is none"},
        {{ADD, "extra", NULL, 1}, "\"extra\"|is none that GPT-2"},
        {{ADD, "lm_head.weight", NULL, 6}, "\"lm_head.weight\"|another type or shape"},
        {{DIM, "wte.weight", NULL, 0}, "\"wte.weight\"|two dimensions"},
        {{DIM, "h.0.attn.c_attn.weight", NULL, 7},
         "\"h.0.attn.c_attn.weight\"|is (7, 18), must be (6, 18)"},
        {{DIM, "h.1.ln_2.bias", NULL, 5}, "\"h.1.ln_2.bias\"|is (5), must be (6)"},
        {{DIM, "ln_f.weight", NULL, 0}, "\"ln_f.weight\"|is (0), must be (6)"},
        {{DTYPE, "h.1.ln_2.bias", NULL, DD_DTYPE_F64}, "\"h.1.ln_2.bias\"|is F64|rounding"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        compose(&small, DD_DTYPE_F32, "", &bad[i].edit, 1, "2");
        assert_refused(bad[i].words);
    }
    static const edit two_heads = {ADD, "lm_head.weight", NULL, 5};
    compose(&small, DD_DTYPE_F32, "", &two_heads, 1, "2");
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    assert_int_equal(fputc(1, f), 1);
    fclose(f);
    dd_model_file *m;
    dd_error error;
    float weights[4096];
    assert_true(dd_shape_n_parameters(&small) <= 4096);
    assert_int_equal(dd_model_file_open(path, &m, &error), DD_OK);
    assert_int_equal(dd_model_file_read(m, weights, &error), DD_ERR_DATA);
    assert_says(&error, "lm_head.weight|untied");
    dd_model_file_close(m);
    assert_int_equal(n_live, 0);
}

/* ---- The number of heads ---- */

static void test_heads(void **state)
{
    (void)state;
    static const char *const metadata[] = {"0", "4", "12", "-2", "2 ", "", "2.0", "4294967298"};
    for (size_t i = 0; i < sizeof metadata / sizeof *metadata; i++) {
        compose(&small, DD_DTYPE_F32, "", NULL, 0, metadata[i]);
        assert_refused("its metadata|n_head must be a whole number that divides the 6 channels");
    }
    compose(&small, DD_DTYPE_F32, "", NULL, 0, NULL);
    assert_refused("nothing tells its number of heads|config.json");
    static const struct {
        const char *text, *words; /* NULL: taken */
    } configs[] = {
        {"{\"n_head\":2}", NULL},
        {"{\"n_head\":2,\"n_layer\":2,\"n_embd\":6,\"vocab_size\":5,\"n_positions\":3,"
         "\"activation_function\":\"gelu_new\",\"layer_norm_epsilon\":1e-5}",
         NULL},
        {"{\"n_head\":4}", "config.json|n_head must be a whole number that divides"},
        {"{\"n_head\":\"2\"}", "n_head must be a whole number"},
        {"{\"n_head\":2.0}", "n_head must be a whole number"},
        {"{\"n_head\":2,\"n_layer\":3}", "config.json|n_layer is 3, but the tensors say 2"},
        {"{\"n_head\":2,\"n_embd\":12}", "n_embd is 12, but the tensors say 6"},
        {"{\"n_head\":2,\"vocab_size\":6}", "vocab_size is 6, but the tensors say 5"},
        {"{\"n_head\":2,\"n_positions\":-1}", "n_positions is -1, but the tensors say 3"},
        {"{\"n_head\":2,\"activation_function\":\"relu\"}", "activation_function is \"relu\""},
        {"{\"n_head\":2,\"layer_norm_epsilon\":1e-6}", "layer_norm_epsilon is 1e-06"},
        {"{\"n_head\":2,\"scale_attn_weights\":false}", "scale_attn_weights must be true"},
        {"{\"n_layer\":2}", "nothing tells its number of heads"},
        {"[2]", "config.json|is no JSON object"},
        {"{\"n_head\":2,\"n_head\":2}", "is no JSON object|duplicate"},
        {"", "is no JSON object"},
    };
    float *zeros = calloc(dd_shape_n_parameters(&small), sizeof *zeros);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        write_file(config, configs[i].text, strlen(configs[i].text));
        if (configs[i].words)
            assert_refused(configs[i].words);
        else
            assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    }
    unlink(config);
    assert_int_equal(mkdir(config, 0777), 0);
    assert_refused("config.json: is a directory");
    rmdir(config);
    free(zeros);
    /* 64 channels each */
    static const dd_shape wide = {.L = 1, .NH = 2, .C = 128, .V = 2, .T_max = 2};
    compose(&wide, DD_DTYPE_F32, "", NULL, 0, NULL);
    zeros = calloc(dd_shape_n_parameters(&wide), sizeof *zeros);
    assert_model(DD_FILE_SAFETENSORS, &wide, zeros);
    free(zeros);
    assert_int_equal(n_live, 0);
}

/* ---- llm.c, and all formats ---- */

static void test_bad_llmc(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    assert_int_equal(dd_model_file_write(path, DD_FILE_LLMC, &small, weights, &error), DD_OK);
    size_t n;
    uint8_t *good = read_file(path, &n);
    static const struct {
        int word;
        int32_t value;
        const char *words;
    } bad[] = {
        {0, 20240520, "token shard of llm.c, not a model"},
        {1, 5, "byte 4|version is 5, weights in BF16; only 3 is read"},
        {1, 1, "byte 4|version is 1; only 3"},
        {2, 0, "byte 8|positions: is 0, must be at least 1"},
        {3, -5, "byte 12|vocabulary: is -5"},
        {4, 0, "byte 16|layers"},
        {4, INT32_MAX, "sizes are at most 2^24"},
        {5, 0, "byte 20|heads"},
        {5, 4, "C a multiple of NH"},
        {6, INT32_MIN, "byte 24|channels"},
        {6, 1 << 24, "parameters 2^43"},
        {7, 4, "byte 28|padded vocabulary is 4, less than the vocabulary of 5"},
        {7, 127, "bytes past its end"},
        {7, 129, "truncated"},
        {3, 129, "less than the vocabulary of 129"},
        {2, 4, "make|bytes, but the file has|truncated"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t *bytes = malloc(n);
        assert_non_null(bytes);
        memcpy(bytes, good, n);
        memcpy(bytes + 4 * bad[i].word, &bad[i].value, 4);
        write_file(path, bytes, n);
        free(bytes);
        assert_refused(bad[i].words);
    }
    free(good);
    free(weights);
}

static void test_truncated(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        assert_int_equal(dd_model_file_write(path, format, &small, weights, &error), DD_OK);
        size_t n;
        uint8_t *bytes = read_file(path, &n);
        for (size_t cut = n - 1; cut < n; cut--) { /* to 0 */
            assert_int_equal(truncate(path, (off_t)cut), 0);
            assert_refused(cut ? "" : "is empty");
        }
        bytes[n] = 0;
        write_file(path, bytes, n + 1);
        assert_refused("");
        free(bytes);
    }
    free(weights);
    unlink(path);
    assert_refused("cannot be opened: No such file");
}

/* Bytes that come few at a time, and calls that signals interrupt, leave no trace. */
static void test_short_reads(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        assert_int_equal(dd_model_file_write(path, format, &small, weights, &error), DD_OK);
        for (piece_bytes = 1; piece_bytes < 8; piece_bytes += 2) {
            interruptions = 100;
            assert_model(format, &small, weights);
            assert_int_equal(interruptions, 0);
        }
        piece_bytes = SIZE_MAX;
    }
    free(weights);
}

/* What was open shrinks: an error, no fault. */
static void test_shrunk(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        assert_int_equal(dd_model_file_write(path, format, &small, weights, &error), DD_OK);
        struct stat about;
        assert_int_equal(stat(path, &about), 0);
        dd_model_file *m;
        assert_int_equal(dd_model_file_open(path, &m, &error), DD_OK);
        assert_int_equal(truncate(path, about.st_size - 1), 0);
        assert_int_equal(dd_model_file_read(m, weights, &error), DD_ERR_DATA);
        assert_says(&error, "shrank");
        dd_model_file_close(m);
    }
    free(weights);
    assert_int_equal(n_live, 0);
}

static void test_bad_writing(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    unlink(path);
    assert_int_equal(dd_model_file_write(path, DD_FILE_CHECKPOINT, &small, weights, &error),
                     DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "\"checkpoint\""));
    const dd_shape odd = {.L = 1, .NH = 4, .C = 6, .V = 5, .T_max = 3};
    assert_int_equal(dd_model_file_write(path, DD_FILE_LLMC, &odd, weights, &error),
                     DD_ERR_ARGUMENT);
    char none[sizeof folder + 32];
    (void)snprintf(none, sizeof none, "%s/none/file", folder);
    assert_int_equal(dd_model_file_write(none, DD_FILE_LLMC, &small, weights, &error), DD_ERR_DATA);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(dd_model_file_open(NULL, NULL, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_model_file_read(NULL, weights, &error), DD_ERR_ARGUMENT);
    assert_string_equal(dd_file_format_name(DD_FILE_LLMC), "llm.c");
    assert_string_equal(dd_file_format_name(DD_FILE_FORMATS), "unknown");
    dd_model_file_close(NULL);
    free(weights);
}

/* Every allocation of writing and reading fails once. */
static void test_without_memory(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        unlink(path);
        dd_status st;
        long failures = 0;
        for (;; failures++) { /* one later each time, until there is none left to fail */
            dd_error error = {""};
            dd_model_file *m = NULL;
            n_allocations = 0;
            fail_at = failures;
            st = dd_model_file_write(path, format, &small, weights, &error);
            if (st == DD_OK)
                st = dd_model_file_open(path, &m, &error);
            if (st == DD_OK)
                st = dd_model_file_read(m, weights, &error);
            dd_model_file_close(m);
            assert_int_equal(n_live, 0);
            if (st == DD_OK)
                break;
            assert_int_equal(st, DD_ERR_MEMORY);
            assert_non_null(strstr(error.message, "out of memory"));
        }
        fail_at = -1;
        assert_true(failures >= 5);
    }
    free(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),    cmocka_unit_test(test_hub_layout),
        cmocka_unit_test(test_llmc_layout),    cmocka_unit_test(test_large_matrix),
        cmocka_unit_test(test_half_precision), cmocka_unit_test(test_hub_variants),
        cmocka_unit_test(test_bad_hub_files),  cmocka_unit_test(test_heads),
        cmocka_unit_test(test_bad_llmc),       cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_short_reads),    cmocka_unit_test(test_shrunk),
        cmocka_unit_test(test_bad_writing),    cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
