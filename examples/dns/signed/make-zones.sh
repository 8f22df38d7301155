#!/bin/sh
# Signs unsigned.zone in two ways, by the tools of BIND (Debian: bind9-utils), with new keys that are
# then forgotten, and until 2037.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
key=$(dnssec-keygen -q -a ECDSAP256SHA256 -f KSK example.test)
zone_key=$(dnssec-keygen -q -a ECDSAP256SHA256 example.test)
cat "$here/unsigned.zone" "$key.key" "$zone_key.key" > zone
sign() {
    dnssec-signzone -q -o example.test -s 20260101000000 -e 20371231235959 "$@" zone "$key" "$zone_key"
}
# Names in plain; and hashed, with names left out that lead to unsigned zones alone.
sign -f nsec.zone
sign -3 aabb -H 0 -A -f optout.zone
for zone in nsec optout; do
    grep -v '^; File written' "$zone.zone" > "$here/$zone.zone"
done
awk '/DNSKEY/ { key = ""; for (n = 7; n <= NF; n++) key = key $n
    printf "trust-anchors { example.test. static-key %s %s %s \"%s\"; };\n", $4, $5, $6, key }' \
    "$key.key" > "$here/anchor"
