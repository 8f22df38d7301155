#!/usr/bin/env bash
# Makes capture.pcap anew: four hosts of a small network use the web, DNS, SSH and ping.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/tools/net.sh
source "$here/../tools/net.sh"
need ip tcpdump ethtool ping curl dig sshd ssh python3

space office
space world
cable office lan 02:00:00:00:00:01 world wan 02:00:00:00:00:02
for n in 1 2 3 4 5; do inside office ip address add "10.1.0.$n/24" dev lan; done
inside office ip route add default dev lan
for address in 203.0.113.80 203.0.113.53 203.0.113.22; do inside world ip address add "$address/32" dev wan; done
inside world ip route add 10.1.0.0/24 dev wan
mkdir "$scratch/www"
python3 -c "print('<p>Something to read.</p>' * 300)" >"$scratch/www/index.html"
serve_web world 203.0.113.80 "$scratch/www"
serve_dns world 203.0.113.53
serve_ssh world 203.0.113.22

record world wan inout "$scratch/capture.pcap"
for _ in 1 2 3 4; do inside office curl -s -m 5 -o /dev/null --interface 10.1.0.1 http://203.0.113.80/; done
inside office curl -s -m 5 -o /dev/null --interface 10.1.0.2 http://203.0.113.80/
for n in 1 2 3; do inside office dig -b "10.1.0.$n" +short @203.0.113.53 example.org >/dev/null; done
inside office dig -b 10.1.0.2 +tcp +short @203.0.113.53 example.org >/dev/null
inside office ssh -b 10.1.0.3 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
  nobody@203.0.113.22 true >/dev/null 2>&1 || true
inside office ping -q -c 3 -i 0.2 -I 10.1.0.4 203.0.113.80 >/dev/null
inside office ping -q -c 1 -I 10.1.0.5 203.0.113.80 >/dev/null
inside office curl -s -m 1 -o /dev/null --interface 10.1.0.4 http://203.0.113.80:8080/ || true
stop_recording
cp "$scratch/capture.pcap" "$here/"
python3 "$here/expect.py"
