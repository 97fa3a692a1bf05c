#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Templates from archives of a web server, and why they are believed.

load ../lib/common
load ../lib/sources

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program python3 tar openssl
  make_small_template "$T/source"
  rm "$T/source/dev/loop" # of what is fetched it would be left out
  mkdir "$T/www" "$T/keys"
  pack "$T/source" "$T/www/root.tar"
  export VGUEST_KEYS=$T/keys VGUEST_CONF=$T/vguest.conf
}

teardown () {
  stop_server
  stop_agents
  common_teardown
}

digest () {
  sha256sum "$1" | cut -d' ' -f1
}

verified () {
  vtemplate info "$1" --json | jq -c '[.verified[] | [.what, .how, .by]]'
}

# refused NAME TEXT ARG…: the import fails with TEXT in its message, and leaves nothing.
refused () {
  local name=$1 text=$2
  shift 2
  run vtemplate import "$@" "$name" "$SOURCE"
  assert_status 1
  assert_contains "$output" "$text"
  assert_no_trace
}

@test "an archive of a web server is unpacked while it comes, whatever its compression" {
  start_server tls
  for program in cat gzip xz zstd bzip2; do
    command -v "$program" >/dev/null || continue
    "$program" -c "$T/www/root.tar" >"$T/www/$program.tar" 2>/dev/null ||
      cat "$T/www/root.tar" >"$T/www/$program.tar"
    run vtemplate import "$program" "$HTTP/$program.tar"
    assert_status 0
    diff <(tree_list "$T/source") <(tree_list "$(tree_of "$program")")
  done
  [ "$(requests "GET /xz.tar")" = 1 ]
  SSL_CERT_FILE=$T/ca/ca.pem vtemplate -q import tls "$HTTPS/root.tar"
  run vtemplate info tls
  assert_contains "$output" "source:       $HTTPS/root.tar"
  assert_contains "$output" "verified:     nothing"
  [ "$(vtemplate info tls --json | jq -r .version.sha256)" = "$(digest "$T/www/root.tar")" ]
  check_root
}

@test "formats with an index at their end come by way of staging" {
  skip_unless_program bsdtar
  start_server
  bsdtar -C "$T/source" --format=7zip -cf "$T/www/root.7z" etc
  run vtemplate import seven "$HTTP/root.7z" --sha256 "$(digest "$T/www/root.7z")"
  assert_status 0
  diff -r "$T/source/etc" "$(tree_of seven)/etc"
  assert_nothing_left
}

@test "a server in trouble is asked again, where it broke off" {
  start_server
  head -c 3000000 /dev/urandom >"$T/source/large"
  pack "$T/source" "$T/www/large.tar"
  run vtemplate import cut "$HTTP/large.tar?cut=1000000,2"
  assert_status 0
  cmp "$T/source/large" "$(tree_of cut)/large"
  run vtemplate import failing "$HTTP/root.tar?fail=503,2"
  assert_status 0
  run vtemplate import moved "$HTTP/root.tar?redirect=$HTTP/large.tar"
  assert_status 0
  cmp "$T/source/large" "$(tree_of moved)/large"
}

@test "a server that refuses is told of, without what was secret in the URL" {
  start_server
  run vtemplate import small "http://me:hidden@${HTTP#http://}/nothing.tar?token=secret"
  assert_status 1
  assert_contains "$output" "404"
  case $output in *hidden* | *secret*) false ;; esac
  assert_no_trace
}

@test "an expired certificate and an unknown authority are refused" {
  start_server tls
  export SSL_CERT_FILE=$T/ca/ca.pem
  SOURCE=$EXPIRED/root.tar refused small "expired"
  SSL_CERT_FILE=$T/ca/other-ca.pem
  SOURCE=$HTTPS/root.tar refused small "issuer"
}

@test "proxy and certificates come from vguest.conf too" {
  start_server tls
  printf '{"ca_file": "%s"}' "$T/ca/ca.pem" >"$VGUEST_CONF"
  vtemplate -q import tls "$HTTPS/root.tar"
  printf '{"ca_file": "%s", "proxy": "http://127.0.0.1:1", "no_proxy": "elsewhere"}' \
    "$T/ca/ca.pem" >"$VGUEST_CONF"
  run vtemplate import proxied "$HTTP/root.tar?fail=404"
  assert_status 1
  echo '{"prox": ""}' >"$VGUEST_CONF"
  run vtemplate import small "$HTTP/root.tar"
  assert_status 2
  assert_contains "$output" '"proxy"'
}

