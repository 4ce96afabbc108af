// Whether the mounts of /etc/fstab have the options that a baseline asks for.
//
// A rule is `MOUNT-POINT OPTION`: `/tmp noexec`.
#include "farrier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const plugin_scopes[] = {"mount-options/any", NULL};

static char *fstab;

bool plugin_open(void) {
  fstab = farrier_read("/etc/fstab", NULL);
  return fstab != NULL;
}

// The options of the last entry with this mount point, which is the one that counts.
static bool options_of(const char *point, char options[256]) {
  bool found = false;
  for (const char *line = fstab; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    char where[256], these[256];
    if (sscanf(line, "%*[^# \t\n]%*[ \t]%255[^ \t\n]%*[ \t]%*[^ \t\n]%*[ \t]%255[^ \t\n]", where, these) == 2 &&
        strcmp(where, point) == 0) {
      strcpy(options, these);
      found = true;
    }
  }
  return found;
}

// Whether a comma-separated list has an option.
static bool has(const char *options, const char *option) {
  size_t length = strlen(option);
  for (const char *at = options; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    if (strncmp(at, option, length) == 0 && (at[length] == ',' || at[length] == 0)) return true;
  }
  return false;
}

// Nothing is cut off or left over: a rule that is half understood would get the answer of another one.
static bool parse(const char *rule, char point[256], char option[64]) {
  char left;
  if (sscanf(rule, "%255[^ ]%*1[ ]%63[^ ,]%c", point, option, &left) == 2 && point[0] == '/') return true;
  farrier_fail("the rule `%.100s` is not `MOUNT-POINT OPTION`", rule);
  return false;
}

farrier_state plugin_evaluate(const char *rule, size_t length) {
  (void)length;
  char point[256], option[64], options[256];
  if (!parse(rule, point, option)) return FARRIER_UNKNOWN;
  if (!options_of(point, options)) return FARRIER_NOT_REQUIRED;
  return has(options, option) ? FARRIER_INSTALLED : FARRIER_REQUIRED;
}

void plugin_explain(const char *rule, size_t length, farrier_finding *finding) {
  (void)length;
  char point[256], option[64], options[256];
  if (!parse(rule, point, option)) return;
  snprintf(finding->subject, sizeof finding->subject, "%s", point);
  if (!options_of(point, options)) {
    snprintf(finding->detail, sizeof finding->detail, "not in /etc/fstab");
  } else {
    const char *verb = has(options, option) ? "has" : "lacks";
    snprintf(finding->detail, sizeof finding->detail, "%s %s: its options are %.120s", verb, option, options);
  }
}
