"""Hostile clients against rpc_echo; see abuse.sh. Frames are made by hand, with the standard library
alone. Each attack says what must come of it: the connection ended by the server, or served."""

import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

HOST = "localhost"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RSS_GROWTH_KIB = 200 * 1024  # by one attack, in the plain build; sanitizers are given more
SERVED_WITHIN_S = 5.0


def context(alpn):
    c = ssl.create_default_context(cafile="testdata/tls/ca.pem")
    c.set_alpn_protocols([alpn])
    return c


def connect(port, alpn="h2"):
    raw = socket.create_connection((HOST, port), timeout=10)
    return context(alpn).wrap_socket(raw, server_hostname=HOST)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value, index=False):
    """One field, literal, without Huffman coding; lengths below 127 or up to 2^14."""

    def text(s):
        if len(s) < 127:
            return bytes([len(s)]) + s
        n = len(s) - 127
        out = b"\x7f"
        while n >= 128:
            out += bytes([n % 128 + 128])
            n //= 128
        return out + bytes([n]) + s

    return (b"\x40" if index else b"\x00") + text(name) + text(value)


def head(path, *more, token=b"Bearer good", kind=b"application/grpc"):
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", path)]
    fields += [(b"content-type", kind), (b"te", b"trailers")]
    fields += [(b"authorization", token)] if token else []
    return b"".join(literal(n, v) for n, v in fields + list(more))


def message(body):
    return b"\0" + struct.pack(">I", len(body)) + body


