/* SPDX-License-Identifier: MIT */
/*
 * mailbox.c - a ring under a lock.
 */
#include "fax/mailbox.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct mailbox {
    size_t size, most;  /* constant */
    mailbox_wake *wake; /* constant */
    void *user;         /* constant */

    pthread_mutex_t lock; /* of all below */
    uint8_t *ring;
    size_t capacity, first, count;
};

int mailbox_new(struct mailbox **out, size_t size, size_t most, mailbox_wake *wake, void *user)
{
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);

    if (mailbox == NULL)
        return ERROR_MEMORY;
    mailbox->size = size;
    mailbox->most = most;
    mailbox->wake = wake;
    mailbox->user = user;
    pthread_mutex_init(&mailbox->lock, NULL);
    *out = mailbox;
    return 0;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox->ring);
    free(mailbox);
}

static uint8_t *mailbox_place(const struct mailbox *mailbox, size_t i)
{
    return mailbox->ring + (mailbox->first + i) % mailbox->capacity * mailbox->size;
}

/* Doubles the ring; the lock is held. */
static int mailbox_grow(struct mailbox *mailbox)
{
    size_t capacity = mailbox->capacity == 0 ? 16 : mailbox->capacity * 2;
    uint8_t *ring;

    if (mailbox->count >= mailbox->most)
        return ERROR_FULL;
    if (capacity > mailbox->most)
        capacity = mailbox->most;
    ring = malloc(capacity * mailbox->size);
    if (ring == NULL)
        return ERROR_MEMORY;
    for (size_t i = 0; i < mailbox->count; i++)
        memcpy(ring + i * mailbox->size, mailbox_place(mailbox, i), mailbox->size);
    free(mailbox->ring);
    mailbox->ring = ring;
    mailbox->capacity = capacity;
    mailbox->first = 0;
    return 0;
}

int mailbox_post(struct mailbox *mailbox, const void *message)
{
    int rc = 0;
    bool was_empty;

    pthread_mutex_lock(&mailbox->lock);
    was_empty = mailbox->count == 0;
    if (mailbox->count == mailbox->capacity)
        rc = mailbox_grow(mailbox);
    if (rc == 0) {
        memcpy(mailbox_place(mailbox, mailbox->count), message, mailbox->size);
        mailbox->count++;
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (rc == 0 && was_empty && mailbox->wake != NULL)
        mailbox->wake(mailbox->user);
    return rc;
}

bool mailbox_take(struct mailbox *mailbox, void *message)
{
    bool taken = false;

    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->count > 0) {
        memcpy(message, mailbox_place(mailbox, 0), mailbox->size);
        mailbox->first = (mailbox->first + 1) % mailbox->capacity;
        mailbox->count--;
        taken = true;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return taken;
}
