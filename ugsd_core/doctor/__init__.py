"""``ugsd doctor``: what is installed and found on this machine, and the one line that mends what is missing.

Each module looks at one thing and gives `ugsd_core.doctor.finding.Finding`s; nothing is changed.
"""
