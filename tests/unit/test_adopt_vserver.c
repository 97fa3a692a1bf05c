/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of util-vserver. */
#include "adopt_test.h"
#include "adopt/vserver.h"

static const char *const full[][2] = {
    {"name", "www\n"},
    {"context", "1007\n"},
    {"uts/nodename", "www.example.org\n"},
    {"interfaces/dev", "eth0\n"},
    {"interfaces/0/ip", "192.0.2.10\n"},
    {"interfaces/0/mask", "255.255.255.192\n"},
    {"interfaces/1/ip", "2001:db8::10\n"},
    {"interfaces/1/prefix", "64\n"},
    {"interfaces/2/ip", "192.0.2.99\n"},
    {"interfaces/2/prefix", "26\n"},
    {"interfaces/2/disabled", ""},
    {"rlimits/rss", "131072\n"},
    {"rlimits/nproc.hard", "200\n"},
    {"rlimits/nofile.soft", "1024\n"},
    {"rlimits/nofile.hard", "4096\n"},
    {"rlimits/memlock", "16\n"},
    {"rlimits/as", "inf\n"},
    {"rlimits/core.min", "1\n"},
    {"bcapabilities", "CAP_SYS_TIME\n# no\nnet_raw\n~CAP_MKNOD\nLINUX_FROB\n"},
    {"ccapabilities", "SET_UTSNAME\nSECURE_MOUNT\n"},
    {"flags", "virt_mem\nsched_hard\nfrob\n"},
    {"fstab", "none /proc proc defaults 0 0\nnone /tmp tmpfs size=16m,mode=1777 0 0\n"
              "/srv/www /var/www none bind,ro 0 0\n/dev/vg/x /data ext3 defaults 0 0\n"},
    {"apps/init/style", "plain\n"},
    {"apps/init/mark", "default\n"},
    {"apps/init/runlevel.start", "3\n"},
    {"apps/init/depends", "db\nldap\n"},
    {"apps/pkgmgmt/internal", ""},
    {"vdir", "/vservers/www"},
    {"sched/fill-rate", "1\n"},
    {"cgroup/cpu.shares", "2048\n"},
    {"nice", "5\n"},
    {"uts/domainname", "example.org\n"},
    {"apps/init/environment", "LANG=C.UTF-8\n# no\nTZ=UTC\n"},
    {"dlimits/0/directory", "/vservers/www\n"},
    {"dlimits/0/space_total", "1048576\n"},
    {"dlimits/0/inodes_total", "100000\n"},
    {"dlimits/0/reserved", "5\n"},
    {"scripts/prepare.d/x", "#!/bin/sh\n"},
    {"frob", "1\n2\n"},
};

static void translate (struct translation *translation, const char *const (*files)[2], size_t count)
{
  struct vserver *vserver = vserver_begin (translation, 4096);

  for (size_t i = 0; i < count; i++)
    vserver_take (vserver, files[i][0], files[i][1]);
  vserver_end (vserver);
}

static void a_directory_is_translated (void **state)
{
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "www", "lan");
  translate (&translation, full, sizeof full / sizeof full[0]);
  expect_settings (&translation,
                   "{'capabilities':{'add':['CAP_SYS_TIME','CAP_NET_RAW'],'drop':['CAP_MKNOD']},"
                   "'mounts':[{'type':'tmpfs','target':'/tmp','options':['size=16m','mode=1777']},"
                   "{'source':'/srv/www','target':'/var/www','read_only':true}],"
                   "'autostart':true,'depends':['db','ldap'],'cpu_weight':200,"
                   "'hostname':'www.example.org',"
                   "'network':{'cni':'lan','addresses':['192.0.2.10/26','2001:db8::10/64']},"
                   "'sysctls':{'kernel.domainname':'example.org'},"
                   "'environment':{'LANG':'C.UTF-8','TZ':'UTC'},"
                   "'disk':{'soft_limit':'1073741824'},"
                   "'memory':'536870912','pids':200,"
                   "'rlimits':{'nofile':'1024:4096','memlock':'65536:65536'}}");
  assert_string_equal (translation.rootfs, "/vservers/www");
  assert_int_equal (left_over (&translation, "interfaces/2", "192.0.2.99/26"), 1);
  assert_int_equal (left_over (&translation, "rlimits/as", "inf"), 1);
  assert_int_equal (left_over (&translation, "rlimits/core.min", "1"), 1);
  assert_int_equal (left_over (&translation, "bcapabilities", "LINUX_FROB"), 1);
  assert_int_equal (left_over (&translation, "ccapabilities", "SECURE_MOUNT"), 1);
  assert_int_equal (left_over (&translation, "flags", "sched_hard"), 1);
  assert_int_equal (left_over (&translation, "flags", "frob"), 1);
  assert_int_equal (left_over (&translation, "fstab", "/dev/vg/x"), 1);
  assert_int_equal (left_over (&translation, "apps/init/runlevel.start", "3"), 1);
  assert_int_equal (left_over (&translation, "sched/fill-rate", "1"), 1);
  assert_int_equal (left_over (&translation, "nice", "5"), 1);
  assert_int_equal (left_over (&translation, "dlimits/0/space_total", "1048576"), 1);
  assert_int_equal (left_over (&translation, "dlimits/0/inodes_total", "100000"), 1);
  assert_int_equal (left_over (&translation, "dlimits/0/directory", NULL), 0);
  assert_int_equal (left_over (&translation, "scripts/prepare.d/x", NULL), 1);
  assert_int_equal (left_over (&translation, "frob", "1 2"), 1);
  assert_int_equal (left_over (&translation, "apps/pkgmgmt/internal", NULL), 0);
  assert_int_equal (left_over (&translation, "context", NULL), 0);
}

/* Without a network the addresses are the host's to set up, and the guest shares its network. */
static void addresses_are_told (void **state)
{
  static const char *const files[][2] = {
      {"name", "old"},
      {"interfaces/0/ip", "192.0.2.10"},
      {"interfaces/0/dev", "eth0"},
      {"apps/init/cmd.start", "/usr/bin/daemon\n-f\ntwo words\n"},
      {"apps/init/style", "plain"},
      {"rlimits/nofile", "lots"},
  };
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "old", NULL);
  translate (&translation, files, sizeof files / sizeof files[0]);
  expect_settings (&translation,
                   "{'hostname':'old','command':['/usr/bin/daemon','-f','two words']}");
  assert_int_equal (left_over (&translation, "interfaces/0", "192.0.2.10 dev eth0"), 1);
  assert_int_equal (left_over (&translation, "rlimits/nofile", "lots"), 1);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_directory_is_translated),
      cmocka_unit_test (addresses_are_told),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
