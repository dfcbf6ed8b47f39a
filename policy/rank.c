/* SPDX-License-Identifier: MIT */
/*
 * rank.c - who makes room for whom.
 */
#include "policy/rank.h"

static int holder_of(const struct server_list *list, int rank, int but)
{
    int i;

    for (i = 0; i < list->count; i++)
        if (i != but && list->server[i].rank == rank)
            return i;
    return -1;
}

void rank_move(int out_rank[SERVER_COUNT_MAX], const struct server_list *list, int index, int rank)
{
    int step = rank > list->server[index].rank ? -1 : 1;
    int holder;
    int i;

    for (i = 0; i < list->count; i++)
        out_rank[i] = list->server[i].rank;
    out_rank[index] = rank;
    /* Ends at the latest at the rank that the moved server had. */
    while ((holder = holder_of(list, rank, index)) >= 0) {
        rank += step;
        out_rank[holder] = rank;
    }
}

int rank_last(const struct server_list *list)
{
    return list->count > 0 ? list->server[list->count - 1].rank + 1 : 1;
}
