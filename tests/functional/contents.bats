#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vhashify --contents and --no-contents: files equal in contents alone.

load ../lib/common
load ../lib/guests
load ../lib/contents

setup () {
  common_setup
  skip_unless_runtime
  make_contents_guests
}

@test "a file shares contents, and shows what it did before" {
  local blocks
  views >"$T/before"
  blocks=$(vguest web2 exec -- stat -c '%b %B' "$FILE")
  run vhashify --json --contents -n --all
  assert_status 0
  [ "$(json '.files, .bytes')" = $'1\n53248' ]
  refute shares web2
  vhashify -q --contents --all
  shares web2
  refute shares web1
  [ "$(vguest web2 exec -- stat -c '%b %B' "$FILE")" = "$blocks" ]
  views | diff "$T/before" -
  run vguest web2 exec -- sh -c "stat -c '%a %s %y' $FILE; cat $FILE >/tmp/copy; cat /tmp/copy"
  assert_status 0
  [[ $output == "640 50000 2020-09-13 12:26:40.5"* ]]
  vguest web2 exec -- cat "$FILE" | cmp - "$T/data"
  check_root
  vstore fsck
}

@test "a root without such files pays one call for them" {
  skip_unless_program strace
  rm -r "$VGUEST_ROOT"/store/*
  cp -a "$GUESTS/web1/tree" "$GUESTS/web1/alone"
  rm -r "$GUESTS/web1/tree"
  mv "$GUESTS/web1/alone" "$GUESTS/web1/tree"
  run strace -f -qq -y -o "$T/calls" vhashify web1
  assert_status 0
  [ "$(grep 'overlay.metacopy' "$T/calls" | grep -vc '/app/sparse')" = 0 ]
  [ "$(grep -c 'access.*"data"' "$T/calls")" -le 1 ]
  [ -n "$(ls "$VGUEST_ROOT/store")" ]
}

@test "a second run finds nothing to do" {
  vhashify -q --contents --all
  run vhashify --json --contents --all
  assert_status 0
  [ "$(json .files)" = 0 ]
  check_root
}

@test "a write goes to one guest, and is undone" {
  vhashify -q --contents --all
  views >"$T/before"
  vguest -q web2 exec -- sh -c "chmod 0600 $FILE; echo more >>$FILE"
  cmp "$GUESTS/web1/tree/$FILE" "$T/data"
  cmp -n 50000 "$GUESTS/web2/tree/$FILE" "$T/data"
  vguest -q web2 rollback --yes
  shares web2
  views | diff "$T/before" -
  check_root
}

@test "clones link them, and gc takes all that nobody uses" {
  vhashify -q --contents --all
  vguest -q web3 build -m clone -- -s guest:web2
  shares web3
  vguest web3 exec -- cat "$FILE" | cmp - "$T/data"
  check_root
  vguest -q web2,web3 delete --yes
  vstore -q gc
  [ ! -e "$VGUEST_ROOT/store/data" ]
  check_root
}

@test "what only an undo layer has is kept, and comes back" {
  vhashify -q --contents --all
  views >"$T/before"
  vguest -q web2 exec -- rm "$FILE"
  vguest -q web1 delete --yes
  vtemplate -q delete --yes one
  vstore -q gc
  check_root
  vguest -q web2 rollback --yes
  shares web2
  vguest web2 exec -- cat "$FILE" | cmp - "$T/data"
  vguest -q web2 rollback --yes || true
  check_root
}

@test "a template made of such a guest has its entries, and a tree of them is none for import" {
  local three=$VGUEST_ROOT/templates/three/1/tree
  vhashify -q --contents --all
  vtemplate -q import three guest:web2
  run vtemplate -q import four "$GUESTS/web2/tree"
  assert_status 1
  assert_contains "$output" "trusted.overlay.metacopy"
  same_inode "$three/$FILE" "$GUESTS/web2/tree/$FILE"
  vguest -q thin build -m clone --thin -- -s three
  vguest thin exec -- cat "$FILE" | cmp - "$T/data"
  vguest thin exec -- sh -c "chmod 0600 $FILE; cat $FILE" | cmp - "$T/data"
  vguest -q web2 delete --yes
  vstore -q gc
  vguest thin exec -- cat "$FILE" | cmp - "$T/data"
  check_root
  vguest -q thin delete --yes
  vtemplate -q delete --yes three
  vstore -q gc
  [ ! -e "$VGUEST_ROOT/store/data" ]
  check_root
}

@test "the way back makes whole files" {
  vhashify -q --contents --all
  views >"$T/before"
  vhashify -q --no-contents
  refute shares web2
  [ ! -e "$VGUEST_ROOT/store/data" ]
  cmp "$GUESTS/web2/tree/$FILE" "$T/data"
  views | diff "$T/before" -
  check_root
  run vhashify --no-contents
  assert_status 4
}

@test "contents that are gone are an error, never zeros" {
  vhashify -q --contents --all
  rm -r "$VGUEST_ROOT"/store/data/??
  run vguest web2 exec -- cat "$FILE"
  [ "$status" != 0 ]
  run vstore fsck
  assert_status 4
  run vhashify --no-contents
  assert_status 1
  assert_contains "$output" "guests/web2: data.so: "
}
