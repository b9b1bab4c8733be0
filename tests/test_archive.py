"""Raw results: what `results/` holds comes back byte for byte, and packing is a function of the folder."""

import gzip

import pytest

from benchmarks import archive


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


RUN = {
    "out/learning/sac-Hopper-v5/config.json": "{}\n",
    "out/learning/sac-Hopper-v5/seed-0/done.json": "{}\n",
    "out/learning/sac-Hopper-v5/seed-0/metrics.jsonl": '{"step": 1, "kind": "eval"}\n',
}


@pytest.mark.skipif(
    not (archive.ROOT / "results").exists(), reason="a release's source archive leaves results/ out"
)
@pytest.mark.parametrize("group", archive.GROUPS)
def test_a_committed_archive_holds_exactly_what_packing_its_contents_gives(group, tmp_path):
    packed = archive.ROOT / "results" / f"{group}.tar.gz"
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / packed.name).write_bytes(packed.read_bytes())
    archive.unpack(group, tmp_path)
    assert archive.tar(tmp_path / "out" / group) == gzip.decompress(packed.read_bytes())


def test_unpacking_gives_back_what_was_packed(tmp_path):
    write(tmp_path, RUN)
    before = read(tmp_path / "out")
    archive.pack("learning", tmp_path)
    (tmp_path / "out").rename(tmp_path / "away")
    archive.unpack("learning", tmp_path)
    assert read(tmp_path / "out") == before


def test_checkpoints_events_and_episode_rows_are_left_out(tmp_path):
    write(tmp_path, RUN)
    wanted = archive.tar(tmp_path / "out/learning")
    seed = "out/learning/sac-Hopper-v5/seed-0"
    write(
        tmp_path,
        {
            f"{seed}/checkpoints/100/config.json": "{}",
            f"{seed}/events.out.tfevents.1": "x",
            f"{seed}/metrics.jsonl": '{"step": 1, "kind": "episode"}\n{"step": 1, "kind": "eval"}\n',
        },
    )
    assert archive.tar(tmp_path / "out/learning") == wanted


def test_a_page_of_the_benchmark_goes_to_the_documents(tmp_path):
    write(
        tmp_path, {"out/speed/speed.json": "{}", "out/speed/speed.md": "page", "docs/benchmarks/speed.md": ""}
    )
    said = archive.pack("speed", tmp_path)
    assert (tmp_path / "docs/benchmarks/speed.md").read_text() == "page"
    assert said == "wrote results/speed.tar.gz, docs/benchmarks/speed.md"


@pytest.mark.parametrize(
    ("act", "group", "message"),
    [
        (archive.pack, "velocity", "unknown group 'velocity'; choose among learning"),
        (archive.pack, "speed", "does not exist: run the benchmark, or unpack speed first"),
        (archive.unpack, "speed", "does not exist: git has it"),
        (archive.unpack, "learning", "exists: move it away"),
    ],
)
def test_what_cannot_be_done_is_said(act, group, message, tmp_path):
    write(tmp_path, RUN)
    with pytest.raises(ValueError, match=message):
        act(group, tmp_path)
