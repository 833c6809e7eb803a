"""Workers in a ring, each connected to its neighbours by an authenticated socket.

TensorFlow's own collectives need its server, which listens on all interfaces of the machine and lets everybody who
connects run operations. A ring listens on the one address that it is given, and knows its members by a secret.
"""

from __future__ import annotations

import hmac
import queue
import secrets
import socket
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kdcompress.training.group import Group, Vector, WorkerLostError

Address = tuple[str, int]

_HEADER = struct.Struct("<QQ")  # number of the call, number of bytes
_SMALL_BYTES = 8 << 10  # fits into the buffers of a socket, so that all may send before any receives
_NONCE_BYTES = 32
_PROOF_S = 30.0  # in which one that knocks must prove that it is a worker
_KEEP_ALIVE_S = 15  # a machine that is gone says nothing: it is missed after about twice as long


class RingDoor:
    """The open end of a worker, on which its neighbour in the ring will knock.

    Args:
        host: Address of this machine on which to listen, such as 127.0.0.1.
        secret: Secret that all workers of the ring share.
    """

    def __init__(self, host: str, secret: bytes) -> None:
        self._secret, self._closed = secret, False
        self._listener = socket.create_server((host, 0))
        self._listener.settimeout(1.0)  # how soon it is noticed that the door was closed

    @property
    def address(self) -> Address:
        """Host and port."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def join(self, rank: int, addresses: Sequence[Address]) -> Ring:
        """Connect to the neighbours, and wait until both are there.

        Args:
            rank: Number of this worker, from 0.
            addresses: Addresses of all workers, by rank.

        Returns:
            The ring; the door is closed.

        Raises:
            WorkerLostError: The next worker does not answer.
        """
        world = len(addresses)
        found: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()  # all knock and open at the same time
        threading.Thread(target=self._accept, args=((rank - 1) % world, rank, found), daemon=True).start()
        try:
            after = _prepared(socket.create_connection(addresses[(rank + 1) % world]))
            _prove(after, self._secret, rank, (rank + 1) % world)
        except OSError as exc:
            self.close()
            raise WorkerLostError(f"training worker {(rank + 1) % world} does not answer ({exc})") from exc
        ring = Ring(rank, world, found.get(), after)
        self.close()
        return ring

    def close(self) -> None:
        """Close the door."""
        self._closed = True
        self._listener.close()

    def _accept(self, expected: int, rank: int, found: queue.SimpleQueue[socket.socket]) -> None:
        """Find the connection of the worker before this one; others that knock are turned away."""
        while not self._closed:
            try:
                end, _ = self._listener.accept()
            except OSError:  # nobody yet, or closed
                continue
            try:
                end.settimeout(_PROOF_S)
                _prove(end, self._secret, rank, expected)
                end.settimeout(None)
            except OSError:
                end.close()
                continue
            found.put(_prepared(end))
            return


def _prove(end: socket.socket, secret: bytes, own: int, other: int) -> None:
    """Prove to the other end, and have it prove, that both know the secret and have the ranks that are expected."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    end.sendall(nonce)
    theirs = bytes(_read(end, memoryview(bytearray(_NONCE_BYTES))))
    end.sendall(_proof(secret, own, theirs))
    if not hmac.compare_digest(bytes(_read(end, memoryview(bytearray(_NONCE_BYTES)))), _proof(secret, other, nonce)):
        raise ConnectionRefusedError("it does not know the secret of this training")


def _proof(secret: bytes, rank: int, nonce: bytes) -> bytes:
    return hmac.digest(secret, b"kdcompress training worker %d:" % rank + nonce, "sha256")


def _read(end: socket.socket, into: memoryview) -> memoryview:
    done = 0
    while done < len(into):
        count = end.recv_into(into[done:])
        if count == 0:
            raise ConnectionResetError("it closed its connection")
        done += count
    return into


def _prepared(end: socket.socket) -> socket.socket:
    """A socket that sends at once, and misses a machine that is gone."""
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", _KEEP_ALIVE_S), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return end


