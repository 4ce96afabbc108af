// {{name}}: whether an application below /opt has the version that a rule asks for.
//
// A rule is `NAME VERSION`; the file /opt/NAME/VERSION says which version there is.
#include "farrier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const plugin_scopes[] = {"{{name}}/any", NULL};

// Nothing to read before the rules are known.
bool plugin_open(void) { return true; }

// Splits a rule at its one space; says so if it is none. Nothing is cut off or left over: a rule that is half
// understood would get the answer of another one.
static bool parse(const char *rule, size_t length, char name[64], char version[64]) {
  size_t name_length = strcspn(rule, " /");
  const char *rest = rule[name_length] == ' ' ? rule + name_length + 1 : "";
  size_t rest_length = strcspn(rest, " \t\r\n");
  bool fits = name_length > 0 && name_length < 64 && rest_length > 0 && rest_length < 64;
  if (!fits || name_length + 1 + rest_length != length) {
    farrier_fail("the rule `%.100s` is not `NAME VERSION`", rule);
    return false;
  }
  snprintf(name, 64, "%.*s", (int)name_length, rule);
  snprintf(version, 64, "%s", rest);
  return true;
}

// The installed version of an application; NULL if it cannot be read, also because it is not there.
static char *installed(const char *name) {
  char path[96];
  snprintf(path, sizeof path, "/opt/%s/VERSION", name);
  char *version = farrier_read(path, NULL);
  if (version) version[strcspn(version, "\r\n")] = 0;
  return version;
}

farrier_state plugin_evaluate(const char *rule, size_t length) {
  char name[64], version[64];
  if (!parse(rule, length, name, version)) return FARRIER_UNKNOWN;
  char *found = installed(name);
  // What may not be read may be there: only what is missing is not required.
  if (!found) return farrier_is_missing() ? FARRIER_NOT_REQUIRED : FARRIER_UNKNOWN;
  farrier_state state = strcmp(found, version) == 0 ? FARRIER_INSTALLED : FARRIER_REQUIRED;
  free(found);
  return state;
}

// Why. It is only asked where the state could be told.
void plugin_explain(const char *rule, size_t length, farrier_finding *finding) {
  char name[64], version[64];
  if (!parse(rule, length, name, version)) return;
  char *found = installed(name);
  snprintf(finding->subject, sizeof finding->subject, "%s", name);
  if (found) {
    snprintf(finding->detail, sizeof finding->detail, "%s is installed, %s is wanted", found, version);
  } else {
    snprintf(finding->detail, sizeof finding->detail, "not installed");
  }
  free(found);
}
