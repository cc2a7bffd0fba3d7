#!/bin/sh
# The two programs the tests use that are in no wheel: a Chromium and nginx.
# Installed with apt-get where that is possible; else says which tests will be skipped. Never fails:
# in CI (CI=true) the skipped tests themselves fail.
set -u
cd "$(dirname "$0")/.."

has_nginx() { command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]; }
has_chromium() {
    .venv/bin/python -c 'import sys; sys.path.insert(0, "tests")
from support.chromium import find_chromium
sys.exit(find_chromium() is None)'
}

missing=""
has_nginx || missing="$missing nginx"
has_chromium || missing="$missing chromium"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing with apt-get:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    for package in $missing; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "apt-get could not install $package"
    done
fi

has_nginx || echo "nginx was not found: the test through nginx will be skipped (install nginx to run it)"
has_chromium || echo "no Chromium was found: the browser tests will be skipped" \
    "(set CHROMIUM=/path/to/chromium, or run: .venv/bin/playwright install chromium)"
exit 0