@test "a digest decides, and a mismatch names both" {
  start_server
  local good bad
  good=$(digest "$T/www/root.tar")
  bad=$(printf '%064d' 0)
  for SOURCE in "$HTTP/root.tar" "$T/www/root.tar"; do
    refused small "$good" --sha256 "$bad"
    assert_contains "$output" "$bad"
    vtemplate -q import --sha256 "$good" \
      --sha512 "$(sha512sum "$T/www/root.tar" | cut -d' ' -f1)" small "$SOURCE"
    assert_contains "$(verified small)" "[\"root.tar\",\"sha256\",\"$good\"]"
    assert_contains "$(verified small)" '"sha512"'
    run vtemplate info small
    assert_contains "$output" "verified:     root.tar: sha256 $good"
    vtemplate -q delete small --yes
  done
  run vtemplate import small "$HTTP/root.tar" --sha256 12
  assert_status 2
}

@test "a tampered archive is told as such, though it cannot be unpacked either" {
  start_server
  local good
  good=$(digest "$T/www/root.tar")
  { head -c 20000 "$T/www/root.tar"; head -c 20000 /dev/urandom; } >"$T/www/tampered.tar"
  for SOURCE in "$HTTP/tampered.tar" "$T/www/tampered.tar"; do
    refused small "$good" --sha256 "$good"
    assert_contains "$output" "$(digest "$T/www/tampered.tar")"
  done
  # Bytes behind the archive's end belong to the file.
  { cat "$T/www/root.tar"; echo more; } >"$T/www/longer.tar"
  for SOURCE in "$HTTP/longer.tar" "$T/www/longer.tar"; do
    refused small "$good" --sha256 "$good"
  done
}

@test "SHA256SUMS with a detached or inline OpenPGP signature" {
  skip_unless_program gpg gpgv jq
  start_server
  make_openpgp_key good
  make_openpgp_key other
  (cd "$T/www" && sha256sum root.tar >SHA256SUMS && sha256sum --tag root.tar >CHECKSUM)
  sign_openpgp good --detach-sign "$T/www/SHA256SUMS" "$T/www/SHA256SUMS.gpg"
  sign_openpgp good --clearsign "$T/www/CHECKSUM" "$T/www/CHECKSUM.asc"
  gpg --homedir "$T/gnupg-good" --armor --export >"$T/keys/good.asc"
  local print
  print=$(gpg --homedir "$T/gnupg-good" --with-colons --list-keys | awk -F: '/^fpr/{print $10; exit}')

  for SOURCE in "$HTTP/root.tar" "$T/www/root.tar"; do
    vtemplate -q import --require-signature --sums SHA256SUMS --signature SHA256SUMS.gpg \
      --keyring "$T/good.gpg" one "$SOURCE"
    assert_contains "$(verified one)" "[\"SHA256SUMS\",\"openpgp\",\"$print\"]"
    assert_contains "$(verified one)" '["root.tar","sha256"'
    vtemplate -q import --require-signature --sums CHECKSUM.asc --keyring good.asc two "$SOURCE"
    assert_contains "$(verified two)" "[\"CHECKSUM.asc\",\"openpgp\",\"$print\"]"
    vtemplate -q delete one --yes
    vtemplate -q delete two --yes
    refused x "not in the keyring" --sums SHA256SUMS --signature SHA256SUMS.gpg \
      --keyring "$T/other.gpg"
    refused x "no good signature" --sums SHA256SUMS --keyring "$T/good.gpg"
    refused x "signature" --sums SHA256SUMS --signature missing.gpg --keyring "$T/good.gpg"
    refused x "requires a signature" --sums SHA256SUMS --require-signature
  done
  # Another digest, as signed.
  sed 's/^..../0000/' "$T/www/SHA256SUMS" >"$T/www/WRONG"
  sign_openpgp good --detach-sign "$T/www/WRONG" "$T/www/WRONG.gpg"
  for SOURCE in "$HTTP/root.tar" "$T/www/root.tar"; do
    refused x "$(digest "$T/www/root.tar")" --sums WRONG --signature WRONG.gpg --keyring "$T/good.gpg"
    refused x "signature is wrong" --sums WRONG --signature SHA256SUMS.gpg --keyring "$T/good.gpg"
  done
  sed -i s/root.tar/other.tar/ "$T/www/SHA256SUMS"
  SOURCE=$HTTP/root.tar refused x "no digest of" --sums SHA256SUMS
}

