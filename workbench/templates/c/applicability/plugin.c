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

// Splits a rule; says so if it is none.
static bool parse(const char *rule, char name[64], char version[64]) {
  if (sscanf(rule, "%63s %63s", name, version) == 2 && !strchr(name, '/')) return true;
  farrier_fail("the rule `%s` is not `NAME VERSION`", rule);
  return false;
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
  (void)length;
  char name[64], version[64];
  if (!parse(rule, name, version)) return FARRIER_UNKNOWN;
  char *found = installed(name);
  // What may not be read may be there: only what is missing is not required.
  if (!found) return farrier_is_missing() ? FARRIER_NOT_REQUIRED : FARRIER_UNKNOWN;
  farrier_state state = strcmp(found, version) == 0 ? FARRIER_INSTALLED : FARRIER_REQUIRED;
  free(found);
  return state;
}

// Why. It is only asked where the state could be told.
void plugin_explain(const char *rule, size_t length, farrier_finding *finding) {
  (void)length;
  char name[64], version[64];
  if (!parse(rule, name, version)) return;
  char *found = installed(name);
  snprintf(finding->subject, sizeof finding->subject, "%s", name);
  if (found) {
    snprintf(finding->detail, sizeof finding->detail, "%s is installed, %s is wanted", found, version);
  } else {
    snprintf(finding->detail, sizeof finding->detail, "not installed");
  }
  free(found);
}
