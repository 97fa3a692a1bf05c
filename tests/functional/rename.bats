#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest NAME rename NEW.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program jq
  make_small_template "$T/source"
  printf '127.0.0.1 localhost\n127.0.1.1 template\n::1 localhost template\n10.0.0.1 template\n' \
    >"$T/source/etc/hosts"
  vtemplate -q import small "$T/source"
  GUESTS=$VGUEST_ROOT/guests
  vguest -q 'web[1-3]' build -m clone -- -s small
}

config () {
  jq -c "$2" "$GUESTS/$1/config.json"
}

view () {
  "$CHECK_ROOT" --view "$GUESTS/$1"
}

# What is in a stopped guest's file.
content () {
  if [ -e "$GUESTS/$1/private/$2" ]; then
    cat "$GUESTS/$1/private/$2"
  else
    cat "$GUESTS/$1/tree/$2"
  fi
}

@test "the directory, the host name and the files that tell it" {
  view web2 >"$T/web2"
  view web1 | grep -v -e '^etc ' -e '^etc/host' >"$T/web1"
  echo web1.example.org >"$GUESTS/web1/private/etc/mailname"
  run vguest web1 rename front_1
  assert_status 0
  [ "$output" = "web1: renamed to front_1, host name front-1" ]
  [ ! -e "$GUESTS/web1" ]
  [ "$(config front_1 .hostname)" = '"front-1"' ]
  [ "$(content front_1 etc/hostname)" = front-1 ]
  content front_1 etc/hosts | diff - <(
    printf '127.0.0.1 localhost\n127.0.1.1\tfront-1\n::1 localhost front-1\n10.0.0.1 template\n'
  )
  [ "$(content front_1 etc/mailname)" = front-1.example.org ]
  view front_1 | grep -v -e '^etc ' -e '^etc/host' -e '^etc/mailname' | diff "$T/web1" -
  view web2 | diff "$T/web2" -
  [ "$(ls "$GUESTS/front_1")" = "$(ls "$GUESTS/web2")" ]
  run vguest web1 get hostname
  assert_status 5
  run vguest front_1 get hostname
  [ "$output" = front-1 ]
  # And on.
  run vguest --json front_1 rename back
  assert_status 0
  [ "$(json '[.name, .old_name, .hostname, .dependents] | tostring')" = '["back","front_1","back",[]]' ]
  [ "$(content back etc/hostname)" = back ]
  run vguest -q back rename web1
  assert_status 0
  [ -z "$output" ]
  vguest -q more build -m clone -- -s guest:web1
  [ "$(content more etc/hostname)" = more ]
  check_root
  assert_nothing_left
}

@test "a host name set by hand stays; so does one that the guest gave itself" {
  vguest -q web1 set hostname=www.example.org
  echo of-its-own >"$GUESTS/web2/private/etc/hostname"
  cp -a "$GUESTS/web1/private/etc" "$T/etc1"
  cp -a "$GUESTS/web2/private/etc" "$T/etc2"
  run vguest web1 rename one
  assert_status 0
  [ "$output" = "web1: renamed to one" ]
  [ "$(config one .hostname)" = '"www.example.org"' ]
  diff -r "$T/etc1" "$GUESTS/one/private/etc"
  vguest -q web2 rename two
  [ "$(config two .hostname)" = '"two"' ]
  diff -r "$T/etc2" "$GUESTS/two/private/etc"
  # None of its own, and none in /etc.
  vguest -q web3 set hostname=
  rm "$GUESTS/web3/private/etc/hostname" "$GUESTS/web3/tree/etc/hostname" 2>/dev/null || true
  run vguest web3 rename three
  assert_status 0
  [ "$(config three .hostname)" = null ]
  [ "$(vguest three get hostname)" = three ]
  assert_contains "$(content three etc/hosts)" $'127.0.1.1\tthree'
}

