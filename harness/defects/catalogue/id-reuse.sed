# A new sphere's thread is the one numbered by how many there are: after some have gone, that is
# another sphere's.
# catalogue: id-reuse
# source: control/formation.c
# caught: watchdog --workers 4 --timetable '0 spawn 0 2; 1 spawn 3 2; 1 terminate 0; 2 spawn 0 2'
s/^    uint32_t next = 0;$/    uint32_t next = 0;\n    for (uint32_t t = 0; t < team->n_slots; t++)\n        next += f->sphere_of[t] != DD_NO_SPHERE;/
s/^            while (f->sphere_of\[next\] != DD_NO_SPHERE)$/            if (s > 0 \&\& f->joins[s - 1])/
