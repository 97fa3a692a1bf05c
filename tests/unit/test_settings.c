/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "guest/settings.h"

static json_object *config_of (const char *text)
{
  autoerr struct err err = {0};
  json_object *config = NULL;

  if (json_parse_object (text, strlen (text), "config", &config, &err) < 0)
    fail_msg ("%s: %s", text, err_text (&err));
  return config;
}

static void assert_names (const struct names *names, const char *expected)
{
  autofree char *text = xstrdup ("");

  for (size_t i = 0; i < names->count; i++) {
    char *more = xasprintf ("%s%s%s", text, i ? " " : "", names->items[i]);

    free (text);
    text = more;
  }
  assert_string_equal (text, expected);
}

static void an_empty_config_has_the_defaults (void **state)
{
  autoerr struct err err = {0};
  autosettings struct settings s = {0};
  autojson json_object *config = config_of ("{\"format\": 1}");

  (void) state;
  assert_int_equal (settings_parse (config, "web_1", &s, &err), 0);
  assert_string_equal (s.hostname, "web-1");
  assert_null (s.runtime);
  assert_int_equal (s.init, INIT_AUTO);
  assert_int_equal (s.memory_bytes, -1);
  assert_int_equal (s.cpus_milli, -1);
  assert_int_equal (s.network, NETWORK_HOST);
  assert_int_equal (s.stop_timeout, 30);
  assert_int_equal (s.health_timeout, 30);
  assert_int_equal (s.keep_transactions, 1);
  assert_false (s.autostart);
}

