"""Train, check and publish every night with Airflow.

Exit code 99 (nothing new) skips the later tasks. The last line of standard output, one JSON object below
4 KiB, becomes the XCom. Later tasks therefore read the manifest of this run and never `latest`, which
may be another run when Airflow backfills a day.
"""

import json

import pendulum
from airflow.sdk import DAG, task
from airflow.providers.standard.operators.bash import BashOperator

with DAG(
    dag_id="lacuna",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
) as dag:
    run = BashOperator(
        task_id="run",
        bash_command=(
            "lacuna run --config /etc/lacuna/nightly.toml --noop-exit-code 99 "
            "--time-limit 5h --log-format json --json"
        ),
        append_env=True,
        skip_on_exit_code=99,
        retries=2,
        retry_delay=pendulum.duration(minutes=10),
        do_xcom_push=True,
    )

    @task
    def load(line: str) -> str:
        """Returns the path of the run. Replace this with the code that loads the factors into an index."""
        report = json.loads(line)
        return report["path"]

    load(run.output)
