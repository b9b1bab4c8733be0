"""The guide `docs/guide/add_a_claim.md`: its claims run, and the checker accepts its proof."""

import json
import re
import tomllib
from pathlib import Path

from verify import recheck
from verify.commands.verify import main_verify
from verify.proofs.certificate import write
from verify.proofs.run import outcome_of
from verify.proofs.sampling import draw

GUIDE = (Path(__file__).resolve().parents[3] / "docs/guide/add_a_claim.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_three_blocks_are_a_file_that_virel_verify_runs(tmp_path):
    path, out = tmp_path / "my_claim.py", tmp_path / "out"
    path.write_text("\n\n".join(BLOCKS[:3]))
    assert main_verify([str(path), "--jobs", "1", "--out", str(out)]) == 0
    (row,) = json.loads((out / "results.json").read_text())["claims"]
    assert (row["id"], row["verdict"]) == ("my-soft-backup", "HOLDS")
    assert (out / "figures" / "my-soft-backup.csv").is_file()


def test_the_proof_of_the_guide_is_accepted_by_the_checker(tmp_path, monkeypatch):
    names = {}
    for block in BLOCKS:
        exec(block, names)
    ((name, statement),) = tomllib.loads(re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[1]).items()
    monkeypatch.setitem(recheck.CLAIMS, name, statement)
    ((job,),) = names["JOBS"].values()
    proofs = [
        outcome_of(job, "my-soft-backup", x) for x in draw(job.instances_of(names["claim"]), seed=1, n=20)
    ]
    write(tmp_path / "c.json", proofs)
    assert len(recheck.recheck(tmp_path / "c.json")) == len(proofs)
