/* SPDX-License-Identifier: MIT */
/*
 * disk_replay.c - objects are files and folders as inodes; each has what is durable of it and a
 * list of changes in the air. fsync() makes the list durable; a cut keeps some of it.
 */
#include "test/powerloss/disk_replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, NAME_MAX_HERE = 256 };

enum what { WHAT_DATA, WHAT_LENGTH, WHAT_NAME, WHAT_NO_NAME };

/* A change in the air. */
struct change {
    enum what what;
    int number;       /* of all changes ever; index of keep[] */
    int after;        /* kept only together with that one; -1 */
    bool whole;       /* and always together with it: a folder has one name */
    int64_t offset;   /* of data; or the length */
    uint32_t length;  /* of data */
    const char *data; /* in the log */
    const char *name; /* in the log, name_length long */
    uint32_t name_length;
    int object; /* that has the name from now on */
};

struct entry {
    char name[NAME_MAX_HERE];
    int object;
};

/* The contents of a folder or of a file. */
struct contents {
    struct entry *entries;
    int count;
    char *data;
    int64_t length;
};

struct object {
    uint64_t inode;
    bool folder;
    struct contents durable;
    struct change *changes;
    int count, room;
};

struct disk_replay {
    char *log;
    size_t length, at;
    struct object *objects; /* [0] is the folder that is watched */
    int count, room;
    bool *keep; /* by number of change: what is durable is kept */
    int numbers, keep_room;
};

static void *grown(void *list, int count, int *room, size_t size)
{
    if (count < *room)
        return list;
    *room = *room == 0 ? 16 : *room * 2;
    list = realloc(list, (size_t)*room * size);
    if (list == NULL)
        abort();
    return list;
}

/* ---- contents ----------------------------------------------------------------------------------
 */

static void set_length(struct contents *contents, int64_t length)
{
    if (length > contents->length) {
        contents->data = realloc(contents->data, (size_t)length);
        if (contents->data == NULL)
            abort();
        memset(contents->data + contents->length, 0, (size_t)(length - contents->length));
    }
    contents->length = length;
}

static void set_entry(struct contents *contents, const struct change *change)
{
    int i;

    for (i = 0; i < contents->count; i++)
        if (strlen(contents->entries[i].name) == change->name_length &&
            memcmp(contents->entries[i].name, change->name, change->name_length) == 0)
            break;
    if (change->what == WHAT_NO_NAME) {
        if (i < contents->count)
            contents->entries[i] = contents->entries[--contents->count];
        return;
    }
    if (i == contents->count) {
        contents->entries = realloc(contents->entries, (size_t)(i + 1) * sizeof *contents->entries);
        if (contents->entries == NULL || change->name_length >= NAME_MAX_HERE)
            abort();
        contents->count++;
        memcpy(contents->entries[i].name, change->name, change->name_length);
        contents->entries[i].name[change->name_length] = '\0';
    }
    contents->entries[i].object = change->object;
}

static void make_change(struct contents *contents, const struct change *change)
{
    switch (change->what) {
    case WHAT_DATA:
        if (change->offset + change->length > contents->length)
            set_length(contents, change->offset + change->length);
        memcpy(contents->data + change->offset, change->data, change->length);
        break;
    case WHAT_LENGTH: set_length(contents, change->offset); break;
    case WHAT_NAME:
    case WHAT_NO_NAME: set_entry(contents, change); break;
    }
}

static void free_contents(struct contents *contents)
{
    free(contents->entries);
    free(contents->data);
}

/* ---- objects -----------------------------------------------------------------------------------
 */

static int new_object(struct disk_replay *replay, uint64_t inode, bool folder)
{
    replay->objects = grown(replay->objects, replay->count, &replay->room, sizeof *replay->objects);
    replay->objects[replay->count] = (struct object){.inode = inode, .folder = folder};
    return replay->count++;
}

/* The youngest: the number of an inode that is gone comes again. -1: none that we know. */
static int find_object(const struct disk_replay *replay, uint64_t inode)
{
    int i = replay->count - 1;

    while (i >= 0 && replay->objects[i].inode != inode)
        i--;
    return i;
}

