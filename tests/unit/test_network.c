/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks by CNI plugins that the tests write: small scripts that note how they were called. */
#include "test.h"
#include "runtime/cni.h"
#include "runtime/cni_result.h"
#include "runtime/network.h"
#include "util/clock.h"
#include "util/fd.h"
#include <sys/wait.h>

static char *directory; /* with conf/, bin/, note/ and the file "calls" */
static int dir_fd = -1, note_fd = -1;

static char web_hostname[] = "web1", lan_name[] = "lan", eth0[] = "eth0";
static struct settings settings;

static void write_file (const char *name, const char *text, mode_t mode)
{
  autoclose int fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

  assert_true (fd >= 0 && fchmod (fd, mode) == 0 && fd_write_all (fd, text, strlen (text)) == 0);
}

static char *read_file (const char *name)
{
  autoerr struct err err = {0};
  char *text = NULL;

  if (fd_read_file (dir_fd, name, 1 << 20, &text, NULL, &err) < 0)
    return xstrdup ("");
  return text;
}

/* A plugin that writes "COMMAND NAME" to the file calls, keeps its configuration in
 * COMMAND.NAME.json, and then does what @script says. */
static void write_plugin (const char *name, const char *script)
{
  autofree char *text =
      xasprintf ("#!/bin/sh\ncd '%s'\necho \"$CNI_COMMAND %s ${CNI_NETNS:--}\" >>calls\n"
                 "cat >$CNI_COMMAND.%s.json\n%s\n",
                 directory, name, name, script);
  autofree char *path = xasprintf ("bin/%s", name);

  write_file (path, text, 0755);
}

static const char good[] =
    "[ $CNI_COMMAND = DEL ] || echo '{\"cniVersion\": \"1.0.0\", \"interfaces\": [{\"name\": "
    "\"br0\"}, {\"name\": \"eth0\", \"sandbox\": \"/ns\"}], \"ips\": [{\"address\": "
    "\"10.0.0.2/24\", \"gateway\": \"10.0.0.1\", \"interface\": 1}]}'";

static int setup (void **state)
{
  const char *tmp = getenv ("TMPDIR") ? getenv ("TMPDIR") : "/tmp";

  (void) state;
  directory = xasprintf ("%s/vguest-test.XXXXXX", tmp);
  assert_non_null (mkdtemp (directory));
  dir_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (dir_fd >= 0);
  assert_int_equal (mkdirat (dir_fd, "conf", 0755), 0);
  assert_int_equal (mkdirat (dir_fd, "bin", 0755), 0);
  note_fd = fd_make_dir (dir_fd, "note", 0755);
  assert_true (note_fd >= 0);
  autofree char *conf = xasprintf ("%s/conf", directory);
  autofree char *bin = xasprintf ("%s/none:%s/bin", directory, directory);
  setenv ("CNI_CONF_PATH", conf, 1);
  setenv ("CNI_PATH", bin, 1);
  settings = (struct settings){.hostname = web_hostname,
                               .network = NETWORK_CNI,
                               .cni_network = lan_name,
                               .cni_interface = eth0};
  write_plugin ("one", good);
  write_plugin ("two", "[ $CNI_COMMAND = DEL ] || cat ADD.one.json >/dev/null; cat <<'EOF'\n"
                       "{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"fd00::2/64\"}],\n"
                       "\"dns\": {\"nameservers\": [\"10.0.0.1\"], \"search\": [\"a\", \"b\"]}}\n"
                       "EOF");
  write_plugin ("three", good);
  write_file ("conf/10-lan.conflist",
              "{ // comments are allowed\n\"cniVersion\": \"1.0.0\", \"name\": \"lan\",\n"
              "\"plugins\": [{\"type\": \"one\", \"key\": 1},\n"
              "{\"type\": \"two\", \"capabilities\": {\"ips\": true, \"mac\": false}},\n"
              "{\"type\": \"three\", \"capabilities\": {\"portMappings\": true}}]}",
              0644);
  return 0;
}

static int teardown (void **state)
{
  const char *name = strrchr (directory, '/') + 1;
  autofree char *parent = xstrndup (directory, (size_t) (name - directory));
  autoclose int parent_fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};

  (void) state;
  close (note_fd);
  close (dir_fd);
  fd_remove_tree (parent_fd, name, &err);
  free (directory);
  return 0;
}

static void assert_calls (const char *expected)
{
  autofree char *calls = read_file ("calls");

  assert_string_equal (calls, expected);
  unlinkat (dir_fd, "calls", 0);
}

