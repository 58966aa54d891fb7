"""Entry module for Airflow's plugin loader: the process log page and the link to it."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from playbook_airflow.process_log import URL_PREFIX, create_app
from playbook_airflow.supervise import ProcessLogLink


class PipelinePlugin(AirflowPlugin):
    """What the pipeline adds to Airflow's own pages."""

    name = "pipeline"
    fastapi_apps = [{"app": create_app(), "url_prefix": URL_PREFIX, "name": "Process logs"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Process logs", "href": f"{URL_PREFIX}/", "destination": "nav", "url_route": "process_logs"}
    ]
    operator_extra_links = [ProcessLogLink()]  # noqa: RUF012
