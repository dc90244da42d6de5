# Every control folds the root's nodes too, beside Node Zero, which does so as it must: over the
# same segments, at the same time. A torn or doubled gradient.
# catalogue: two-reducers
# source: control/members.c
# caught: explore wide-pthread-control RACE,CHECK
# caught: tsan --workers 4 --depth 2 --reduce control
# caught: serial --workers 4 --depth 2 --reduce control
s/^            dd_act_root_(self, root);$/&\n        (void)dd_combine_fold_control(f->combine, DD_NODE_ZERO, \&self->folder, \&root);/
