#!/usr/bin/env python3
"""Sends frames that the router must answer by ARP, or must not forward."""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from frames import address, icmp, ipv4

ROUTER, HOST = bytes.fromhex("0200000000fe"), bytes.fromhex("020000000001")
echo = ipv4("10.0.0.10", "10.0.1.10", 1, icmp(8, 0, b"\0\7\0\1" + bytes(16)))
asks = HOST + address("10.0.0.77") + bytes(6) + address("10.0.0.1")
frames = [
    b"\xff" * 6 + HOST + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + asks,      # a neighbour asks for the router
    ROUTER + HOST + b"\x08\0" + echo[:10] + b"\xde\xad" + echo[12:],       # wrong header checksum
    ROUTER + HOST + b"\x08\0" + echo[:30],                                 # cut
    ROUTER + HOST + b"\x08\0" + b"\x55" + echo[1:],                        # version 5
    b"\xff" * 6 + HOST + b"\x08\0" + ipv4("10.0.0.10", "10.0.0.255", 17, bytes(8), flags=0),  # a broadcast
]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind((sys.argv[1], 0))
    for frame in frames:
        wire.send(frame)
