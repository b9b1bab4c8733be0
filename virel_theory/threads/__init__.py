"""Threads that share a sweep: how many, how work is handed out, and when they are better left alone."""
