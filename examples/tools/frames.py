"""Frames and captures, for the scripts that work out what an example must do.

Nothing here knows Sprat: captures are read with `struct`, and what is a good header is what
the RFCs say (791, 793, 768, 792, 1071).
"""
import json
import os
import struct


def read_pcap(path):
    """Yields (seconds, frame) of an Ethernet capture with microseconds, as tcpdump writes it."""
    with open(path, "rb") as file:
        data = file.read()
    magic, *_, link = struct.unpack_from("<IHHiIII", data)
    assert magic == 0xA1B2C3D4 and link == 1, path
    at = 24
    while at < len(data):
        seconds, micros, captured, original = struct.unpack_from("<IIII", data, at)
        assert captured == original, "a cut frame"
        yield seconds + micros / 1e6, data[at + 16:at + 16 + captured]
        at += 16 + captured


def write_pcap(path, frames):
    """Writes (seconds, frame) pairs."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for time, frame in frames:
            micros = round(time * 1e6)
            file.write(struct.pack("<IIII", micros // 1000000, micros % 1000000, len(frame), len(frame)) + frame)


def checksum(data):
    """RFC 1071: zero over data that carries its own right checksum."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    return bytes(int(part) for part in text.split("."))


def within(bytes4, prefix):
    """Whether an address lies in a prefix such as 10.0.0.0/8."""
    network, length = prefix.split("/")
    mask = -1 << (32 - int(length)) & 0xFFFFFFFF
    return int.from_bytes(bytes4, "big") & mask == int.from_bytes(address(network), "big") & mask


class IPv4:
    """The IPv4 packet in a frame, or the reason why it is none (`fault`)."""

    def __init__(self, frame):
        ip = frame[14:]
        self.fault = None
        if len(ip) < 20:
            self.fault = "short header"
            return
        words = ip[0] & 15
        length = struct.unpack_from("!H", ip, 2)[0]
        if ip[0] >> 4 != 4:
            self.fault = "not version 4"
        elif words < 5 or len(ip) < words * 4:
            self.fault = "bad header length"
        elif length < words * 4 or length > len(ip):
            self.fault = "bad total length"
        elif checksum(ip[:words * 4]) != 0:
            self.fault = "bad header checksum"
        if self.fault:
            return
        self.header = ip[:words * 4]
        self.payload = ip[words * 4:length]
        self.end = 14 + length
        self.source, self.destination = ip[12:16], ip[16:20]
        self.ttl, self.protocol = ip[8], ip[9]
        fragment = struct.unpack_from("!H", ip, 6)[0]
        self.offset, self.more, self.dont_fragment = fragment & 0x1FFF, bool(fragment & 0x2000), bool(fragment & 0x4000)
        self.is_fragment = self.offset != 0 or self.more

    def pseudo(self):
        return self.source + self.destination + struct.pack("!BBH", 0, self.protocol, len(self.payload))

    def transport_fault(self):
        """What is wrong with the TCP, UDP or ICMP header, or None."""
        p = self.payload
        if self.protocol == 6:
            if len(p) < 20 or p[12] >> 4 < 5 or (p[12] >> 4) * 4 > len(p):
                return "bad TCP header length"
            if checksum(self.pseudo() + p) != 0:
                return "bad TCP checksum"
        elif self.protocol == 17:
            if len(p) < 8:
                return "short UDP header"
            length, sum_ = struct.unpack_from("!HH", p, 4)
            if length < 8 or length > len(p):
                return "bad UDP length"
            if sum_ and checksum(self.source + self.destination + struct.pack("!BBH", 0, 17, length) + p[:length]) != 0:
                return "bad UDP checksum"
        elif self.protocol == 1:
            if len(p) < 8:
                return "short ICMP header"
            if checksum(p) != 0:
                return "bad ICMP checksum"
        return None

    def ports(self):
        return struct.unpack_from("!HH", self.payload)


def ipv4(source, destination, protocol, payload, ttl=64, ident=1, flags=0x4000, options=b""):
    """An IPv4 packet with a right header checksum."""
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), ident, flags, ttl, protocol, 0,
                       address(source), address(destination)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source, destination, sport, dport, data):
    length = 8 + len(data)
    head = struct.pack("!HHHH", sport, dport, length, 0)
    pseudo = address(source) + address(destination) + struct.pack("!BBH", 0, 17, length)
    return struct.pack("!HHHH", sport, dport, length, checksum(pseudo + head + data) or 0xFFFF) + data


def tcp(source, destination, sport, dport, flags, data=b"", sequence=1):
    head = struct.pack("!HHIIBBHHH", sport, dport, sequence, 0, 0x50, flags, 1024, 0, 0)
    pseudo = address(source) + address(destination) + struct.pack("!BBH", 0, 6, 20 + len(data))
    return head[:16] + struct.pack("!H", checksum(pseudo + head + data)) + head[18:] + data


def icmp(kind, code, rest):
    body = struct.pack("!BBH", kind, code, 0) + rest
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def write_expected(folder, frames_in, counts, out, never, same=None, **more):
    """Writes what a run must come to, as expected/expected.json and a capture for each output.

    `counts` maps handlers to what they must read, `out` maps a device to the (seconds, frame)
    pairs that must leave by it, `same` maps a device to the capture that must leave by it
    unchanged, `never` maps a device to tcpdump filters that match nothing that leaves by it.
    """
    os.makedirs(os.path.join(folder, "expected"), exist_ok=True)
    captures = dict(same or {})
    for device, frames in out.items():
        captures[device] = f"expected/{device}.pcap"
        write_pcap(os.path.join(folder, captures[device]), frames)
    expected = {
        "frames_in": frames_in,
        "out": captures,
        "handlers": {handler: counts[handler] for handler in sorted(counts)},
        "never": never,
        **more,
    }
    with open(os.path.join(folder, "expected", "expected.json"), "w", encoding="ascii") as file:
        json.dump(expected, file, indent=2)
        file.write("\n")
