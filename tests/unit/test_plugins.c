/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks by the real CNI plugins, in a network namespace that stands for the host's. */
#include "test.h"
#include "runtime/masquerade.h"
#include "runtime/network.h"
#include "util/fd.h"
#include "util/subprocess.h"
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static char *directory; /* with conf/, leases/, note/ and the file netns */
static int dir_fd = -1, note_fd = -1;
static char hostname[] = "web1", network[] = "test", eth0[] = "eth0", tcp[] = "tcp";
static struct settings_port port = {tcp, NULL, 8080, 80};
static const struct settings settings = {.hostname = hostname,
                                         .network = NETWORK_CNI,
                                         .cni_network = network,
                                         .cni_interface = eth0,
                                         .ports = &port,
                                         .port_count = 1};

static bool run (const char *const *argv)
{
  struct subprocess sub = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
  autoerr struct err err = {0};
  int status = -1;

  return subprocess_run (&sub, &status, &err) == 0 && status == 0;
}

static char *output_of (const char *const *argv)
{
  struct subprocess sub = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
  autoerr struct err err = {0};
  int status = -1;
  char *text = NULL;

  if (subprocess_capture (&sub, 1 << 20, &text, &status, &err) < 0)
    fail_msg ("%s", err_text (&err));
  return text;
}

