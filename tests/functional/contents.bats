#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vhashify --contents and --no-contents: files equal in contents alone.

load ../lib/common

# What a transaction needs, from the host.
add_tools () {
  local dir=$1 tool program file
  for tool in sh cat chmod stat; do
    program=$(type -P "$tool")
    cp -L "$program" "$dir/bin/$tool"
    while read -r file; do
      mkdir -p "$dir${file%/*}"
      [ -e "$dir$file" ] || cp -L "$file" "$dir$file"
    done < <(ldd "$program" | grep -o '/[^ ]*')
  done
}

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  mkdir -p "$T/source"/{proc,sys}
  add_tools "$T/source"
  head -c 50000 /dev/urandom >"$T/source/usr/lib/data.so"
  cp "$T/source/usr/lib/data.so" "$T/data"
  vtemplate -q import one "$T/source"
  touch -d @1600000000.5 "$T/source/usr/lib/data.so"
  chmod 0640 "$T/source/usr/lib/data.so"
  vtemplate -q import two "$T/source"
  vguest -q web1 build -m clone -- -s one
  vguest -q web2 build -m clone -- -s two
  # Else its template has the file as well, and nothing would be freed.
  vtemplate -q delete --yes two
  FILE=usr/lib/data.so
  GUESTS=$VGUEST_ROOT/guests
}

views () {
  "$CHECK_ROOT" --view "$GUESTS/web1"
  "$CHECK_ROOT" --view "$GUESTS/web2"
}

# shares GUEST: its file has no blocks of its own.
shares () {
  [ "$(stat -c %b "$GUESTS/$1/tree/$FILE")" = 0 ]
}

@test "a file shares contents, and shows what it did before" {
  views >"$T/before"
  vhashify -q --contents --all
  shares web2
  refute shares web1
  views | diff "$T/before" -
  run vguest web2 exec -- sh -c "stat -c '%a %s %y' $FILE; cat $FILE >/tmp/copy; cat /tmp/copy"
  assert_status 0
  [[ $output == "640 50000 2020-09-13 12:26:40.5"* ]]
  vguest web2 exec -- cat "$FILE" | cmp - "$T/data"
  check_root
  vstore fsck
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
  [ "$status" != 0 ]
}