static void a_full_config_is_taken_apart (void **state)
{
  static const char text[] =
      "{ // a comment\n"
      "\"format\": 1, \"hostname\": \"www.example.org\", \"runtime\": \"/usr/sbin/runc\","
      "\"init\": \"plain\", \"command\": [\"/usr/bin/x\", \"-a b\"],"
      "\"environment\": {\"A\": \"b c\", \"N\": 5},"
      "\"capabilities\": {\"add\": [\"sys_admin\", \"CAP_NET_ADMIN\"], \"drop\": [\"ALL\"]},"
      "\"rlimits\": {\"nofile\": \"1024:4096\", \"core\": \"unlimited\", \"memlock\": \"64K\"},"
      "\"memory\": \"512M\", \"swap\": 0, \"cpus\": 1.5, \"cpu_weight\": 200,"
      "\"io_weight\": 50, \"pids\": 500,"
      "\"mounts\": [{\"source\": \"/srv/x\", \"target\": \"/srv/y\", \"read_only\": true,"
      "             \"optional\": true, \"options\": [\"noexec\"]},"
      "            {\"type\": \"tmpfs\", \"target\": \"/tmp\", \"options\": [\"size=64M\"]}],"
      "\"devices\": [\"/dev/fuse:rw\", \"/dev/net/tun\"],"
      "\"sysctls\": {\"net.ipv4.ip_forward\": 1},"
      "\"network\": {\"cni\": \"lan\", \"mac\": \"02:00:00:12:34:56\","
      "  \"addresses\": [\"10.0.0.2/24\", \"fd00::2/64\"],"
      "  \"ports\": [\"8080:80\", \"127.0.0.1:53:53/udp\", \"[::1]:81:80/sctp\"]},"
      "\"autostart\": true, \"autostart_priority\": -5, \"depends\": [\"db\"],"
      "\"stop_timeout\": 5, \"health\": [\"/bin/true\"], \"health_timeout\": 9,"
      "\"labels\": {\"role\": \"web\", \"a.b/c\": \"\"}, \"notes\": \"two\\nlines\", \"pids\": "
      "600}";
  autoerr struct err err = {0};
  autosettings struct settings s = {0};
  autojson json_object *config = config_of (text);

  (void) state;
  if (settings_parse (config, "web1", &s, &err) < 0)
    fail_msg ("%s", err_text (&err));
  assert_string_equal (s.hostname, "www.example.org");
  assert_string_equal (s.runtime, "/usr/sbin/runc");
  assert_int_equal (s.init, INIT_PLAIN);
  assert_names (&s.command, "/usr/bin/x -a b");
  assert_names (&s.environment, "A=b c N=5");
  assert_names (&s.capabilities_add, "CAP_SYS_ADMIN CAP_NET_ADMIN");
  assert_names (&s.capabilities_drop, "ALL");
  assert_int_equal (s.rlimit_count, 3);
  assert_string_equal (s.rlimits[0].name, "RLIMIT_NOFILE");
  assert_int_equal (s.rlimits[0].soft, 1024);
  assert_int_equal (s.rlimits[0].hard, 4096);
  assert_int_equal (s.rlimits[1].hard, -1);
  assert_int_equal (s.rlimits[2].soft, 65536);
  assert_int_equal (s.memory_bytes, 512 << 20);
  assert_int_equal (s.swap_bytes, 0);
  assert_int_equal (s.cpus_milli, 1500);
  assert_int_equal (s.cpu_weight, 200);
  assert_int_equal (s.io_weight, 50);
  assert_int_equal (s.pids, 600);
  assert_int_equal (s.mount_count, 2);
  assert_string_equal (s.mounts[0].source, "/srv/x");
  assert_true (s.mounts[0].read_only && s.mounts[0].optional && !s.mounts[0].tmpfs);
  assert_names (&s.mounts[0].options, "noexec");
  assert_true (s.mounts[1].tmpfs);
  assert_null (s.mounts[1].source);
  assert_int_equal (s.device_count, 2);
  assert_string_equal (s.devices[0].path, "/dev/fuse");
  assert_string_equal (s.devices[0].access, "rw");
  assert_string_equal (s.devices[1].access, "rwm");
  assert_names (&s.sysctls, "net.ipv4.ip_forward=1");
  assert_int_equal (s.network, NETWORK_CNI);
  assert_string_equal (s.cni_network, "lan");
  assert_string_equal (s.cni_interface, "eth0");
  assert_string_equal (s.cni_mac, "02:00:00:12:34:56");
  assert_names (&s.cni_addresses, "10.0.0.2/24 fd00::2/64");
  assert_int_equal (s.port_count, 3);
  assert_string_equal (s.ports[1].host_ip, "127.0.0.1");
  assert_string_equal (s.ports[1].protocol, "udp");
  assert_string_equal (s.ports[2].host_ip, "::1");
  assert_int_equal (s.ports[0].host_port, 8080);
  assert_int_equal (s.ports[0].port, 80);
  assert_true (s.autostart);
  assert_int_equal (s.autostart_priority, -5);
  assert_names (&s.depends, "db");
  assert_int_equal (s.stop_timeout, 5);
  assert_names (&s.health, "/bin/true");
  assert_int_equal (s.health_timeout, 9);
  assert_names (&s.labels, "a.b/c= role=web");
  assert_string_equal (s.notes, "two\nlines");
}

static void signals_have_many_names (void **state)
{
  static const struct {
    const char *text;
    int number;
  } cases[] = {{"SIGTERM", 15},  {"term", 15},       {"15", 15},      {"SIGQUIT", 3},
               {"SIGRTMIN", 34}, {"SIGRTMIN+3", 37}, {"rtmax-1", 63}, {"SIGWINCH", 28}};

  (void) state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    autofree char *text = xasprintf ("{\"stop_signal\": \"%s\", \"user\": \"1000:www\", "
                                     "\"working_dir\": \"/\"}",
                                     cases[i].text);
    autojson json_object *config = config_of (text);
    autosettings struct settings s = {0};
    autoerr struct err err = {0};

    assert_int_equal (settings_parse (config, "web1", &s, &err), 0);
    assert_int_equal (s.stop_signal, cases[i].number);
    assert_string_equal (s.user, "1000:www");
    assert_string_equal (s.working_dir, "/");
  }
}

