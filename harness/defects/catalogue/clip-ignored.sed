# Clipping is read, checked, and used nowhere.
# catalogue: config-ignored
# source: model/adamw.c
# caught: serial --workers 1 --grad-clip 0.1
s/^    if (grad_clip == 0 || norm <= grad_clip)$/    if (grad_clip >= 0 || norm <= grad_clip)/
