"""Claims on the statements of the papers, by topic: statement, gap functions, figures and proofs."""
