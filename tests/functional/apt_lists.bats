#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# apt's metadata of a signed repository, for guests with the same sources whose programs differ:
# fetched once, and nothing that a guest has forged gets into another one.

# shellcheck disable=SC2154 # serve_dir sets port
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests
load ../lib/packages

setup () {
  common_setup
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root
  skip_unless_runtime
  skip_unless_program python3 dpkg-deb jq tar xz gpg
  if [ ! -e "$BATS_FILE_TMPDIR/ready" ]; then
    make_debian_template debian
    touch "$BATS_FILE_TMPDIR/ready"
  fi
  arch=$(dpkg --print-architecture)
  make_key
  make_signed_repo 2.0
  serve_dir "$T/repo"
  vguest -q base build -m clone -- -s debian
  use_sources "main"
  vguest -q base exec -- sh -c 'mkdir -p /etc/apt/keyrings; cat >/etc/apt/keyrings/test.gpg
    rm -rf /var/lib/apt/lists/*' <"$T/key"
}

teardown () {
  [ ! -e "$T/gnupg" ] || gpgconf --kill all || true
  end_jobs
  if [ -e "$BATS_FILE_TMPDIR/ready" ]; then
    vguest -q --all delete --yes || true
  fi
  VGUEST_ROOT=$T/none common_teardown
}

teardown_file () {
  VGUEST_ROOT=$BATS_FILE_TMPDIR/root T=$BATS_FILE_TMPDIR/root common_teardown
}

make_key () {
  export GNUPGHOME=$T/gnupg
  mkdir -m 0700 "$GNUPGHOME"
  gpg --batch --quiet --passphrase '' --quick-generate-key 'Test <test@example.org>' rsa2048 sign never
  gpg --batch --export >"$T/key"
}

# make_signed_repo VERSION: vgtest in the suite "test", component "main".
make_signed_repo () {
  local suite=$T/repo/dists/test dir=$T/repo/dists/test/main/binary-$arch file
  mkdir -p "$dir" "$suite/main/i18n"
  make_package "$T/repo" vgtest "$1" 'exit 0'
  make_index "$T/repo"
  mv "$T/repo/Packages" "$dir/Packages"
  printf 'Package: vgtest\nDescription-md5: %032d\nDescription-en: a test\n\n' 0 >"$suite/main/i18n/Translation-en"
  xz -kf "$dir/Packages" "$suite/main/i18n/Translation-en"
  {
    printf 'Origin: Test\nSuite: test\nCodename: test\nComponents: main\nArchitectures: %s\n' "$arch"
    echo "Date: $(date -Ru)"
    echo 'SHA256:'
    (cd "$suite" && find main -type f) | while read -r file; do
      echo " $(sha256sum "$suite/$file" | cut -d ' ' -f 1) $(stat -c %s "$suite/$file") $file"
    done
  } >"$suite/Release"
  gpg --batch --quiet --yes --clearsign -o "$suite/InRelease" "$suite/Release"
}

# use_sources COMPONENTS: what base's sources name of the repository.
use_sources () {
  echo "deb [signed-by=/etc/apt/keyrings/test.gpg] http://127.0.0.1:$port/ test $1" |
    vguest -q base exec -- sh -c 'cat >/etc/apt/sources.list'
}

# make_guests NAMES OTHERS: clones of base, and some with another program.
make_guests () {
  vguest -q "$1,$2" build -m clone -- -s base
  vguest -q "$2" exec -- sh -c 'echo other >/usr/bin/another-program'
}

# be_hostile NAME: its apt-get is one that runs the script of standard input behind the real one.
be_hostile () {
  {
    cat <<SCRIPT
#!/bin/sh
/usr/bin/apt-get.real "\$@" || exit
cd /var/lib/apt/lists || exit
packages=\$(echo *_main_binary-${arch}_Packages) release=\$(echo *_InRelease)
SCRIPT
    cat
  } | vguest -q "$1" exec -- sh -c 'mv /usr/bin/apt-get /usr/bin/apt-get.real
    cat >/usr/bin/apt-get; chmod 755 /usr/bin/apt-get'
}

requests () {
  grep -c "GET /dists/test/$1" "$T/access"
}

# assert_genuine NAME: its lists are those of the server.
assert_genuine () {
  local lists=var/lib/apt/lists/127.0.0.1:${port}_dists_test
  cmp "$(guest_file "$1" "${lists}_InRelease")" "$T/repo/dists/test/InRelease"
  cmp "$(guest_file "$1" "${lists}_main_binary-${arch}_Packages")" \
    "$T/repo/dists/test/main/binary-$arch/Packages"
  refute grep -rqs 'Package: evil' "$VGUEST_ROOT/guests/$1"/{tree,private}/var/lib/apt/lists
}

@test "guests with other programs and the same sources get index files that were fetched once" {
  make_guests web1,web2 web3,web4
  vguest -q web4 exec -- sh -c 'echo more >/usr/bin/another-program2'
  run --separate-stderr vapt-get --json 'web[1-4]' -- update
  assert_status 0
  [ "$(json .refreshes)" = 3 ]
  [ "$(requests InRelease)" = 3 ]
  [ "$(requests "main/binary-$arch/Packages")" = 1 ]
  [ "$(requests main/i18n/Translation-en)" = 1 ]
  for guest in web1 web2 web3 web4; do
    assert_genuine "$guest"
    vguest -q "$guest" exec --discard -- sh -c 'apt-cache policy vgtest | grep -q "Candidate: 2.0"'
  done
  grep -q '2 lists are verified' "$(row web1 log)"
  same_inode "$VGUEST_ROOT"/guests/web[1-4]/tree/var/lib/apt/lists/*_Packages
  # What has not changed is not fetched again, and who has an older state gets what is new.
  : >"$T/access"
  make_signed_repo 3.0
  run --separate-stderr vapt-get --json 'web[1-4]' -- upgrade
  [ "$(requests .)" = 0 ]
  run --separate-stderr vapt-get --json 'web[2-4]' -- update
  assert_status 0
  [ "$(requests "main/binary-$arch/Packages")" = 1 ]
  [ "$(requests main/i18n/Translation-en)" = 0 ]
  for guest in web2 web3 web4; do assert_genuine "$guest"; done
  # web1 is in another state by now, though it has the programs of web2.
  run --separate-stderr vapt-get --json 'web[1-4]' -- update
  assert_status 0
  assert_genuine web1
  check_root
  assert_nothing_left
}

@test "other sources: each fetches for itself" {
  make_guests web1 web2
  vguest -q web2 exec -- sh -c 'echo "# of its own" >>/etc/apt/sources.list'
  run --separate-stderr vapt-get --json 'web[1-2]' -- update
  assert_status 0
  [ "$(requests "main/binary-$arch/Packages")" = 2 ]
  assert_genuine web2
}

@test "a forged index is for the guest that forged it alone" {
  make_guests web1 web2
  be_hostile web1 <<<'sed -i s/vgtest/evil42/ "$packages"; chmod 4777 *-en; chown 1000 *-en'
  run --separate-stderr vapt-get --json 'web[1-2]' -- update
  assert_status 0
  assert_genuine web2
  [ "$(requests "main/binary-$arch/Packages")" = 2 ]
  # The other one was what its repository says, and is nobody's but root's.
  [ "$(requests main/i18n/Translation-en)" = 1 ]
  [ "$(stat -c '%a %u' "$(guest_file web2 "var/lib/apt/lists/127.0.0.1:${port}_dists_test_main_i18n_Translation-en")")" = "644 0" ]
  grep -q 'Package: evil' "$(guest_file web1 "var/lib/apt/lists/127.0.0.1:${port}_dists_test_main_binary-${arch}_Packages")"
}

@test "a forged index with a forged InRelease of the future as well" {
  make_guests web1 web2
  be_hostile web1 <<'SCRIPT'
sed -i s/vgtest/evil42/ "$packages"
set -- $(sha256sum "$packages") $(stat -c %s "$packages")
sed -i -e "s,^ .* \(main/binary-[^/]*/Packages\)$, $1 $3 \1," \
  -e 's/^Date: .*/Date: Fri, 01 Jan 2100 00:00:00 +0000/' "$release"
