"""``ugsd doctor``: what is installed and found on this machine, and the one line that mends what is missing.

Each module looks at one thing and gives records `ugsd_core.doctor.finding.Finding`; nothing is changed.
"""
