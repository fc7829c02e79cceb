#!/usr/bin/env bash
# Makes sure that Java 17+ and Maven are there for the tests' components; installs Debian's as root, else says what to do.
set -euo pipefail
java_major() { java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p;q'; }
if command -v mvn >/dev/null && [ "$(java_major || echo 0)" -ge 17 ] 2>/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends maven default-jre-headless >/dev/null
  exit 0
fi
echo "error: the end-to-end tests start a real Kafka broker and Schema Registry and need Java 17+ and Maven (mvn) on PATH" >&2
echo "fix: install both with your package manager and run make test again; make demo needs neither" >&2
exit 1
