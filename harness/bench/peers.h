/* SPDX-License-Identifier: MIT
 * Other people's matrix products: OpenBLAS, BLIS and oneDNN, each in a child process of its own
 * with one thread and held to one instruction set. The libraries are looked up at run time, by
 * name. */
#ifndef DD_PEERS_H
#define DD_PEERS_H

#include "bench_case.h"

enum { DD_PEERS = 3, DD_PEER_WHY_MAX = 160 };

/* A peer's process. */
typedef struct dd_peer dd_peer;

const char *dd_peer_name(unsigned peer); /* "OpenBLAS" */

/* Starts peer number `peer`, limited to the instructions of `set`.
 * owns     *out on success, ended by dd_peer_close
 * returns  false: it cannot be had; why then says the reason, one line                     */
bool dd_peer_open(unsigned peer, const dd_kernels *set, dd_peer **out, char why[DD_PEER_WHY_MAX]);
void dd_peer_close(dd_peer *p); /* NULL allowed */

/* What the library says of itself: version and kind of CPU. */
const char *dd_peer_about(const dd_peer *p);

/* The child takes operands of the case's shape, multiplies, and compares some elements with sums in
 * double. requires a product (c->pass at most DD_PASS_WEIGHT)
 * returns  false: no memory, a wrong result or a child that ended; why says which          */
bool dd_peer_begin(dd_peer *p, const dd_case *c, char why[DD_PEER_WHY_MAX]);
/* Multiplies as dd_operands_time does, in the child.
 * returns  nanoseconds a call, NaN if the child ended; *peak: the FMA peak of `set` there and then
 */
double dd_peer_time(dd_peer *p, uint64_t at_least_ns, double *peak);

#endif
