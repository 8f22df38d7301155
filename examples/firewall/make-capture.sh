#!/usr/bin/env bash
# Makes capture.pcap anew: real clients, a real scan and hand-made bad frames, recorded where
# they arrive at the server, in two network namespaces. Then expected/ from it.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/tools/net.sh
source "$here/../tools/net.sh"
need ip tcpdump ethtool ping curl dig nmap sshd ssh python3

space outside
space server
cable outside wan 02:00:00:00:00:01 server lan 02:00:00:00:00:10
visitor=198.51.100.7 office=198.51.100.200 scanner=203.0.113.66 elsewhere=198.51.100.80
for address in "$visitor" "$office" "$scanner" "$elsewhere" 198.51.100.53; do
  inside outside ip address add "$address/32" dev wan
done
inside outside ip route add 192.0.2.0/24 dev wan src "$visitor"
inside server ip address add 192.0.2.10/24 dev lan
inside server ip route add default dev lan

mkdir "$scratch/www"
python3 -c "print('<title>A small page</title>' + '<p>Sprat sees this go by.</p>' * 120)" >"$scratch/www/index.html"
serve_web server 192.0.2.10 "$scratch/www"
serve_dns server 192.0.2.10
serve_ssh server 192.0.2.10
serve_web outside "$elsewhere" "$scratch/www"
serve_dns outside 198.51.100.53

record server lan in "$scratch/capture.pcap"
for _ in 1 2 3 4; do inside outside curl -s -m 5 -o /dev/null --interface "$visitor" http://192.0.2.10/; done
inside outside curl -s -m 5 -o /dev/null --interface "$visitor" http://192.0.2.10/no-such-page || true
for name in example.org www.example.org mail.example.org; do
  inside outside dig -b "$visitor" +short "@192.0.2.10" "$name" >/dev/null
done
inside outside dig -b "$visitor" +tcp +short @192.0.2.10 example.net >/dev/null
inside outside ping -q -c 5 -i 0.2 -I "$visitor" 192.0.2.10 >/dev/null
# Both end without a login; the firewall is to let only the second one through.
for source in "$visitor" "$office"; do
  inside outside ssh -b "$source" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
    nobody@192.0.2.10 true >/dev/null 2>&1 || true
done
inside server curl -s -m 5 -o /dev/null "http://$elsewhere/"
inside server dig +short @198.51.100.53 example.com >/dev/null
inside outside nmap -n -Pn -sS -S "$scanner" -e wan -p 1-200 -T4 192.0.2.10 >/dev/null 2>&1
inside outside nmap -n -Pn -sX -S "$scanner" -e wan -p 20-40 -T4 192.0.2.10 >/dev/null 2>&1
inside outside nmap -n -Pn -sU -S "$scanner" -e wan -p 100-130 -T4 --max-retries 0 192.0.2.10 >/dev/null 2>&1
inside outside python3 "$here/bad-frames.py" wan
stop_recording

cp "$scratch/capture.pcap" "$here/capture.pcap"
python3 "$here/expect.py"