/* The reason why nothing of this can be tested here, or NULL. */
static const char *what_is_missing (void)
{
  static const char *const probe[] = {"ip", "link", "add", "vg-probe", "type", "bridge", NULL};
  static const char *const veth[] = {"ip", "link", "add", "vg-veth", "type", "veth", NULL};
  static const char *const nat[] = {
      "sh", "-c",
      "for i in iptables ip6tables; do $i -t nat -A POSTROUTING -j MASQUERADE && "
      "$i -t nat -F || exit 1; done",
      NULL};

  if (geteuid () != 0)
    return "needs root";
  if (access ("/usr/lib/cni/bridge", X_OK) < 0)
    return "needs containernetworking-plugins";
  if (!subprocess_exists ("ip") || !subprocess_exists ("iptables"))
    return "needs ip and iptables";
  if (unshare (CLONE_NEWNET | CLONE_NEWNS) < 0 ||
      mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return "needs network namespaces";
  if (!run (probe) || !run (veth))
    return "needs the network devices bridge and veth";
  if (!run (nat))
    return "needs iptables and ip6tables that can masquerade";
  return NULL;
}

static int setup (void **state)
{
  static const char config[] =
      "{\"cniVersion\": \"1.0.0\", \"name\": \"test\", \"plugins\": [\n"
      "{\"type\": \"bridge\", \"bridge\": \"vg-test0\", \"isGateway\": true, \"ipMasq\": true,\n"
      " \"ipam\": {\"type\": \"host-local\", \"dataDir\": \"%s/leases\",\n"
      "            \"ranges\": [[{\"subnet\": \"10.213.77.0/24\"}], [{\"subnet\": "
      "\"fd00:77::/64\"}]]}},\n"
      "{\"type\": \"tuning\", \"dataDir\": \"%s/tuning\", \"mtu\": 1400},\n"
      "{\"type\": \"firewall\", \"backend\": \"iptables\"},\n"
      "{\"type\": \"portmap\", \"capabilities\": {\"portMappings\": true}}]}";
  const char *tmp = getenv ("TMPDIR") ? getenv ("TMPDIR") : "/tmp";
  autoerr struct err err = {0};

  (void) state;
  directory = xasprintf ("%s/vguest-test.XXXXXX", tmp);
  assert_non_null (mkdtemp (directory));
  dir_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  note_fd = fd_make_dir (dir_fd, "note", 0700);
  autoclose int conf_fd = fd_make_dir (dir_fd, "conf", 0700);
  assert_true (note_fd >= 0 && conf_fd >= 0);
  autofree char *text = xasprintf (config, directory, directory);
  assert_int_equal (fd_write_file (conf_fd, "test.conflist", text, strlen (text), 0600, &err), 0);
  autofree char *conf = xasprintf ("%s/conf", directory);
  setenv ("CNI_CONF_PATH", conf, 1);
  unsetenv ("CNI_PATH");
  return 0;
}

static int teardown (void **state)
{
  const char *name = strrchr (directory, '/') + 1;
  autofree char *parent = xstrndup (directory, (size_t) (name - directory));
  autofree char *netns = xasprintf ("%s/netns", directory);
  autoclose int parent_fd = open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  autoerr struct err err = {0};

  (void) state;
  umount2 (netns, MNT_DETACH);
  close (note_fd);
  close (dir_fd);
  fd_remove_tree (parent_fd, name, &err);
  free (directory);
  return 0;
}

static char *make_namespace (void)
{
  char *path = xasprintf ("%s/netns", directory);
  autoerr struct err err = {0};

  if (network_make_namespace (path, &err) < 0)
    fail_msg ("%s", err_text (&err));
  return path;
}

/* The flags of @device in the namespace at @path; -1 without one. */
static int device_flags (const char *path, const char *device)
{
  pid_t pid = fork ();
  int status = -1;

  if (pid == 0) {
    autoclose int ns = open (path, O_RDONLY | O_CLOEXEC);
    struct ifreq request = {0};

    memcpy (request.ifr_name, device, strlen (device));
    if (ns < 0 || setns (ns, CLONE_NEWNET) < 0)
      _exit (255);
    autoclose int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    _exit (ioctl (fd, SIOCGIFFLAGS, &request) < 0 ? 255 : request.ifr_flags & 0x7f);
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  return WEXITSTATUS (status) == 255 ? -1 : WEXITSTATUS (status);
}

static void a_namespace_has_lo_and_stays (void **state)
{
  autofree char *path = make_namespace ();
  struct statfs fs;

  (void) state;
  assert_int_equal (statfs (path, &fs), 0);
  assert_int_equal (fs.f_type, NSFS_MAGIC);
  assert_true (device_flags (path, "lo") > 0 && device_flags (path, "lo") & IFF_UP);
  assert_int_equal (device_flags (path, "vg-probe"), -1);
  /* This process did not move. */
  assert_true (if_nametoindex ("vg-probe") > 0);
}

static char *leases (void)
{
  autofree char *path = xasprintf ("%s/leases/test", directory);
  const char *const list[] = {"ls", path, NULL};

  return output_of (list);
}

static void assert_rules (bool expected)
{
  static const char *const nat[] = {"iptables-save", "-t", "nat", NULL};
  static const char *const filter[] = {"iptables-save", "-t", "filter", NULL};
  static const char *const nat6[] = {"ip6tables-save", "-t", "nat", NULL};
  autofree char *rules = output_of (nat);
  autofree char *filters = output_of (filter);
  autofree char *rules6 = output_of (nat6);

  if ((strstr (rules, "10.213.77.2") && strstr (rules, "--to-destination")) != expected ||
      (strstr (rules, "guest-id") || strstr (rules, "10.213.77.2")) != expected)
    fail_msg ("rules of nat, expected %d: %s", expected, rules);
  if ((strstr (filters, "10.213.77.2") != NULL) != expected)
    fail_msg ("rules of filter, expected %d: %s", expected, filters);
  if (!expected && (strstr (rules6, "guest-id") || strstr (rules6, "fd00:77::2")))
    fail_msg ("rules of IPv6: %s", rules6);
}

static void add_network (const char *path)
{
  autojson json_object *result = NULL;
  autoerr struct err err = {0};

  if (network_add (&settings, "guest-id", path, note_fd, &result, &err) < 0)
    fail_msg ("%s", err_text (&err));
  const char *text = json_object_to_json_string_ext (result, JSON_C_TO_STRING_NOSLASHESCAPE);
  if (!strstr (text, "[\"10.213.77.2/24\",\"fd00:77::2/64\"]") ||
      !strstr (text, "\"gateway\":\"10.213.77.1\""))
    fail_msg ("result: %s", text);
  autofree char *taken = leases ();
  assert_non_null (strstr (taken, "10.213.77.2\n"));
  assert_rules (true);
}

static void assert_released (void)
{
  autofree char *taken = leases ();

  assert_null (strstr (taken, "10.213.77.2\n"));
  assert_null (strstr (taken, "fd00"));
  assert_rules (false);
  assert_int_equal (faccessat (note_fd, "network.json", F_OK, 0), -1);
}

static void a_network_is_released (void **state)
{
  autofree char *path = make_namespace ();
  autoerr struct err err = {0};

  (void) state;
  add_network (path);
  assert_true (device_flags (path, "eth0") > 0);
  if (network_delete (note_fd, path, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_released ();
  assert_int_equal (device_flags (path, "eth0"), -1);
}

static void a_network_is_released_when_the_namespace_is_gone (void **state)
{
  autofree char *path = make_namespace ();
  autoerr struct err err = {0};

  (void) state;
  add_network (path);
  assert_int_equal (umount2 (path, MNT_DETACH), 0);
  if (network_delete (note_fd, NULL, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_released ();
}

/* As if the bridge plugin was killed: its result is not in the note. */
static void add_bridge_cut_short (void)
{
  struct settings plain = settings;
  autojson json_object *config = NULL, *result = NULL, *note = NULL;
  autofree char *path = make_namespace ();
  autoerr struct err err = {0};
  json_object *plugins = NULL;

  assert_int_equal (json_read_file (dir_fd, "conf/test.conflist", "config", &config, &err), 0);
  json_object_object_get_ex (config, "plugins", &plugins);
  json_object_array_del_idx (plugins, 1, 3);
  assert_int_equal (json_write_file (dir_fd, "conf/test.conflist", config, &err), 0);
  plain.port_count = 0;
  if (network_add (&plain, "guest-id", path, note_fd, &result, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_int_equal (json_read_file (note_fd, "network.json", "note", &note, &err), 0);
  json_object_object_del (note, "result");
  assert_int_equal (json_write_file (note_fd, "network.json", note, &err), 0);
  assert_int_equal (umount2 (path, MNT_DETACH), 0);
}

static void what_an_add_cut_short_left_is_released (void **state)
{
  autoerr struct err err = {0};

  (void) state;
  add_bridge_cut_short ();
  if (network_delete (note_fd, NULL, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_released ();
}

static void chains_without_an_address_are_released (void **state)
{
  static const char *const unjoin[] = {
      "sh", "-c",
      "for i in iptables ip6tables; do $i -t nat -S POSTROUTING | sed -n \"s/^-A/$i -t nat -D/p\" "
      "| sh; done",
      NULL};
  autoerr struct err err = {0};

  (void) state;
  add_bridge_cut_short ();
  assert_true (run (unjoin));
  if (network_delete (note_fd, NULL, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_released ();
}

static void rules_are_found_by_their_comment (void **state)
{
  static const char rules[] =
      "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING\n-A POSTROUTING -s \n"
      "-A POSTROUTING -s 10.0.0.2/32 -m comment --comment \"name: \\\"lan\\\" id: \\\"web1\\\"\" "
      "-j C\n"
      "-A POSTROUTING -s 10.0.0.3/32 -m comment --comment \"name: \\\"lan\\\" id: \\\"web11\\\"\" "
      "-j C\n"
      "-A OTHER -s 10.0.0.4/32 -m comment --comment \"name: \\\"lan\\\" id: \\\"web1\\\"\" -j C\n"
      "-A POSTROUTING -s 10.0.0.5/32 -m comment --comment \" id: \\\"web1\\\"";
  autojson json_object *addresses = json_object_new_array ();

  (void) state;
  masquerade_parse (rules, "web1", addresses);
  assert_string_equal (json_object_to_json_string_ext (addresses, JSON_C_TO_STRING_NOSLASHESCAPE),
                       "[\"10.0.0.2/32\",\"10.0.0.5/32\"]");
}

static void a_rebooted_host_has_leases_only (void **state)
{
  static const char *const flush[] = {"sh", "-c",
                                      "for t in nat filter; do for i in iptables ip6tables; do $i "
                                      "-t $t -F; $i -t $t -X; done; done; ip link del vg-test0",
                                      NULL};
  autofree char *path = make_namespace ();
  autoerr struct err err = {0};

  (void) state;
  add_network (path);
  assert_int_equal (umount2 (path, MNT_DETACH), 0);
  assert_true (run (flush));
  if (network_delete (note_fd, NULL, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_released ();
}

static void plugins_tell_what_is_wrong (void **state)
{
  autojson json_object *result = NULL;
  autoerr struct err err = {0};

  (void) state;
  assert_int_equal (network_add (&settings, "guest-id", "/nowhere", note_fd, &result, &err),
                    -EREMOTEIO);
  assert_non_null (strstr (err_text (&err), "network test: plugin bridge: "));
  assert_non_null (strstr (err_text (&err), "/nowhere"));
  assert_int_equal (faccessat (note_fd, "network.json", F_OK, 0), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown (f, setup, teardown)

int main (void)
{
  const struct CMUnitTest tests[] = {
      TEST (a_namespace_has_lo_and_stays),
      TEST (a_network_is_released),
      TEST (a_network_is_released_when_the_namespace_is_gone),
      TEST (what_an_add_cut_short_left_is_released),
      TEST (chains_without_an_address_are_released),
      cmocka_unit_test (rules_are_found_by_their_comment),
      TEST (a_rebooted_host_has_leases_only),
      TEST (plugins_tell_what_is_wrong),
  };
  const char *missing = what_is_missing ();

  if (missing) {
    printf ("1..0 # SKIP %s\n", missing);
    return 0;
  }
  return cmocka_run_group_tests (tests, NULL, NULL);
}
