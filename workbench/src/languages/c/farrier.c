// Between what the author of a plugin in C writes (farrier.h) and what the agent calls (applicability.h, generated).
#include "farrier.h"
#include "applicability.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 64 * 1024 };

static char problem[256];
// Whether what was asked for last is not there.
static bool missing;

const char *farrier_error(void) { return problem; }

// Bytes of the UTF-8 character that a text begins with; 0 if it begins with none, and then whether it is only cut off.
static size_t character(const char *text, bool *cut) {
  const unsigned char *byte = (const unsigned char *)text, first = *byte;
  size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  // No character has a longer form than it needs, is half of a pair, or lies above U+10FFFF.
  unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  *cut = false;
  for (size_t i = 1; i < length; i++) {
    *cut = byte[i] == 0;
    if (byte[i] < low || byte[i] > high) return 0;
    low = 0x80;
    high = 0xbf;
  }
  return length;
}

// Makes a text one that the agent takes: what is no UTF-8 becomes `?`, and a character that is cut off at the end goes.
// Files hold any bytes, and snprintf cuts anywhere.
static void clean(char *text) {
  while (*text) {
    bool cut;
    size_t length = character(text, &cut);
    if (!length) *text = cut ? 0 : '?';
    text += length ? length : !cut;
  }
}

void farrier_fail(const char *format, ...) {
  // What it says may be made of what was said before.
  char said[sizeof problem];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(said, sizeof said, format, arguments);
  va_end(arguments);
  clean(said);
  strcpy(problem, said);
}

static void write_line(farrier_policy_log_level_t level, char *line) {
  applicability_string_t text = {(uint8_t *)line, strlen(line)};
  farrier_policy_log_write(level, &text);
}

void farrier_log(const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  clean(line);
  write_line(FARRIER_POLICY_LOG_LEVEL_INFO, line);
}

bool farrier_is_missing(void) { return missing; }

// Every case of the error holds one text.
static void fail_with(farrier_policy_types_error_t *error) {
  missing = error->tag == FARRIER_POLICY_TYPES_ERROR_NOT_FOUND;
  farrier_fail("%.*s", (int)error->val.other.len, (const char *)error->val.other.ptr);
  farrier_policy_types_error_free(error);
}

// The path, as the agent takes it. One that is no UTF-8 cannot be asked for, and a cleaned one would be another file.
static bool borrow(const char *path, applicability_string_t *borrowed) {
  missing = false;
  bool cut;
  for (const char *at = path; *at;) {
    size_t length = character(at, &cut);
    if (!length) {
      farrier_fail("the path %s is no UTF-8", path);
      return false;
    }
    at += length;
  }
  *borrowed = (applicability_string_t){(uint8_t *)path, strlen(path)};
  return true;
}

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes ? bytes : 1);
  if (!memory) {
    write_line(FARRIER_POLICY_LOG_LEVEL_ERROR, "out of memory");
    __builtin_trap();
  }
  return memory;
}

// The text with a zero byte behind it; what it was is freed.
static char *terminated(applicability_string_t *text) {
  char *copy = allocate(text->len + 1);
  memcpy(copy, text->ptr, text->len);
  copy[text->len] = 0;
  applicability_string_free(text);
  return copy;
}

char *farrier_read(const char *path, size_t *length) {
  applicability_string_t name;
  if (!borrow(path, &name)) return NULL;
  farrier_policy_facts_own_file_t file;
  farrier_policy_types_error_t error;
  if (!farrier_policy_facts_open_file(&name, &file, &error)) {
    fail_with(&error);
    return NULL;
  }
  farrier_policy_facts_borrow_file_t open = farrier_policy_facts_borrow_file(file);
  size_t filled = 0;
  char *content = allocate(1);
  for (;;) {
    applicability_list_u8_t piece;
    if (!farrier_policy_facts_method_file_read(open, READ_BYTES, &piece, &error)) {
      fail_with(&error);
      free(content);
      content = NULL;
      break;
    }
    if (piece.len == 0) {
      applicability_list_u8_free(&piece);
      content[filled] = 0;
      break;
    }
    char *larger = realloc(content, filled + piece.len + 1);
    if (!larger) {
      farrier_fail("%s is too large for the plugin's memory", path);
      applicability_list_u8_free(&piece);
      free(content);
      content = NULL;
      break;
    }
    content = larger;
    memcpy(content + filled, piece.ptr, piece.len);
    filled += piece.len;
    applicability_list_u8_free(&piece);
  }
  farrier_policy_facts_file_drop_own(file);
  if (content && length) *length = filled;
  return content;
}

farrier_presence farrier_look(const char *path) {
  applicability_string_t name;
  if (!borrow(path, &name)) return FARRIER_UNREADABLE;
  farrier_policy_facts_status_t status;
  farrier_policy_types_error_t error;
  if (farrier_policy_facts_stat(&name, &status, &error)) return FARRIER_PRESENT;
  fail_with(&error);
  return missing ? FARRIER_ABSENT : FARRIER_UNREADABLE;
}

char *farrier_digest(const char *path) {
  applicability_string_t name, digest;
  if (!borrow(path, &name)) return NULL;
  farrier_policy_types_error_t error;
  if (farrier_policy_facts_digest(&name, &digest, &error)) return terminated(&digest);
  fail_with(&error);
  return NULL;
}