static int entry_of(const struct disk_replay *replay, int folder, const char *name, uint32_t length)
{
    const struct object *object = &replay->objects[folder];
    int found = -1;
    int i;

    for (i = 0; i < object->durable.count; i++)
        if (strlen(object->durable.entries[i].name) == length &&
            memcmp(object->durable.entries[i].name, name, length) == 0)
            found = object->durable.entries[i].object;
    for (i = 0; i < object->count; i++)
        if (object->changes[i].name_length == length &&
            memcmp(object->changes[i].name, name, length) == 0)
            found = object->changes[i].what == WHAT_NAME ? object->changes[i].object : -1;
    return found;
}

static int add_change(struct disk_replay *replay, int object_at, struct change change)
{
    struct object *object = &replay->objects[object_at];

    change.number = replay->numbers++;
    replay->keep = grown(replay->keep, change.number, &replay->keep_room, sizeof *replay->keep);
    replay->keep[change.number] = false;
    object->changes = grown(object->changes, object->count, &object->room, sizeof *object->changes);
    object->changes[object->count++] = change;
    return change.number;
}

static void add_write(struct disk_replay *replay, int object, const struct disk_record *record,
                      const char *data)
{
    int64_t at = record->offset;
    int64_t end = record->offset + record->data_length;

    while (at < end) {
        int64_t next = (at / SECTOR + 1) * SECTOR;
        struct change change = {.what = WHAT_DATA, .after = -1, .offset = at};

        if (next > end)
            next = end;
        change.length = (uint32_t)(next - at);
        change.data = data + (at - record->offset);
        add_change(replay, object, change);
        at = next;
    }
}

/* The change that has this number is made durable, wherever it is. */
static void settle(struct disk_replay *replay, int number);

static void settle_object(struct disk_replay *replay, int at)
{
    struct object *object = &replay->objects[at];
    int count = object->count;
    int i;

    object->count = 0;
    for (i = 0; i < count; i++) {
        make_change(&object->durable, &object->changes[i]);
        replay->keep[object->changes[i].number] = true;
    }
    for (i = 0; i < count; i++)
        if (object->changes[i].after >= 0 && !replay->keep[object->changes[i].after])
            settle(replay, object->changes[i].after);
}

/* The other half of a rename whose old name is durably gone. The changes before it in that folder
 * are taken along: it is the simplest state that has it. */
static void settle(struct disk_replay *replay, int number)
{
    int i;
    int k;

    for (i = 0; i < replay->count; i++)
        for (k = 0; k < replay->objects[i].count; k++)
            if (replay->objects[i].changes[k].number == number) {
                settle_object(replay, i);
                return;
            }
}

/* ---- the log -----------------------------------------------------------------------------------
 */

static void apply_name(struct disk_replay *replay, const struct disk_record *record,
                       const char *name)
{
    struct change change = {.what = WHAT_NAME, .after = -1, .name = name};
    int folder = find_object(replay, record->folder);

    change.name_length = record->name_length;
    if (folder < 0) { /* not below our folder; the inode may have been one of ours */
        change.object = record->kind == DISK_UNLINK ? -1 : find_object(replay, record->inode);
        if (change.object > 0 && record->kind != DISK_LINK)
            replay->objects[change.object].inode = 0;
        return;
    }
    if (record->kind == DISK_UNLINK)
        change.what = WHAT_NO_NAME;
    else if (record->kind == DISK_LINK)
        change.object = find_object(replay, record->inode);
    else
        change.object = new_object(replay, record->inode, record->kind == DISK_MKDIR);
    if (change.object < 0)
        abort();
    add_change(replay, folder, change);
}

static void apply_rename(struct disk_replay *replay, const struct disk_record *record,
                         const char *name, const char *name2)
{
    struct change to = {.what = WHAT_NAME, .after = -1, .name = name2};
    struct change from = {.what = WHAT_NO_NAME, .name = name};
    int folder = find_object(replay, record->folder);
    int folder2 = find_object(replay, record->folder2);

    if (folder < 0 && folder2 < 0)
        return;
    if (folder < 0 || folder2 < 0)
        abort(); /* what comes from elsewhere we cannot know */
    to.name_length = record->name2_length;
    from.name_length = record->name_length;
    to.object = entry_of(replay, folder, name, record->name_length);
    if (to.object < 0)
        abort();
    from.whole = replay->objects[to.object].folder;
    from.after = add_change(replay, folder2, to);
    add_change(replay, folder, from);
}

