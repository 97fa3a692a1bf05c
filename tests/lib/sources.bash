# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154 # bats sets status and output
# Sources of templates for the functional tests: `load ../lib/sources` behind common.

# start_server [tls]: tests/lib/http-server with the files of $T/www; sets HTTP, with tls HTTPS and
# EXPIRED as well, to URLs without a slash in the end. Stop it with stop_server.
start_server () {
  local line word
  mkdir -p "$T/www"
  if [ "${1:-}" = tls ]; then
    mkdir -p "$T/ca"
    "$TESTS_DIR/lib/test-ca" "$T/ca"
  fi
  coproc SERVER {
    exec python3 "$TESTS_DIR/lib/http-server" "$T/www" "$T/www.log" ${1:+"$T/ca"} 3>&- 4>&-
  }
  exec 8>&"${SERVER[1]}"
  read -r -t 20 line <&"${SERVER[0]}"
  for word in $line; do
    case $word in
      http=*) HTTP=http://127.0.0.1:${word#*=} ;;
      https=*) HTTPS=https://127.0.0.1:${word#*=} ;;
      expired=*) EXPIRED=https://127.0.0.1:${word#*=} ;;
    esac
  done
  export HTTP HTTPS EXPIRED
  export no_proxy=127.0.0.1
  unset CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR
}

stop_server () {
  [ -n "${SERVER_PID:-}" ] || return 0
  kill "$SERVER_PID" 2>/dev/null || true
  exec 8>&-
}

# requests TEXT: how many lines of the server's log have it.
requests () {
  grep -c -- "$1" "$T/www.log" || true
}

# The metadata that only tar's own options keep.
pack () {
  tar --format=posix --numeric-owner --xattrs --xattrs-include='*' --acls --sparse \
    -C "$1" -cf "$2" .
}

tree_of () {
  echo "$VGUEST_ROOT/templates/$1/1/tree"
}

# assert_no_trace: a refused import left nothing, in the store neither.
assert_no_trace () {
  assert_nothing_left
  [ -z "$(ls -A "$VGUEST_ROOT/templates")" ]
  [ -z "$(find "$VGUEST_ROOT/store" -mindepth 2)" ]
}

# make_openpgp_key NAME: a key of its own keyring, $T/NAME.gpg, for sign_openpgp NAME.
make_openpgp_key () {
  mkdir -m 700 "$T/gnupg-$1"
  gpg --homedir "$T/gnupg-$1" --batch --quiet --passphrase '' \
    --quick-gen-key "$1@example.test" ed25519 sign never 2>/dev/null
  gpg --homedir "$T/gnupg-$1" --batch --export >"$T/$1.gpg"
}

# sign_openpgp NAME MODE FILE OUTPUT: MODE is --detach-sign or --clearsign.
sign_openpgp () {
  gpg --homedir "$T/gnupg-$1" --batch --quiet --yes "$2" --output "$4" "$3"
}

stop_agents () {
  local home
  for home in "$T"/gnupg-*; do
    [ -d "$home" ] || continue
    gpgconf --homedir "$home" --kill all 2>/dev/null || true
  done
}
