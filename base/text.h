/* SPDX-License-Identifier: MIT */
/*
 * text.h - small helpers for bounded text: copies, patterns, numbers with units.
 */
#ifndef FAXPOST_BASE_TEXT_H
#define FAXPOST_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies text into out[size], always ended by NUL. Returns false when it had to be cut. NULL text
 * reads as "". */
bool text_copy(char *out, size_t size, const char *text);

/* True when pattern (with '*' for any run of characters, all else literal, ASCII letters without
 * case) covers the whole of text. Linear in practice, never exponential. */
bool text_match(const char *pattern, const char *text);

/* The number of literal characters of a pattern: how exact it is. */
size_t text_match_weight(const char *pattern);

/* "300ms", "20s", "3min", "1h", "30d" → milliseconds. A bare number is refused, but "0" passes.
 * ERROR_FORMAT or ERROR_LIMIT. */
int text_duration(int64_t *out_ms, const char *text);

/* "1500", "64kB", "10MB", "2GB" (factors of 1024) → bytes. ERROR_FORMAT or ERROR_LIMIT. */
int text_size(int64_t *out_bytes, const char *text);

/* A whole decimal number with nothing around it. ERROR_FORMAT or ERROR_LIMIT. */
int text_number(int64_t *out, const char *text);

/* Replaces every octet outside printable ASCII by '?', in place; what T.30 calls a number or an
 * identity never holds more. Returns text. */
char *text_printable(char *text);

/* One character of UTF-8 (RFC 3629) at text: its length in octets, 0 for what is none (also the
 * begin of a character that is cut off). Never looks beyond a NUL. */
size_t text_character(const char *text, uint32_t *out_code);

/* False for controls and for what is invisible or turns the direction of what follows. */
bool text_character_is_shown(uint32_t code);

/* Like text_printable(), but characters of UTF-8 that are shown stay: for names of people. */
char *text_printable_utf8(char *text);

/* Takes the white space off both ends, in place; returns the first character kept. */
char *text_trim(char *text);

/* Takes the next item of a comma-separated list: *rest moves on; the item is trimmed into
 * out[size]. Returns false at the end of the list. Items too long are cut. */
bool text_list_next(const char **rest, char *out, size_t size);

#endif