static void assert_contains (const char *text, const char *part)
{
  if (!strstr (text, part))
    fail_msg ("expected \"%s\" in: %s", part, text);
}

static bool has_note (void)
{
  return faccessat (note_fd, "network.json", F_OK, 0) == 0;
}

/* The member @path ("runtimeConfig") of what a plugin got: JSON text, the caller's. */
static char *given (const char *file, const char *key)
{
  autojson json_object *object = NULL;
  autoerr struct err err = {0};
  json_object *value = NULL;

  if (json_read_file (dir_fd, file, file, &object, &err) < 0)
    fail_msg ("%s", err_text (&err));
  json_object_object_get_ex (object, key, &value);
  return xstrdup (value ? json_object_to_json_string_ext (value, JSON_C_TO_STRING_NOSLASHESCAPE)
                        : "");
}

static void add_must_fail (const char *part)
{
  json_object *result = NULL;
  autoerr struct err err = {0};

  assert_true (network_add (&settings, "id1", "/ns", note_fd, &result, &err) < 0);
  assert_contains (err_text (&err), part);
  assert_null (strchr (err_text (&err), '\n'));
}

static void a_chain_is_added_and_deleted (void **state)
{
  autojson json_object *result = NULL;
  autoerr struct err err = {0};

  (void) state;
  if (network_add (&settings, "id1", "/ns", note_fd, &result, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_string_equal (json_object_to_json_string_ext (result, JSON_C_TO_STRING_NOSLASHESCAPE),
                       "{\"addresses\":[\"10.0.0.2/24\"],\"interfaces\":[{\"name\":\"br0\"},"
                       "{\"name\":\"eth0\",\"sandbox\":\"/ns\"}],\"gateway\":\"10.0.0.1\"}");
  assert_calls ("ADD one /ns\nADD two /ns\nADD three /ns\n");
  assert_true (has_note ());

  autofree char *first = given ("ADD.one.json", "prevResult");
  autofree char *second = given ("ADD.two.json", "prevResult");
  autofree char *third = given ("ADD.three.json", "prevResult");
  autofree char *key = given ("ADD.one.json", "key");
  autofree char *name = given ("ADD.two.json", "name");
  autofree char *version = given ("ADD.two.json", "cniVersion");
  assert_string_equal (first, "");
  assert_contains (second, "10.0.0.2/24");
  assert_contains (third, "fd00::2/64");
  assert_string_equal (key, "1");
  assert_string_equal (name, "\"lan\"");
  assert_string_equal (version, "\"1.0.0\"");

  /* The configuration as it was used, also when it is gone. */
  assert_int_equal (unlinkat (dir_fd, "conf/10-lan.conflist", 0), 0);
  assert_int_equal (network_delete (note_fd, "/ns", &err), 0);
  assert_calls ("DEL three /ns\nDEL two /ns\nDEL one /ns\n");
  autofree char *last = given ("DEL.one.json", "prevResult");
  assert_contains (last, "10.0.0.2/24");
  assert_false (has_note ());
  assert_int_equal (network_delete (note_fd, "/ns", &err), 0);
  assert_calls ("");
}

static void settings_reach_plugins_with_the_capability (void **state)
{
  static char address[] = "10.0.0.7/24", tcp[] = "tcp", local[] = "127.0.0.1";
  char *addresses[] = {address};
  struct settings_port ports[] = {{tcp, NULL, 8080, 80}, {tcp, local, 8443, 443}};
  autojson json_object *result = NULL;
  autoerr struct err err = {0};

  (void) state;
  settings.cni_addresses = (struct names){addresses, 1};
  settings.ports = ports;
  settings.port_count = 2;
  if (network_add (&settings, "id1", "/ns", note_fd, &result, &err) < 0)
    fail_msg ("%s", err_text (&err));
  autofree char *one = given ("ADD.one.json", "runtimeConfig");
  autofree char *two = given ("ADD.two.json", "runtimeConfig");
  autofree char *three = given ("ADD.three.json", "runtimeConfig");
  autofree char *capabilities = given ("ADD.three.json", "capabilities");
  assert_string_equal (one, "");
  assert_string_equal (two, "{\"ips\":[\"10.0.0.7/24\"]}");
  assert_string_equal (three, "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,"
                              "\"protocol\":\"tcp\"},{\"hostPort\":8443,\"containerPort\":443,"
                              "\"protocol\":\"tcp\",\"hostIP\":\"127.0.0.1\"}]}");
  assert_string_equal (capabilities, "");
  assert_int_equal (network_delete (note_fd, NULL, &err), 0);
  autofree char *deleted = given ("DEL.three.json", "runtimeConfig");
  assert_string_equal (deleted, three);
}

static void a_setting_that_no_plugin_takes_is_refused (void **state)
{
  static char mac[] = "02:00:00:00:00:01";

  (void) state;
  settings.cni_mac = mac;
  add_must_fail ("network lan: a MAC address cannot be set");
  assert_calls ("");
  assert_false (has_note ());
}

static void a_failure_undoes_what_ran (void **state)
{
  (void) state;
  write_plugin ("two", "[ $CNI_COMMAND = DEL ] && exit 0\n"
                       "echo 'noise' >&2; printf '{\"code\": 7, \"msg\": \"no\\\\nluck\", "
                       "\"details\": \"it is\\\\u001b[31m Monday\"}'; exit 1");
  add_must_fail ("network lan: plugin two: no luck: it is [31m Monday (CNI error 7)");
  assert_calls ("ADD one /ns\nADD two /ns\nDEL two /ns\nDEL one /ns\n");
  autofree char *previous = given ("DEL.two.json", "prevResult");
  assert_contains (previous, "10.0.0.2/24");
  assert_false (has_note ());
}

static void what_is_half_made_may_have_nothing_to_delete (void **state)
{
  (void) state;
  write_plugin ("two",
                "[ $CNI_COMMAND.$CNI_NETNS = DEL. ] || { echo 'no such rule' >&2; exit 3; }");
  add_must_fail ("network lan: plugin two: no such rule");
  assert_calls ("ADD one /ns\nADD two /ns\nDEL two /ns\nDEL two -\nDEL one /ns\n");
  assert_false (has_note ());
}

static void a_failure_to_undo_is_told_and_noted (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  write_plugin ("two", "echo 'first line' >&2; echo 'broken pipe dream' >&2; exit 3");
  add_must_fail ("plugin two: broken pipe dream; it could not be undone: plugin two: broken");
  assert_calls ("ADD one /ns\nADD two /ns\nDEL two /ns\nDEL two -\nDEL one /ns\n");
  assert_true (has_note ());
  /* Later all can be released, and the note goes. */
  write_plugin ("two", "exit 0");
  assert_int_equal (network_delete (note_fd, NULL, &err), 0);
  assert_calls ("DEL three -\nDEL two -\nDEL one -\n");
  assert_false (has_note ());
}

static void what_an_older_note_names_is_released_first (void **state)
{
  autojson json_object *result = NULL, *again = NULL;
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (network_add (&settings, "id1", "/ns", note_fd, &result, &err), 0);
  assert_calls ("ADD one /ns\nADD two /ns\nADD three /ns\n");
  assert_int_equal (network_add (&settings, "id1", "/ns2", note_fd, &again, &err), 0);
  assert_calls ("DEL three -\nDEL two -\nDEL one -\n"
                "ADD one /ns2\nADD two /ns2\nADD three /ns2\n");
}

static void a_plugin_that_hangs_is_killed (void **state)
{
  uint64_t start = clock_us ();

  (void) state;
  setenv ("VGUEST_CNI_TIMEOUT", "1", 1);
  write_plugin ("two", "[ $CNI_COMMAND = DEL ] || { echo $$ >pid; sleep 600; }");
  add_must_fail ("plugin two: it did not end in 1 seconds and was killed");
  unsetenv ("VGUEST_CNI_TIMEOUT");
  assert_true (clock_seconds_since (start) < 20);
  assert_calls ("ADD one /ns\nADD two /ns\nDEL two /ns\nDEL one /ns\n");
  /* Its child went with it: nobody is left in the group. */
  autofree char *text = read_file ("pid");
  pid_t pid = (pid_t) strtol (text, NULL, 10);
  assert_true (pid > 1);
  for (int i = 0; i < 100 && kill (-pid, 0) == 0; i++)
    usleep (20000);
  assert_int_equal (kill (-pid, 0), -1);
}

static void a_child_that_stays_behind_is_not_waited_for (void **state)
{
  uint64_t start = clock_us ();
  autojson json_object *result = NULL;
  autoerr struct err err = {0};

  (void) state;
  write_plugin ("three", "echo '{}'; [ $CNI_COMMAND = DEL ] || { sleep 15 & } ");
  assert_int_equal (network_add (&settings, "id1", "/ns", note_fd, &result, &err), 0);
  assert_true (clock_seconds_since (start) < 10);
  assert_string_equal (json_object_to_json_string_ext (result, JSON_C_TO_STRING_PLAIN),
                       "{\"addresses\":[],\"interfaces\":[]}");
}

static void what_plugins_print_is_bounded_and_checked (void **state)
{
  (void) state;
  write_plugin ("two", "[ $CNI_COMMAND = DEL ] || head -c 3000000 /dev/zero | tr '\\0' ' '");
  add_must_fail ("plugin two: it printed more than 1048576 bytes");
  write_plugin ("two", "[ $CNI_COMMAND = DEL ] || head -c 3000000 /dev/zero >&2; exit 1");
  add_must_fail ("plugin two: exit status 1");
  write_plugin ("two", "kill -9 $$");
  add_must_fail ("plugin two: signal 9");
  write_plugin ("two", "exit 0");
  add_must_fail ("plugin two: it printed no result");
  write_plugin ("two", "echo '[1, 2]'");
  add_must_fail ("plugin two: its result: a JSON object is expected");
  write_plugin ("three", "echo '{\"ips\": [{\"address\": \"10.0.0.2\"}]}'");
  write_plugin ("two", "echo '{}'");
  add_must_fail ("its result has the address \"10.0.0.2\", which is none");
  assert_false (has_note ());
}

static void names_that_are_wrong_are_told (void **state)
{
  static char typo[] = "lam", far[] = "somewhere", single[] = "single", dots[] = "dots";

  (void) state;
  write_file ("conf/20-broken.conflist", "{\"name\": ", 0644);
  write_file ("conf/30-single.conf", "{\"name\": \"single\", \"type\": \"missing\"}", 0644);
  write_file ("conf/40-dots.conf", "{\"name\": \"dots\", \"type\": \"../one\"}", 0644);
  settings.cni_network = typo;
  add_must_fail ("there is no network \"lam\" in ");
  add_must_fail ("did you mean \"lan\"?");
  settings.cni_network = far;
  add_must_fail ("20-broken.conflist, line 1: unexpected end");
  settings.cni_network = single;
  add_must_fail ("network single: the plugin \"missing\" is not in ");
  add_must_fail ("install the package containernetworking-plugins");
  settings.cni_network = dots;
  add_must_fail ("40-dots.conf: \"type\" of a plugin must be the name of a plugin");
  assert_calls ("");
}

static void configurations_are_checked (void **state)
{
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"{\"name\": \"x\", \"cniVersion\": \"2.0.0\", \"type\": \"one\"}",
       "\"cniVersion\": \"2.0.0\" is not known"},
      {"{\"name\": \"x\", \"plugins\": []}", "\"plugins\" must be a list with at least one"},
      {"{\"name\": \"x\", \"plugins\": {}}", "\"plugins\" must be a list"},
      {"{\"name\": \"x\", \"plugins\": [7]}", "a member of \"plugins\" is not an object"},
      {"{\"name\": \"x\", \"plugins\": [{}]}", "must be the name of a plugin"},
      {"{\"name\": \"x\", \"type\": \"one\", \"ipam\": 3}", "\"ipam\" must be an object"},
      {"{\"name\": \"x\", \"type\": \"one\", \"ipam\": {\"type\": \"none\"}}",
       "the plugin \"none\" is not in"},
      {"{\"name\": \"x\", \"type\": \"one\", \"capabilities\": []}",
       "\"capabilities\" must be an object"},
  };
  static char x[] = "x";

  (void) state;
  settings.cni_network = x;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_file ("conf/20-x.conf", cases[i].text, 0644);
    add_must_fail (cases[i].message);
  }
}

