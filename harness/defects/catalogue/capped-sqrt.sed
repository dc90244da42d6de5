# The square root in the update is Newton's, stopped after ten steps: that of 1e-8 comes out ten
# times too large.
# catalogue: capped-sqrt
# source: kernels/reference.c
# caught: serial --workers 1 --simd off
# caught: unit test_kernels
s/^static void adamw(size_t n, float \*w, /static float newton(float x)\n{\n    float y = 1.0f;\n    for (int i = 0; i < 10; i++)\n        y = 0.5f * (y + x \/ y);\n    return y;\n}\n\n&/
s/^        float u = (m\[i\] \* opt->r1) \/ (sqrtf(v\[i\] \* opt->r2) + opt->eps);$/        float u = (m[i] * opt->r1) \/ (newton(v[i] * opt->r2) + opt->eps);/
