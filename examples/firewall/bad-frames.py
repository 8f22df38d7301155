#!/usr/bin/env python3
"""Sends frames that no honest stack sends, out of the interface named."""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from frames import icmp, ipv4, tcp, udp

OUT, SERVER = "198.51.100.7", "192.0.2.10"
ETHER = bytes.fromhex("020000000010" "020000000001" "0800")


def patched(packet, at, value):
    return packet[:at] + value + packet[at + len(value):]


web = ipv4(OUT, SERVER, 6, tcp(OUT, SERVER, 40000, 80, 0x18, b"GET / HTTP/1.0\r\n\r\n"))
question = ipv4(OUT, SERVER, 17, udp(OUT, SERVER, 40001, 53, b"\x12\x34" + bytes(10)))
echo = ipv4(OUT, SERVER, 1, icmp(8, 0, b"\0\1\0\1" + bytes(32)))

packets = [
    patched(web, 10, b"\xde\xad"),                              # wrong header checksum
    patched(web, 0, b"\x65"),                                   # version 6 under the type of IPv4
    patched(web, 0, b"\x44"),                                   # a header of four words
    patched(web, 0, b"\x4f")[:40],                              # a header of fifteen words, cut
    patched(web, 2, struct.pack("!H", 4000)),                   # longer than it is
    patched(web, 2, struct.pack("!H", 12)),                     # shorter than its header
    web[:12],                                                   # ends within the header
    b"",                                                        # nothing after the type
    ipv4(OUT, SERVER, 6, tcp(OUT, SERVER, 40000, 80, 2)[:12]),   # TCP header cut
    patched(web, 36, b"\xbe\xef"),                              # wrong TCP checksum
    ipv4(OUT, SERVER, 6, b"\x9c\x40\x00\x50" + bytes(8) + b"\xf0\x02" + bytes(6)),  # data offset past the end
    patched(question, 26, b"\xbe\xef"),                         # wrong UDP checksum
    ipv4(OUT, SERVER, 17, struct.pack("!HHHH", 40001, 53, 900, 0) + bytes(8)),       # UDP longer than it is
    ipv4(OUT, SERVER, 17, struct.pack("!HHHH", 40001, 53, 20, 0) + bytes(12)),       # no checksum: allowed (RFC 768)
    ipv4(OUT, SERVER, 17, b"\x9c\x41\x00"),                     # UDP header cut
    patched(echo, 22, b"\xbe\xef"),                             # wrong ICMP checksum
    ipv4(OUT, SERVER, 1, b"\x08\x00"),                          # ICMP header cut
    ipv4(OUT, SERVER, 6, tcp(OUT, SERVER, 40002, 80, 3)),        # SYN and FIN
    ipv4(OUT, SERVER, 6, tcp(OUT, SERVER, 40002, 80, 6)),        # SYN and RST
    ipv4("192.0.2.10", SERVER, 6, tcp("192.0.2.10", SERVER, 80, 80, 2)),    # from the server to itself
    ipv4("10.1.2.3", SERVER, 6, tcp("10.1.2.3", SERVER, 4000, 80, 2)),      # private source
    ipv4("127.0.0.1", SERVER, 17, udp("127.0.0.1", SERVER, 4000, 53, b"x")),  # loopback source
    ipv4(OUT, "192.0.2.99", 6, tcp(OUT, "192.0.2.99", 4000, 80, 2)),        # another host
    ipv4(OUT, SERVER, 6, web[20:36], flags=0x2000),             # the first fragment
    ipv4(OUT, SERVER, 6, web[36:], flags=0x0002),               # and the last, with no ports
    ipv4(OUT, SERVER, 47, bytes(16)),                           # GRE
    ipv4(OUT, SERVER, 6, tcp(OUT, SERVER, 40003, 80, 2), options=b"\x07\x07\x04\0\0\0\0\0"),  # record route: allowed
    ipv4(OUT, SERVER, 1, icmp(5, 1, bytes([198, 51, 100, 1]) + web[:28])),  # a redirect
    web + bytes(6),                                             # padding after the end: allowed
]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind((sys.argv[1], 0))
    for packet in packets:
        wire.send(ETHER + packet)
    wire.send(bytes.fromhex("020000000010" "020000000001" "86dd") + b"\x60" + bytes(39))  # IPv6
    wire.send(bytes.fromhex("020000000010" "020000000001" "88b5") + bytes(46))            # an experiment
