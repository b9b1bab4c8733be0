"""The claims engine: every printed statement of VIREL, checked as printed."""
