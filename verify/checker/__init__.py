"""Checker of certificates: it trusts the standard library, python-flint and `statements.toml`, nothing else.

`limits` and `child` hold time and memory, `reading` reads files, `algebra`, `formulas`, `temperatures` and
`proving` decide them, `answer` and `binding` say what was proved. `second` shares no line with the others.
"""