static void bad_configs_are_refused_by_name (void **state)
{
  static const struct {
    const char *config, *message;
  } bad[] = {
      {"{\"memroy\": 1}",
       "guest web1: config.json: unknown key \"memroy\"; did you mean \"memory\""},
      {"{\"network\": {\"cni\": \"a\", \"macc\": \"x\"}}", "did you mean \"mac\""},
      {"{\"capabilities\": {\"ad\": []}}", "did you mean \"add\""},
      {"{\"capabilities\": []}", "capabilities must be an object"},
      {"{\"memory\": \"12Q\"}", "config.json: memory: \"12Q\" is not a size"},
      {"{\"memory\": \"1M\"}", "memory: \"1M\" is less"},
      {"{\"memory\": -5}", "memory: \"-5\" is not a size"},
      {"{\"memory\": \"9999999999T\"}", "is not a size"},
      {"{\"memory\": true}", "memory: a string is expected"},
      {"{\"swap\": \"1G\"}", "swap: it needs a memory limit"},
      {"{\"hostname\": \"-a\"}", "hostname: bad host name"},
      {"{\"hostname\": \"a\\u0000b\"}", "NUL"},
      {"{\"runtime\": \"foo\"}", "runtime: \"foo\" is neither"},
      {"{\"init\": \"sytemd\"}", "init: \"sytemd\" is not known; did you mean \"systemd\""},
      {"{\"init\": \"plain\"}", "init: \"plain\" needs a command"},
      {"{\"init\": \"systemd\", \"command\": [\"/x\"]}", "command: it is for init \"plain\""},
      {"{\"command\": \"/x\"}", "command: a list of strings"},
      {"{\"command\": [\"\"]}", "command: the program's name is empty"},
      {"{\"environment\": {\"A=\": \"\"}}", "environment: \"A=\" is no name"},
      {"{\"environment\": {\"A\": true}}", "environment: A: a string"},
      {"{\"capabilities\": {\"add\": [\"SYS_ADMN\"]}}",
       "capabilities.add: there is no capability \"SYS_ADMN\"; did you mean \"CAP_SYS_ADMIN\""},
      {"{\"capabilities\": {\"add\": [\"ALL\"]}}", "can only be dropped"},
      {"{\"rlimits\": {\"nofiles\": \"1\"}}", "did you mean \"nofile\""},
      {"{\"rlimits\": {\"nofile\": \"10:5\"}}", "above the hard one"},
      {"{\"rlimits\": {\"nofile\": \"unlimited:5\"}}", "above the hard one"},
      {"{\"rlimits\": {\"nofile\": \"x\"}}", "is no limit"},
      {"{\"cpus\": 0}", "cpus: 0 is not between"},
      {"{\"cpus\": \"1\"}", "cpus: a number"},
      {"{\"cpu_weight\": 10001}", "cpu_weight: 10001 is not between 1 and 10000"},
      {"{\"pids\": 3}", "pids: 3 is not between"},
      {"{\"pids\": 1.5}", "pids: a whole number"},
      {"{\"mounts\": [{\"target\": \"/a\"}]}", "mounts: the source of /a is missing"},
      {"{\"mounts\": [{\"source\": \"/a\"}]}", "\"target\" is missing"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"b\"}]}",
       "the target \"b\" is no absolute"},
      {"{\"mounts\": [{\"source\": \"a\", \"target\": \"/b\"}]}",
       "the source \"a\" is no absolute"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/\"}]}",
       "the target \"/\" is the guest's"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/proc/x\"}]}", "/proc is the guest's own"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/b/../proc\"}]}", "no absolute path"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/b/\"}]}", "no absolute path"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/b\", \"options\": [\"noexce\"]}]}",
       "unknown mount option \"noexce\"; did you mean \"noexec\""},
      {"{\"mounts\": [{\"type\": \"tmpfs\", \"target\": \"/b\", \"options\": [\"size=x\"]}]}",
       "has no sound value"},
      {"{\"mounts\": [{\"type\": \"tmpfs\", \"source\": \"/a\", \"target\": \"/b\"}]}",
       "has no source"},
      {"{\"mounts\": [{\"type\": \"nfs\", \"source\": \"/a\", \"target\": \"/b\"}]}",
       "must be bind or tmpfs"},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/b\", \"x\": 1}]}", "unknown key \"x\""},
      {"{\"mounts\": [{\"source\": \"/a\", \"target\": \"/b\"},"
       "{\"type\": \"tmpfs\", \"target\": \"/b\"}]}",
       "the target /b is there twice"},
      {"{\"devices\": [\"/etc/passwd\"]}", "devices: \"/etc/passwd\" is no device"},
      {"{\"devices\": [\"/dev/../etc\"]}", "is no device"},
      {"{\"devices\": [\"/dev/fuse:x\"]}", "is not made of r, w and m"},
      {"{\"devices\": [\"/dev/fuse\", \"/dev/fuse:r\"]}", "there twice"},
      {"{\"sysctls\": {\"vm.swappiness\": \"1\"}}",
       "sysctls: \"vm.swappiness\" is not a guest's own"},
      {"{\"network\": \"none\", \"sysctls\": {\"net.a//b\": \"1\"}}", "no name of a sysctl"},
      {"{\"sysctls\": {\"net.ipv4.ip_forward\": \"1\"}}", "belong to the host"},
      {"{\"network\": \"lan\"}", "network: \"lan\" is neither"},
      {"{\"network\": {}}", "network: an object needs \"cni\""},
      {"{\"network\": {\"cni\": \"\"}}", "network.cni: \"\" is no name"},
      {"{\"network\": {\"cni\": \"../x\"}}", "network.cni: "},
      {"{\"network\": {\"cni\": \"a\", \"interface\": \"lo\"}}", "network.interface: "},
      {"{\"network\": {\"cni\": \"a\", \"mac\": \"01:00:00:00:00:00\"}}", "not the address of one"},
      {"{\"network\": {\"cni\": \"a\", \"mac\": \"02-00-00-00-00-00\"}}", "network.mac: "},
      {"{\"network\": {\"cni\": \"a\", \"addresses\": [\"10.0.0.2/33\"]}}", "is no address"},
      {"{\"network\": {\"cni\": \"a\", \"addresses\": [\"10.0.0.256\"]}}", "is no address"},
      {"{\"network\": {\"cni\": \"a\", \"ports\": [\"70000:80\"]}}", "is no mapping"},
      {"{\"network\": {\"cni\": \"a\", \"ports\": [\"0:80\"]}}", "is no mapping"},
      {"{\"network\": {\"cni\": \"a\", \"ports\": [\"80\"]}}", "is no mapping"},
      {"{\"network\": {\"cni\": \"a\", \"ports\": [\"80:80/icmp\"]}}", "is no mapping"},
      {"{\"network\": {\"cni\": \"a\", \"ports\": [\"80:80\", \"127.0.0.1:80:81\"]}}", "is taken"},
      {"{\"autostart\": \"yes\"}", "autostart: true or false"},
      {"{\"depends\": [\"web1\"]}", "depends: the guest cannot depend on itself"},
      {"{\"depends\": [\"a\", \"a\"]}", "is named twice"},
      {"{\"depends\": [\"a/b\"]}", "bad guest name"},
      {"{\"stop_timeout\": -1}", "stop_timeout: -1 is not between"},
      {"{\"user\": \"\"}", "user: \"\" is no user"},
      {"{\"user\": \"a:\"}", "is no user"},
      {"{\"user\": \"a:b:c\"}", "is no user"},
      {"{\"user\": \"a b\"}", "is no user"},
      {"{\"user\": \"../a\"}", "is no user"},
      {"{\"working_dir\": \"srv\"}", "working_dir: \"srv\" is no absolute path"},
      {"{\"working_dir\": \"/srv/../a\"}", "is no absolute path"},
      {"{\"stop_signal\": \"SIGNAL\"}", "stop_signal: \"SIGNAL\" is no signal"},
      {"{\"stop_signal\": \"RTMIN+31\"}", "is no signal"},
      {"{\"stop_signal\": \"65\"}", "is no signal"},
      {"{\"init\": \"systemd\", \"user\": \"a\"}", "user: it is for init \"plain\""},
      {"{\"labels\": {\"-a\": \"\"}}", "labels: \"-a\" is no key"},
      {"{\"labels\": {\"a b\": \"\"}}", "labels: \"a b\" is no key"},
      {"{\"labels\": {\"a\": \"x\\ny\"}}", "control character"},
      {"{\"notes\": \"\xff\"}", "is not UTF-8"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autoerr struct err err = {0};
    autosettings struct settings s = {0};
    autojson json_object *config = config_of (bad[i].config);

    if (settings_parse (config, "web1", &s, &err) != -ERR_USAGE)
      fail_msg ("%s was taken", bad[i].config);
    if (!strstr (err_text (&err), bad[i].message) ||
        strncmp (err_text (&err), "guest web1: config.json: ", 25) != 0)
      fail_msg ("%s: %s, expected %s", bad[i].config, err_text (&err), bad[i].message);
  }
}