touch -d 2100-01-01 "$release"
SCRIPT
  run --separate-stderr vapt-get --json 'web[1-2]' -- update
  assert_status 0
  assert_genuine web2
  [ "$(requests InRelease)" = 2 ]
  [ "$(requests "main/binary-$arch/Packages")" = 2 ]
}

@test "a forged index of what the repository has not" {
  use_sources 'main evil'
  vguest -q base exec -- sh -c 'echo "APT::Get::List-Cleanup false;" >/etc/apt/apt.conf.d/keep'
  make_guests web1 web2
  be_hostile web1 <<'SCRIPT'
evil=$(echo "$packages" | sed s/_main_/_evil_/)
sed s/vgtest/evil42/ "$packages" >"$evil"
set -- $(sha256sum "$evil") $(stat -c %s "$evil")
sed -i "s,^ .* \(main/\(binary-[^/]*/Packages\)\)$,&\n $1 $3 evil/\2," "$release"
SCRIPT
  run --separate-stderr vapt-get --json 'web[1-2]' -- update
  assert_status 0
  assert_genuine web2
  grep -q '3 lists are verified' "$(row web1 log)"
  [ -z "$(find "$VGUEST_ROOT"/guests/web2/{tree,private} -name '*_evil_*')" ]
}

@test "forged fields do not keep others from their metadata" {
  make_guests web1 web2
  be_hostile web1 <<<'sed -i "s/^Codename: .*/Codename: evil/" "$release"'
  run --separate-stderr vapt-get --json 'web[1-2]' -- update
  assert_status 0
  assert_genuine web2
  assert_contains "$(cat "$(row web2 log)")" "with the lists of web1: "
}
