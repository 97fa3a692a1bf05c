/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "runtime/bundle.h"

static const char *const args[] = {"apt-get", "-y", "caf\303\251", NULL};
static const char *const env[] = {"PATH=/bin", "A=b c", NULL};
static const struct bundle_bind binds[] = {{"/host/resolv.conf", "/etc/resolv.conf"}};

static const struct bundle bundle = {
    .id = "web1-00112233",
    .root = "/run/vguest/bundle/rootfs",
    .hostname = "web1",
    .binds = binds,
    .bind_count = 1,
};

static json_object *make (const struct bundle *from, uid_t uid)
{
  struct bundle_command command = {.args = args, .env = env, .cwd = "/srv", .uid = uid, .gid = 7};
  autoerr struct err err = {0};
  json_object *config = NULL;

  assert_int_equal (bundle_config (from, &command, &config, &err), 0);
  assert_non_null (config);
  return config;
}

/* The member at a path such as "process/args/0"; NULL when there is none. */
static json_object *at (json_object *object, const char *path)
{
  autofree char *copy = xstrdup (path);
  char *save = NULL;

  for (char *key = strtok_r (copy, "/", &save); key && object; key = strtok_r (NULL, "/", &save))
    object = json_object_is_type (object, json_type_array)
                 ? json_object_array_get_idx (object, strtoul (key, NULL, 10))
                 : json_object_object_get (object, key);
  return object;
}

static const char *text (json_object *object, const char *path)
{
  object = at (object, path);
  return object ? json_object_get_string (object) : "(missing)";
}

static bool has (json_object *array, const char *word)
{
  for (size_t i = 0; array && i < json_object_array_length (array); i++)
    if (strcmp (json_object_get_string (json_object_array_get_idx (array, i)), word) == 0)
      return true;
  return false;
}

/* The mount on @target. */
static json_object *mount_on (json_object *config, const char *target)
{
  json_object *mounts = at (config, "mounts");

  for (size_t i = 0; i < json_object_array_length (mounts); i++) {
    json_object *mount = json_object_array_get_idx (mounts, i);

    if (strcmp (text (mount, "destination"), target) == 0)
      return mount;
  }
  return NULL;
}

static void the_process_is_as_asked (void **state)
{
  autojson json_object *config = make (&bundle, 1000);

  (void) state;
  assert_string_equal (text (config, "ociVersion"), "1.0.0");
  assert_string_equal (text (config, "process/args/0"), "apt-get");
  assert_string_equal (text (config, "process/args/2"), "caf\303\251");
  assert_null (at (config, "process/args/3"));
  assert_string_equal (text (config, "process/env/1"), "A=b c");
  assert_string_equal (text (config, "process/cwd"), "/srv");
  assert_int_equal (json_object_get_int (at (config, "process/user/uid")), 1000);
  assert_int_equal (json_object_get_int (at (config, "process/user/gid")), 7);
  assert_string_equal (text (config, "process/terminal"), "false");
  assert_string_equal (text (config, "process/noNewPrivileges"), "false");
  assert_null (at (config, "process/rlimits"));
  assert_string_equal (text (config, "root/path"), "/run/vguest/bundle/rootfs");
  assert_string_equal (text (config, "root/readonly"), "false");
  assert_string_equal (text (config, "hostname"), "web1");
  assert_string_equal (text (config, "linux/cgroupsPath"), "/vguest/web1-00112233");
}

static void capabilities_are_bounded (void **state)
{
  static const char *const forbidden[] = {"CAP_SYS_ADMIN",
                                          "CAP_SYS_MODULE",
                                          "CAP_SYS_PTRACE",
                                          "CAP_NET_ADMIN",
                                          "CAP_SYS_RAWIO",
                                          "CAP_SYS_BOOT",
                                          "CAP_SYS_TIME",
                                          "CAP_SYSLOG",
                                          "CAP_BPF",
                                          "CAP_DAC_READ_SEARCH",
                                          NULL};
  static const char *const sets[] = {"bounding", "effective", "permitted", NULL};
  autojson json_object *config = make (&bundle, 0);

  (void) state;
  for (const char *const *set = sets; *set; set++) {
    json_object *caps = json_object_object_get (at (config, "process/capabilities"), *set);

    assert_int_equal (json_object_array_length (caps), 14);
    assert_true (has (caps, "CAP_CHOWN"));
    assert_true (has (caps, "CAP_SETFCAP"));
    for (const char *const *cap = forbidden; *cap; cap++)
      assert_false (has (caps, *cap));
  }
  assert_null (at (config, "process/capabilities/ambient"));
  assert_null (at (config, "process/capabilities/inheritable"));
}