/* Each assignment of @assignments on @before gives @after. */
static void assert_sets (const char *before, const char *const *assignments, const char *after)
{
  autoerr struct err err = {0};
  autojson json_object *config = config_of (before);
  autojson json_object *expected = config_of (after);
  autosettings struct settings s = {0};

  for (; *assignments; assignments++)
    if (settings_set (config, "web1", *assignments, &err) < 0)
      fail_msg ("%s: %s", *assignments, err_text (&err));
  if (!json_object_equal (config, expected))
    fail_msg ("%s, expected %s", json_object_to_json_string (config), after);
  if (settings_parse (config, "web1", &s, &err) < 0)
    fail_msg ("%s", err_text (&err));
}
#define ASSERT_SETS(before, after, ...)                                                            \
  assert_sets (before, (const char *const[]){__VA_ARGS__, NULL}, after)

static void settings_are_set (void **state)
{
  (void) state;
  ASSERT_SETS ("{}", "{\"memory\": \"512M\", \"cpus\": 1.5, \"pids\": 50, \"autostart\": true}",
               "memory=512M", "cpus=1.5", "pids=50", "autostart=yes");
  ASSERT_SETS ("{\"memory\": \"1G\", \"pids\": 9}", "{\"pids\": 9}", "memory=");
  ASSERT_SETS ("{}", "{\"depends\": [\"a\", \"b\", \"c\"]}", "depends=a,b", "depends+=c,a");
  ASSERT_SETS ("{\"depends\": [\"a\", \"b\"]}", "{\"depends\": [\"b\"]}", "depends-=a");
  ASSERT_SETS ("{\"depends\": [\"a\"]}", "{}", "depends-=a");
  ASSERT_SETS ("{}", "{\"depends\": [\"x\"]}", "depends=[\"x\"]");
  ASSERT_SETS ("{}", "{\"capabilities\": {\"add\": [\"CAP_SYS_ADMIN\"]}}",
               "capabilities.add+=sys_admin", "capabilities.add+=CAP_SYS_ADMIN",
               "capabilities.drop=mknod", "capabilities.drop-=CAP_MKNOD");
  ASSERT_SETS ("{\"capabilities\": {\"add\": [\"sys_admin\"]}}", "{}",
               "capabilities.add-=SYS_ADMIN");
  ASSERT_SETS ("{}", "{\"labels\": {\"role\": \"web\", \"a.b\": \"c\", \"e\": \"\"}}",
               "labels.role=web", "labels.a.b=c", "labels+=e=", "labels.x=1", "labels.x=");
  ASSERT_SETS ("{\"labels\": {\"a\": \"b\"}}", "{}", "labels-=a");
  ASSERT_SETS ("{\"environment\": {\"A\": \"b\"}}", "{\"environment\": {\"C\": \"d=e,f\"}}",
               "environment=C=d=e,f");
  ASSERT_SETS ("{}", "{\"environment\": {\"C\": \"\"}}", "environment={\"C\": \"\"}");
  ASSERT_SETS ("{}", "{\"command\": [\"/bin/x\", \"-a\"]}", "command=/bin/x  -a");
  ASSERT_SETS ("{}", "{\"command\": [\"/bin/x\", \"a b\"]}", "command=[\"/bin/x\", \"a b\"]");
  ASSERT_SETS ("{}",
               "{\"mounts\": [{\"source\": \"/a\", \"target\": \"/b\", \"read_only\": true,"
               "\"optional\": true, \"options\": [\"noexec\"]},"
               "{\"type\": \"tmpfs\", \"target\": \"/t\", \"options\": [\"size=5M\"]}]}",
               "mounts=/a:/b:ro,optional,noexec", "mounts+=tmpfs:/t:size=5M",
               "mounts+={\"source\": \"/c\", \"target\": \"/d\"}", "mounts-=/d");
  ASSERT_SETS ("{}", "{\"network\": {\"cni\": \"lan\", \"ports\": [\"80:80\", \"81:81\"]}}",
               "network.cni=lan", "network.ports=80:80", "network.ports+=81:81");
  ASSERT_SETS ("{\"network\": {\"cni\": \"lan\"}}", "{\"network\": \"none\"}", "network=none");
  ASSERT_SETS ("{\"network\": \"none\"}", "{\"network\": {\"cni\": \"x\"}}", "network.cni=x");
  ASSERT_SETS ("{\"network\": \"none\"}",
               "{\"sysctls\": {\"net.core.somaxconn\": \"9\"},"
               "\"network\": \"none\"}",
               "sysctls.net.core.somaxconn=9");
}