class Peer:
    """A raw HTTP/2 connection."""

    def __init__(self, port, settings=b""):
        self.sock = connect(port)
        self.buf = b""
        self.goaway = False
        self.sock.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, octets):
        """False once the server has had enough."""
        try:
            self.sock.sendall(octets)
            return True
        except (OSError, ssl.SSLError):
            return False

    def frames(self, timeout):
        """The frames that come within `timeout`, until the end."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            while len(self.buf) >= 9:
                n = int.from_bytes(self.buf[:3], "big")
                if len(self.buf) < 9 + n:
                    break
                kind, flags = self.buf[3], self.buf[4]
                stream = int.from_bytes(self.buf[5:9], "big")
                payload, self.buf = self.buf[9 : 9 + n], self.buf[9 + n :]
                self.goaway |= kind == GOAWAY
                yield kind, flags, stream, payload
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                got = self.sock.recv(65536)
            except (TimeoutError, socket.timeout):
                return
            except (OSError, ssl.SSLError):
                got = b""
            if not got:
                self.goaway = True
                return
            self.buf += got

    def ended(self, timeout=5):
        """Whether the server ends the connection, by GOAWAY or by closing it."""
        for _ in self.frames(timeout):
            if self.goaway:
                return True
        return self.goaway

    def close(self):
        self.sock.close()


def flood(peer, octets, total):
    """Sends until the server ends the connection; True if it did before `total` octets."""
    sent = 0
    peer.sock.settimeout(5)
    while sent < total:
        if not peer.send(octets):
            return True
        sent += len(octets)
    return peer.ended()


# --- the attacks; each returns None, or what went wrong


def rapid_reset(port):
    peer = Peer(port)
    stream = 1
    for _ in range(100):
        batch = b""
        for _ in range(200):
            batch += frame(HEADERS, END_HEADERS, stream, head(b"/echo.v1.Echo/Slow"))
            batch += frame(DATA, END_STREAM, stream, message(b"60000"))
            batch += frame(RST, 0, stream, struct.pack(">I", 8))
            stream += 2
        if not peer.send(batch):
            return None
    return None if peer.ended() else "20,000 resets were taken"


def made_you_reset(port):
    peer = Peer(port)
    stream = 1
    for _ in range(50):
        batch = b""
        for _ in range(200):
            batch += frame(HEADERS, END_HEADERS, stream, head(b"/echo.v1.Echo/Slow"))
            batch += frame(DATA, END_STREAM, stream, message(b"60000"))
            batch += frame(WINDOW, 0, stream, struct.pack(">I", 2**31 - 1))  # a stream's error
            stream += 2
        if not peer.send(batch):
            return None
    return None if peer.ended() else "the server reset 10,000 streams for one peer"


def continuation_flood(port):
    peer = Peer(port)
    peer.send(frame(HEADERS, 0, 1, head(b"/echo.v1.Echo/Unary")))
    one = frame(CONTINUATION, 0, 1, literal(b"x-filler", b"y" * 100))
    return None if flood(peer, one * 100, 20 << 20) else "CONTINUATION without end was taken"


def hpack_bomb(port):
    peer = Peer(port)
    bomb = literal(b"x-bomb", b"b" * 3900, index=True) + b"\xbe" * 12000  # each names 3,900 octets
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head(b"/echo.v1.Echo/Unary") + bomb[:16000]))
    for kind, _, stream, payload in peer.frames(5):
        if kind == HEADERS and stream == 1:
            return None if b"431" in payload else "answered with something else than 431"
    return None if peer.goaway else "no answer"


def frame_flood(kind, payload, stream=0, flags=0):
    def attack(port):
        peer = Peer(port)
        if stream:
            peer.send(frame(HEADERS, END_HEADERS, stream, head(b"/echo.v1.Echo/Each")))
        done = flood(peer, frame(kind, flags, stream, payload) * 1000, 30 << 20)
        return None if done else "the flood was taken to its end"

    return attack


def oversized_frame(port):
    peer = Peer(port)
    peer.send(frame(HEADERS, END_HEADERS, 1, head(b"/echo.v1.Echo/Unary")))
    peer.send(frame(DATA, 0, 1, b"x" * 20000))
    return None if peer.ended() else "a frame over SETTINGS_MAX_FRAME_SIZE was taken"


def unread_streams(port):
    """Asks for 40 x 50 streams of 1.5 MB and reads nothing."""
    peers = []
    for _ in range(40):
        peer = Peer(port, struct.pack(">HI", 4, 2**31 - 1))
        peer.send(frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 1 - 65535)))
        for i in range(50):
            peer.send(frame(HEADERS, END_HEADERS, 2 * i + 1, head(b"/echo.v1.Echo/Stream")))
            peer.send(frame(DATA, END_STREAM, 2 * i + 1, message(b"z" * 15000)))
        peers.append(peer)
    time.sleep(1)
    return check_memory(peers)


def no_window(port):
    """The same with a flow-control window of zero: nothing may leave, little may wait."""
    peers = []
    for _ in range(40):
        peer = Peer(port, struct.pack(">HI", 4, 0))
        for i in range(50):
            peer.send(frame(HEADERS, END_HEADERS, 2 * i + 1, head(b"/echo.v1.Echo/Stream")))
            peer.send(frame(DATA, END_STREAM, 2 * i + 1, message(b"z" * 15000)))
        peers.append(peer)
    time.sleep(1)
    return check_memory(peers)


def tiny_windows(port):
    """A window of one octet, opened octet by octet: slow, but served."""
    peer = Peer(port, struct.pack(">HI", 4, 1))
    peer.send(frame(HEADERS, END_HEADERS, 1, head(b"/echo.v1.Echo/Unary")))
    peer.send(frame(DATA, END_STREAM, 1, message(b"q" * 200)))
    body = b""
    for kind, _, stream, payload in peer.frames(10):
        if kind == DATA and stream == 1:
            body += payload
            peer.send(frame(WINDOW, 0, 1, struct.pack(">I", 1)))
        if kind == HEADERS and body:
            return None if body == message(b"q" * 200) else "the body is not what was sent"
    return "no trailers"


def strangers_bodies(port):
    """Bodies without end from nobody: on 30 connections, 50 streams each."""
    peers = []
    refused = 0
    for _ in range(30):
        peer = Peer(port)
        for i in range(50):
            peer.send(frame(HEADERS, END_HEADERS, 2 * i + 1, head(b"/echo.v1.Echo/Unary", token=None)))
        for i in range(50):
            piece = b"\0" + struct.pack(">I", 4 << 20) + b"b" * 8000
            peer.send(frame(DATA, 0, 2 * i + 1, piece))
        peers.append(peer)
    for peer in peers:
        for i in range(50):
            peer.send(frame(DATA, 0, 2 * i + 1, b"b" * 10000))
        refused += sum(1 for k, f, _, _ in peer.frames(1) if k == HEADERS and f & END_STREAM)
        if refused >= 50:
            break
    if refused < 50:
        return "only %d of 50 streams were refused with a response" % refused
    return check_memory(peers)


def strangers_streams(port):
    """Requests from nobody that stay, each with as large a head as it may have: on 150 connections, 100 streams
    each. Every other is answered at once for its content type, but its body never ends."""
    peers = []
    refused = 0
    for _ in range(150):
        peer = Peer(port)
        more = literal(b"x-head", b"h" * 3600, index=True) + b"\xbe" * 3
        for i in range(100):
            kind = b"text/plain" if i % 2 else b"application/grpc"
            octets = head(b"/echo.v1.Echo/Slow", token=None, kind=kind) + more
            more = b"\xbe" * 4  # the field that the first one named
            peer.send(frame(HEADERS, END_HEADERS, 2 * i + 1, octets))
            peer.send(frame(DATA, 0 if i % 2 else END_STREAM, 2 * i + 1, message(b"60000")))
        peers.append(peer)
    wrong = check_memory([])
    for k, f, s, _ in peers[-1].frames(1):
        refused += k == HEADERS and f & END_STREAM and s % 4 == 1
    for peer in peers:
        peer.close()
    return wrong or (None if refused == 50 else "%d of 50 were refused" % refused)


def refused_bodies(port):
    """A bad token and a large body: a response comes, not a bare reset."""
    peer = Peer(port)
    peer.send(frame(HEADERS, END_HEADERS, 1, head(b"/echo.v1.Echo/Unary", token=b"Bearer bad")))
    for _ in range(10):
        peer.send(frame(DATA, 0, 1, b"b" * 6000))
    for kind, flags, stream, payload in peer.frames(5):
        if kind == HEADERS and stream == 1:
            return None if flags & END_STREAM else "the response did not end the stream"
        if kind == RST and stream == 1:
            return "a bare reset"
    return "no response"


def early_answers(port):
    """Answers that come before the body. A gRPC client is let go at once, and needs it; to others a reset is an
    error even behind a whole response: a content type that is none of ours gets its 415 and no reset."""
    peer = Peer(port)
    peer.send(frame(HEADERS, END_HEADERS, 1, head(b"/echo.v1.Echo/Unary", token=b"Bearer bad")))
    peer.send(frame(HEADERS, END_HEADERS, 3, head(b"/echo.v1.Echo/Unary", kind=b"application/grpc+json")))
    peer.send(frame(DATA, 0, 3, b"b" * 6000))
    seen = [(k, s, p) for k, f, s, p in peer.frames(1) if k == RST or (k == HEADERS and f & END_STREAM)]
    mine = [p for k, s, p in seen if s == 3 and k == HEADERS]
    if len(mine) != 1 or b"415" not in mine[0]:
        return "no 415"
    if [(k, s) for k, s, _ in seen if k == RST] != [(RST, 1)]:
        return "reset: streams %s, not 1 alone" % [s for k, s, _ in seen if k == RST]
    peer.send(frame(DATA, END_STREAM, 3, b"b" * 6000))
    peer.send(frame(HEADERS, END_HEADERS, 5, head(b"/echo.v1.Echo/Unary")) + frame(DATA, END_STREAM, 5, message(b"hello")))
    served = any(k == DATA and s == 5 for k, _, s, _ in peer.frames(2))
    return None if served else "the connection was ended"


def slow_heads(port):
    """100 connections of each kind that begin and go no further."""
    socks = [socket.create_connection((HOST, port)) for _ in range(100)]
    for _ in range(100):
        s = connect(port, "http/1.1")
        s.sendall(b"POST /echo.v1.Echo/Unary HTTP/1.1\r\nHost: a\r\nX: ")
        socks.append(s)
        peer = Peer(port)
        peer.send(frame(HEADERS, 0, 1, head(b"/echo.v1.Echo/Unary")[:20]))
        socks.append(peer.sock)
    time.sleep(0.5)
    return check_memory([], socks)


def split_head(port):
    """A head in pieces is served, and its connection lives on beyond the time for heads; a head that
    does not come to its end ends its connection. SPEC rfc9113 6.10"""
    octets = head(b"/echo.v1.Echo/Unary")
    late = Peer(port)
    late.send(frame(HEADERS, 0, 1, octets[:10]))
    peer = Peer(port)
    peer.send(frame(HEADERS, 0, 1, octets[:10]) + frame(CONTINUATION, 0, 1, octets[10:20]))
    peer.send(frame(CONTINUATION, END_HEADERS, 1, octets[20:]))
    bad = head(b"/echo.v1.Echo/Unary", (b"Upper", b"case"))  # a head that is refused
    peer.send(frame(HEADERS, 0, 3, bad[:10]) + frame(CONTINUATION, END_HEADERS, 3, bad[10:]))
    peer.send(frame(DATA, END_STREAM, 1, message(b"hello")))
    seen = list(peer.frames(11))  # all of that time
    reset = any(k == RST and s == 3 for k, _, s, _ in seen)
    if not reset or peer.goaway:
        return "the malformed head ended more than its stream"
    if not late.ended(2):
        return "an unfinished head was waited for"
    peer.send(frame(HEADERS, END_HEADERS, 5, octets) + frame(DATA, END_STREAM, 5, message(b"hello")))
    served = any(k == DATA and s == 5 for k, _, s, _ in peer.frames(2))
    return None if served else "the connection was ended"


def http1_garbage(port):
    s = connect(port, "http/1.1")
    s.sendall(b"\x00" * 100000)
    s.settimeout(5)
    try:
        while s.recv(65536):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    except (TimeoutError, socket.timeout):
        return "the connection stayed open"
    return None


def http1_endless_head(port):
    s = connect(port, "http/1.1")
    s.settimeout(5)
    try:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for _ in range(2000):
            s.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        got = s.recv(100)
    except (OSError, ssl.SSLError):
        return None
    return None if b"431" in got else "2 MB of head were taken"


ATTACKS = [
    ("rapid reset", rapid_reset),
    ("made you reset", made_you_reset),
    ("CONTINUATION flood", continuation_flood),
    ("HPACK bomb", hpack_bomb),
    ("PING flood", frame_flood(PING, b"12345678")),
    ("SETTINGS flood", frame_flood(SETTINGS, struct.pack(">HI", 4, 65535))),
    ("PRIORITY flood", frame_flood(PRIORITY, b"\0\0\0\0\1", stream=1)),
    ("WINDOW_UPDATE flood", frame_flood(WINDOW, struct.pack(">I", 1), stream=1)),
    ("empty DATA flood", frame_flood(DATA, b"", stream=1)),
    ("unknown frames flood", frame_flood(0x77, b"")),
    ("oversized frame", oversized_frame),
    ("streams that nobody reads", unread_streams),
    ("windows of zero", no_window),
    ("windows of one", tiny_windows),
    ("strangers' bodies", strangers_bodies),
    ("strangers' streams", strangers_streams),
    ("refused bodies", refused_bodies),
    ("early answers", early_answers),
    ("slow heads", slow_heads),
    ("split heads", split_head),
    ("HTTP/1.1 garbage", http1_garbage),
    ("HTTP/1.1 endless head", http1_endless_head),
]


# --- the server and the other client

server = None
rss_before = 0


def rss_kib():
    with open("/proc/%d/status" % server.pid, encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def descriptors():
    return len(os.listdir("/proc/%d/fd" % server.pid))


def check_memory(peers, socks=()):
    limit = RSS_GROWTH_KIB * (4 if os.environ.get("SAN") else 1)
    growth = rss_kib() - rss_before
    for p in peers:
        p.close()
    for s in socks:
        s.close()
    return None if growth <= limit else "memory grew by %d KiB" % growth


def bystander(port):
    """Calls again and again, on one connection and on new ones; says the slowest on its end."""
    worst = calls = 0
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    peer, stream = None, 0
    while running:
        begun = time.monotonic()
        if peer is None or calls % 20 == 0:
            peer, stream = Peer(port), -1
        stream += 2
        peer.send(frame(HEADERS, END_HEADERS, stream, head(b"/echo.v1.Echo/Unary")))
        peer.send(frame(DATA, END_STREAM, stream, message(b"hello")))
        ok = any(k == HEADERS and s == stream and f & END_STREAM for k, f, s, _ in peer.frames(10))
        if not ok and running:
            print("not served after %d calls" % calls, flush=True)
            return 1
        calls += 1
        if calls == 1:
            print("served", flush=True)
        worst = max(worst, time.monotonic() - begun)
        time.sleep(0.01)
    print("%d %.3f" % (calls, worst), flush=True)
    return 0


def attack(name, fn, port):
    global rss_before
    other = subprocess.Popen([sys.executable, __file__, "bystander", str(port)], stdout=subprocess.PIPE, text=True)
    other.stdout.readline()  # it is being served
    rss_before = rss_kib()
    begun = time.monotonic()
    wrong = fn(port)
    took = time.monotonic() - begun
    time.sleep(max(0.0, 0.3 - took))
    other.terminate()
    said = other.communicate(timeout=30)[0].split()
    if server.poll() is not None:
        wrong = "the server died"
    elif wrong is None and other.returncode != 0:
        wrong = "the other client: " + " ".join(said)
    elif wrong is None and said and float(said[1]) > SERVED_WITHIN_S:
        wrong = "the other client waited %s s" % said[1]
    rss = 0 if server.poll() is not None else rss_kib()
    print("%-28s %-8s %5.1f s  other %s  rss %d KiB" % (name, "ok" if wrong is None else "FAILED", took, " ".join(said), rss))
    if wrong is not None:
        print("    " + wrong)
    return wrong is None


def main(program):
    global server
    server = subprocess.Popen([program, "0", "2"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[1])
        before = descriptors()
        results = [attack(name, fn, port) for name, fn in ATTACKS]
        ok = all(results)
        end = time.monotonic() + 15
        while descriptors() > before + 2 and time.monotonic() < end:
            time.sleep(0.2)
        if descriptors() > before + 2:
            print("%d descriptors are still open, %d at first" % (descriptors(), before))
            ok = False
    finally:
        server.terminate()
    ok = server.wait(timeout=30) == 0 and ok
    print("%d attacks, server ended with %d" % (len(ATTACKS), server.returncode))
    return 0 if ok else 1


if __name__ == "__main__":
    if sys.argv[1] == "bystander":
        sys.exit(bystander(int(sys.argv[2])))
    sys.exit(main(sys.argv[1]))
