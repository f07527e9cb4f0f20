"""Advise before there is data: what published guides say of a situation, and what groundtune recommends."""