static void bad_assignments_are_refused (void **state)
{
  static const struct {
    const char *assignment, *message;
  } bad[] = {
      {"memory", "KEY=VALUE is expected"},
      {"=x", "KEY=VALUE is expected"},
      {"memroy=1G", "guest web1: unknown key \"memroy\"; did you mean \"memory\""},
      {"format=2", "unknown key"},
      {"memory=12Q", "guest web1: memory: \"12Q\" is not a size"},
      {"memory+=1", "\"+=\" is for lists and maps"},
      {"labels.a+=1", "is for lists and maps"},
      {"command+=x", "is for lists and maps"},
      {"cpus=x", "cpus: \"x\" is not a number"},
      {"cpus=0x1", "is not a number"},
      {"cpus=nan", "is not a number"},
      {"pids=1.5", "pids: a whole number"},
      {"pids=99999999999999999999", "is not a number"},
      {"autostart=maybe", "neither true nor false"},
      {"labels=x", "NAME=VALUE"},
      {"labels-=x", "there is no \"x\" to remove"},
      {"depends-=x", "there is no \"x\" to remove"},
      {"depends+=", "nothing follows"},
      {"depends=[1]", "depends: a string is expected"},
      {"depends=[", "depends: the value"},
      {"depends=[\"a\"] x", "something follows"},
      {"mounts=x", "is no mount"},
      {"mounts-=/x", "there is no \"/x\" to remove"},
      {"mounts=/a:/proc", "mounts: the target"},
      {"mounts+=/a:/there", "there twice"},
      {"network=lan", "network: \"lan\" is neither"},
      {"network={\"cin\": \"a\"}", "network: "},
      {"capabilities=x", "capabilities must be an object"},
      {"environment.=x", "unknown key"},
  };

  (void) state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    autoerr struct err err = {0};
    autojson json_object *config =
        config_of ("{\"mounts\": [{\"source\": \"/a\", \"target\": \"/there\"}]}");
    autofree char *before = xstrdup (json_object_to_json_string (config));

    if (settings_set (config, "web1", bad[i].assignment, &err) != -ERR_USAGE)
      fail_msg ("%s was taken", bad[i].assignment);
    if (!strstr (err_text (&err), bad[i].message))
      fail_msg ("%s: %s, expected %s", bad[i].assignment, err_text (&err), bad[i].message);
    assert_string_equal (json_object_to_json_string (config), before);
  }
}