@test "a signature of the archive itself: OpenPGP, minisign with and without a hash, signify" {
  skip_unless_program gpg gpgv minisign signify-openbsd jq
  start_server
  local archive=$T/www/root.tar
  make_openpgp_key good
  sign_openpgp good --detach-sign "$archive" "$archive.sig"
  echo | minisign -G -W -p "$T/keys/mini.pub" -s "$T/mini.key" >/dev/null
  minisign -S -H -s "$T/mini.key" -m "$archive" -x "$archive.minisig" >/dev/null
  minisign -S -l -s "$T/mini.key" -m "$archive" -x "$archive.legacy" >/dev/null
  signify-openbsd -G -n -p "$T/keys/signify.pub" -s "$T/signify.sec"
  signify-openbsd -S -s "$T/signify.sec" -m "$archive" -x "$archive.signify"
  cp "$archive" "$T/www/copy.tar"
  printf x | dd of="$T/www/copy.tar" bs=1 seek=600 conv=notrunc status=none
  local key
  key=$(tail -1 "$T/keys/mini.pub")

  for SOURCE in "$HTTP/root.tar" "$archive"; do
    local n=0
    for options in "--signature root.tar.sig --keyring $T/good.gpg" \
      "--signature root.tar.minisig --key $key" "--signature root.tar.legacy --key mini.pub" \
      "--signature root.tar.minisig" "--signature root.tar.signify --key signify.pub" \
      "--signature root.tar.signify"; do
      # shellcheck disable=SC2086
      run vtemplate import --require-signature $options "t$n" "$SOURCE"
      assert_status 0
      diff <(tree_list "$T/source") <(tree_list "$(tree_of "t$n")")
      vtemplate -q delete "t$n" --yes
      n=$((n + 1))
    done
  done
  for SOURCE in "$HTTP/copy.tar" "$T/www/copy.tar"; do
    refused x "wrong" --signature root.tar.sig --keyring "$T/good.gpg"
    refused x "wrong" --signature root.tar.minisig
    refused x "wrong" --signature root.tar.legacy
    refused x "wrong" --signature root.tar.signify
    refused x "expected" --signature root.tar.signify --key mini.pub
  done
  # The trusted comment is signed as well.
  sed -i 's/^trusted comment: .*/trusted comment: another file/' "$archive.minisig"
  SOURCE=$archive refused x "trusted comment" --signature root.tar.minisig
  rm "$T/keys/mini.pub"
  SOURCE=$archive refused x "not among" --signature root.tar.legacy
}

@test "vguest.conf can require signatures of everything that is not this host's own" {
  start_server
  echo '{"require_signature": true}' >"$VGUEST_CONF"
  for SOURCE in "$HTTP/root.tar" "$T/www/root.tar"; do
    refused x "requires a signature" --sha256 "$(digest "$T/www/root.tar")"
  done
  vtemplate -q import directory "$T/source"
}

@test "sizes are limited, and a bomb of zeros is refused" {
  start_server
  SOURCE=$HTTP/root.tar refused x "allowed" --max-size 1K
  SOURCE="$HTTP/root.tar?nolength" refused x "" --max-size 1K
  SOURCE=$T/www/root.tar refused x "allowed" --max-size 1K
  SOURCE=$HTTP/root.tar refused x "more than 2048 bytes" --max-unpacked 2K
  python3 - "$T/www/bomb.tar.gz" <<'END'
import gzip, sys, tarfile
class Zeros:
    def read(self, n): return bytes(n)
with gzip.open(sys.argv[1], "wb", compresslevel=9) as out:
    with tarfile.open(fileobj=out, mode="w|") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 4 << 30
        tar.addfile(info, Zeros())
END
  [ "$(stat -c %s "$T/www/bomb.tar.gz")" -lt 5000000 ]
  for SOURCE in "$T/www/bomb.tar.gz" "$HTTP/bomb.tar.gz"; do
    refused x "times its size"
  done
}

@test "device nodes of a fetched archive that reach hardware are left out, unless allowed" {
  start_server
  mkdir -p "$T/source/dev"
  mknod "$T/source/dev/mem" c 1 1
  mknod "$T/source/dev/sda" b 8 0
  pack "$T/source" "$T/www/devices.tar"
  run vtemplate import plain "$HTTP/devices.tar"
  assert_status 0
  assert_contains "$output" "2 device nodes were left out"
  [ "$(ls "$(tree_of plain)/dev")" = null ]
  vtemplate -q import --devices every "$HTTP/devices.tar"
  diff <(tree_list "$T/source") <(tree_list "$(tree_of every)")
  vtemplate -q import file "$T/www/devices.tar"
  diff <(tree_list "$T/source") <(tree_list "$(tree_of file)")
}

@test "a million entries take no memory each" {
  python3 - "$T/million.tar" <<'END'
import sys, tarfile
header = tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT)
with open(sys.argv[1], "wb") as out:
    for _ in range(1000):
        out.write(header * 1000)
    out.write(bytes(1024))
END
  # The sanitizer keeps what is freed for a while.
  ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64 python3 - "$T/million.tar" <<'END'
import resource, subprocess, sys
subprocess.run(["vtemplate", "-q", "import", "million", sys.argv[1]], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(used)
assert used < 120 << 10, used
END
  [ -f "$(tree_of million)/f" ]
}