static void all_namespaces_but_network_and_user (void **state)
{
  autojson json_object *config = make (&bundle, 0);
  json_object *spaces = at (config, "linux/namespaces");
  static const char *const wanted[] = {"pid", "mount", "ipc", "uts", "cgroup"};

  (void) state;
  assert_int_equal (json_object_array_length (spaces), 5);
  for (size_t i = 0; i < 5; i++)
    assert_string_equal (text (json_object_array_get_idx (spaces, i), "type"), wanted[i]);
}

static void mounts_hide_what_must_not_be_committed (void **state)
{
  autojson json_object *config = make (&bundle, 0);

  (void) state;
  assert_string_equal (text (mount_on (config, "/run"), "type"), "tmpfs");
  assert_string_equal (text (mount_on (config, "/tmp"), "type"), "tmpfs");
  assert_true (has (at (mount_on (config, "/tmp"), "options"), "mode=1777"));
  assert_true (has (at (mount_on (config, "/sys"), "options"), "ro"));
  json_object *resolv = mount_on (config, "/etc/resolv.conf");
  assert_string_equal (text (resolv, "source"), "/host/resolv.conf");
  assert_true (has (at (resolv, "options"), "bind"));
  assert_true (has (at (resolv, "options"), "ro"));
  /* policy-rc.d comes from a directory that may be noexec. */
  assert_true (has (at (resolv, "options"), "exec"));
  assert_true (has (at (config, "linux/maskedPaths"), "/proc/kcore"));
  assert_true (has (at (config, "linux/readonlyPaths"), "/proc/sys"));
}

static void devices_and_system_calls_are_denied (void **state)
{
  autojson json_object *config = make (&bundle, 0);
  json_object *names = at (config, "linux/seccomp/syscalls/0/names");

  (void) state;
  assert_string_equal (text (config, "linux/resources/devices/0/allow"), "false");
  assert_string_equal (text (config, "linux/resources/devices/0/access"), "rwm");
  assert_null (at (config, "linux/resources/devices/0/type"));
  assert_string_equal (text (config, "linux/seccomp/defaultAction"), "SCMP_ACT_ALLOW");
  assert_string_equal (text (config, "linux/seccomp/syscalls/0/action"), "SCMP_ACT_ERRNO");
  assert_true (has (names, "kexec_load"));
  assert_true (has (names, "open_by_handle_at"));
  assert_true (has (names, "bpf"));
  assert_false (has (names, "clone"));
}

static void an_init_goes_before_the_command (void **state)
{
  struct bundle with_init = bundle;

  (void) state;
  with_init.init = "/usr/bin/catatonit";
  autojson json_object *config = make (&with_init, 0);
  assert_string_equal (text (config, "process/args/0"), BUNDLE_INIT);
  assert_string_equal (text (config, "process/args/1"), "--");
  assert_string_equal (text (config, "process/args/2"), "apt-get");
  assert_string_equal (text (mount_on (config, BUNDLE_INIT), "source"), "/usr/bin/catatonit");
}

static void what_is_not_utf8_is_refused (void **state)
{
  static const char *const bad[] = {"\377",     "a\300\200", "\355\240\200", "\364\220\200\200",
                                    "\342\202", NULL};

  (void) state;
  for (const char *const *word = bad; *word; word++) {
    const char *const words[] = {"true", *word, NULL};
    struct bundle_command command = {.args = words, .env = env, .cwd = "/"};
    autoerr struct err err = {0};
    json_object *config = NULL;

    assert_int_equal (bundle_config (&bundle, &command, &config, &err), -ERR_USAGE);
    assert_null (config);
  }
}

int main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (the_process_is_as_asked),
      cmocka_unit_test (capabilities_are_bounded),
      cmocka_unit_test (all_namespaces_but_network_and_user),
      cmocka_unit_test (mounts_hide_what_must_not_be_committed),
      cmocka_unit_test (devices_and_system_calls_are_denied),
      cmocka_unit_test (an_init_goes_before_the_command),
      cmocka_unit_test (what_is_not_utf8_is_refused),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
