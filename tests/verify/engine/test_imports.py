"""What the claims engine imports, and when: `import verify` is cheap, python-flint comes only with proofs."""

import subprocess
import sys
from pathlib import Path

import pytest

import verify
from verify.engine import claim, plotdata, registry, verdict

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {"torch", "flint", "matplotlib", "numpy", "numba", "hypothesis", "rich", "tyro"}
VERIFY_ONE = """
from verify.commands.verify import main_verify
assert main_verify(["eq-24", "--jobs", "1", "--no-figures", "--out", OUT]) == 0
"""


def run(script):
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import verify", HEAVY),
        ("from verify import Claim, Check, Gap, Verdict, Figure", {"torch", "flint", "matplotlib", "numba"}),
        ("import verify.commands.verify", {"flint", "torch", "matplotlib"}),
        ("import verify.commands.work", {"flint", "torch", "matplotlib"}),
        (
            "from verify.commands.verify import main_claims; assert main_claims([]) == 0",
            {"flint", "scipy.stats"},
        ),
        (
            "from verify.commands.verify import main_claims; assert main_claims(['--markdown']) == 0",
            {"flint"},
        ),
        (
            VERIFY_ONE,
            {"flint", "torch", "scipy.stats"},
        ),
    ],
)
def test_heavy_packages_are_left_alone(statement, absent, tmp_path):
    ask = f"sys.exit(', '.join({absent!r} & set(sys.modules)) or 0)"
    done = run(f"import sys\nOUT = {str(tmp_path)!r}\n{statement}\n{ask}")
    assert done.returncode == 0, done.stderr


def test_an_import_of_flint_would_be_found():
    assert "flint" in run("import sys\nimport verify.proofs.table\nsys.exit(', '.join(sys.modules))").stderr


def test_the_exported_names_are_those_of_the_engine():
    home = dict.fromkeys(("Assumption", "Check", "Claim", "Correction", "Step"), claim)
    home |= dict.fromkeys(("Gap", "Verdict"), verdict) | dict.fromkeys(("Curve", "Figure", "Panel"), plotdata)
    home["all_claims"] = registry
    assert sorted(verify.__all__) == sorted(home)
    assert all(getattr(verify, name) is getattr(module, name) for name, module in home.items())