static void apply(struct disk_replay *replay, const struct disk_record *record, const char *name)
{
    const char *name2 = name + record->name_length;
    const char *data = name2 + record->name2_length;
    int object = find_object(replay, record->inode);
    int i;

    switch (record->kind) {
    case DISK_CREATE:
    case DISK_MKDIR:
    case DISK_LINK:
    case DISK_UNLINK: apply_name(replay, record, name); break;
    case DISK_RENAME: apply_rename(replay, record, name, name2); break;
    case DISK_WRITE:
        if (object >= 0)
            add_write(replay, object, record, data);
        break;
    case DISK_TRUNCATE:
        if (object >= 0)
            add_change(replay, object,
                       (struct change){.what = WHAT_LENGTH, .after = -1, .offset = record->offset});
        break;
    case DISK_SYNC:
        if (object >= 0)
            settle_object(replay, object);
        break;
    case DISK_SYNC_ALL:
        for (i = 0; i < replay->count; i++)
            settle_object(replay, i);
        break;
    case DISK_NOTE: break;
    default: abort();
    }
}

bool disk_replay_step(struct disk_replay *replay, const struct disk_record **out,
                      const char **out_data)
{
    static _Thread_local struct disk_record record;
    const char *name;
    size_t length;

    if (replay->length - replay->at < sizeof record)
        return false;
    memcpy(&record, replay->log + replay->at, sizeof record);
    name = replay->log + replay->at + sizeof record;
    length = sizeof record + record.name_length + record.name2_length + record.data_length;
    if (length > replay->length - replay->at)
        abort();
    apply(replay, &record, name);
    replay->at += length;
    if (out != NULL)
        *out = &record;
    if (out_data != NULL)
        *out_data = name + record.name_length + record.name2_length;
    return true;
}

/* ---- beginning ---------------------------------------------------------------------------------
 */

static char *read_all(const char *path, size_t *out_length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data;
    size_t used = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        abort();
    data = malloc((size_t)st.st_size + 1);
    while (data != NULL && used < (size_t)st.st_size) {
        ssize_t n = read(fd, data + used, (size_t)st.st_size - used);

        if (n <= 0)
            abort();
        used += (size_t)n;
    }
    close(fd);
    if (data == NULL)
        abort();
    *out_length = used;
    return data;
}

static void load(struct disk_replay *replay, int folder, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        abort();
    while ((entry = readdir(dir)) != NULL) {
        char below[4096];
        struct stat st;
        struct change change = {.what = WHAT_NAME, .name = entry->d_name};

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%.3000s/%s", path, entry->d_name);
        if (lstat(below, &st) < 0)
            abort();
        change.name_length = (uint32_t)strlen(entry->d_name);
        change.object = find_object(replay, st.st_ino);
        if (change.object < 0) {
            change.object = new_object(replay, st.st_ino, S_ISDIR(st.st_mode));
            if (S_ISDIR(st.st_mode)) {
                load(replay, change.object, below);
            } else {
                size_t length;
                char *data = read_all(below, &length);

                replay->objects[change.object].durable.data = data;
                replay->objects[change.object].durable.length = (int64_t)length;
            }
        }
        set_entry(&replay->objects[folder].durable, &change);
    }
    closedir(dir);
}

struct disk_replay *disk_replay_new_empty(const char *log_path, uint64_t inode)
{
    struct disk_replay *replay = calloc(1, sizeof *replay);

    if (replay == NULL)
        abort();
    replay->log = read_all(log_path, &replay->length);
    new_object(replay, inode, true);
    return replay;
}

struct disk_replay *disk_replay_new(const char *log_path, const char *folder)
{
    struct disk_replay *replay;
    struct stat st;

    if (stat(folder, &st) < 0)
        abort();
    replay = disk_replay_new_empty(log_path, st.st_ino);
    load(replay, 0, folder);
    return replay;
}

void disk_replay_free(struct disk_replay *replay)
{
    int i;

    if (replay == NULL)
        return;
    for (i = 0; i < replay->count; i++) {
        free_contents(&replay->objects[i].durable);
        free(replay->objects[i].changes);
    }
    free(replay->objects);
    free(replay->keep);
    free(replay->log);
    free(replay);
}

