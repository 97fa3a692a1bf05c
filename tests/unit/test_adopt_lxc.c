/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations of LXC, after the examples of lxc.container.conf(5) and what lxc-create writes. */
#include "adopt_test.h"
#include "adopt/lxc.h"

static const char debian[] = "# Template used to create this container: lxc-debian\n"
                             "lxc.include = /usr/share/lxc/config/debian.common.conf\n"
                             "\n"
                             "lxc.arch = amd64\n"
                             "lxc.uts.name = web.example.org\n"
                             "lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs\n"
                             "lxc.net.0.type = veth\n"
                             "lxc.net.0.link = lxcbr0\n"
                             "lxc.net.0.flags = up\n"
                             "lxc.net.0.hwaddr = 00:16:3e:1c:2d:3e\n"
                             "lxc.net.0.ipv4.address = 10.0.3.5/24 10.0.3.255\n"
                             "lxc.net.1.type = macvlan\n"
                             "lxc.net.1.ipv4.address = 10.1.0.1/24\n"
                             "lxc.cgroup2.memory.max = 512M\n"
                             "lxc.cgroup2.memory.swap.max = 0\n"
                             "lxc.cgroup2.cpu.max = 150000 100000\n"
                             "lxc.cgroup2.pids.max = 500\n"
                             "lxc.cgroup2.io.weight = default 200\n"
                             "lxc.cgroup2.devices.deny = a\n"
                             "lxc.cgroup2.devices.allow = c *:* m\n"
                             "lxc.cgroup2.devices.allow = c 1:3 rwm\n"
                             "lxc.cgroup2.devices.allow = c 10:229 rw\n"
                             "lxc.cgroup2.devices.allow = b 8:1 r\n"
                             "lxc.prlimit.nofile = 1024:4096\n"
                             "lxc.sysctl.kernel.msgmax = 65536\n"
                             "lxc.sysctl.net.ipv4.ip_forward = 1\n"
                             "lxc.cap.drop = sys_module mac_admin net_raw\n"
                             "lxc.mount.entry = /srv/www srv/www none bind,ro,create=dir 0 0\n"
                             "lxc.mount.entry = proc proc proc defaults 0 0\n"
                             "lxc.mount.entry = tmpfs tmp tmpfs size=64m,nosuid 0 0\n"
                             "lxc.mount.entry = /dev/sdb1 data ext4 defaults 0 0\n"
                             "lxc.mount.auto = proc:mixed sys:ro\n"
                             "lxc.environment = LANG=C.UTF-8\n"
                             "lxc.environment = TERM\n"
                             "lxc.signal.halt = SIGRTMIN+3\n"
                             "lxc.start.auto = 1\n"
                             "lxc.start.order = 20\n"
                             "lxc.group = onboot, web\n"
                             "lxc.hook.pre-start = /usr/local/bin/prepare\n"
                             "lxc.apparmor.profile = generated\n"
                             "lxc.idmap = u 0 100000 65536\n"
                             "lxc.idmap = g 0 100000 65536\n"
                             "lxc.frobnicate = 1\n";

static int read_include (void *data, const char *path, char **ret_text)
{
  int *count = data;

  if (strcmp (path, "/usr/share/lxc/config/debian.common.conf") == 0) {
    *ret_text = xstrdup ("lxc.tty.max = 4\nlxc.cap.drop = sys_time\n");
    return 0;
  }
  if (strcmp (path, "/loop") != 0)
    return -1;
  ++*count;
  *ret_text = xstrdup ("lxc.include = /loop\nlxc.include = /loop\n");
  return 0;
}

static void a_debian_container_is_translated (void **state)
{
  autotranslation struct translation translation = {0};
  int count = 0;
  const struct lxc_files files = {read_include, &count};

  (void) state;
  translation_init (&translation, "web", "lan");
  lxc_translate (&translation, debian, &files);
  expect_settings (
      &translation,
      "{'capabilities':{'drop':['CAP_SYS_TIME','CAP_SYS_MODULE','CAP_MAC_ADMIN','CAP_NET_RAW']},"
      "'hostname':'web.example.org',"
      "'network':{'cni':'lan','mac':'00:16:3e:1c:2d:3e','addresses':['10.0.3.5/24']},"
      "'memory':'536870912','swap':'0','cpus':1.500,'pids':500,'io_weight':200,"
      "'devices':['/dev/fuse:rw'],'rlimits':{'nofile':'1024:4096'},"
      "'sysctls':{'kernel.msgmax':'65536','net.ipv4.ip_forward':'1'},"
      "'mounts':[{'source':'/srv/www','target':'/srv/www','read_only':true},"
      "{'type':'tmpfs','target':'/tmp','options':['size=64m']}],"
      "'environment':{'LANG':'C.UTF-8'},'autostart':true,'autostart_priority':-20,"
      "'labels':{'lxc.group.onboot':'yes','lxc.group.web':'yes'}}");
  assert_string_equal (translation.rootfs, "/var/lib/lxc/web/rootfs");
  assert_int_equal (translation.idmap_count, 2);
  assert_true (translation.idmaps[0].users && !translation.idmaps[0].groups);
  assert_int_equal (translation.idmaps[1].host, 100000);
  assert_int_equal (left_over (&translation, "lxc.net.0.link", "lxcbr0"), 1);
  assert_int_equal (left_over (&translation, "lxc.net.1.ipv4.address", "10.1.0.1/24"), 1);
  assert_int_equal (left_over (&translation, "lxc.cgroup2.devices.allow", "b 8:1 r"), 1);
  assert_int_equal (left_over (&translation, "lxc.cgroup2.devices.allow", NULL), 1);
  assert_int_equal (left_over (&translation, "lxc.mount.entry", "/dev/sdb1"), 1);
  assert_int_equal (left_over (&translation, "lxc.mount.entry", NULL), 1);
  assert_int_equal (left_over (&translation, "lxc.environment", "TERM"), 1);
  assert_int_equal (left_over (&translation, "stop_signal", "SIGRTMIN+3"), 1);
  assert_int_equal (left_over (&translation, "lxc.hook.pre-start", "prepare"), 1);
  assert_int_equal (left_over (&translation, "lxc.apparmor.profile", NULL), 1);
  assert_int_equal (left_over (&translation, "lxc.frobnicate", "1"), 1);
  assert_int_equal (left_over (&translation, "lxc.include", NULL), 0);
}