@test "files that are shared are replaced, not written" {
  local guest
  # The files in the trees of all, as one inode; nothing in private.
  for guest in web1 web2 web3; do
    rm -rf "$GUESTS/$guest/private/etc"
    rm -f "$GUESTS/$guest"/tree/etc/{hostname,hosts}
  done
  echo web1 >"$T/hostname"
  echo "127.0.0.1 localhost web1" >"$T/hosts"
  for file in hostname hosts; do
    cp "$T/$file" "$GUESTS/web1/tree/etc/$file"
    ln "$GUESTS/web1/tree/etc/$file" "$GUESTS/web2/tree/etc/$file"
    ln "$GUESTS/web1/tree/etc/$file" "$GUESTS/web3/tree/etc/$file"
  done
  setfattr -n user.etc -v here "$GUESTS/web1/tree/etc" 2>/dev/null || true
  stat -c '%a %u %g' "$GUESTS/web1/tree/etc" >"$T/etc"
  view web2 >"$T/web2"
  run vguest web1 rename other
  assert_status 0
  [ "$(cat "$GUESTS/other/private/etc/hosts")" = "127.0.0.1 localhost other" ]
  [ "$(cat "$GUESTS/other/private/etc/hostname")" = other ]
  same_inode "$GUESTS"/{other,web2,web3}/tree/etc/hosts
  [ "$(cat "$GUESTS/other/tree/etc/hosts")" = "127.0.0.1 localhost web1" ]
  stat -c '%a %u %g' "$GUESTS/other/private/etc" | diff "$T/etc" -
  view web2 | diff "$T/web2" -
}

@test "links that a guest put into its /etc lead nowhere" {
  local other=$T/outside
  mkdir "$other"
  echo web1 >"$other/hostname"
  echo "127.0.0.1 web1" >"$other/hosts"
  cp -a "$other" "$T/before"
  ln -sfn "$other/hosts" "$GUESTS/web1/private/etc/hosts"
  ln -sfn "$other/hostname" "$GUESTS/web1/private/etc/hostname"
  vguest -q web1 rename one
  [ -L "$GUESTS/one/private/etc/hosts" ]
  rm -r "$GUESTS/web2/private/etc"
  ln -s "$other" "$GUESTS/web2/private/etc"
  vguest -q web2 rename two
  [ -L "$GUESTS/two/private/etc" ]
  diff -r "$T/before" "$other"
}

@test "those that depend on it are told" {
  vguest -q web1 set depends=web2,db,web3
  vguest -q web3 set depends=web2,data notes=x
  sed -i 's/{/{ \/* why *\//' "$GUESTS/web3/config.json"
  (
    flock 9
    run vguest --no-wait web2 rename data
    assert_status 7
    [ -d "$GUESTS/web2" ]
    [ ! -e "$GUESTS/web2/rename.json" ]
  ) 9<"$GUESTS/web3/lock"
  run vguest web2 rename data
  assert_status 0
  assert_contains "$output" "web1: depends on data now"
  assert_contains "$output" "web3: depends on data now"
  assert_contains "$output" "guest web3: the comments of config.json are now in config.json.old only"
  grep -q why "$GUESTS/web3/config.json.old"
  [ "$(config web1 .depends)" = '["data","db","web3"]' ]
  [ "$(config web3 '[.depends, .notes]')" = '[["data"],"x"]' ]
  run vguest web3 rename db
  assert_status 0
  [ "$(config web1 .depends)" = '["data","db"]' ]
  run vguest db rename data
  assert_status 1
  # It would depend on itself.
  vguest -q data set depends=later
  run vguest data rename later
  assert_status 2
  assert_contains "$output" "guest data depends on later, and would depend on itself"
  [ -d "$GUESTS/data" ]
  [ ! -e "$GUESTS/data/rename.json" ]
}

@test "an interrupted one is finished, or undone, by the next command" {
  local record='{"from":"web1","to":"one","old_hostname":"web1","hostname":"one"}'
  vguest -q web2 set depends=web1
  echo "$record" >"$GUESTS/web1/rename.json"
  vguest -q web1 set pids=100
  [ ! -e "$GUESTS/web1/rename.json" ]
  [ "$(content web1 etc/hostname)" = web1 ]
  echo "$record" >"$GUESTS/web1/rename.json"
  mv "$GUESTS/web1" "$GUESTS/one"
  # The dependent is locked meanwhile: it is left to another time, and nobody waits.
  (
    flock 9
    vguest -q one set pids=101
    [ "$(content one etc/hostname)" = one ]
    [ "$(config one .hostname)" = '"one"' ]
    [ -e "$GUESTS/one/rename.json" ]
    vguest -q one set hostname=by-hand
    run vguest --no-wait one rename two
    assert_status 1
    assert_contains "$output" "an interrupted rename of guest one waits"
  ) 9<"$GUESTS/web2/lock"
  [ "$(config web2 .depends)" = '["web1"]' ]
  vguest -q one set pids=102
  [ "$(config web2 .depends)" = '["one"]' ]
  [ "$(config one '[.hostname, .pids]')" = '["by-hand",102]' ]
  [ ! -e "$GUESTS/one/rename.json" ]
  check_root
}

