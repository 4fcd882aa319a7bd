"""Faults of storage, time, TLS, clients, limits and versions, as far as they need no cluster."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends import mounts
from kafkaos.backends.warden import mounts_below
from kafkaos.commands.listing import _never_started
from kafkaos.errors import WrongUse
from kafkaos.faults import (
    ClockJump,
    CrashLoop,
    DiskFull,
    ExpiredCertificate,
    FailLogDir,
    FlipBit,
    HealJournal,
    Quota,
    RollingUpgrade,
    SlowConsumer,
    SlowDisk,
    TruncateTail,
    heal_leftovers,
    pending,
    registry,
    roles,
)
from kafkaos.faults.clock import LIBRARY_VARIABLE, forget_shared
from kafkaos.faults.damage import flip, truncate
from kafkaos.faults.disk import BALLAST_FILE
from kafkaos.faults.slow_disk import library, set_delay

ANYONE = roles.broker(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClockJump(ANYONE, by_s=10.0),
        lambda: CrashLoop(ANYONE, times=1),
        lambda: FlipBit(ANYONE, "orders", before_end_bytes=0),
        lambda: TruncateTail(ANYONE, "orders", lost_bytes=0),
        lambda: Quota("sender", "orders"),
        lambda: SlowConsumer("reader", per_record_ms=0.0),
        lambda: SlowDisk(ANYONE, per_write_ms=0.0),
    ],
)
def test_a_fault_that_would_do_nothing_is_wrong_use(make: Callable[[], object]) -> None:
    """Values with which a fault could not bite, or not be told from chance, are refused at once."""
    with pytest.raises(WrongUse):
        make()


@pytest.mark.parametrize("name", sorted(registry))
def test_a_backend_that_can_nothing_is_told_why(name: str) -> None:
    """Asked of a cluster without any capability a fault answers in words, or needs none; it never breaks."""
    kind: Any = registry[name]
    nothing: Any = type("Nothing", (), {"nodes": (), "spec": _never_started().spec})()
    reason = kind.available(object.__new__(kind), nothing)
    assert reason is None or len(reason.split()) > 3
    assert reason is not None or kind.family == "clients"


def test_what_a_cluster_file_has_to_ask_for_is_told() -> None:
    """Disks, log directories, TLS and an older version are named where a cluster lacks them."""
    cluster = _never_started()
    cluster._spec = cluster.spec.model_copy(
        update={"disk_mb": None, "log_dirs": 1, "security": "plain", "kafka": "4.3.1"}
    )
    assert "log_dirs = 2" in str(FailLogDir(ANYONE).available(cluster))
    assert "use one with TLS" in str(ExpiredCertificate(ANYONE).available(cluster))
    assert "not an older one" in str(RollingUpgrade().available(cluster))
    reason = str(DiskFull(ANYONE).available(cluster))
    assert ("disk_mb = 64" in reason) or ("root" in reason)


def test_a_missing_clock_library_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libfaketime the reason names the package; with it, or its path, the fault is available."""
    monkeypatch.setenv(LIBRARY_VARIABLE, "/nowhere/libfaketime.so")
    assert "apt-get install faketime" in str(ClockJump(ANYONE).available(_never_started()))
    monkeypatch.setenv(LIBRARY_VARIABLE, sys.executable)
    assert ClockJump(ANYONE).available(_never_started()) is None


def test_what_the_clock_library_shared_goes_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared memory and semaphores of dead processes go; older, living and foreign ones stay."""
    monkeypatch.setattr("kafkaos.faults.clock.SHARED_FOLDER", tmp_path)
    dead, mine = 2**22 + 1, os.getpid()  # above the largest pid that Linux gives
    for name in ("faketime_shm_", "sem.faketime_sem_"):
        for pid in (dead, dead + 1, mine):
            (tmp_path / f"{name}{pid}").touch()
        os.utime(tmp_path / f"{name}{dead + 1}", (1, 1))
    (tmp_path / f"other_{dead}").touch()
    kept = {f"other_{dead}", f"faketime_shm_{dead + 1}", f"sem.faketime_sem_{dead + 1}"}

    forget_shared(1000.0)
    assert {path.name for path in tmp_path.iterdir()} == kept | {
        f"faketime_shm_{mine}",
        f"sem.faketime_sem_{mine}",
    }


def test_what_another_run_took_away_meanwhile_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs side by side heal their clocks: each looks at all that is left of dead processes."""
    monkeypatch.setattr("kafkaos.faults.clock.SHARED_FOLDER", tmp_path)
    left = tmp_path / f"faketime_shm_{2**22 + 1}"
    left.touch()
    monkeypatch.setattr("kafkaos.faults.clock.psutil.pid_exists", lambda _: left.unlink())
    forget_shared(1000.0)
    assert not left.exists()


