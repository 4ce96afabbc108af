// What an applicability plugin in C has to have, and what it can use.
//
// The C library is at hand as far as it needs no operating system: <string.h>, <stdlib.h>, snprintf. Memory that is asked for
// stays until it is freed; the agent ends the plugin after every scan.
#ifndef FARRIER_H
#define FARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a scan says of one software update on one client.
typedef enum {
  FARRIER_NOT_REQUIRED = 0,  // Nothing of it concerns this client.
  FARRIER_INSTALLED = 1,     // It, or something newer, is installed.
  FARRIER_REQUIRED = 2,      // It is applicable and missing.
  FARRIER_UNKNOWN = 3,       // It cannot be told.
} farrier_state;

// Why an update has its state.
typedef struct {
  char subject[97];  // The thing on the client: `libssl3`.
  char detail[193];  // The reason in words: `3.0.15 is older than 3.0.17`.
} farrier_finding;

// ---- What the plugin has to have.

// The catalogs that concern this client; the last entry is NULL.
extern const char *const plugin_scopes[];

// Reads the facts that the rules need, once. If that cannot be done, say why with farrier_fail and return false: every
// update is then unknown.
bool plugin_open(void);

// The state of the update of one rule. The rule ends in a zero byte that is not part of its length. What cannot be
// understood is FARRIER_UNKNOWN, after farrier_fail.
farrier_state plugin_evaluate(const char *rule, size_t length);

// Why it has that state.
void plugin_explain(const char *rule, size_t length, farrier_finding *finding);

// ---- What it can use. What may not be read fails like what is not there: ask farrier_is_missing before you take it for
// not there. Only what is certainly missing is FARRIER_NOT_REQUIRED; all else is FARRIER_UNKNOWN.

// A whole file, with a zero byte behind it; NULL if it cannot be read, then farrier_error says why. Free it.
char *farrier_read(const char *path, size_t *length);

// SHA-256 of a file in lower-case hexadecimal; NULL if it cannot be read. Free it.
char *farrier_digest(const char *path);

// Whether the last farrier_read or farrier_digest failed because there is no such file, and for no other reason.
bool farrier_is_missing(void);

// What a path names, as far as that can be told.
typedef enum {
  FARRIER_ABSENT = 0,      // Nothing, for certain.
  FARRIER_PRESENT = 1,     // A file, a folder or something else.
  FARRIER_UNREADABLE = 2,  // It is not granted or cannot be read; farrier_error says why.
} farrier_presence;

// Looks whether there is something, without reading it.
farrier_presence farrier_look(const char *path);

// What the endpoint is: `id`, `version-id`, `machine`; NULL if that is not known. Free it.
char *farrier_os(const char *name);

// What went wrong last, in words.
const char *farrier_error(void);

// Says why something cannot be done; the words are for the administrator. What is no UTF-8 in them, in a line of the
// log or in a finding is shown as `?`.
void farrier_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Writes a line to the agent's log.
void farrier_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
