/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The driver for zypper, on output recorded from 1.14.42. */
#include "driver_test.h"
#include "pkg/xmltags.h"
#include "pkg/zypper.h"

/* Whatever needs metadata wants fresh one. */
enum { FRESH = LISTS | FIRST };
enum { CHANGES = FRESH | NOTHING | PLANS, UPGRADES = CHANGES | IDLE, ASKS = READS | FRESH };

static void command_lines_are_understood (void **state)
{
  static const struct classified cases[] = {
      {"up", "up", UPGRADES},
      {"-n update", "update", UPGRADES},
      {"dup --allow-vendor-change", "dup", UPGRADES},
      {"patch --category security", "patch", UPGRADES},
      {"up --dry-run", "up", ASKS},
      {"up -D", "up", ASKS},
      {"up -yD", "up", ASKS},
      {"-D /x up", "up", UPGRADES},
      {"up -d", "up", FRESH},
      {"up --download-only", "up", FRESH},
      {"--no-refresh up", "up", NOTHING | PLANS | IDLE},
      {"in x", "in", CHANGES},
      {"-p http://x/ in x", "in", CHANGES},
      {"--plus-repo http://x/ in x", "in", CHANGES},
      {"in -- -D", "in", CHANGES},
      {"rm x", "rm", NOTHING | PLANS},
      {"ref", "ref", REFRESH},
      {"refresh -f", "refresh", REFRESH},
      {"refs", "refs", 0},
      {"se -d x", "se", ASKS},
      {"lu", "lu", ASKS},
      {"lr -d", "lr", READS},
      {"ll", "ll", READS},
      {"ar http://x/ x", "ar", 0},
      {"al x", "al", 0},
      {"clean", "clean", 0},
      {"si -D x", "si", FRESH},
      {"--version", "", READS},
      {"-V", "", READS},
      {"in --help", "in", ASKS},
      {"help in", "help", READS},
      {"nosuch", "nosuch", 0},
  };
  autopkgrequest struct pkg_request request = {0};
  autoerr struct err err = {0};

  (void) state;
  assert_classified (&pkg_zypper, cases, LENGTH (cases));
  assert_int_equal (classify (&pkg_zypper, "", &request, &err), -ERR_USAGE);
  assert_int_equal (classify (&pkg_zypper, "--root", &request, &err), -ERR_USAGE);
}

static void commands_never_ask (void **state)
{
  (void) state;
  check_command (&pkg_zypper, "zypper", "up", PKG_AUDIT, "rpm --verifydb");
  check_command (&pkg_zypper, "zypper", "up", PKG_REFRESH, "zypper --non-interactive refresh");
  check_command (&pkg_zypper, "zypper", "-q up x", PKG_PLAN,
                 "zypper --non-interactive --no-refresh --xmlout up --dry-run x");
  check_command (&pkg_zypper, "zypper", "up x", PKG_DOWNLOAD,
                 "zypper --non-interactive --no-refresh up --download-only x");
  check_command (&pkg_zypper, "zypper", "-q up x", PKG_APPLY,
                 "zypper --non-interactive --no-refresh -q up x");
  check_command (&pkg_zypper, "zypper", "ref -f", PKG_APPLY, "zypper --non-interactive ref -f");
  check_command (&pkg_zypper, "zypper", "rm x", PKG_DOWNLOAD, NULL);
  check_command (&pkg_zypper, "zypper", "ar x y", PKG_PLAN, NULL);
}