static void what_get_tells_can_be_set (void **state)
{
  autoerr struct err err = {0};
  autojson json_object *copy = json_object_new_object ();
  autojson json_object *config = config_of (
      "{\"hostname\": \"h\", \"command\": [\"/x\", \"a b\"], \"environment\": {\"A\": \"b,c\"},"
      "\"capabilities\": {\"add\": [\"CAP_KILL\"], \"drop\": [\"ALL\"]},"
      "\"rlimits\": {\"nofile\": \"1:2\"}, \"memory\": \"1G\", \"cpus\": 0.25, \"pids\": 100,"
      "\"mounts\": [{\"source\": \"/a\", \"target\": \"/b\"}], \"devices\": [\"/dev/fuse\"],"
      "\"network\": {\"cni\": \"lan\", \"ports\": [\"80:80/tcp\"]}, \"autostart\": true,"
      "\"labels\": {\"a\": \"b\"}, \"notes\": \"x=y, z\"}");

  (void) state;
  for (const char *const *key = settings_keys (); *key; key++) {
    autofree char *value = NULL;

    assert_int_equal (settings_get (config, "web1", *key, &value, &err), 0);
    assert_non_null (settings_help (*key));
    /* The interface has a default that would be written. */
    if (strcmp (*key, "network.interface") == 0 || strcmp (*key, "init") == 0)
      continue;
    autofree char *assignment = xasprintf ("%s=%s", *key, value);
    if (strstr (*key, "timeout") || strstr (*key, "priority") ||
        strcmp (*key, "keep_transactions") == 0)
      continue;
    if (settings_set (copy, "web1", assignment, &err) < 0)
      fail_msg ("%s: %s", assignment, err_text (&err));
  }
  if (!json_object_equal (config, copy))
    fail_msg ("%s became %s", json_object_to_json_string (config),
              json_object_to_json_string (copy));
}

