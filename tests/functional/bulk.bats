#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many guests in one run: failures of all kinds stay in their guest, canaries, limits, downloads
# that are shared, reports.

# shellcheck disable=SC2154 # serve_dir sets port
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages

# The guest "base" has version 1 of vgtest and version 2 to come. Version 2 fails in a guest with
# /etc/fail-here, and never ends in one with /etc/sleep-here.
setup () {
  common_setup
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  skip_unless_runtime
  skip_unless_program python3 dpkg-deb jq tar
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_base_guest
    publish base 'test ! -e /etc/fail-here || exit 1; test ! -e /etc/sleep-here || sleep 1000' 2.0
    vapt-get -q base -- update
    touch "$BATS_FILE_TMPDIR/ready"
  fi
}

teardown () {
  end_jobs
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q --all --exclude base delete --yes || true
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

# make_guests NAMES: clones of base.
make_guests () {
  vguest -q "$1" build -m clone -- -s base
}

count () {
  json "[.guests[] | select(.$1 == \"$2\")] | length"
}

# make_http_repo POSTINST VERSION…: a repository below $T/repo that the guest base's sources name.
make_http_repo () {
  local postinst=$1 version
  shift
  mkdir -p "$T/repo"
  rm -f "$T"/repo/*.deb
  for version; do
    make_package "$T/repo" vgtest "$version" "$postinst"
  done
  make_index "$T/repo"
}

@test "30 guests, three of which fail in ways of their own: 27 are upgraded, three as before" {
  local name
  truncate -s 1400M "$T/disk"
  mkfs.ext4 -q -m 0 "$T/disk"
  mkdir "$T/mnt"
  mount -o loop "$T/disk" "$T/mnt" || skip "needs to mount a loop device"
  tar -C "$VGUEST_ROOT/guests/base" --xattrs --xattrs-include='*' -cf "$T/base.tar" tree private
  mkdir "$T/merged"
  for name in tree private; do
    tar -C "$T/merged" --strip-components=1 --xattrs --xattrs-include='*' -xf "$T/base.tar" "$name"
  done
  VGUEST_ROOT=$T/mnt/root
  vtemplate -q import base "$T/merged"
  rm -rf "$T/merged"
  vguest -q 'w[01-30]' build -m clone -- -s base
  vguest -q w05 exec -- touch /etc/fail-here
  vguest -q w17 exec -- touch /etc/sleep-here
  # A package that unpacks to more than the disk has, and is small before that.
  mkdir -p "$T/big/DEBIAN" "$T/big/usr/lib/vgtest" "$T/bigrepo"
  dpkg-deb -R "$(find "$VGUEST_ROOT/guests/w23" -name 'vgtest_2.0_all.deb' | head -n 1)" "$T/big2"
  truncate -s 1400M "$T/big2/usr/lib/vgtest/big"
  dpkg-deb --root-owner-group -Zzstd -z1 --build "$T/big2" "$T/bigrepo/vgtest_2.0_all.deb" >/dev/null
  rm -rf "$T/big2"
  make_index "$T/bigrepo"
  tar -C "$T/bigrepo" -c . | vguest -q w23 exec -- sh -c 'rm -rf /srv/repo && mkdir -p /srv/repo && tar -C /srv/repo -x'
  vapt-get -q w23 -- update
  for name in w05 w17 w23; do bits "$name" >"$T/$name.before"; done

  # One at a time: while the disk is full, nobody else is to be hit.
  run --separate-stderr vapt-get --json --jobs 1 --timeout 40 --all -- upgrade
  assert_status 3
  [ "$(count result "done")" = 27 ]
  [ "$(count result failed)" = 3 ]
  assert_contains "$(row w05 reason)" "installed vgtest package post-installation script"
  assert_contains "$(row w17 reason)" "not finished after 40 s"
  assert_contains "$(row w23 reason)" "No space left on device"
  for name in w05 w17 w23; do
    bits "$name" >"$T/$name.after"
    cmp "$T/$name.before" "$T/$name.after"
    [ "$(version "$name")" = 1.0 ]
    grep -q 'the guest is as before' "$(row "$name" log)"
  done
  for name in w01 w16 w30; do [ "$(version "$name")" = 2.0 ]; done
  same_inode "$VGUEST_ROOT"/guests/w{01,16,30}/tree/usr/lib/vgtest/data
  check_root
  assert_nothing_left
  umount "$T/mnt"
}

@test "the table tells why each of them failed" {
  make_guests 'web[1-3]'
  vguest -q web2 exec -- touch /etc/fail-here
  run --separate-stderr vapt-get 'web[1-3]' -- upgrade
  assert_status 3
  assert_contains "$output" "apply: dpkg: error processing package vgtest"
  assert_contains "$output" "3 guests in"
  assert_contains "$output" "2 done, 1 failed"
  assert_contains "$stderr" "web[1-3] (3 guests): 1 package: vgtest 1.0 → 2.0"
}

@test "--check tells what would change, and changes nothing" {
  make_guests 'web[1-2]'
  find "$VGUEST_ROOT"/guests/*/{tree,private,log} -printf '%p %i %T@\n' | sort >"$T/before"
  run --separate-stderr vapt-get --check 'web[1-2]' -- upgrade
  assert_status 100
  assert_contains "$output" "web[1-2] (2 guests): 1 package: vgtest 1.0 → 2.0"
  run --separate-stderr vapt-get --check --json 'web[1-2]' -- upgrade
  assert_status 100
  [ "$(count result pending)" = 2 ]
  [ "$(json '.plans')" = 1 ]
  [ "$(json '.guests[0].plan[0] | "\(.action) \(.name) \(.old) \(.new)"')" = "upgrade vgtest 1.0 2.0" ]
  find "$VGUEST_ROOT"/guests/*/{tree,private,log} -printf '%p %i %T@\n' | sort >"$T/after"
  cmp "$T/before" "$T/after"
  vapt-get -q 'web[1-2]' -- upgrade
  run vapt-get --check 'web[1-2]' -- upgrade
  assert_status 0
  assert_contains "$output" "web[1-2] (2 guests): nothing to do"
}

@test "a canary that fails keeps the others from being begun" {
  make_guests 'web[1-3]'
  vguest -q web2 exec -- touch /etc/fail-here
  run --separate-stderr vapt-get --json --canary web2 'web[1-3]' -- upgrade
  assert_status 3
  [ "$(row web2 result)" = failed ]
  [ "$(count result skipped)" = 2 ]
  assert_contains "$(row web1 reason)" "a canary failed"
  [ "$(version web1)" = 1.0 ]
  # By number the first ones; when they succeed, all others follow.
  run --separate-stderr vapt-get --json --canary 1 'web[1-3]' -- upgrade
  assert_status 3
  [ "$(count result "done")" = 2 ]
  run vapt-get --canary web9 'web[1-3]' -- upgrade
  assert_status 2
  assert_contains "$output" "web9 is not among those selected"
}

@test "--max-fail: behind so many failures no more are begun" {
  make_guests 'web[1-5]'
  vguest -q 'web[1-3]' exec -- touch /etc/fail-here
  run --separate-stderr vapt-get --json -j 1 --max-fail 2 'web[1-5]' -- upgrade
  assert_status 3
  [ "$(count result failed)" = 2 ]
  [ "$(count result skipped)" = 3 ]
  assert_contains "$(row web5 reason)" "--max-fail"
  run --separate-stderr vapt-get --json -j 1 --max-fail 20% 'web[1-5]' -- upgrade
  [ "$(count result failed)" = 1 ]
  run vapt-get --max-fail 0 'web[1-5]' -- upgrade
  assert_status 2
}

@test "packages and metadata come over the network once for all" {
  make_http_repo 'exit 0' 2.0
  serve_dir "$T/repo"
  make_guests 'web[1-4]'
  vguest -q 'web[1-4]' exec -- sh -c "rm -rf /var/lib/apt/lists/*
    echo 'deb [trusted=yes] http://127.0.0.1:$port/ ./' >/etc/apt/sources.list"
  echo 'private /var/lib/apt/lists' >"$VGUEST_ROOT/guests/web4/unify.policy"
  run --separate-stderr vapt-get --json 'web[1-4]' -- upgrade
  assert_status 0
  [ "$(count result "done")" = 4 ]
  [ "$(json .refreshes)" = 1 ]
  [ "$(json .plans)" = 1 ]
  [ "$(json .files_downloaded)" = 1 ]
  [ "$(grep -c 'GET /vgtest_2.0_all.deb' "$T/access")" = 1 ]
  [ "$(grep -c 'GET /./Packages ' "$T/access")" -le 1 ]
  # What the guests keep is what they would have fetched: lists, and no packages.
  vguest -q web3 exec --discard -- sh -c 'apt-cache policy vgtest | grep -q "Candidate: 2.0"'
  [ -z "$(find "$VGUEST_ROOT"/guests/web*/{tree,private}/var/cache/apt -name '*.deb')" ]
  same_inode "$VGUEST_ROOT"/guests/web[1-3]/tree/var/lib/apt/lists/*_Packages
  # What a guest may write to is nobody else's.
  [ "$(stat -c %h "$VGUEST_ROOT"/guests/web4/private/var/lib/apt/lists/*_Packages)" = 1 ]
  # The host has it still.
  make_guests web5
  vguest -q web5 exec -- sh -c "rm -rf /var/lib/apt/lists/*
    echo 'deb [trusted=yes] http://127.0.0.1:$port/ ./' >/etc/apt/sources.list"
  run --separate-stderr vapt-get --json web5 -- upgrade
  assert_status 0
  [ "$(json .files_downloaded)" = 0 ]
  [ "$(json .files_cached)" = 1 ]
  [ "$(grep -c 'GET /vgtest_2.0_all.deb' "$T/access")" = 1 ]
  check_root
}

@test "metadata that the host brings changes no directory but its own" {
  make_http_repo 'exit 0' 2.0
  serve_dir "$T/repo"
  make_guests web1
  vguest -q web1 exec -- sh -c "rm -rf /var/lib/apt/lists/*
    echo 'deb [trusted=yes] http://127.0.0.1:$port/ ./' >/etc/apt/sources.list"
  vguest -q web1 exec --discard -- stat -c '%n %a %U %y' / /var /var/lib /var/lib/apt >"$T/times"
  run vapt-get web1 -- update
  assert_status 0
  vguest -q web1 exec --discard -- stat -c '%n %a %U %y' / /var /var/lib /var/lib/apt |
    cmp - "$T/times"
  [ -n "$(find "$VGUEST_ROOT/guests/web1/tree/var/lib/apt/lists" -name '*_Packages')" ]
}

@test "a package that is not what its index says is refused, and the guest as before" {
  rm -rf "$VGUEST_ROOT/cache/packages"
  make_http_repo 'exit 0' 2.0
  serve_dir "$T/repo"
  make_guests web1
  vguest -q web1 exec -- sh -c "rm -rf /var/lib/apt/lists/*
    echo 'deb [trusted=yes] http://127.0.0.1:$port/ ./' >/etc/apt/sources.list"
  vapt-get -q web1 -- update
  size=$(stat -c %s "$T/repo/vgtest_2.0_all.deb")
  head -c "$size" /dev/urandom >"$T/repo/vgtest_2.0_all.deb"
  run --separate-stderr vapt-get --json web1 -- upgrade
  assert_status 3
  assert_contains "$(row web1 reason)" "download vgtest_2.0_all.deb"
  [ "$(row web1 phase)" = download ]
  [ "$(version web1)" = 1.0 ]
  [ -z "$(find "$VGUEST_ROOT/cache" -name 'sha256-*')" ]
  # Gone from the server: say what helps.
  rm "$T/repo/vgtest_2.0_all.deb"
  run --separate-stderr vapt-get --json web1 -- upgrade
  assert_status 3
  assert_contains "$(row web1 reason)" "Try --refresh"
}

@test "a guest cannot change what the host brings in" {
  make_http_repo 'echo poison >>/var/cache/apt/archives/vgtest_2.0_all.deb
    for f in /var/lib/apt/lists/*_Packages; do echo poison >>$f; done; exit 0' 2.0
  serve_dir "$T/repo"
  make_guests 'web[1-2]'
  vguest -q 'web[1-2]' exec -- sh -c "rm -rf /var/lib/apt/lists/*
    echo 'deb [trusted=yes] http://127.0.0.1:$port/ ./' >/etc/apt/sources.list"
  run --separate-stderr vapt-get --json -j 1 'web[1-2]' -- upgrade
  assert_status 0
  (cd "$VGUEST_ROOT/cache/packages" && find . -name 'sha256-*' -printf '%f %p\n' |
    sed 's/^sha256-//' | sha256sum -c --quiet)
  # Each has its own poison, and no other one's.
  for guest in web1 web2; do
    [ "$(grep -c poison "$(guest_file "$guest" "var/lib/apt/lists/127.0.0.1:${port}_._Packages")")" = 1 ]
  done
  check_root
}

@test "a command of the guest's settings must succeed in what was upgraded" {
  make_guests 'web[1-2]'
  vguest -q web1 set 'verify=["sh", "-c", "vgtest | grep -qx 1.0"]'
  vguest -q web2 set 'verify=["sh", "-c", "vgtest | grep -qx 2.0"]'
  run --separate-stderr vapt-get --json 'web[1-2]' -- upgrade
  assert_status 3
  [ "$(row web1 result)" = failed ]
  assert_contains "$(row web1 reason)" "the command sh ended with exit status 1"
  [ "$(version web1)" = 1.0 ]
  [ "$(row web2 result)" = "done" ]
}

@test "a package database that is not sane is told before anything is done" {
  make_guests 'web[1-2]'
  vguest -q web1 exec -- sh -c 'sed -i "/^Package: vgtest$/,/^$/s/install ok installed/install ok half-configured/" /var/lib/dpkg/status'
  run --separate-stderr vapt-get --json 'web[1-2]' -- upgrade
  assert_status 3
  [ "$(row web1 result)" = failed ]
  [ "$(row web1 phase)" = plan ]
  assert_contains "$(row web1 reason)" "is to be repaired first"
  [ "$(row web2 result)" = "done" ]
  # What repairs it is not kept from doing so.
  run --separate-stderr vapt-get --json web1 -- -f install
  assert_status 0
  run --separate-stderr vapt-get --json web1 -- upgrade
  assert_status 0
}

@test "new configuration files beside changed ones are told, and found later" {
  make_guests web1
  vguest -q web1 exec -- sh -c 'echo mine >/etc/vgtest.conf'
  run --separate-stderr vapt-get --json web1 -- upgrade
  assert_status 0
  [ "$(json '.guests[0].conffiles[0]')" = /etc/vgtest.conf.dpkg-dist ]
  run --separate-stderr vpkg web1 -- conffiles
  assert_status 0
  [ "$output" = "web1: /etc/vgtest.conf.dpkg-dist" ]
}

@test "answers for questions of packages" {
  make_guests web1
  echo 'tzdata tzdata/Areas select Etc' >"$T/answers"
  run --separate-stderr vapt-get --json --debconf-selections "$T/answers" web1 -- upgrade
  assert_status 0
  run vguest web1 exec --discard -- sh -c 'grep -A 3 "^Name: tzdata/Areas" /var/cache/debconf/config.dat'
  assert_status 0
  assert_contains "$output" "Value: Etc"
  run vapt-get --debconf-selections "$T/none" web1 -- upgrade
  assert_status 1
}

@test "--json=FILE: the report goes there, and the table to the terminal" {
  make_guests web1
  run --separate-stderr vapt-get --json="$T/report" web1 -- upgrade
  assert_status 0
  assert_contains "$output" "GUEST"
  [ "$(jq -r '.guests[0].result' "$T/report")" = "done" ]
  [ "$(jq -r '.guests[0].changes[0].name' "$T/report")" = vgtest:all ]
  run vguest-stat --json="$T/report2"
  assert_status 2
}

@test "vpkg finds each guest's manager and has verbs for all" {
  make_guests 'web[1-2]'
  run --separate-stderr vpkg 'web[1-2]' -- list-upgrades
  assert_status 100
  assert_contains "$output" "vgtest 1.0 → 2.0"
  run --separate-stderr vpkg --json 'web[1-2]' -- upgrade
  assert_status 0
  [ "$(row web1 manager)" = apt ]
  run --separate-stderr vpkg 'web[1-2]' -- verify
  assert_status 0
  [ -z "$output" ]
  vguest -q web2 exec -- sh -c 'echo x >>/usr/lib/vgtest/data'
  run --separate-stderr vpkg 'web[1-2]' -- verify
  assert_contains "$output" "web2: "
  assert_contains "$output" "/usr/lib/vgtest/data"
  run --separate-stderr vpkg 'web[1-2]' -- search vgtest
  assert_status 0
  assert_contains "$output" "web1: vgtest - a test"
  run --separate-stderr vpkg --json 'web[1-2]' -- remove vgtest
  assert_status 0
  [ "$(json '.guests[1].changes[0].action')" = remove ]
  run vpkg web1 -- upgarde
  assert_status 2
  assert_contains "$output" "did you mean \"upgrade\"?"
}

@test "queries through pipes have no noise" {
  make_guests 'web[1-2]'
  run --separate-stderr vapt-get 'web[1-2]' -- -s upgrade
  assert_status 0
  [ -z "$stderr" ]
  assert_contains "$output" "web2: Inst vgtest [1.0]"
  run --separate-stderr vapt-get --no-prefix 'web[1-2]' -- -s upgrade
  [ "$(grep -c '^Inst vgtest' <<<"$output")" = 2 ]
  run --separate-stderr vapt-get --group 'web[1-2]' -- -s upgrade
  [ "${lines[0]}" = "---- web1,web2" ]
  [ "$(grep -c '^Inst vgtest' <<<"$output")" = 1 ]
  [ -z "$(ls -A "$VGUEST_ROOT/guests/web1/txn")" ]
}

@test "two runs on overlapping guests: the second waits, or says so" {
  make_guests 'web[1-3]'
  vguest -q web1 exec -- touch /etc/sleep-here
  vapt-get 'web[1-2]' --canary web1 -- upgrade >"$T/first" 2>&1 3>&- &
  first=$!
  wait_for grep -qrs 'Setting up vgtest' "$VGUEST_ROOT/guests/web1/log"
  run --separate-stderr vapt-get --json --no-wait 'web[1-3]' -- upgrade
  assert_status 7
  [ "$(row web1 result)" = locked ]
  assert_contains "$(row web1 reason)" "is locked by"
  [ "$(row web3 result)" = "done" ]
  vapt-get --timeout 20 'web[1-3]' -- upgrade >"$T/second" 2>&1 3>&- &
  second=$!
  wait_for grep -q 'waiting for guest web1' "$T/second"
  kill -TERM "$first"
  wait "$first" || true
  wait "$second" && status=0 || status=$?
  output=$(cat "$T/second")
  # web1 would sleep for the second one as well.
  assert_status 3
  assert_contains "$output" "not finished after 20 s"
  assert_contains "$output" "1 done, 1 unchanged, 1 failed"
  [ "$(version web1)" = 1.0 ]
  [ "$(version web2)" = 2.0 ]
  check_root
}
