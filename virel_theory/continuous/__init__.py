"""Boltzmann policies and objectives on an interval of actions."""