static void assert_gets (const char *key, const char *expected)
{
  autoerr struct err err = {0};
  autofree char *value = NULL;
  autojson json_object *config = config_of ("{\"labels\": {\"role\": \"web\"}, \"memory\": 9999999,"
                                            "\"depends\": [\"a\", \"b\"]}");

  assert_int_equal (settings_get (config, "web_1", key, &value, &err), 0);
  assert_string_equal (value, expected);
}

static void settings_are_told (void **state)
{
  autoerr struct err err = {0};
  autofree char *value = NULL;
  autojson json_object *config = json_object_new_object ();

  (void) state;
  assert_gets ("labels.role", "web");
  assert_gets ("labels.none", "");
  assert_gets ("memory", "9999999");
  assert_gets ("depends", "a,b");
  assert_gets ("hostname", "web-1");
  assert_gets ("init", "auto");
  assert_gets ("stop_timeout", "30");
  assert_gets ("network", "host");
  assert_gets ("network.interface", "");
  assert_int_equal (settings_get (config, "web1", "memor", &value, &err), -ERR_USAGE);
  assert_non_null (strstr (err_text (&err), "did you mean \"memory\""));
  assert_null (settings_help ("memor"));
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_empty_config_has_the_defaults),
      cmocka_unit_test (a_full_config_is_taken_apart),
      cmocka_unit_test (signals_have_many_names),
      cmocka_unit_test (bad_configs_are_refused_by_name),
      cmocka_unit_test (settings_are_set),
      cmocka_unit_test (bad_assignments_are_refused),
      cmocka_unit_test (what_get_tells_can_be_set),
      cmocka_unit_test (settings_are_told),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