static void the_best_known_version_is_taken (void **state)
{
  static const struct {
    const char *member, *version;
  } cases[] = {
      {"\"cniVersion\": \"0.4.0\"", "0.4.0"},
      {"\"cniVersion\": \"1.1.0\"", "1.1.0"},
      {"\"cniVersions\": [\"0.3.1\", \"0.4.0\", \"9.0.0\"]", "0.4.0"},
      {"\"cniVersion\": \"0.4.0\", \"cniVersions\": [\"1.1.0\", \"1.0.0\"]", "1.0.0"},
      {"\"other\": 1", "0.1.0"},
  };
  static char x[] = "x";

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    autofree char *text =
        xasprintf ("{\"name\": \"x\", %s, \"plugins\": [{\"type\": \"one\"}]}", cases[i].member);
    autojson json_object *config = NULL;
    autoerr struct err err = {0};
    const char *version = NULL;

    write_file ("conf/20-x.conflist", text, 0644);
    if (cni_config_load (x, &config, &err) < 0)
      fail_msg ("%s", err_text (&err));
    assert_int_equal (json_get_string (config, "cniVersion", "", &version, &err), 0);
    assert_string_equal (version, cases[i].version);
  }
}

static void a_missing_dhcp_daemon_is_told (void **state)
{
  (void) state;
  write_plugin ("dhcp", "exit 1");
  autofree char *text = xasprintf ("{\"name\": \"lan\", \"type\": \"one\", \"ipam\": {\"type\": "
                                   "\"dhcp\", \"daemonSocketPath\": \"%s/none\"}}",
                                   directory);
  write_file ("conf/05-lan.conflist", text, 0644);
  add_must_fail ("network lan: the daemon of the dhcp plugin does not answer: start \"");
  add_must_fail ("bin/dhcp daemon\": ");
  assert_calls ("");
}

