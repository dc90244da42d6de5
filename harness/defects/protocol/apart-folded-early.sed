# Lanes that are to stay apart are folded before Point B, where one worker has both.
# source: sync/plan.c
# caught: explore step-pthread-owner CHECK
s/const bool shared = t->low != t->high || is_apart(b);/const bool shared = t->low != t->high;/