char *farrier_os(const char *name) {
  farrier_policy_facts_list_fact_t facts;
  farrier_policy_facts_os(&facts);
  char *found = NULL;
  size_t length = strlen(name);
  for (size_t i = 0; i < facts.len && !found; i++) {
    applicability_string_t *key = &facts.ptr[i].name, *value = &facts.ptr[i].value;
    if (key->len == length && memcmp(key->ptr, name, length) == 0) {
      found = allocate(value->len + 1);
      memcpy(found, value->ptr, value->len);
      found[value->len] = 0;
    }
  }
  farrier_policy_facts_list_fact_free(&facts);
  return found;
}

// ---- What the agent calls.

// There is one scan in a plugin's life, and what it knows is in the author's own variables.
struct exports_farrier_policy_compliance_scan_t {
  bool open;
};

void exports_farrier_policy_compliance_scan_destructor(exports_farrier_policy_compliance_scan_t *scan) { free(scan); }

static void invalid(exports_farrier_policy_compliance_error_t *error, const char *message) {
  error->tag = FARRIER_POLICY_TYPES_ERROR_INVALID;
  applicability_string_dup(&error->val.invalid, message);
}

bool exports_farrier_policy_compliance_scopes(applicability_list_string_t *scopes,
                                              exports_farrier_policy_compliance_error_t *error) {
  (void)error;
  size_t count = 0;
  while (plugin_scopes[count]) count++;
  scopes->ptr = allocate(count * sizeof *scopes->ptr);
  scopes->len = count;
  for (size_t i = 0; i < count; i++) applicability_string_dup(&scopes->ptr[i], plugin_scopes[i]);
  return true;
}

bool exports_farrier_policy_compliance_static_scan_open(exports_farrier_policy_compliance_own_scan_t *scan,
                                                        exports_farrier_policy_compliance_error_t *error) {
  problem[0] = 0;
  if (!plugin_open()) {
    invalid(error, problem[0] ? problem : "the plugin did not say why it cannot scan");
    return false;
  }
  exports_farrier_policy_compliance_scan_t *opened = allocate(sizeof *opened);
  opened->open = true;
  *scan = exports_farrier_policy_compliance_scan_new(opened);
  return true;
}

// A copy of a rule with a zero byte behind it.
static char *copy_of(const uint8_t *rule, size_t length) {
  char *copy = allocate(length + 1);
  memcpy(copy, rule, length);
  copy[length] = 0;
  return copy;
}

static farrier_state evaluate(const char *rule, size_t length) {
  problem[0] = 0;
  int answer = (int)plugin_evaluate(rule, length);
  if (answer < FARRIER_NOT_REQUIRED || answer > FARRIER_UNKNOWN) {
    farrier_fail("the plugin answered %d, which is no state", answer);
    answer = FARRIER_UNKNOWN;
  }
  farrier_state state = (farrier_state)answer;
  if (state == FARRIER_UNKNOWN && problem[0]) {
    write_line(FARRIER_POLICY_LOG_LEVEL_WARNING, problem);
  }
  return state;
}

bool exports_farrier_policy_compliance_method_scan_evaluate(
    exports_farrier_policy_compliance_borrow_scan_t scan, applicability_list_u8_t *rules,
    exports_farrier_policy_compliance_list_compliance_state_t *states,
    exports_farrier_policy_compliance_error_t *error) {
  (void)scan;
  // Each rule stands behind its length as a little-endian u16.
  size_t count = 0;
  for (size_t at = 0; at < rules->len; count++) {
    size_t length = at + 2 <= rules->len ? rules->ptr[at] | (size_t)rules->ptr[at + 1] << 8 : SIZE_MAX;
    if (length > rules->len - at - 2 || length == SIZE_MAX) {
      invalid(error, "the chunk is cut off in the middle of a rule");
      applicability_list_u8_free(rules);
      return false;
    }
    at += 2 + length;
  }
  states->ptr = allocate(count);
  states->len = count;
  const uint8_t *rule = rules->ptr;
  for (size_t i = 0; i < count; i++) {
    size_t length = rule[0] | (size_t)rule[1] << 8;
    char *text = copy_of(rule + 2, length);
    states->ptr[i] = (uint8_t)evaluate(text, length);
    free(text);
    rule += 2 + length;
  }
  applicability_list_u8_free(rules);
  return true;
}

bool exports_farrier_policy_compliance_method_scan_explain(
    exports_farrier_policy_compliance_borrow_scan_t scan, applicability_list_u8_t *rule,
    exports_farrier_policy_compliance_list_finding_t *findings, exports_farrier_policy_compliance_error_t *error) {
  (void)scan;
  (void)error;
  farrier_finding finding = {0};
  char *text = copy_of(rule->ptr, rule->len);
  farrier_state state = evaluate(text, rule->len);
  if (state == FARRIER_UNKNOWN && problem[0]) {
    snprintf(finding.detail, sizeof finding.detail, "%s", problem);
  } else {
    plugin_explain(text, rule->len, &finding);
  }
  free(text);
  applicability_list_u8_free(rule);
  findings->ptr = allocate(sizeof *findings->ptr);
  findings->len = 1;
  findings->ptr->state = (uint8_t)state;
  finding.subject[sizeof finding.subject - 1] = finding.detail[sizeof finding.detail - 1] = 0;
  clean(finding.subject);
  clean(finding.detail);
  applicability_string_dup(&findings->ptr->subject, finding.subject);
  applicability_string_dup(&findings->ptr->detail, finding.detail);
  return true;
}
