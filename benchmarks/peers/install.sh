#!/bin/sh
# The peers that are in no wheel: Go. Installed with apt-get where that is possible, else says what to install.
# Never fails: a benchmark leaves out a peer that is not there, and says so.
set -u

has_go() { command -v go >/dev/null 2>&1; }

if has_go; then
    echo "nothing to install: $(go version)"
    exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing with apt-get: golang-go"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    apt-get install -y -qq --no-install-recommends golang-go >/dev/null || echo "apt-get could not install golang-go"
fi

has_go || echo "Go was not found: install it (on Debian and Ubuntu: apt install golang-go) to measure against it"
exit 0
