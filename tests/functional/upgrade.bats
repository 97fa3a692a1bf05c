#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole of it on real guests: a Debian template, three clones, a real upgrade of all of them.

load ../lib/common

setup () {
  common_setup
  skip_unless_runtime
  make_debian_template debian
  vguest -q web1,web2,web3 build -m clone -- -s debian
  G=$VGUEST_ROOT/guests
}

# du_bytes DIR…: what they take on the disk together.
du_bytes () {
  du -s -c -B1 "$@" | tail -n 1 | cut -f1
}

@test "three guests are upgraded together and share what came" {
  before=$(store_sums | sort)
  run bash -c 'vapt-get --json --all -- upgrade 2>"$T/stderr"'
  assert_status 0
  [ "$(json '[.guests[] | select(.result == "done")] | length')" = 3 ]
  [ "$(json '[.guests[].packages_changed] | min > 0')" = true ]

  # What was upgraded is one inode in all three, and not the template's.
  upgraded=$(cd "$G/web1/tree" && find usr -type f -size +20k -newer usr/bin/dpkg -links -5 | head -n 20)
  upgraded=${upgraded:-$(cd "$G/web1/tree" && find usr/lib -type f -size +20k -links 4 | head -n 20)}
  [ -n "$upgraded" ]
  while read -r file; do
    same_inode "$G"/web[123]/tree/"$file"
  done <<<"$upgraded"

  # Within 15 % of one guest's bytes, lists and caches included.
  one=$(du_bytes "$G/web1")
  all=$(du_bytes "$G/web1" "$G/web2" "$G/web3")
  echo "one guest $one, three guests $all"
  [ $((all * 100)) -le $((one * 115)) ]

  for guest in web1 web2 web3; do
    run vguest "$guest" exec -- dpkg --verify
    assert_status 0
    [ -z "$output" ]
    run vguest "$guest" exec -- dpkg --audit
    assert_status 0
    [ -z "$output" ]
  done

  # Objects may come, none may change or go.
  [ -z "$(comm -23 <(echo "$before") <(store_sums | sort))" ]
  check_root
  assert_nothing_left

  # Again: nothing to do.
  run vapt-get --all -- upgrade
  assert_status 4
}

@test "a thin guest is upgraded like a full one, rolled back, and made full" {
  base=$VGUEST_ROOT/templates/debian/1/tree
  listed=$(tree_list "$base" | sha256sum)
  vguest -q thin build -m clone --thin -- -s debian
  "$CHECK_ROOT" --view "$G/thin" >"$T/before"
  run bash -c 'vapt-get --json web1 thin -- upgrade 2>"$T/stderr"'
  assert_status 0
  [ "$(json '[.guests[] | select(.result == "done")] | length')" = 2 ]
  [ "$(json '[.guests[].packages_changed] | unique | length')" = 1 ]
  for check in --verify --audit; do
    run vguest thin exec -- dpkg "$check"
    assert_status 0
    [ -z "$output" ]
  done
  run vguest thin exec -- sh -c 'dpkg-query -W | sha256sum'
  thin=$output
  run vguest web1 exec -- sh -c 'dpkg-query -W | sha256sum'
  [ "$output" = "$thin" ]

  # It has what was upgraded, shares that, and nothing else.
  upgraded=$(cd "$G/thin/tree" && find usr -type f -size +20k | head -n 20)
  [ -n "$upgraded" ]
  while read -r file; do
    same_inode "$G/thin/tree/$file" "$G/web1/tree/$file"
  done <<<"$upgraded"
  [ "$(find "$G/thin/tree" ! -type d | wc -l)" -lt "$(find "$base" ! -type d | wc -l)" ]
  check_root

  "$CHECK_ROOT" --view "$G/thin" >"$T/after"
  vguest -q thin rollback --yes
  # The package manager's state may be put back file by file, but nothing may be missing.
  diff <(sed 's/ mtime=[^ ]*//' "$T/before") <("$CHECK_ROOT" --view "$G/thin" | sed 's/ mtime=[^ ]*//')
  vguest -q thin rollback --yes
  "$CHECK_ROOT" --view "$G/thin" | diff "$T/after" -
  vguest -q thin thicken
  "$CHECK_ROOT" --view "$G/thin" | diff "$T/after" -
  [ "$(tree_list "$base" | sha256sum)" = "$listed" ]
  check_root
  assert_nothing_left
}

@test "what one guest does never changes another" {
  before=$(store_sums | sort)
  web2=$("$CHECK_ROOT" --view "$G/web2")
  # shellcheck disable=SC2016
  vguest web1 exec -- sh -euc '
    echo more >>/usr/share/common-licenses/GPL-2
    printf X | dd of=/usr/bin/apt bs=1 seek=5 conv=notrunc status=none
    : >/usr/share/common-licenses/GPL-3
    chmod 0600 /usr/bin/passwd
    chown 5:5 /usr/bin/chsh
    touch /usr/bin/chfn
    rm /usr/bin/gpasswd
    cp /usr/bin/env /usr/bin/true.new && mv /usr/bin/true.new /usr/bin/true
    ln /usr/bin/env /usr/bin/env2
    mv /usr/share/doc /usr/share/documents
    rm -r /usr/share/man && ln -s documents /usr/share/man
    mkdir /usr/share/doc && echo new >/usr/share/doc/file'
  [ -z "$(comm -23 <(echo "$before") <(store_sums | sort))" ]
  diff <(echo "$web2") <("$CHECK_ROOT" --view "$G/web2")
  [ "$(stat -c %a "$G/web2/tree/usr/bin/passwd")" = 4755 ]
  [ "$(cat "$G/web1/tree/usr/share/doc/file")" = new ]
  run vguest web1 exec -- sh -c 'stat -c %a /usr/bin/passwd; ls /usr/share/documents | wc -l; ls /usr/share/doc'
  assert_status 0
  [ "${lines[0]}" = 600 ]
  [ "${lines[1]}" -gt 50 ]
  [ "${lines[2]}" = file ]
  check_root
}

@test "a command that fails leaves the guest as it was" {
  before=$(cd "$G/web1" && find tree private -printf '%p %i %n %m %U:%G %s %T@\n' | sort)
  run vguest web1 exec -- sh -c 'rm -rf /usr/share/doc; echo x >/etc/motd; exit 7'
  assert_status 7
  after=$(cd "$G/web1" && find tree private -printf '%p %i %n %m %U:%G %s %T@\n' | sort)
  diff <(echo "$before") <(echo "$after")
  check_root
}

@test "a guest that somebody has mounted is left alone" {
  mkdir -p "$T/mnt"
  mount -t overlay overlay "$T/mnt" \
    -o "lowerdir=$G/web1/tree,upperdir=$G/web1/private,workdir=$G/web1/work"
  run vguest web1 exec -- true
  assert_status 1
  assert_contains "$output" "guest web1 is mounted on $T/mnt: unmount it first"
  run vhashify web1
  assert_status 1
  run vguest web1 delete --yes
  assert_status 1
  umount "$T/mnt"
  vguest web1 exec -- true
}
