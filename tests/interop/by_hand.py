"""by_hand.py RECEIPT KEY.pem TRUSTED_ROOT: runs the program of docs/formats.md 12 as it stands there."""
import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

receipt, key, root = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:])
page = pathlib.Path(__file__).parents[2] / "docs" / "formats.md"
program = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S).group(1)
with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    spki = base64.b64decode(json.load(open(root))["tlogs"][0]["publicKey"]["rawBytes"])
    subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-out", "log.pem"], input=spki,
                   check=True)
    exec(program, {"R": receipt, "K": key, "L": "log.pem"})
