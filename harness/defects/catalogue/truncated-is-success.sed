# A file that ends before all of it was read is taken as whole: the tokens that are missing are
# zeros.
# catalogue: truncated-is-success
# source: data/source.c
# caught: unit test_short_reads
s/^        } else if (n == 0) {$/&\n            break;/
