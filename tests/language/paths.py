"""Where the examples of the language are."""

from pathlib import Path

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").glob("*.yaml"))
WRONG = sorted((HERE / "wrong").glob("*.yaml"))
WRONG_SETTINGS = sorted((HERE / "wrong_settings").glob("*.yaml"))
SETTINGS = HERE / "settings.yaml"
SHIPPED = HERE.parents[1] / "probes"
