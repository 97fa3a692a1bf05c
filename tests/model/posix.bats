#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The calls of POSIX on files of the shared layer, in a running guest, answer as on a plain file
# system (tests/model/posix.c); what may differ is here and in vguest-view(7), each with its reason.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  [ "$(stat -f -c %T "$T")" = ext2/ext3 ] || skip "compares with ext4"
  POSIX=${CHECK_ROOT%/lib/*}/model/posix
}

# What may differ: the case and call with its answer in the guest, below the reason. Each is in
# vguest-view(7), with more that no single call shows.
allowed () {
  sed '/^#/d' <<'END'
# overlayfs looks for the ACL first, so as to copy nothing up when there is none
xattrs remove an ACL: ENODATA
# a file with several links, as all in the store have, gets another inode when it is copied up
stale-reader the inode number stays: 0
END
}

@test "calls on files of the shared layer answer as on a plain file system" {
  local name
  mkdir "$T/plain" "$T/thin"
  "$POSIX" prepare "$T/plain"
  cp -a "$T/plain" "$T/again"
  make_tools_template "$T/tools"
  cp -a "$T/plain" "$T/tools/usr/plain"
  vtemplate -q import tools "$T/tools"
  vguest -q web1 build -m clone -- -s tools
  vguest -q web2 build -m clone --thin -- -s tools
  vguest -q 'web[1-2]' start
  "$POSIX" run "$T/plain" >"$T/wanted"
  # The test itself gives the same answers twice.
  "$POSIX" run "$T/again" | diff "$T/wanted" -
  [ "$(wc -l <"$T/wanted")" -gt 400 ]
  for name in web1 web2; do
    "$POSIX" run "/proc/$(vguest "$name" status --json | jq '.guests[0].init_pid')/root/usr/plain" \
      >"$T/got"
    echo "$name"
    diff "$T/wanted" "$T/got" >"$T/differences" || true
    cat "$T/differences"
    diff <(allowed) <(sed -n 's/^> //p' "$T/differences")
  done
  vguest -q 'web[1-2]' stop --timeout 0
  check_root
}
