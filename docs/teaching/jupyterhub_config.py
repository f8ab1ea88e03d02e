"""JupyterHub for a class: one checkout that nobody but you can write, one environment, a folder of copies in each student's home.

Tried with JupyterHub 6.1.1, configurable-http-proxy 5.3.0 and two users on one Linux machine: docs/teaching/jupyterhub.md.
"""
import os
import sys

c = get_config()  # noqa: F821  (JupyterHub gives it)

TANDEM = os.environ.get("TANDEM", "/srv/tandem")  # the checkout, after `make setup`
HUB = os.path.dirname(sys.executable)  # the programs of the environment in which JupyterHub is installed

# As each student: copies of all lessons into ~/tandem-work, both notebooks of a lesson side by side; a student's own work stays.
PREPARE = f"""cd {TANDEM} && .venv/bin/python - <<'END'
from jupyterlab.commands import get_workspaces_dir
from tandem.tools import lab, source
copies = lab.work_folder()
for lesson in source.all_lessons():
    lab.copy_notebooks(lesson, copies)
lab.save_workspaces(source.all_lessons(), get_workspaces_dir(), copies.name)
END"""
c.Spawner.cmd = ["sh", "-c", f'{PREPARE}\ncd ~ && exec {HUB}/jupyterhub-singleuser "$@"', "sh"]
c.Spawner.start_timeout = 120
c.Spawner.default_url = "/lab/workspaces/tandem-00_welcome"
c.Spawner.notebook_dir = "~"
# Two cores' worth of threads for each notebook: thirty of them on a large machine would else start thousands.
c.Spawner.environment = {"OMP_NUM_THREADS": "2", "TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2"}
