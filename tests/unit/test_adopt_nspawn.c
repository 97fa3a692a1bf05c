/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NAME.nspawn files, after the examples of systemd.nspawn(5). */
#include "adopt_test.h"
#include "adopt/nspawn.h"

static void a_booted_machine_is_translated (void **state)
{
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "mail", "lan");
  nspawn_translate (&translation,
                    "; made by hand\n[Exec]\nBoot=yes\nHostname=mail\n"
                    "Environment=\"LANG=de_DE.UTF-8\" A='b c'\n"
                    "Capability=CAP_NET_ADMIN \\\n   CAP_SYS_NICE\nDropCapability=CAP_NET_RAW\n"
                    "LimitNOFILE=1024:infinity\nPrivateUsers=no\nTimezone=copy\n"
                    "KillSignal=SIGRTMIN+3\n"
                    "Environment=B=c\f\vD=e\r\n"
                    "[Files]\nBind=/srv/mail\nBindReadOnly=-/srv/with\\:colon:/mnt/x\n"
                    "BindReadOnly=/etc/ssl:/etc/ssl:norbind\nBind=+/a:/b\n"
                    "TemporaryFileSystem=/tmp:mode=1777,size=64M\nReadOnly=yes\n"
                    "[Network]\nVirtualEthernet=yes\nBridge=br0\nPort=tcp:25\n"
                    "Port=udp:5300:53\n[Other]\nX=y\n");
  expect_settings (
      &translation,
      "{'hostname':'mail','environment':{'LANG':'de_DE.UTF-8','A':'b c','B':'c','D':'e'},"
      "'capabilities':{'add':['CAP_NET_ADMIN','CAP_SYS_NICE'],"
      "'drop':['CAP_NET_RAW']},'rlimits':{'nofile':'1024:unlimited'},"
      "'mounts':[{'source':'/srv/mail','target':'/srv/mail','options':['rbind']},"
      "{'source':'/etc/ssl','target':'/etc/ssl','read_only':true,"
      "'options':['rbind']},"
      "{'type':'tmpfs','target':'/tmp','options':['mode=1777','size=64M']}],"
      "'network':{'cni':'lan','ports':['25:25/tcp','5300:53/udp']}}");
  assert_false (translation.pick_ids);
  assert_int_equal (left_over (&translation, "Timezone", "copy"), 1);
  assert_int_equal (left_over (&translation, "BindReadOnly", "colon"), 1);
  assert_int_equal (left_over (&translation, "Bind", "+/a:/b"), 1);
  assert_int_equal (left_over (&translation, "ReadOnly", "yes"), 1);
  assert_int_equal (left_over (&translation, "Bridge", "br0"), 1);
  assert_int_equal (left_over (&translation, "stop_signal", "SIGRTMIN+3"), 1);
  assert_int_equal (left_over (&translation, "X", "y"), 1);
}

static void a_command_is_translated (void **state)
{
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "app", NULL);
  nspawn_translate (&translation, "[Exec]\nBoot=no\nParameters=/usr/bin/app \"two words\" x\n"
                                  "User=app\nWorkingDirectory=/srv\nPrivateUsers=524288:65536\n"
                                  "[Network]\nPrivate=no\nPort=80\n");
  expect_settings (&translation, "{'user':'app','working_dir':'/srv',"
                                 "'command':['/usr/bin/app','two words','x']}");
  assert_int_equal (translation.idmap_count, 1);
  assert_int_equal (translation.idmaps[0].host, 524288);
  assert_int_equal (translation.idmaps[0].count, 65536);
  assert_int_equal (left_over (&translation, "Port", "80"), 1);
}

/* No file: what systemd-nspawn@.service does holds. */
static void defaults_are_those_of_the_service (void **state)
{
  autotranslation struct translation translation = {0};

  (void) state;
  translation_init (&translation, "plain", NULL);
  nspawn_translate (&translation, "");
  expect_settings (&translation, "{'network':'none'}");
  assert_true (translation.pick_ids);
  assert_int_equal (left_over (&translation, "network", "veth"), 1);
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_booted_machine_is_translated),
      cmocka_unit_test (a_command_is_translated),
      cmocka_unit_test (defaults_are_those_of_the_service),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
