/* SPDX-License-Identifier: MIT */
/*
 * rank.h - the ranks of a server list when one server gets another one.
 */
#ifndef FAXPOST_POLICY_RANK_H
#define FAXPOST_POLICY_RANK_H

#include "policy/server.h"

/* The server at `index` of the list gets `rank`. Who holds it makes room by one towards the rank
 * that became free, and so on until nobody is in the way: ranks stay unique, the order of the
 * others stays, and nobody else is touched. */
void rank_move(int out_rank[SERVER_COUNT_MAX], const struct server_list *list, int index, int rank);

/* A rank behind all others; 1 for an empty list. */
int rank_last(const struct server_list *list);

#endif
