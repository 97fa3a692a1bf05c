#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest NAME show, diff, which and check.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program jq
  make_small_template "$T/source"
  mkdir -p "$T/source/usr/share/view" "$T/source/usr/lib"
  echo "shared text" >"$T/source/usr/share/view/text"
  echo "another one" >"$T/source/usr/share/view/gone"
  echo "a group" >"$T/source/usr/lib/one"
  ln "$T/source/usr/lib/one" "$T/source/usr/lib/two"
  vtemplate -q import small "$T/source"
  GUESTS=$VGUEST_ROOT/guests
  vguest -q 'web[1-3]' build -m clone -- -s small
}

# state PATH: "STATE GUESTS TEMPLATES" of web1.
state () {
  vguest --json web1 show "$1" | jq -r '.files[0] | "\(.state) \(.guests) \(.templates)"'
}

@test "show tells what is shared, and with how many" {
  [ "$(state /usr/share/view/text)" = "shared 2 1" ]
  vguest -q web3 delete --yes
  [ "$(state /usr/share/view/text)" = "shared 1 1" ]
  mkdir -p "$GUESTS/web1/private/usr/share/view"
  echo mine >"$GUESTS/web1/private/usr/share/view/text"
  [ "$(state /usr/share/view/text)" = "private 0 0" ]
  [ "$(state usr/share/./view/gone)" = "shared 1 1" ]
  vguest web1 show /usr/share >"$T/sums"
  grep -q '^ *1  *1 .* /usr/share/view$' "$T/sums"
  vguest --json web1 show -r /usr >"$T/all"
  [ "$(jq '.files | length' "$T/all")" = "$(find "$T/source/usr" ! -type d -printf x | wc -c)" ]
  run vguest web1 show /no/such
  assert_status 1
  [[ $output == *"/no/such: no such file in the guest"* ]]
  run vguest web1 show /usr/../etc
  assert_status 2
}

@test "diff lists what changed against the template and another guest" {
  local private=$GUESTS/web1/private
  run vguest web1 diff
  assert_status 0
  vguest --json web1 diff | jq -e '.against.kind == "template" and .against.generation == 1'
  mkdir -p "$private/usr/share/view" "$private/srv/new"
  chmod --reference="$T/source/usr/share/view" "$private/usr" "$private/usr/share" \
    "$private/usr/share/view"
  echo mine >"$private/usr/share/view/text"
  mknod "$private/usr/share/view/gone" c 0 0
  printf 'x\n' >"$private/srv/new/file"
  vguest web1 diff >"$T/diff"
  grep -q '^changed  /usr/share/view/text  .*contents' "$T/diff"
  grep -qx 'removed  /usr/share/view/gone' "$T/diff"
  grep -qx 'added    /srv/new/file' "$T/diff"
  refute grep -q /usr/lib "$T/diff"
  vguest web1 diff web2 | grep -v ' /etc/' | diff - <(grep -v ' /etc/' "$T/diff")
  vguest web1 diff small@1 | diff - "$T/diff"
  vguest --json web1 diff --stat |
    jq -e '.directories[] | select(.path == "/usr") | .removed == 1 and .changed == 1'
  run vguest web1 diff nothing
  assert_status 5
}

@test "which tells the layer, the file of the host and the object" {
  vguest --json web1 which /usr/share/view/text >"$T/which"
  [ "$(jq -r '.files[0].layer' "$T/which")" = tree ]
  [ "$(jq -r '.files[0].host_path' "$T/which")" -ef "$GUESTS/web1/tree/usr/share/view/text" ]
  [ "$(jq -r '.files[0].store_path' "$T/which")" -ef "$GUESTS/web1/tree/usr/share/view/text" ]
  mkdir -p "$GUESTS/web1/private/etc"
  echo mine >"$GUESTS/web1/private/etc/mine"
  vguest --json web1 which /etc/mine |
    jq -e '.files[0] | .layer == "private" and .object == null'
  run vguest web1 which /no /usr/share/view/text
  assert_status 1
  [[ $output == *"object: "* ]]
}

