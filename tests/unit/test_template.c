/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What imports take apart: names, ACLs, definitions, lists of sources. */
#include "test.h"
#include "template/acl.h"
#include "template/bootstrap.h"
#include "template/definition.h"
#include "template/kind.h"
#include "template/libarchive.h"
#include "template/path.h"
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

static void names_are_taken_apart (void **state)
{
  static const struct {
    const char *text, *joined;
    bool absolute;
  } cases[] = {
      {"a", "a", false},
      {"./a/b", "a|b", false},
      {"/a//b/./c/", "a|b|c", true},
      {"", "", false},
      {".", "", false},
      {"./", "", false},
      {"///", "", true},
      {"...", "...", false},
      {"a/..b/c..", "a|..b|c..", false},
      {" /\n", " |\n", false},
      {"\xff/\x01", "\xff|\x01", false},
  };
  autopath struct path path = {0};

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autoerr struct err err = {0};
    autostrbuf struct strbuf joined = STRBUF_INIT (1000);

    assert_int_equal (path_split (&path, cases[i].text, &err), 0);
    for (size_t part = 0; part < path.count; part++)
      strbuf_addf (&joined, "%s%s", part ? "|" : "", path.parts[part]);
    assert_string_equal (strbuf_str (&joined), cases[i].joined);
    assert_int_equal (path.absolute, cases[i].absolute);
  }
}

static void names_that_lead_out_are_refused (void **state)
{
  static const char *const cases[] = {"..", "../a", "a/..", "a/../b", "/..", "a/.././b", "../"};
  autopath struct path path = {0};

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autoerr struct err err = {0};

    assert_int_equal (path_split (&path, cases[i], &err), -EINVAL);
  }
}

static void long_and_deep_names_are_refused (void **state)
{
  autostrbuf struct strbuf text = STRBUF_INIT (10000);
  autopath struct path path = {0};
  autoerr struct err err = {0};

  (void) state;
  for (int i = 0; i < NAME_MAX; i++)
    strbuf_adds (&text, "x");
  assert_int_equal (path_split (&path, strbuf_str (&text), &err), 0);
  strbuf_adds (&text, "x");
  assert_int_equal (path_split (&path, strbuf_str (&text), &err), -ENAMETOOLONG);
  strbuf_truncate (&text, 0);
  for (int i = 0; i < PATH_DEPTH_MAX; i++)
    strbuf_adds (&text, "d/");
  assert_int_equal (path_split (&path, strbuf_str (&text), &err), 0);
  strbuf_adds (&text, "f");
  assert_int_equal (path_split (&path, strbuf_str (&text), &err), -ENAMETOOLONG);
}

static void quoted_names_have_no_control_characters (void **state)
{
  autofree char *quoted = path_quote ("a\x1b[1m\n\xff\"\\");

  (void) state;
  assert_string_equal (quoted, "\"a\\033[1m\\012\\377\\042\\134\"");
}

static struct archive_entry *new_entry (void)
{
  struct archive_entry *entry = archive_entry_new ();
  autoerr struct err err = {0};

  assert_int_equal (libarchive_load (&err), 0);
  assert_non_null (entry);
  archive_entry_set_mode (entry, S_IFREG | 0640);
  return entry;
}

static void add_acl (struct archive_entry *entry, int type, int perm, int tag, int id)
{
  assert_int_equal (archive_entry_acl_add_entry (entry, type, perm, tag, id, NULL), ARCHIVE_OK);
}

static void check_acl (const struct xattr *x, const struct posix_acl_xattr_entry *expected,
                       size_t count)
{
  const struct posix_acl_xattr_header *header = x->value;
  const char *items = (const char *) x->value + sizeof *header;

  assert_int_equal (x->len, sizeof *header + count * sizeof *expected);
  assert_int_equal (header->a_version, POSIX_ACL_XATTR_VERSION);
  assert_memory_equal (items, expected, count * sizeof *expected);
}

