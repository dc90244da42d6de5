/* SPDX-License-Identifier: MIT
 * core/checkpoint: models as hubs hold them. Prefixes, half precision and buffers are taken; what
 * is no GPT-2, or tells no number of heads, is refused in one line. */
#define _POSIX_C_SOURCE 200809L
#include "counted_alloc.h"
#include "gpt2_names.h"
#include "model_fixture.h"
#include "model_pieces.h"
#include "platform.h"
#include "safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Tensors ---- */

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
    write_file(one_file, header, size);
    assert_int_equal(truncate(one_file, (off_t)(tensor[m - 1].offset + tensor[m - 1].bytes)), 0);
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
    FILE *f = fopen(one_file, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -1, SEEK_END), 0);
    assert_int_equal(fputc(1, f), 1);
    fclose(f);
    dd_model_file *m;
    dd_error error;
    float weights[4096];
    assert_true(dd_shape_n_parameters(&small) <= 4096);
    assert_int_equal(dd_model_file_open(one_file, &m, &error), DD_OK);
    assert_int_equal(dd_model_file_read(m, weights, &error), DD_ERR_DATA);
    assert_says(&error, "lm_head.weight|untied");
    dd_model_file_close(m);
    assert_int_equal(n_live, 0);
}

/* ---- The number of heads ---- */

static const char *config(void)
{
    return file_named("config.json");
}

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
        write_file(config(), configs[i].text, strlen(configs[i].text));
        if (configs[i].words)
            assert_refused(configs[i].words);
        else
            assert_model(DD_FILE_SAFETENSORS, &small, zeros);
    }
    unlink(config());
    assert_int_equal(mkdir(config(), 0777), 0);
    assert_refused("config.json: is a directory");
    rmdir(config());
    free(zeros);
    /* 64 channels each */
    static const dd_shape wide = {.L = 1, .NH = 2, .C = 128, .V = 2, .T_max = 2};
    compose(&wide, DD_DTYPE_F32, "", NULL, 0, NULL);
    zeros = calloc(dd_shape_n_parameters(&wide), sizeof *zeros);
    assert_model(DD_FILE_SAFETENSORS, &wide, zeros);
    free(zeros);
    assert_int_equal(n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hub_variants),
        cmocka_unit_test(test_bad_hub_files),
        cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