@test "files of the guest with metadata of its own, and renamed directories" {
  skip_unless_program setfattr
  mkdir -p "$T/m" "$GUESTS/web2/work"
  mount -t overlay overlay -o "lowerdir=$GUESTS/web2/tree,upperdir=$GUESTS/web2/private,workdir=$GUESTS/web2/work,index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto" "$T/m"
  chmod 0600 "$T/m/usr/share/view/text"
  mv "$T/m/usr/lib" "$T/m/usr/moved"
  umount "$T/m"
  vguest --json web2 show /usr/share/view/text | jq -e '.files[0] | .state == "contents" and .guests == 2'
  vguest --json web2 which /usr/share/view/text | jq -e '.files[0].contents.layer == "tree"'
  vguest web2 diff >"$T/diff"
  grep -qx 'changed  /usr/share/view/text  mode' "$T/diff"
  grep -qx 'added    /usr/moved/one' "$T/diff"
  grep -qx 'removed  /usr/lib/one' "$T/diff"
}

@test "check lists hard links that are shared as a group, and what a fold would not know" {
  run vguest web1 check
  assert_status 0
  [ "$(grep -c '^group .* /usr/lib/\(one\|two\)$' <<<"$output")" = 2 ]
  [ "$(grep '/usr/lib/' <<<"$output" | cut -c1-12 | sort -u | wc -l)" = 1 ]
  mkdir -p "$GUESTS/web1/private/srv"
  echo x >"$GUESTS/web1/private/srv/odd"
  setfattr -n trusted.overlay.unheard -v 1 "$GUESTS/web1/private/srv/odd"
  run vguest --json web1 check
  assert_status 3
  vguest --json web1 check 2>/dev/null | jq -e '.guests[0] | .problems == 1 and
    ([.findings[] | select(.problem)] | .[0].kind == "form" and .[0].path == "/srv/odd")'
}

@test "check --identity finds what two guests have in common and should not" {
  local guest
  vguest --all check --identity
  for guest in web1 web3; do
    mkdir -p "$GUESTS/$guest/private/etc/ssh"
    echo 0123456789abcdef0123456789abcdef >"$GUESTS/$guest/private/etc/machine-id"
    echo "a key" >"$GUESTS/$guest/private/etc/ssh/ssh_host_rsa_key"
    echo "not a secret" >"$GUESTS/$guest/private/etc/ssh/ssh_host_rsa_key.pub"
  done
  mkdir -p "$GUESTS/web2/private/etc" "$GUESTS/web3/private/var/lib/dbus"
  # Not made yet, and so no id; the same one in two places of one guest is none of two guests.
  echo uninitialized >"$GUESTS/web2/private/etc/machine-id"
  cp "$GUESTS/web3/private/etc/machine-id" "$GUESTS/web3/private/var/lib/dbus/machine-id"
  run vguest web1 check --identity
  assert_status 3
  assert_contains "$output" "machine-id         /etc/machine-id: the same in web[1,3]"
  assert_contains "$output" "ssh-host-key       /etc/ssh/ssh_host_rsa_key: the same in web[1,3]"
  assert_contains "$output" "2 values that should be a guest's own"
  vguest --json web3 check --identity >"$T/json" || [ $? = 3 ]
  [ "$(jq -c '[.shared[] | [.kind, (.guests | map(.name + .path))]]' "$T/json")" = \
    '[["machine-id",["web1/etc/machine-id","web3/etc/machine-id","web3/var/lib/dbus/machine-id"]],["ssh-host-key",["web1/etc/ssh/ssh_host_rsa_key","web3/etc/ssh/ssh_host_rsa_key"]]]' ]
  # Guests that are not concerned.
  run vguest web2 check --identity
  assert_status 0
  [ -z "$output" ]
  rm "$GUESTS/web3/private/etc/machine-id" "$GUESTS/web3/private/etc/ssh/ssh_host_rsa_key"
  echo other >"$GUESTS/web3/private/var/lib/dbus/machine-id"
  vguest --all check --identity
}
