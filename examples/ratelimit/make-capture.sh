#!/usr/bin/env bash
# Makes capture.pcap anew: a flood of small datagrams, an upload, and honest questions between.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/tools/net.sh
source "$here/../tools/net.sh"
need ip tcpdump ethtool ping dig python3

space clients
space server
cable clients wan 02:00:00:00:00:01 server lan 02:00:00:00:00:10
for n in 1 2 66; do inside clients ip address add "198.51.100.$n/24" dev wan; done
inside clients ip route add 192.0.2.0/24 dev wan
inside server ip address add 192.0.2.10/24 dev lan
inside server ip route add default dev lan
serve_dns server 192.0.2.10
inside server python3 -c "
import socket
listening = socket.create_server(('192.0.2.10', 80))
while True:
    connection, _ = listening.accept()
    while connection.recv(65536): pass
    connection.close()" &
wait_for server 192.0.2.10 80
inside server nft 'table ip quiet { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }'

record server lan in "$scratch/capture.pcap"
inside clients python3 -c "
import socket, time
flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flood.bind(('198.51.100.66', 6666))
begun = time.monotonic()
for number in range(1000):
    time.sleep(max(0, begun + number / 400 - time.monotonic()))
    flood.sendto(number.to_bytes(4, 'big') * 8, ('192.0.2.10', 9999))" &
flooding=$!
for _ in 1 2 3 4 5; do
  sleep 0.3
  inside clients dig -b 198.51.100.1 +short @192.0.2.10 example.org >/dev/null
  inside clients ping -q -c 1 -I 198.51.100.2 192.0.2.10 >/dev/null
done
inside clients python3 -c "
import socket
upload = socket.create_connection(('192.0.2.10', 80), source_address=('198.51.100.1', 0))
upload.sendall(bytes(20000))
upload.close()"
wait $flooding
stop_recording
cp "$scratch/capture.pcap" "$here/"
python3 "$here/expect.py"