def test_damage_hits_the_tail_alone(tmp_path: Path) -> None:
    """One bit of one byte changes, or the last bytes are gone; what is before stays as it was."""
    segment = tmp_path / "0.log"
    segment.write_bytes(bytes(range(100)))
    flip(segment, 2)
    flipped = segment.read_bytes()
    assert [place for place in range(100) if flipped[place] != place] == [98]
    assert (flipped[98] ^ 98).bit_count() == 1
    truncate(segment, 10)
    assert segment.read_bytes() == flipped[:90]


@pytest.mark.parametrize(
    ("kind", "sentence"), [("free-disk", "was removed"), ("make-writable", "is writable again")]
)
def test_files_that_a_killed_harness_left_are_healed(tmp_path: Path, kind: str, sentence: str) -> None:
    """A ballast file and a directory without the right to write are put right by `kafkaos heal`, once."""
    log_dir = tmp_path / "data"
    log_dir.mkdir()
    (log_dir / BALLAST_FILE).write_bytes(b"full")
    log_dir.chmod(0o700 if kind == "free-disk" else 0o500)
    run = tmp_path / "run"
    run.mkdir()
    journal = HealJournal(run / "heal.jsonl", healer=True)
    journal.record(kind, node=1, name="broker-1", log_dir=str(log_dir))
    journal.close()
    assert sentence in heal_leftovers(tmp_path)[0][0]
    assert log_dir.stat().st_mode & 0o200
    assert (log_dir / BALLAST_FILE).exists() is (kind != "free-disk")
    assert pending(journal.path) == []
    assert heal_leftovers(tmp_path) == ([], [])


@pytest.mark.skipif(mounts.unable_to_mount() is not None, reason=str(mounts.unable_to_mount()))
def test_a_folder_is_removed_with_all_that_is_mounted_in_it(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A small disk is really small, a read-only folder refuses root too, and both go with the folder around them."""
    folder = tmp_path / "with space"
    disk = folder / "disk"
    request.addfinalizer(lambda: mounts.remove_folder(tmp_path))  # whatever fails here, nothing stays mounted
    mounts.small_disk(disk, size_mb=1)
    with pytest.raises(OSError, match="No space left"):
        (disk / "large").write_bytes(bytes(2 << 20))
    mounts.make_read_only(disk)
    with pytest.raises(OSError, match="Read-only"):
        (disk / "new").touch()
    assert mounts.make_writable(disk)
    assert not mounts.make_writable(disk)
    mounts.make_read_only(disk)
    assert len(mounts_below(str(folder))) == 2
    mounts.remove_folder(folder)
    assert mounts_below(str(folder)) == []
    assert not folder.exists()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_slow_disk_library_delays_files_and_nothing_else(tmp_path: Path) -> None:
    """Writes to a file are delayed and counted, those to a pipe are not; told 0 it delays nothing."""
    words = tmp_path / "words"
    words.write_bytes(bytes(16))
    write = (
        "import os; fd = os.open('file', os.O_WRONLY | os.O_CREAT); "
        "[os.write(fd, b'x') for _ in range(3)]; os.write(1, b'y')"
    )

    def run() -> int:
        environment = {**os.environ, "LD_PRELOAD": str(library()), "KAFKAOS_SLOW_DISK": str(words)}
        subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", write],
            env=environment,
            cwd=tmp_path,
            check=True,
            stdout=subprocess.PIPE,
        )
        return int(struct.unpack("<QQ", words.read_bytes())[1])

    assert run() == 0
    set_delay(words, 1.0)
    assert run() == 3
    set_delay(words, 0.0)
    assert run() == 3
