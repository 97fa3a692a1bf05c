#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Templates: what an import keeps, what it refuses, and what it leaves behind when it fails.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program python3 tar
}

# The metadata that only tar's own options keep.
pack () {
  tar --format=posix --numeric-owner --xattrs --xattrs-include='*' --acls --sparse \
    -C "$1" -cf "$2" .
}

tree_of () {
  echo "$VGUEST_ROOT/templates/$1/1/tree"
}

# Any command that opens the root for writing clears up first.
next_command () {
  run vtemplate delete no-such-template --yes
  assert_status 5
}

assert_no_trace () {
  assert_nothing_left
  [ -z "$(ls -A "$VGUEST_ROOT/templates")" ]
  [ -z "$(find "$VGUEST_ROOT/store" -mindepth 2)" ]
}

@test "a tar archive is unpacked with all its metadata, whatever its compression" {
  make_small_template "$T/source"
  pack "$T/source" "$T/plain.tar"
  tree_list "$T/source" >"$T/expected"
  for program in gzip xz zstd bzip2; do
    command -v "$program" >/dev/null && "$program" -c "$T/plain.tar" >"$T/$program.tar"
  done
  for archive in "$T"/*.tar; do
    local name
    name=$(basename "$archive" .tar)
    run vtemplate import "$name" "$archive"
    assert_status 0
    tree_list "$(tree_of "$name")" | diff "$T/expected" -
  done
  assert_nothing_left
  check_root
}

@test "a directory is copied with all its metadata" {
  make_small_template "$T/source"
  run vtemplate import small "$T/source"
  assert_status 0
  diff <(tree_list "$T/source") <(tree_list "$(tree_of small)")
  check_root
}

@test "an archive comes from stdin" {
  make_small_template "$T/source"
  pack "$T/source" "$T/plain.tar"
  vtemplate -q import small - < <(gzip -c "$T/plain.tar")
  diff <(tree_list "$T/source") <(tree_list "$(tree_of small)")
}

@test "cpio keeps hard links, whose contents come with the last name" {
  skip_unless_program bsdtar
  mkdir "$T/source"
  (
    cd "$T/source"
    echo shared >a
    ln a b
    ln a c
    echo other >d
    : >empty
    ln empty empty2
  )
  bsdtar -C "$T/source" --format=newc -cf "$T/newc.cpio" a b c d empty empty2
  run vtemplate import small "$T/newc.cpio"
  assert_status 0
  cd "$(tree_of small)"
  same_inode a b c
  same_inode empty empty2
  [ "$(cat b)" = shared ]
  [ "$(cat d)" = other ]
  [ ! -s empty ]
  check_root
}

@test "a hard link takes the place of an empty directory" {
  mkdir -p "$T/source/dir" "$T/source/place"
  echo shared >"$T/source/dir/file"
  tar -C "$T/source" -cf "$T/a.tar" dir place
  rmdir "$T/source/place"
  ln "$T/source/dir/file" "$T/source/place"
  tar -C "$T/source" -rf "$T/a.tar" dir/file place
  vtemplate -q import small "$T/a.tar"
  cd "$(tree_of small)"
  same_inode dir/file place
  check_root
}

@test "names keep every byte" {
  mkdir "$T/source"
  python3 - "$T/source" <<'EOF'
import os, sys
top = os.fsencode(sys.argv[1])
for name in (b"caf\xc3\xa9", b"cafe\xcc\x81", b"bad\xff\xfe", b"\xed\xa0\x81", b"a\nb", b"x" * 255):
    open(os.path.join(top, name), "w").write("text")
os.symlink(b"target\xff\xc3\xa9", os.path.join(top, b"link\xff"))
os.link(os.path.join(top, b"bad\xff\xfe"), os.path.join(top, b"hard\xff\xc3\xa9"))
EOF
  tar --format=gnu -C "$T/source" -cf "$T/gnu.tar" .
  tar --format=posix -C "$T/source" -cf "$T/posix.tar" .
  ls -Ab "$T/source" >"$T/expected"
  for name in gnu posix source; do
    local from=$T/$name.tar
    [ -e "$from" ] || from=$T/source
    for locale in C C.UTF-8; do
      LC_ALL=$locale vtemplate -q import "$name-${locale//./-}" "$from"
      ls -Ab "$(tree_of "$name-${locale//./-}")" | diff "$T/expected" -
    done
  done
  [ "$(readlink "$(tree_of posix-C)"/link$'\xff')" = $'target\xff\xc3\xa9' ]
}

@test "sparse files stay sparse" {
  mkdir "$T/source"
  truncate -s 64M "$T/source/hole"
  cp "$T/source/hole" "$T/source/data"
  printf x | dd of="$T/source/data" bs=1 seek=33554432 conv=notrunc status=none
  truncate -s 3T "$T/source/huge"
  pack "$T/source" "$T/plain.tar"
  vtemplate -q import archive "$T/plain.tar"
  vtemplate -q import directory "$T/source"
  for name in archive directory; do
    cmp "$T/source/data" "$(tree_of $name)/data"
    [ "$(stat -c %s "$(tree_of $name)/huge")" = $((3 << 40)) ]
    [ "$(du -s --block-size=1K "$(tree_of $name)" | cut -f1)" -lt 200 ]
  done
}

@test "equal files of one template have inodes of their own, and a second template shares all" {
  make_small_template "$T/source"
  vtemplate -q import one "$T/source"
  run vtemplate import two "$T/source" --json
  assert_status 0
  [ "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["published"])' <<<"$output")" = 0 ]
  cd "$(tree_of one)/usr/share/doc"
  [ "$(stat -c %i same1 same2 same3 | sort -u | wc -l)" = 3 ]
  while read -r -d '' file; do
    same_inode "$(tree_of one)/$file" "$(tree_of two)/$file"
  done < <(cd "$(tree_of one)" && find . \( -type f ! -empty -o -type l -o -type p \) -print0)
  check_root
}

@test "objects are never written again by an archive that names a file twice" {
  python3 "$TESTS_DIR/lib/hostile-archives" "$T/archives" "$T/outside"
  vtemplate -q import base "$T/archives/taken/same-twice.tar"
  cd "$(tree_of base)"
  [ "$(cat f)" = three ]
  [ "$(cat g)" = two ]
  vtemplate -q import again "$T/archives/taken/same-twice.tar"
  check_root
}

@test "no hostile archive reaches outside" {
  mkdir -p "$T/outside"
  echo untouched >"$T/outside/file"
  python3 "$TESTS_DIR/lib/hostile-archives" "$T/archives" "$T/outside"
  for archive in "$T"/archives/refused/*.tar; do
    run vtemplate import "$(basename "$archive" .tar)" "$archive"
    assert_status 1
    case $output in *$'\x1b'*) false ;; esac
    assert_no_trace
  done
  for archive in "$T"/archives/taken/*.tar; do
    run vtemplate import "$(basename "$archive" .tar)" "$archive"
    assert_status 0
  done
  [ "$(ls "$T/outside")" = file ]
  [ "$(cat "$T/outside/file")" = untouched ]
  for name in link-with-data link-with-data-again; do
    cd "$(tree_of $name)"
    same_inode f g h
  done
  same_inode "$(tree_of link-with-data-again)"/{e,f,g,h,i}
  [ "$(cat "$(tree_of link-with-data)/f")" = data ]
  [ "$(cat "$(tree_of link-with-data-again)/e")" = newer ]
  check_root
}

@test "a file that is all hole costs no time" {
  python3 "$TESTS_DIR/lib/hostile-archives" "$T/archives" "$T/outside"
  run timeout 30 vtemplate import huge "$T/archives/huge/sparse-terabyte.tar"
  assert_status 0
  [ "$(stat -c %s "$(tree_of huge)/f")" = $((1 << 40)) ]
}

@test "mtree, which would read files of the host, is no archive" {
  printf '#mtree\n./f type=file contents=/etc/passwd\n' >"$T/manifest"
  run vtemplate import small "$T/manifest"
  assert_status 1
}

@test "a failed import leaves nothing" {
  make_small_template "$T/source"
  pack "$T/source" "$T/plain.tar"
  gzip -c "$T/plain.tar" >"$T/plain.tar.gz"
  for bytes in 0 100 10240 60000; do
    head -c "$bytes" "$T/plain.tar" >"$T/short"
    run vtemplate import small "$T/short"
    assert_status 1
    assert_no_trace
    head -c "$bytes" "$T/plain.tar.gz" >"$T/short"
    [ "$bytes" -lt "$(stat -c %s "$T/plain.tar.gz")" ] || continue
    run vtemplate import small "$T/short"
    assert_status 1
    assert_no_trace
  done
  run vtemplate import small "$T/nothing-here"
  assert_status 1
  mkdir "$T/empty"
  run vtemplate import small "$T/empty"
  assert_status 1
  assert_no_trace
}

@test "an interrupted import leaves nothing" {
  make_small_template "$T/source"
  pack "$T/source" "$T/plain.tar"
  mkfifo "$T/pipe"
  for signal in INT TERM HUP; do
    # setsid: background jobs of a shell ignore SIGINT.
    python3 - "$signal" "$T" <<'EOF'
import os, signal, subprocess, sys, time
name, top = sys.argv[1:]
child = subprocess.Popen(["vtemplate", "import", "small", "-"], stdin=subprocess.PIPE,
                         stderr=subprocess.DEVNULL,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
child.stdin.write(open(top + "/plain.tar", "rb").read(40000))
child.stdin.flush()
time.sleep(0.3)
child.send_signal(getattr(signal, "SIG" + name))
assert child.wait(timeout=10) == 130, child.returncode
EOF
    assert_no_trace
  done
}

@test "after kill -9 at any moment the next command leaves nothing" {
  local i delay
  mkdir "$T/source"
  for i in {1..1500}; do
    echo "file $i" >"$T/source/file$i"
  done
  tar -C "$T/source" -cf "$T/plain.tar" .
  for i in {1..20}; do
    delay=0.$(printf '%03d' $((RANDOM % 150)))
    timeout --foreground --signal=KILL "$delay" vtemplate -q import small "$T/plain.tar" || true
    if [ -e "$VGUEST_ROOT/templates/small" ]; then
      check_root
      run vtemplate delete small --yes
      assert_status 0
    fi
    next_command
    assert_no_trace
  done
}

@test "what a set-gid state root with a default ACL hands down does not reach a template" {
  skip_unless_program setfacl
  mkdir "$T/root"
  vtemplate -q list
  chmod g+s "$VGUEST_ROOT/staging"
  chgrp 1234 "$VGUEST_ROOT/staging"
  setfacl -d -m u:1234:rwx "$VGUEST_ROOT/staging"
  make_small_template "$T/source"
  pack "$T/source" "$T/plain.tar"
  vtemplate -q import small "$T/plain.tar"
  diff <(tree_list "$T/source") <(tree_list "$(tree_of small)")
}

@test "sockets are left out with a warning, mounts of the source too" {
  mkdir -p "$T/source/mounted"
  echo file >"$T/source/file"
  python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/source/socket"
  run unshare --mount sh -c 'mount -t tmpfs tmpfs "$0/source/mounted" &&
    touch "$0/source/mounted/inside" && vtemplate import small "$0/source"' "$T"
  assert_status 0
  assert_contains "$output" "1 sockets were left out"
  assert_contains "$output" "mounted"
  [ "$(ls "$(tree_of small)")" = "file
mounted" ]
  [ -z "$(ls -A "$(tree_of small)/mounted")" ]
}

@test "list, info and delete" {
  run vtemplate list --json
  assert_status 0
  make_small_template "$T/source"
  printf 'ID=x\nPRETTY_NAME="Small Linux 1"\n' >"$T/source/etc/os-release"
  vtemplate -q import small "$T/source"
  run vtemplate list
  assert_status 0
  assert_contains "$output" "Small Linux 1"
  run vtemplate info small --json
  assert_status 0
  python3 - "$T/source" "$output" <<'EOF'
import json, os, sys
info = json.loads(sys.argv[2])
assert info["name"] == "small" and info["generation"] == 1 and info["os"] == "Small Linux 1", info
files = directories = size = 0
seen = set()
for top, dirs, names in os.walk(sys.argv[1]):
    directories += len([d for d in dirs if not os.path.islink(os.path.join(top, d))])
    for name in names + [d for d in dirs if os.path.islink(os.path.join(top, d))]:
        st = os.lstat(os.path.join(top, name))
        files += 1
        if os.path.isfile(os.path.join(top, name)) and not os.path.islink(
                os.path.join(top, name)) and st.st_ino not in seen:
            seen.add(st.st_ino)
            size += st.st_size
assert (info["files"], info["directories"], info["bytes"]) == (files, directories, size), info
EOF
  run vtemplate import small "$T/source"
  assert_status 1
  assert_contains "$output" "exists"
  run vtemplate info smal
  assert_status 5
  assert_contains "$output" '"small"'
  run vtemplate delete small </dev/null
  assert_status 2
  run vtemplate delete small --yes
  assert_status 0
  assert_no_trace
  run vtemplate import ../x "$T/source"
  assert_status 2
}

@test "a template that is open is not deleted" {
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  exec 9<>"$VGUEST_ROOT/templates/small/lock"
  flock --shared 9
  run vtemplate delete small --yes --no-wait
  assert_status 7
  exec 9>&-
  vtemplate -q delete small --yes
}

@test "a definition is checked before anything is done" {
  mkdir "$T/definitions"
  export VGUEST_TEMPLATES=$T/definitions
  run vtemplate build nonesuch
  assert_status 2
  echo '{"source": {"type": "bootstrap", "suit": "bookworm"}}' >"$T/definitions/bad.json"
  run vtemplate build bad
  assert_status 2
  assert_contains "$output" '"suite"'
  echo '{"source": {"type": "bootstrap", "suite": "--x"}}' >"$T/definitions/bad.json"
  run vtemplate build bad
  assert_status 2
}

@test "a failed bootstrap tells why and leaves nothing" {
  mkdir "$T/programs"
  printf '#!/bin/sh\nfor a; do d=$a; done; mkdir -p "$d/etc"; echo "no space"; exit 3\n' \
    >"$T/programs/mmdebstrap"
  chmod +x "$T/programs/mmdebstrap"
  export PATH=$T/programs:$PATH VGUEST_TEMPLATES=$SOURCE_DIR/templates
  run vtemplate build debian-12-min
  assert_status 1
  assert_contains "$output" "exit status 3"
  assert_contains "$output" "no space"
  assert_no_trace
}

@test "a bootstrap that is interrupted or killed leaves no process" {
  mkdir "$T/programs"
  printf '#!/bin/sh\nsleep 987654 & sleep 987654\n' >"$T/programs/mmdebstrap"
  chmod +x "$T/programs/mmdebstrap"
  export PATH=$T/programs:$PATH VGUEST_TEMPLATES=$SOURCE_DIR/templates
  for signal in TERM KILL; do
    vtemplate -q build debian-12-min 3>&- &
    wait_for eval '[ "$(pgrep -c -f "^sleep 987654")" = 2 ]'
    kill -$signal $!
    wait $! || true
    wait_for refute pgrep -f "sleep 987654"
    next_command
    assert_no_trace
  done
}

@test "debian-12-min is built from the release, with the lines for updates in sources.list" {
  skip_unless_mirror
  export VGUEST_TEMPLATES=$SOURCE_DIR/templates
  run vtemplate build debian-12-min
  assert_status 0
  assert_nothing_left
  cd "$(tree_of debian-12-min)"
  grep -q '^deb .* bookworm main' etc/apt/sources.list
  grep -q '^deb .* bookworm-updates main' etc/apt/sources.list
  grep -q '^deb .* bookworm-security main' etc/apt/sources.list
  [ ! -e etc/hostname ]
  [ "$(stat -c '%s %a' etc/resolv.conf)" = "0 644" ]
  if command -v dpkg >/dev/null; then
    [ -z "$(dpkg --root="$PWD" --verify)" ]
  fi
  check_root
}
