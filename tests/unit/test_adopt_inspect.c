/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What docker inspect and podman inspect tell, shortened to what is looked at. */
#include "adopt_test.h"
#include "adopt/inspect.h"

static int translate (struct translation *translation, const char *quoted, struct err *err)
{
  autofree char *text = xstrdup (quoted);

  for (char *p = text; *p; p++)
    if (*p == '\'')
      *p = '"';
  return inspect_translate (translation, text, strlen (text), err);
}

static const char docker[] =
    "[{'Id':'0123','Name':'/web','Config':{'Hostname':'web','User':'app:app','Env':['PATH=/bin',"
    "'A=b=c','BAD-NAME=1'],'Cmd':['--port','80'],'Entrypoint':['/usr/bin/app'],"
    "'WorkingDir':'srv/','StopSignal':'SIGQUIT','Labels':{'role':'web','-bad':'x'},"
    "'Healthcheck':{'Test':['CMD-SHELL','curl -f localhost']}},"
    "'HostConfig':{'Memory':536870912,'MemorySwap':805306368,'NanoCpus':1500000000,"
    "'CpuShares':512,'PidsLimit':200,'CapAdd':['NET_ADMIN','ALL'],'CapDrop':['MKNOD'],"
    "'NetworkMode':'bridge','PortBindings':{'80/tcp':[{'HostIp':'','HostPort':'8080'},"
    "{'HostIp':'192.0.2.1','HostPort':'8081'}]},'RestartPolicy':{'Name':'always'},"
    "'Ulimits':[{'Name':'nofile','Soft':1024,'Hard':4096}],"
    "'Devices':[{'PathOnHost':'/dev/fuse','PathInContainer':'/dev/fuse',"
    "'CgroupPermissions':'rwm'},{'PathOnHost':'/dev/a','PathInContainer':'/dev/b'}],"
    "'Tmpfs':{'/run/app':'size=1m,noexec'},'Privileged':false,'ReadonlyRootfs':true,"
    "'PidMode':'host','Sysctls':{'net.core.somaxconn':'512'}},"
    "'Mounts':[{'Type':'bind','Source':'/srv/web','Destination':'/data','RW':false},"
    "{'Type':'volume','Name':'v','Source':'/var/lib/docker/volumes/v/_data',"
    "'Destination':'/var/v','RW':true}]}]";

static void docker_is_translated (void **state)
{
  autotranslation struct translation translation = {0};
  autoerr struct err err = {0};

  (void) state;
  translation_init (&translation, "web", "lan");
  assert_int_equal (translate (&translation, docker, &err), 0);
  expect_settings (
      &translation,
      "{'command':['/usr/bin/app','--port','80'],'environment':{'PATH':'/bin','A':'b=c'},"
      "'working_dir':'/srv','hostname':'web','user':'app:app','stop_signal':'SIGQUIT',"
      "'health':['/bin/sh','-c','curl -f localhost'],'labels':{'role':'web'},"
      "'memory':'536870912','swap':'268435456','cpus':1.500,'cpu_weight':50,'pids':200,"
      "'rlimits':{'nofile':'1024:4096'},"
      "'capabilities':{'drop':['CAP_MKNOD'],'add':['CAP_NET_ADMIN']},"
      "'devices':['/dev/fuse:rwm'],"
      "'network':{'cni':'lan','ports':['8080:80/tcp','192.0.2.1:8081:80/tcp']},"
      "'mounts':[{'type':'tmpfs','target':'/run/app','options':['size=1m','noexec']},"
      "{'source':'/srv/web','target':'/data','read_only':true},"
      "{'source':'/var/lib/docker/volumes/v/_data','target':'/var/v'}],"
      "'sysctls':{'net.core.somaxconn':'512'},'autostart':true}");
  assert_int_equal (left_over (&translation, "Config.Env", "BAD-NAME"), 1);
  assert_int_equal (left_over (&translation, "HostConfig.CapAdd", "ALL"), 1);
  assert_int_equal (left_over (&translation, "HostConfig.Devices", "/dev/b"), 1);
  assert_int_equal (left_over (&translation, "HostConfig.RestartPolicy", "always"), 1);
  assert_int_equal (left_over (&translation, "ReadonlyRootfs", "true"), 1);
  assert_int_equal (left_over (&translation, "PidMode", "host"), 1);
  assert_int_equal (left_over (&translation, "Mounts", "volumes/v"), 1);
  assert_int_equal (left_over (&translation, "Config.Labels", "-bad"), 1);
}

static void podman_is_translated (void **state)
{
  autotranslation struct translation translation = {0};
  autoerr struct err err = {0};

  (void) state;
  translation_init (&translation, "p", NULL);
  assert_int_equal (
      translate (&translation,
                 "{'Config':{'Entrypoint':'/sbin/init','Cmd':null,'Env':null},"
                 "'HostConfig':{'NetworkMode':'slirp4netns','Ulimits':[{'Name':'RLIMIT_NPROC',"
                 "'Soft':-1,'Hard':-1}],'PortBindings':{'53/udp':[{'HostPort':'53'}]}}}",
                 &err),
      0);
  expect_settings (&translation, "{'network':'none','rlimits':{'nproc':'unlimited:unlimited'}}");
  assert_int_equal (left_over (&translation, "HostConfig.PortBindings", "53:53/udp"), 1);
  assert_int_equal (left_over (&translation, "HostConfig.NetworkMode", "slirp4netns"), 1);
}

static void other_json_is_refused (void **state)
{
  static const char *const texts[] = {"",   "[",    "[]",  "[{},{}]",
                                      "{}", "null", "[1]", "{'Config':1}"};

  (void) state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    autotranslation struct translation translation = {0};
    autoerr struct err err = {0};

    translation_init (&translation, "x", NULL);
    assert_int_equal (translate (&translation, texts[i], &err), -ERR_USAGE);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (docker_is_translated),
      cmocka_unit_test (podman_is_translated),
      cmocka_unit_test (other_json_is_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