/* Names before LXC 2.1; without a CNI network nobody's services come up in the host's. */
static void old_names_are_known (void **state)
{
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "old", NULL);
  lxc_translate (&translation,
                 "lxc.utsname=old\nlxc.rootfs=/srv/old\nlxc.network.type=veth\n"
                 "lxc.network.hwaddr=00:16:3e:xx:xx:xx\nlxc.network.ipv4=10.0.3.7/24\n"
                 "lxc.network.type=phys\nlxc.network.ipv4=10.9.9.9/24\n"
                 "lxc.cgroup.memory.limit_in_bytes = 256M\n"
                 "lxc.cgroup.memory.memsw.limit_in_bytes = 300M\n"
                 "lxc.cgroup.cpu.shares = 512\nlxc.cgroup.cpu.cfs_quota_us=50000\n"
                 "lxc.cgroup.blkio.weight = 1000\n"
                 "lxc.cap.keep = chown setuid\nlxc.init_cmd = /usr/bin/app --fast\n"
                 "lxc.haltsignal = SIGQUIT\nlxc.start.order = -3\n"
                 "lxc.mount.entry = /a/../b c none bind\n"
                 "lxc.mount = /etc/shadow\nno assignment\n",
                 NULL);
  expect_settings (&translation,
                   "{'hostname':'old','network':'none','memory':'268435456','cpu_weight':50,"
                   "'io_weight':200,'swap':'46137344','cpus':0.500,"
                   "'capabilities':{'drop':['ALL'],'add':['CAP_CHOWN','CAP_SETUID']},"
                   "'command':['/usr/bin/app','--fast'],'stop_signal':'SIGQUIT',"
                   "'autostart_priority':3}");
  assert_string_equal (translation.rootfs, "/srv/old");
  assert_int_equal (left_over (&translation, "lxc.network.type", "veth"), 1);
  assert_int_equal (left_over (&translation, "lxc.network.ipv4", "10.0.3.7/24"), 1);
  assert_int_equal (left_over (&translation, "lxc.network.ipv4", "10.9.9.9/24"), 1);
  assert_int_equal (left_over (&translation, "lxc.mount.entry", "/a/../b"), 1);
  assert_int_equal (left_over (&translation, "lxc.mount", "/etc/shadow"), 1);
  assert_int_equal (left_over (&translation, "no assignment", NULL), 1);
}

static void includes_are_bounded (void **state)
{
  autotranslation struct translation translation = {0};
  int count = 0;
  const struct lxc_files files = {read_include, &count};

  (void) state;
  translation_init (&translation, "loop", NULL);
  lxc_translate (&translation, "lxc.include = /loop\nlxc.include = /etc/passwd\n", &files);
  expect_settings (&translation, "{}");
  assert_true (count <= LXC_INCLUDES_MAX);
  assert_int_equal (left_over (&translation, "lxc.include", "/etc/passwd"), 1);
}

static void nonsense_is_left_over (void **state)
{
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "x", NULL);
  lxc_translate (&translation,
                 "lxc.uts.name = -bad_name-\nlxc.cgroup2.memory.max = lots\n"
                 "lxc.cgroup2.memory.max = 4096\nlxc.idmap = u 0 99999999999 1\nlxc.idmap = x\n"
                 "lxc.cgroup.devices.allow = zz\nlxc.cap.drop = frobnicate\nlxc.arch = i686\n"
                 "lxc.cgroup2.memory.swap.max = 1G\nlxc.prlimit.nofile = many\nlxc.net.x = y\n",
                 NULL);
  expect_settings (&translation, "{}");
  assert_int_equal (left_over (&translation, "lxc.uts.name", NULL), 1);
  assert_int_equal (left_over (&translation, "lxc.cgroup2.memory.max", NULL), 2);
  assert_int_equal (left_over (&translation, "lxc.idmap", NULL), 2);
  assert_int_equal (translation.idmap_count, 0);
  assert_int_equal (left_over (&translation, "swap", "1G"), 1);
  assert_int_equal (left_over (&translation, "lxc.cap.drop", "frobnicate"), 1);
  assert_int_equal (left_over (&translation, "lxc.arch", "i686"), 1);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_debian_container_is_translated),
      cmocka_unit_test (old_names_are_known),
      cmocka_unit_test (includes_are_bounded),
      cmocka_unit_test (nonsense_is_left_over),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