class Ring(Group):
    """Workers that pass data on to the next one, around the ring.

    Args:
        rank: Number of this worker, from 0.
        world: Number of workers.
        before: Socket from the worker before this one.
        after: Socket to the worker after this one.
    """

    def __init__(self, rank: int, world: int, before: socket.socket, after: socket.socket) -> None:
        self.rank, self.world = rank, world
        self._before, self._after = before, after
        self._calls, self._turn = 0, threading.Lock()
        self._sender = ThreadPoolExecutor(1, "ring")
        self._spare: Vector = np.empty(0, np.float32)  # new memory for every exchange would take longer than a sum

    def gather(self, data: bytes) -> list[bytes]:
        """Gather data of all workers, by rank."""
        with self._turn:
            self._calls += 1
            found = {self.rank: bytes(data)}
            for step in range(self.world - 1):
                held = found[(self.rank - step) % self.world]
                found[(self.rank - step - 1) % self.world] = bytes(self._pass_on(memoryview(held)))
            return [found[rank] for rank in range(self.world)]

    def sum(self, vector: Vector) -> Vector:
        """Add vectors of all workers: short ones by rank, long ones in parts, each of which goes around twice."""
        vector = np.ascontiguousarray(vector, np.float32)
        if vector.nbytes <= _SMALL_BYTES:
            rows = [np.frombuffer(row, np.float32) for row in self.gather(vector.tobytes())]
            return np.asarray(np.sum(rows, axis=0, dtype=np.float32))
        with self._turn:
            self._calls += 1
            return self._sum_in_parts(vector)

    def close(self) -> None:
        """Close the connections, which the neighbours notice at once."""
        for end in (self._before, self._after):
            end.close()
        self._sender.shutdown(wait=False)

    def _sum_in_parts(self, vector: Vector) -> Vector:
        total = vector.copy()
        parts = np.array_split(total, self.world)  # views, the first of which is the longest
        if len(self._spare) < len(parts[0]):
            self._spare = np.empty(len(parts[0]), np.float32)
        for step in range(self.world - 1):
            sent, added = ((self.rank - step - back) % self.world for back in (0, 1))
            self._pass_on(parts[sent].data.cast("B"), self._spare[: len(parts[added])].data.cast("B"))
            parts[added] += self._spare[: len(parts[added])]
        for step in range(self.world - 1):
            sent, taken = ((self.rank + 1 - step - back) % self.world for back in (0, 1))
            self._pass_on(parts[sent].data.cast("B"), parts[taken].data.cast("B"))
        return total

    def _pass_on(self, data: memoryview, into: memoryview | None = None) -> memoryview:
        """Send data to the next worker, and return what the one before sends, in `into` if it is given."""
        if self.failure is not None:
            raise self.failure
        try:
            if data.nbytes <= _SMALL_BYTES:
                self._send(data)
                return self._receive(into)
            sending = self._sender.submit(self._send, data)  # if all sent first, full buffers would block them
            received = self._receive(into)
            sending.result()
            return received
        except OSError as exc:
            self.failure = WorkerLostError(f"a training worker is gone ({exc})")
            self.close()
            raise self.failure from exc

    def _send(self, data: memoryview) -> None:
        header = _HEADER.pack(self._calls, data.nbytes)
        if data.nbytes <= _SMALL_BYTES:
            self._after.sendall(header + data)
        else:
            self._after.sendall(header)
            self._after.sendall(data)

    def _receive(self, into: memoryview | None) -> memoryview:
        call, size = _HEADER.unpack(_read(self._before, memoryview(bytearray(_HEADER.size))))
        if call != self._calls:
            raise OSError(f"worker {self.rank} is at call {self._calls}, the one before it at call {call}")
        if into is not None and len(into) != size:
            raise OSError(f"worker {self.rank} expects {len(into)} bytes, the one before it sends {size}")
        return _read(self._before, memoryview(bytearray(size)) if into is None else into)
