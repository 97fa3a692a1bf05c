# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Guests that really have pacman, and packages of our own in a repository that an HTTP server on
# 127.0.0.1 has: `load ../lib/pacman` behind common, guests and packages.
#
# The guests are Debian ones with Debian's pacman, whose own packages pacman knows nothing of. The
# repository is not signed (SigLevel = Never): signatures are gpg's matter.

# make_pacman_package DIR NAME VERSION [SCRIPT] [FIELDS]: a package with a payload of 200 kB, a
# set-id program, one with a capability, a library, and a configuration file; the files carry the
# version. SCRIPT becomes its install script, FIELDS lines of its .PKGINFO.
make_pacman_package () {
  local build=$1/build name=$2 version=$3 script=${4:-} fields=${5:-} file
  mkdir -p "$build/etc" "$build/usr/bin" "$build/usr/lib/$name"
  head -c 200000 /dev/zero | tr '\0' "${version:0:1}" >"$build/usr/lib/$name/data"
  echo "library $version" >"$build/usr/lib/lib$name.so.1"
  printf '#!/bin/sh\necho %s\n' "$version" >"$build/usr/bin/$name"
  cp "$build/usr/bin/$name" "$build/usr/bin/$name-net"
  chmod 4755 "$build/usr/bin/$name"
  chmod 0755 "$build/usr/bin/$name-net"
  setcap cap_net_raw+ep "$build/usr/bin/$name-net"
  echo "configuration of $version" >"$build/etc/$name.conf"
  {
    printf '%s = %s\n' pkgname "$name" pkgbase "$name" pkgver "$version" pkgdesc 'a test' \
      url https://example.org builddate 1700000000 packager nobody size 200300 arch any \
      backup "etc/$name.conf"
    [ -z "$fields" ] || printf '%s\n' "$fields"
  } >"$build/.PKGINFO"
  [ -z "$script" ] || printf '%s\n' "$script" >"$build/.INSTALL"
  find "$build" -exec touch -h -d '2024-01-01 00:00:00' {} +
  (
    cd "$build" || exit
    # Metadata first, as makepkg does.
    LC_ALL=C bsdtar -czf .MTREE --format=mtree \
      --options='!all,use-set,type,uid,gid,mode,time,size,md5,sha256,link' .PKGINFO etc usr
    for file in .PKGINFO .INSTALL .MTREE etc usr; do
      if [ -e "$file" ]; then echo "$file"; fi
    done | bsdtar --no-fflags --uid 0 --gid 0 --uname root --gname root -czf \
      "../$name-$version-any.pkg.tar.gz" -T -
  )
  rm -r "$build"
}

# serve_repository: starts the server of $REPO, once for a file, until stop_repository; its port is
# in $REPO_PORT, and each request a line of $REPO_LOG.
serve_repository () {
  export REPO=$BATS_FILE_TMPDIR/repo REPO_LOG=$BATS_FILE_TMPDIR/requests
  if [ ! -e "$BATS_FILE_TMPDIR/server" ]; then
    mkdir -p "$REPO"
    mkfifo "$BATS_FILE_TMPDIR/stdin"
    # The end of its input ends it: it has the writing end itself, and so a time limit.
    timeout 3600 python3 "$TESTS_DIR/lib/http-server" "$REPO" "$REPO_LOG" \
      <>"$BATS_FILE_TMPDIR/stdin" >"$BATS_FILE_TMPDIR/ports" 2>/dev/null 3>&- 4>&- &
    echo $! >"$BATS_FILE_TMPDIR/server"
    wait_for grep -q http= "$BATS_FILE_TMPDIR/ports"
  fi
  REPO_PORT=$(sed -n 's/.*http=\([0-9]*\).*/\1/p' "$BATS_FILE_TMPDIR/ports")
  export REPO_PORT no_proxy=127.0.0.1
}

stop_repository () {
  [ -e "$BATS_FILE_TMPDIR/server" ] || return 0
  kill "$(cat "$BATS_FILE_TMPDIR/server")" 2>/dev/null || true
}

# index_repository: makes the database of all packages in $REPO, with the repo-add of a guest. Each
# is newer than the one before by the second, which is what pacman goes by.
index_repository () {
  local time
  rm -f "$REPO"/test.*
  tar -C "$REPO" -c . | vguest -q base exec --discard -- sh -c \
    'mkdir /tmp/repo && tar -C /tmp/repo -x && cd /tmp/repo &&
     repo-add -q test.db.tar.gz *.pkg.tar.gz >&2 && tar -ch test.db test.files' |
    tar -C "$REPO" -x
  time=$(($(cat "$BATS_FILE_TMPDIR/time" 2>/dev/null || date +%s) + 10))
  echo "$time" >"$BATS_FILE_TMPDIR/time"
  touch -d "@$((time - 86400))" "$REPO"/test.*
}

# publish_pacman VERSION [SCRIPT] [FIELDS]: the repository has that version of vgtest now, beside what it
# has of others.
publish_pacman () {
  rm -f "$REPO"/vgtest-*
  make_pacman_package "$REPO" vgtest "$@"
  index_repository
}

# make_pacman_base: the guest "base" has vgtest 1.0-1 installed, and 2.0-1 to come, whose install
# script fails where the file /etc/fail-here is.
make_pacman_base () {
  make_debian_guests pacman base
  vguest -q base exec -- sh -c "ln -sf /proc/self/mounts /etc/mtab && cat >/etc/pacman.conf" <<CONF
[options]
Architecture = auto
CheckSpace
SigLevel = Never
[test]
Server = http://127.0.0.1:$REPO_PORT
CONF
  publish_pacman 1.0-1
  vpacman -q base -- -Syu vgtest
  publish_pacman 2.0-1 'post_upgrade() { test ! -e /etc/fail-here; }'
}

# requests PATTERN: how often a file has been asked for.
requests () {
  grep -c "$1" "$REPO_LOG" || true
}

# pacman_version GUEST: of vgtest, by its files.
pacman_version () {
  sed -n 's/^echo //p' "$(guest_file "$1" usr/bin/vgtest)"
}