static void exit_statuses_are_understood (void **state)
{
  static const struct {
    const char *args;
    enum pkg_step step;
    int status;
    enum pkg_meaning meaning;
  } cases[] = {
      {"up", PKG_APPLY, 0, PKG_OK},          {"up", PKG_APPLY, 4, PKG_FAILED},
      {"up", PKG_APPLY, 7, PKG_BUSY},        {"up", PKG_APPLY, 8, PKG_FAILED},
      {"up", PKG_APPLY, 102, PKG_OK},        {"patch", PKG_APPLY, 103, PKG_AGAIN},
      {"patch", PKG_PLAN, 103, PKG_OK},      {"in x", PKG_APPLY, 104, PKG_FAILED},
      {"rm x", PKG_APPLY, 104, PKG_OK},      {"rm x", PKG_PLAN, 104, PKG_OK},
      {"se x", PKG_APPLY, 104, PKG_NOTHING}, {"up", PKG_APPLY, 105, PKG_FAILED},
      {"up", PKG_APPLY, 106, PKG_NETWORK},   {"up", PKG_APPLY, 107, PKG_FAILED},
      {"pchk", PKG_APPLY, 100, PKG_OK},      {"pchk", PKG_APPLY, 101, PKG_OK},
      {"up", PKG_REFRESH, 4, PKG_FAILED},    {"up", PKG_REFRESH, 6, PKG_FAILED},
      {"up", PKG_AUDIT, 102, PKG_FAILED},    {"up", PKG_AUDIT, 0, PKG_OK},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_meaning (&pkg_zypper, cases[i].args, cases[i].step, cases[i].status, NULL,
                   cases[i].meaning);
}

#define BEGIN                                                                                      \
  "<?xml version='1.0'?>\n<stream>\n"                                                              \
  "<message type=\"info\">Loading repository data...</message>\n"                                  \
  "<install-summary download-size=\"7073\" space-usage-diff=\"0\" packages-to-change=\"1\">\n"
#define END                                                                                        \
  "</install-summary>\n"                                                                           \
  "<prompt id=\"0\">\n<text>Continue?</text>\n"                                                    \
  "<option default=\"1\" value=\"y\" desc=\"Yes, accept the summary.\"/>\n</prompt>\n</stream>\n"

static void plans_are_read (void **state)
{
  (void) state;
  check_plan (zypper_parse_plan,
              BEGIN
              "<to-upgrade>\n"
              "<solvable type=\"package\" name=\"vgtest\" edition=\"2.0-1\" arch=\"noarch\" "
              "edition-old=\"1.0-1\" arch-old=\"noarch\" summary=\"a &lt;test&gt;\">\n"
              "<description>A test.</description></solvable>\n"
              "<solvable type=\"patch\" name=\"p\" edition=\"1\" arch=\"noarch\"/>\n"
              "<solvable type=\"package\" name=\"moved\" edition=\"2.0-1\" arch=\"x86_64\" "
              "edition-old=\"1.0-1\" arch-old=\"noarch\"/>\n"
              "</to-upgrade>\n"
              "<to-install>\n"
              "<solvable type=\"package\" name=\"newname\" edition=\"3:1-1\" arch=\"noarch\"/>\n"
              "</to-install>\n"
              "<to-remove>\n"
              "<solvable type=\"package\" name=\"gone\" edition=\"1.0-1\" arch=\"noarch\"/>\n"
              "</to-remove>\n"
              "<to-downgrade>\n"
              "<solvable type='package' name='back' edition='1-1' arch='noarch' "
              "edition-old='2-1' arch-old='noarch'/>\n"
              "</to-downgrade>\n"
              "<to-reinstall>\n"
              "<solvable type=\"package\" name=\"same\" edition=\"2-1\" arch=\"noarch\" "
              "edition-old=\"2-1\" arch-old=\"noarch\"/>\n"
              "</to-reinstall>\n"
              "<_unsupported>\n"
              "<solvable type=\"package\" name=\"newname\" edition=\"3:1-1\" arch=\"noarch\"/>\n"
              "</_unsupported>\n" END,
              "upgrade vgtest.noarch 1.0-1 2.0-1\n"
              "remove moved.noarch 1.0-1 -\n"
              "install moved.x86_64 - 2.0-1\n"
              "install newname.noarch - 3:1-1\n"
              "remove gone.noarch 1.0-1 -\n"
              "downgrade back.noarch 2-1 1-1\n"
              "reinstall same.noarch 2-1 2-1\n");
  check_plan (zypper_parse_plan,
              "<?xml version='1.0'?>\n<stream>\n<message type=\"info\">Nothing to "
              "do.</message>\n</stream>\n",
              "");
  check_plan (zypper_parse_plan, "", "");
}

static void broken_plans_are_refused (void **state)
{
  static const struct {
    const char *text;
    const char *message;
  } cases[] = {
      {"<to-install>\n<solvable type=\"package\" name=\"x\" arch=\"y\"/>", "line 2"},
      {"<to-install><solvable type=\"package\" name=\"a b\" edition=\"1\" arch=\"y\"/>",
       "bad name"},
      {"<to-install", "without an end"},
      {"<", "name of a tag"},
      {"a < b", "name of a tag"},
      {"<a b>", "name=\"value\""},
      {"<a b=c>", "quoted"},
      {"<a b=\"c>", "quoted"},
      {"<a b=\"&nosuch;\">", "entity"},
      {"<a /b>", "without an end"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_bad_plan (zypper_parse_plan, cases[i].text, cases[i].message);
}

static void tags_are_read (void **state)
{
  static const char text[] = "<?xml?>\n<a x='1&amp;2'\n y=\"&quot;\" >t &amp; t</a><b/>";
  autoxmltag struct xml_tag tag = {0};
  autoerr struct err err = {0};
  struct xml_tags tags;

  (void) state;
  xml_tags_start (text, strlen (text), &tags);
  assert_int_equal (xml_tags_next (&tags, &tag, &err), 1);
  assert_true (xml_tag_is (&tag, "a") && tag.opens && !tag.closes);
  assert_string_equal (xml_attribute (&tag, "x"), "1&2");
  assert_string_equal (xml_attribute (&tag, "y"), "\"");
  assert_null (xml_attribute (&tag, "z"));
  assert_int_equal (tags.line, 3);
  assert_int_equal (xml_tags_next (&tags, &tag, &err), 1);
  assert_true (xml_tag_is (&tag, "a") && !tag.opens && tag.closes);
  assert_int_equal (xml_tags_next (&tags, &tag, &err), 1);
  assert_true (xml_tag_is (&tag, "b") && tag.opens && tag.closes);
  assert_int_equal (xml_tags_next (&tags, &tag, &err), 0);
}

static void lines_tell_why (void **state)
{
  static const struct line_case cases[] = {
      {"error: %prein(badpre-1.0-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE, "f"},
      {"warning: %post(badpost-1.0-1.noarch) scriptlet failed, exit status 1", PKG_LINE_CAUSE, "f"},
      {"Warning: badposttrans-1.0-1.noarch.rpm %posttrans script failed (returned 1)",
       PKG_LINE_CAUSE, "f"},
      {"Executing %posttrans script 'badposttrans-1.0-1.noarch.rpm' [..", PKG_LINE_PLAIN, ""},
      {"Installation of badpre-1.0-1.noarch failed:", PKG_LINE_ERROR, "c"},
      {"Installation of something", PKG_LINE_PLAIN, ""},
      {"Problem occurred during or after installation or removal of packages:", PKG_LINE_HINT, ""},
      {"Problem: nothing provides other needed by needs-1-1.noarch", PKG_LINE_CAUSE, ""},
      {"No provider of 'nosuch' found.", PKG_LINE_ERROR, ""},
      {"Detected 1 file conflict:", PKG_LINE_ERROR, "c"},
      {"Download (curl) error for 'http://nosuch.invalid/content':", PKG_LINE_ERROR, "c"},
      {"Error code: Connection failed", PKG_LINE_PLAIN, "n"},
      {"Error message: Could not resolve host: nosuch.invalid", PKG_LINE_CAUSE, "n"},
      {"Repository 'test' is invalid.", PKG_LINE_ERROR, ""},
      {"System management is locked by the application with pid 1 (zypper).", PKG_LINE_CAUSE, "b"},
      {"Warning: There are no enabled repositories defined.", PKG_LINE_HINT, ""},
      {"(1/1) Installing: badpost-1.0-1.noarch [......done]", PKG_LINE_PLAIN, "u"},
      {"(1/1) Removing wants-1-1.noarch [.....done]", PKG_LINE_PLAIN, "u"},
      {"(some) Installing: x", PKG_LINE_PLAIN, ""},
      {"", PKG_LINE_PLAIN, ""},
  };

  (void) state;
  CHECK_ALL (check_lines, zypper_line, cases);
}

static void failed_plans_explain (void **state)
{
  (void) state;
  autofree char *why = zypper_explain (
      "<?xml version='1.0'?>\n<stream>\n<message type=\"info\">Loading repository "
      "data...</message>\n"
      "<message type=\"error\">No provider of &apos;nosuch&apos; found.</message>\n</stream>\n");
  assert_string_equal (why, "No provider of 'nosuch' found.");
  assert_null (zypper_explain ("<stream><message type=\"info\">fine</message></stream>"));
  assert_null (zypper_explain ("<message type=\"error\">&nosuch;</message>"));
  assert_null (zypper_explain ("no XML"));
  autofree char *open = zypper_explain ("<message type=\"error\">the end is missing");
  assert_string_equal (open, "the end is missing");
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (command_lines_are_understood), cmocka_unit_test (commands_never_ask),
      cmocka_unit_test (exit_statuses_are_understood), cmocka_unit_test (plans_are_read),
      cmocka_unit_test (broken_plans_are_refused),     cmocka_unit_test (tags_are_read),
      cmocka_unit_test (failed_plans_explain),         cmocka_unit_test (lines_tell_why),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