static void host_and_none_need_nothing (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  setenv ("CNI_CONF_PATH", "/nowhere", 1);
  settings.network = NETWORK_HOST;
  assert_int_equal (network_check (&settings, &err), 0);
  settings.network = NETWORK_NONE;
  assert_int_equal (network_check (&settings, &err), 0);
  settings.network = NETWORK_CNI;
  assert_true (network_check (&settings, &err) < 0);
  assert_contains (err_text (&err), "there is no network \"lan\" in /nowhere");
}

static void a_broken_note_is_told (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  write_file ("note/network.json", "{\"format\": 1, \"id\": \"x\"}", 0600);
  assert_true (network_delete (note_fd, NULL, &err) < 0);
  assert_contains (err_text (&err), "network.json: it is not complete");
  write_file ("note/network.json", "{\"format\": 2}", 0600);
  assert_true (network_delete (note_fd, NULL, &err) < 0);
  assert_contains (err_text (&err), "network.json: its format is not known");
  assert_true (has_note ());
}

/* The summary of @text as JSON text, or the error: the caller's. */
static char *summary_of (const char *text)
{
  autojson json_object *result = NULL, *summary = NULL;
  autoerr struct err err = {0};

  if (cni_result_parse (text, strlen (text), &result, &err) < 0 ||
      cni_result_summary (result, &summary, &err) < 0)
    return xstrdup (err_text (&err));
  return xstrdup (json_object_to_json_string_ext (summary, JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void results_of_all_versions_are_understood (void **state)
{
  autofree char *old =
      summary_of ("{\"cniVersion\": \"0.2.0\", \"ip4\": {\"ip\": \"10.1.2.3/8\", "
                  "\"gateway\": \"10.0.0.1\"}, \"ip6\": {\"ip\": \"fd00::5/64\"}}");
  autofree char *host = summary_of (
      "{\"interfaces\": [{\"name\": \"veth\"}, {\"name\": \"eth0\", \"sandbox\": \"/n\"}]"
      ", \"ips\": [{\"version\": \"4\", \"address\": \"10.0.0.1/24\", \"interface\": 0}, "
      "{\"address\": \"10.0.0.9/24\", \"interface\": 1}, {\"address\": \"10.0.1.9/24\"}, "
      "{\"address\": \"10.0.2.9/24\", \"interface\": 77}]}");

  (void) state;
  assert_string_equal (old, "{\"addresses\":[\"10.1.2.3/8\",\"fd00::5/64\"],\"interfaces\":[],"
                            "\"gateway\":\"10.0.0.1\"}");
  assert_contains (host, "{\"addresses\":[\"10.0.0.9/24\",\"10.0.1.9/24\",\"10.0.2.9/24\"],");
}

static void hostile_results_are_refused (void **state)
{
  static const char *const texts[] = {
      "",
      "null",
      "{\"ips\": 3}",
      "{\"ips\": [null]}",
      "{\"ips\": [{\"address\": 3}]}",
      "{\"ips\": [{\"address\": \"10.0.0.1/\"}]}",
      "{\"ips\": [{\"address\": \"10.0.0.1/33\"}]}",
      "{\"ips\": [{\"address\": \"10.0.0.1/024x\"}]}",
      "{\"ips\": [{\"address\": \"10.0.0.1/24\", \"gateway\": \"x\"}]}",
      "{\"ips\": [{\"address\": \"10.0.0.1\\u0000/24\"}]}",
      "{\"interfaces\": [7]}",
      "{\"interfaces\": [{\"name\": \"a\\nb\"}]}",
      "{\"interfaces\": {}}",
      "{\"dns\": {\"nameservers\": [\"10.0.0.1\\noptions x\"]}}",
      "{\"dns\": {\"nameservers\": [\"example.org\"]}}",
      "{\"dns\": {\"search\": [\"a b\"]}}",
      "{\"dns\": {\"domain\": \"a\\nnameserver 1.2.3.4\"}}",
      "{\"dns\": {\"options\": \"x\"}}",
  };

  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    autofree char *answer = summary_of (texts[i]);

    if (*answer == '{')
      fail_msg ("accepted: %s", texts[i]);
  }
}

static void name_servers_are_written (void **state)
{
  autojson json_object *result = NULL, *none = NULL;
  autoerr struct err err = {0};
  struct stat before, after;

  (void) state;
  autofree char *with =
      summary_of ("{\"dns\": {\"nameservers\": [\"10.0.0.1\", \"fd00::1\"], \"domain\": \"lan\", "
                  "\"search\": [\"a.lan\", \"b.lan\"], \"options\": [\"ndots:2\"]}}");
  autofree char *without = summary_of ("{\"dns\": {\"search\": [\"a.lan\"]}}");
  assert_int_equal (json_parse_object (with, strlen (with), "with", &result, &err), 0);
  assert_int_equal (json_parse_object (without, strlen (without), "without", &none, &err), 0);
  assert_int_equal (mkdirat (dir_fd, "root", 0755), 0);
  autoclose int root_fd = fd_open_dir (dir_fd, "root");

  /* Without an /etc, and without name servers, nothing is made. */
  assert_int_equal (network_write_resolv (result, root_fd, &err), 0);
  assert_int_equal (mkdirat (root_fd, "etc", 0755), 0);
  assert_int_equal (network_write_resolv (none, root_fd, &err), 0);
  assert_int_equal (faccessat (root_fd, "etc/resolv.conf", F_OK, 0), -1);

  assert_int_equal (network_write_resolv (result, root_fd, &err), 0);
  autofree char *text = read_file ("root/etc/resolv.conf");
  assert_contains (text, "\ndomain lan\nsearch a.lan b.lan\nnameserver 10.0.0.1\n"
                         "nameserver fd00::1\noptions ndots:2\n");
  assert_int_equal (fstatat (root_fd, "etc/resolv.conf", &before, 0), 0);
  assert_int_equal (network_write_resolv (result, root_fd, &err), 0);
  assert_int_equal (fstatat (root_fd, "etc/resolv.conf", &after, 0), 0);
  assert_int_equal (before.st_ino, after.st_ino);

  /* Links are the guest's; one of /etc stays inside. */
  write_file ("outside", "mine", 0644);
  assert_int_equal (unlinkat (root_fd, "etc/resolv.conf", 0), 0);
  assert_int_equal (symlinkat ("../../outside", root_fd, "etc/resolv.conf"), 0);
  assert_int_equal (network_write_resolv (result, root_fd, &err), 0);
  assert_int_equal (unlinkat (root_fd, "etc/resolv.conf", 0), 0);
  assert_int_equal (unlinkat (root_fd, "etc", AT_REMOVEDIR), 0);
  assert_int_equal (symlinkat (directory, root_fd, "etc"), 0);
  assert_int_equal (network_write_resolv (result, root_fd, &err), 0);
  autofree char *outside = read_file ("outside");
  assert_string_equal (outside, "mine");
  assert_int_equal (faccessat (dir_fd, "resolv.conf", F_OK, 0), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_chain_is_added_and_deleted),
      TEST (settings_reach_plugins_with_the_capability),
      TEST (a_setting_that_no_plugin_takes_is_refused),
      TEST (a_failure_undoes_what_ran),
      TEST (what_is_half_made_may_have_nothing_to_delete),
      TEST (a_failure_to_undo_is_told_and_noted),
      TEST (what_an_older_note_names_is_released_first),
      TEST (a_plugin_that_hangs_is_killed),
      TEST (a_child_that_stays_behind_is_not_waited_for),
      TEST (what_plugins_print_is_bounded_and_checked),
      TEST (names_that_are_wrong_are_told),
      TEST (configurations_are_checked),
      TEST (the_best_known_version_is_taken),
      TEST (a_missing_dhcp_daemon_is_told),
      TEST (host_and_none_need_nothing),
      TEST (a_broken_note_is_told),
      TEST (results_of_all_versions_are_understood),
      TEST (hostile_results_are_refused),
      TEST (name_servers_are_written),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