# there_and_back GUEST
there_and_back () {
  local i
  for i in {1..6}; do
    vguest -q "$1" rename "$1-$i" && vguest -q "$1-$i" rename "$1" || echo "$1 $i" >>"$T/failed"
  done
}

@test "many at the same time that depend on one another" {
  local i
  vguest -q web1 set depends=web2,web3
  vguest -q web2 set depends=web1,web3
  vguest -q web3 set depends=web1,web2
  for i in 1 2 3; do
    there_and_back "web$i" 2>"$T/log$i" 3>&- &
  done
  wait
  [ ! -e "$T/failed" ] || { cat "$T"/log?; return 1; }
  [ "$(for i in 1 2 3; do config "web$i" '[.hostname, .depends]'; done)" = \
    $'["web1",["web2","web3"]]\n["web2",["web1","web3"]]\n["web3",["web1","web2"]]' ]
  refute compgen -G "$GUESTS/*/rename.json"
  check_root
}

@test "what is refused: bad and used names, several guests, a locked one" {
  run vguest web1 rename web2
  assert_status 1
  [ "$output" = "vguest: $GUESTS/web2 exists: choose another name" ]
  run vguest web1 rename web1
  assert_status 4
  run vguest web1 rename ../x
  assert_status 2
  run vguest web1 rename delete
  assert_status 2
  run vguest web1 rename
  assert_status 2
  run vguest web1 rename a b
  assert_status 2
  run vguest 'web[1-2]' rename x
  assert_status 2
  run vguest wbe1 rename x
  assert_status 5
  assert_contains "$output" "did you mean"
  mkdir -p "$VGUEST_ROOT/staging/clone-x/guests/soon"
  (
    flock 9
    run vguest web1 rename soon
    assert_status 1
    assert_contains "$output" "soon is just being built"
  ) 9<"$VGUEST_ROOT/staging/clone-x"
  (
    flock 9
    run vguest --no-wait web1 rename x
    assert_status 7
  ) 9<"$GUESTS/web1/lock"
  [ "$(ls "$GUESTS")" = $'web1\nweb2\nweb3' ]
  refute compgen -G "$GUESTS/*/rename.json"
  check_root
}

@test "a guest that runs is refused; stopped and renamed it runs on" {
  skip_unless_runtime
  make_tools_guests app
  # One that runs can depend on it.
  vguest -q web1 set init=none depends=app
  run_plain app 'echo begun; exec sleep 1000'
  vguest -q app start
  run vguest app rename app2
  assert_status 1
  assert_contains "$output" "guest app is running: stop it first"
  [ -d "$GUESTS/app" ]
  vguest -q web1 start
  vguest -q app stop -t 0
  vguest -q app rename app2
  [ "$(config web1 .depends)" = '["app2"]' ]
  vguest -q web1 stop -t 0
  vguest -q app2 start
  [ "$(vguest app2 exec -- hostname)" = app2 ]
  [ "$(vguest app2 exec -- cat /etc/hostname)" = app2 ]
  vguest -q app2 stop -t 0
  # The log of before is there.
  [ "$(cat "$GUESTS"/app2/log/console.log* | grep -c begun)" = 2 ]
  # What a killed monitor left goes under the old name.
  vguest -q app2 start
  kill -9 "$(vguest app2 status --json | jq '.guests[0].monitor_pid')"
  vguest -q app2 rename app3
  assert_no_guests_left
  vguest -q app3 start
  vguest -q app3 stop -t 0
  assert_no_guests_left
  check_root
}

@test "the completion knows the verb" {
  vguest --complete verbs vguest | grep -qx rename
}
