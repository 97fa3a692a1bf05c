#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Files equal in contents alone in guests that run, in thin ones, as vguest NAME show and which tell
# of them, and on kernels that cannot show them.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/contents

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq nsenter getfattr strace
  make_contents_guests
}

@test "a guest that runs keeps whole files, and sees entries as it sees any file" {
  local sum
  sum=$(sha256sum <"$T/data")
  vguest -q web2 start
  run vhashify --contents --json --all
  assert_status 0
  [ "$(json '.files, .trees_in_use')" = $'0\n1' ]
  refute shares web2
  vguest -q web2 stop
  vhashify -q --contents --all
  shares web2
  views >"$T/before"
  vguest -q web2 start
  [ "$(inside web2 sha256sum <"$T/data")" = "$sum" ]
  [ "$(inside web2 sha256sum "/$FILE" | cut -c1-64)" = "${sum%% *}" ]
  [ "$(inside web2 stat -c '%a %s %b %.1Y' "/$FILE")" = "640 50000 104 1600000000.5" ]
  # Neither another run nor the way back touches what is in use.
  run vhashify --no-contents
  assert_status 1
  assert_contains "$output" "guests/web2 is in use"
  inside web2 chmod 0600 "/$FILE"
  [ "$(inside web2 sha256sum "/$FILE" | cut -c1-64)" = "${sum%% *}" ]
  inside web2 sh -c "echo more >>/$FILE; mv /$FILE /usr/lib/moved.so"
  vguest -q web2 stop
  cmp -n 50000 "$GUESTS/web2/tree/usr/lib/moved.so" "$T/data"
  cmp "$GUESTS/web1/tree/$FILE" "$T/data"
  vguest -q web2 rollback --yes 2>/dev/null || true
  check_root
}

@test "metadata that a guest changed is its own, contents are again those of the template" {
  vguest -q web1 exec -- chmod 0600 "/$FILE"
  refute shares web1
  "$CHECK_ROOT" --view "$GUESTS/web1" >"$T/before"
  run vhashify --json --contents web1
  assert_status 0
  [ "$(json .files)" = 1 ]
  shares web1
  "$CHECK_ROOT" --view "$GUESTS/web1" | diff "$T/before" -
  vguest -q web1 rollback --yes
  [ "$(stat -c %a "$GUESTS/web1/tree/$FILE")" = 644 ]
  check_root
}

@test "thin guests have entries over their template, and stay exact when they get thick" {
  vguest -q thin1,thin2 build -m clone --thin -- -s one
  vguest -q thin1 exec -- chmod 0600 "/$FILE"
  vguest -q thin2 exec -- touch -d @1500000000 "/$FILE"
  "$CHECK_ROOT" --view "$GUESTS/thin1" >"$T/before"
  vhashify -q --contents 'thin?'
  shares thin1
  shares thin2
  "$CHECK_ROOT" --view "$GUESTS/thin1" | diff "$T/before" -
  check_root
  vguest thin1 exec -- cat "/$FILE" | cmp - "$T/data"
  vguest -q thin2 start
  inside thin2 cat "/$FILE" | cmp - "$T/data"
  vguest -q thin2 stop
  vguest -q thin1 thicken
  "$CHECK_ROOT" --view "$GUESTS/thin1" | diff "$T/before" -
  vguest thin1 exec -- cat "/$FILE" | cmp - "$T/data"
  vguest -q thin1 rollback --yes
  vhashify -q --no-contents
  refute shares thin2
  check_root
}

@test "show and which tell where the contents are, and with whom they are shared" {
  local whole
  vhashify -q --contents --all
  vguest -q web3 build -m clone -- -s guest:web2
  whole=$(find "$VGUEST_ROOT"/store/?? -samefile "$GUESTS/web1/tree/$FILE")
  vguest --json web2 show "/$FILE" |
    jq -e '.files[0] | .state == "contents" and .layer == "tree" and .guests == 2 and .templates == 1'
  vguest --json web1 show "/$FILE" |
    jq -e '.files[0] | .state == "shared" and .guests == 2 and .templates == 1'
  vguest --json web2 which "/$FILE" >"$T/which"
  [ "$(jq -r '.files[0].contents.layer' "$T/which")" = store ]
  [ "$(jq -r '.files[0].contents.host_path' "$T/which")" = "$whole" ]
  [ "$(jq -r '.files[0].store_path' "$T/which")" -ef "$GUESTS/web2/tree/$FILE" ]
  run vguest web2 which "/$FILE"
  assert_contains "$output" "  contents: store: $whole"
  run vguest web2 diff web1
  assert_contains "$output" "/$FILE"
  refute grep -q "/$FILE .*contents" <<<"$output"
  # In the guest: the object that its file is.
  vguest -q web2 start
  inside web2 cat /run/vguest/unified >"$T/list"
  grep -q "^$(jq -r '.files[0].object' "$T/which") $(inside web2 stat -c %i "/$FILE") /$FILE\$" \
    "$T/list"
  vguest -q web2 stop
  rm "$VGUEST_ROOT/store/data$(place_of web2)"
  run vguest web2 which "/$FILE"
  assert_status 1
  assert_contains "$output" "look for its contents"
}

# without_entries COMMAND…: as on a kernel before 6.5, which knows no data-only layers.
without_entries () {
  strace -f -qq -o "$T/trace" -P overlay -e trace=mount -e inject=mount:error=EINVAL "$@"
}

@test "a kernel that cannot show them: nothing is made, no guest starts, and the way back works" {
  run without_entries vhashify --contents --all
  assert_status 1
  assert_contains "$output" "Linux 6.5"
  refute shares web2
  [ ! -e "$VGUEST_ROOT/store/data" ]
  vhashify -q --contents --all
  views >"$T/before"
  run without_entries vguest web2 exec -- true
  [ "$status" != 0 ]
  assert_contains "$output" "which takes Linux 6.5"
  assert_contains "$output" "--no-contents"
  run without_entries vhashify -q --no-contents
  assert_status 0
  vguest web2 exec -- cat "/$FILE" | cmp - "$T/data"
  views | diff "$T/before" -
  check_root
}
