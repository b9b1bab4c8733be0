"""Statements of the sources, statements of ours and tests of our own code are counted apart."""

from verify.engine.claim import Kind
from verify.report.headline import headline, weights


def rows(*triples):
    return [{"kind": str(kind), "verdict": verdict, "weight": weight} for kind, verdict, weight in triples]


FOUND = rows(
    (Kind.SOURCE, "REFUTED", "misprint"),
    (Kind.SOURCE, "GAP", "correction"),
    (Kind.SOURCE, "REFUTED", "misprint"),
    (Kind.SOURCE, "CERTIFIED", None),
    (Kind.OURS, "HOLDS", None),
    (Kind.CODE, "HOLDS", None),
    (Kind.CODE, "ERROR", None),
    (Kind.CODE, "REFUTED", None),
)


def test_each_kind_has_a_line_with_its_own_counts_in_order_of_weight():
    assert headline(FOUND) == [
        "4 statements of the sources: 1 holds, 1 correction, 2 misprints",
        "1 statement of ours: 1 holds",
        "3 tests of our own code: 1 holds, 1 refuted or with a gap, 1 error",
    ]


def test_a_weight_counts_only_where_the_verdict_is_not_that_the_statement_holds():
    """A claim on record as a misprint that comes out as HOLDS is a disagreement, not a misprint."""
    assert weights(rows((Kind.SOURCE, "HOLDS", "misprint"), (Kind.SOURCE, "GAP", "remark"))) == {"remark": 1}