/* ---- states ------------------------------------------------------------------------------------
 */

int disk_replay_pending(const struct disk_replay *replay)
{
    int pending = 0;
    int i;

    for (i = 0; i < replay->count; i++)
        pending += replay->objects[i].count;
    return pending;
}

static uint64_t lot(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool is_kept(const struct change *change, int number, int place, bool small, unsigned odds,
                    uint64_t *seed)
{
    bool name = change->what == WHAT_NAME || change->what == WHAT_NO_NAME;

    if (small)
        return (number >> place & 1) != 0;
    switch (number) {
    case 0: return false;
    case 1: return true;
    case 2: return name;
    case 3: return !name;
    default: return lot(seed) % 100 < odds;
    }
}

void disk_replay_choose(struct disk_replay *replay, int number, uint64_t seed)
{
    static const unsigned odds[] = {10, 50, 90};
    bool small = disk_replay_is_small(replay);
    unsigned odd = odds[lot(&seed) % 3];
    int place = 0;
    int i;
    int k;

    for (i = 0; i < replay->count; i++)
        for (k = 0; k < replay->objects[i].count; k++) {
            const struct change *change = &replay->objects[i].changes[k];

            replay->keep[change->number] = is_kept(change, number, place++, small, odd, &seed);
        }
    /* A rename never loses both names. */
    for (i = 0; i < replay->count; i++)
        for (k = 0; k < replay->objects[i].count; k++) {
            const struct change *change = &replay->objects[i].changes[k];

            if (change->after >= 0 && (change->whole || !replay->keep[change->after]))
                replay->keep[change->number] = replay->keep[change->after];
        }
}

static struct contents chosen(const struct disk_replay *replay, const struct object *object)
{
    struct contents out = {0};
    int i;

    if (object->durable.count > 0) {
        out.entries = malloc((size_t)object->durable.count * sizeof *out.entries);
        if (out.entries == NULL)
            abort();
        memcpy(out.entries, object->durable.entries,
               (size_t)object->durable.count * sizeof *out.entries);
        out.count = object->durable.count;
    }
    set_length(&out, object->durable.length);
    if (object->durable.length > 0)
        memcpy(out.data, object->durable.data, (size_t)object->durable.length);
    for (i = 0; i < object->count; i++) {
        const struct change *change = &object->changes[i];

        if (replay->keep[change->number]) {
            make_change(&out, change);
        } else if (change->what == WHAT_DATA && change->number % 3 != 0) {
            /* The length alone was kept: of the contents there is nothing, or what lay there. */
            int64_t old = out.length;

            if (change->offset + change->length > old) {
                set_length(&out, change->offset + change->length);
                if (change->number % 3 == 1)
                    memset(out.data + old, 0xa5, (size_t)(out.length - old));
            }
        }
    }
    return out;
}

struct building {
    const struct disk_replay *replay;
    char (*paths)[512]; /* where each object stands already */
};

static void write_file(const char *path, const struct contents *contents)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || (contents->length > 0 && write(fd, contents->data, (size_t)contents->length) !=
                                               (ssize_t)contents->length))
        abort();
    close(fd);
}

static void build(struct building *building, int at, const char *path)
{
    const struct object *object = &building->replay->objects[at];
    struct contents contents;
    int i;

    if (building->paths[at][0] != '\0') {
        if (object->folder || link(building->paths[at], path) < 0)
            return; /* a folder has one name */
        return;
    }
    snprintf(building->paths[at], sizeof building->paths[at], "%s", path);
    contents = chosen(building->replay, object);
    if (!object->folder) {
        write_file(path, &contents);
    } else {
        if (at != 0 && mkdir(path, 0700) < 0)
            abort();
        for (i = 0; i < contents.count; i++) {
            char below[512];

            if (snprintf(below, sizeof below, "%.200s/%.300s", path, contents.entries[i].name) >=
                (int)sizeof below)
                abort();
            build(building, contents.entries[i].object, below);
        }
    }
    free_contents(&contents);
}

void disk_replay_build(const struct disk_replay *replay, const char *folder)
{
    struct building building = {replay, calloc((size_t)replay->count, 512)};

    if (building.paths == NULL)
        abort();
    build(&building, 0, folder);
    free(building.paths);
}