static void acls_get_the_kernels_form (void **state)
{
  static const struct posix_acl_xattr_entry expected[] = {
      {ACL_USER_OBJ, ACL_READ | ACL_WRITE, (uint32_t) ACL_UNDEFINED_ID},
      {ACL_USER, ACL_READ, 7},
      {ACL_USER, ACL_READ | ACL_EXECUTE, 1234},
      {ACL_GROUP_OBJ, ACL_READ, (uint32_t) ACL_UNDEFINED_ID},
      {ACL_GROUP, ACL_WRITE, 4294967},
      {ACL_MASK, ACL_READ | ACL_WRITE | ACL_EXECUTE, (uint32_t) ACL_UNDEFINED_ID},
      {ACL_OTHER, 0, (uint32_t) ACL_UNDEFINED_ID},
  };
  struct archive_entry *from = new_entry ();
  autoentry struct entry entry = {0};
  autoerr struct err err = {0};

  (void) state;
  add_acl (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ARCHIVE_ENTRY_ACL_WRITE, ARCHIVE_ENTRY_ACL_GROUP,
           4294967);
  add_acl (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ARCHIVE_ENTRY_ACL_READ | ARCHIVE_ENTRY_ACL_EXECUTE,
           ARCHIVE_ENTRY_ACL_USER, 1234);
  add_acl (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ARCHIVE_ENTRY_ACL_READ, ARCHIVE_ENTRY_ACL_USER, 7);
  assert_int_equal (acl_from_archive (from, &entry, &err), 0);
  assert_int_equal (entry.xattrs.count, 1);
  assert_string_equal (entry.xattrs.items[0].name, "system.posix_acl_access");
  /* There was no mask: it becomes what the group class may do. */
  check_acl (&entry.xattrs.items[0], expected, sizeof expected / sizeof *expected);
  archive_entry_free (from);
}

static void acls_that_say_no_more_than_the_mode_are_left_out (void **state)
{
  struct archive_entry *from = new_entry ();
  autoentry struct entry entry = {0};
  autoerr struct err err = {0};

  (void) state;
  add_acl (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER_OBJ, -1);
  add_acl (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 5, ARCHIVE_ENTRY_ACL_GROUP_OBJ, -1);
  add_acl (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 0, ARCHIVE_ENTRY_ACL_OTHER, -1);
  assert_int_equal (acl_from_archive (from, &entry, &err), 0);
  assert_int_equal (entry.xattrs.count, 0);
  archive_entry_free (from);
}

static void acls_with_names_only_are_refused (void **state)
{
  struct archive_entry *from = new_entry ();
  autoentry struct entry entry = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (archive_entry_acl_add_entry (from, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 4,
                                                 ARCHIVE_ENTRY_ACL_USER, -1, "somebody"),
                    ARCHIVE_OK);
  assert_int_equal (acl_from_archive (from, &entry, &err), -EINVAL);
  assert_non_null (strstr (err_text (&err), "somebody"));
  archive_entry_free (from);
}

static void definitions_are_read (void **state)
{
  static const char text[] =
      "// why\n{\"description\": \"d\", \"source\": {\"type\": \"bootstrap\",\n"
      "\"suite\": \"bookworm\", \"variant\": \"apt\",\n"
      "\"include\": [\"less\", \"libc6:amd64\"], \"updates\": true}}\n";
  autodefinition struct definition definition = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (definition_parse (text, strlen (text), "x", &definition, &err), 0);
  assert_string_equal (definition.description, "d");
  assert_ptr_equal (definition.kind, &kind_bootstrap);
  const struct bootstrap *bootstrap = definition.source;
  assert_string_equal (bootstrap->suite, "bookworm");
  assert_string_equal (bootstrap->variant, "apt");
  assert_int_equal (bootstrap->include.count, 2);
  assert_true (bootstrap->updates);
}

