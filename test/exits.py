"""exits.py STATUS COMMAND...: succeeds when the command ends with exactly that status; its output passes through."""
import subprocess
import sys

got = subprocess.run(sys.argv[2:]).returncode
if got != int(sys.argv[1]):
    print(f"exit status {got}, expected {sys.argv[1]}", flush=True)
    sys.exit(1)
