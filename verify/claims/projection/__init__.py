"""Claims about the projected residual of App. F.1."""