static void all_that_is_wrong_is_told_at_once (void **state)
{
  static const char text[] =
      "{\"description\": 7, \"source\": {\"type\": \"bootstrap\", \"suite\": \"--x\", "
      "\"include\": [\"good\", \"-bad\"], \"varant\": \"apt\"}, \"cleanup\": [\"/a/../b\"], "
      "\"steps\": [\"true\", [1]], \"policy\": [\"private /x\", \"nonsense\"], "
      "\"guest\": {\"inti\": \"none\"}}";
  static const char *const paths[] = {"description",       "source",    "source.suite",
                                      "source.include[1]", "guest",     "policy[1]",
                                      "steps[1]",          "cleanup[0]"};
  autojson json_object *object = NULL;
  autodefinition struct definition definition = {0};
  autocheck struct check check = CHECK_INIT;
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (json_parse_object (text, strlen (text), "x", &object, &err), 0);
  definition_check (object, &check, &definition);
  assert_null (definition.object);
  assert_int_equal (check.count, sizeof paths / sizeof *paths);
  for (size_t i = 0; i < check.count; i++)
    assert_string_equal (check.problems[i].path, paths[i]);
}

static void bad_definitions_are_refused (void **state)
{
  static const char *const cases[] = {
      "{}",
      "{\"source\": []}",
      "{\"source\": {}}",
      "{\"source\": {\"type\": \"bootstrap\"}}",
      "{\"source\": {\"type\": \"image\", \"suite\": \"bookworm\"}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"-x\"}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"a b\"}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"a\", \"variant\": \"custom\"}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"a\", \"include\": [\"a,b\"]}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"a\", \"include\": [\"--x\"]}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"a\", \"include\": \"a\"}}",
      "{\"source\": {\"type\": \"bootstrap\", \"suite\": \"a\"}, \"more\": 1}",
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autodefinition struct definition definition = {0};
    autoerr struct err err = {0};

    assert_int_equal (definition_parse (cases[i], strlen (cases[i]), "x", &definition, &err),
                      -ERR_USAGE);
  }
}

static void hidden_sources_are_shown_again (void **state)
{
  autofree char *text =
      bootstrap_sources ("deb http://m.example/debian a main\n" BOOTSTRAP_HIDDEN
                         "deb http://m.example/debian a-updates main\n" //
                         BOOTSTRAP_HIDDEN "deb http://s.example/x a-security main",
                         "a");

  (void) state;
  assert_string_equal (text, "deb http://m.example/debian a main\n"
                             "deb http://m.example/debian a-updates main\n"
                             "deb http://s.example/x a-security main\n");
}

static void missing_sources_are_derived (void **state)
{
  autofree char *text = bootstrap_sources ("deb http://m.example/debian/ a main extra\n", "a");
  autofree char *rolling = bootstrap_sources ("deb http://m.example/debian sid main\n", "sid");

  (void) state;
  assert_string_equal (text, "deb http://m.example/debian/ a main extra\n"
                             "deb http://m.example/debian/ a-updates main extra\n"
                             "deb http://m.example/debian-security a-security main extra\n");
  assert_string_equal (rolling, "deb http://m.example/debian sid main\n");
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (names_are_taken_apart),
      cmocka_unit_test (names_that_lead_out_are_refused),
      cmocka_unit_test (long_and_deep_names_are_refused),
      cmocka_unit_test (quoted_names_have_no_control_characters),
      cmocka_unit_test (acls_get_the_kernels_form),
      cmocka_unit_test (acls_that_say_no_more_than_the_mode_are_left_out),
      cmocka_unit_test (acls_with_names_only_are_refused),
      cmocka_unit_test (definitions_are_read),
      cmocka_unit_test (bad_definitions_are_refused),
      cmocka_unit_test (all_that_is_wrong_is_told_at_once),
      cmocka_unit_test (hidden_sources_are_shown_again),
      cmocka_unit_test (missing_sources_are_derived),
  };

  return cmocka_run_group_tests_name ("test_template", tests, NULL, NULL);
}
