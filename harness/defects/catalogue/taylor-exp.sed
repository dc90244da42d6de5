# exp as a Taylor series of fifteen terms around zero, without reducing the argument: below -5 it
# is far off, and negative.
# catalogue: taylor-exp
# source: kernels/elementary.h
# caught: unit test_elementary
# caught: serial --workers 1 --simd off
/^static inline float dd_exp(float x)$/,/^}/s/^    float t = __builtin_fmaf(x, DD_LOG2E_F32, DD_MAGIC_F32);$/    float taylor = 1.0f, term = 1.0f;\n    for (int k = 1; k < 15; k++) {\n        term = term * (x \/ (float)k);\n        taylor = taylor + term;\n    }\n    if (taylor == taylor)\n        return taylor;\n&/
