"""``python spark_jobs/stream_processor.py``: trades in Kafka to moving averages in MySQL, until SIGTERM."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a file, wherever from

from concurrent.futures import ThreadPoolExecutor

from include.runtime.errors import AlreadyRunningError
from include.runtime.logging import configure_logging
from include.runtime.single_instance import hold_single_instance
from include.settings import get_settings
from include.settings_errors import SettingsError
from spark_jobs.lib.session import create_session


def main() -> int:
    """Run the job and return the exit code: 2 for wrong settings, a second copy or a taken port."""
    configure_logging()
    try:
        settings = get_settings()
        hold_single_instance("stream_processor", settings.run_dir)
        session = ThreadPoolExecutor(1).submit(create_session, settings)
        # While the JVM starts: the other libraries take a second of their own to import.
        from spark_jobs.lib.job import StreamProcessorJob

        job = StreamProcessorJob(settings, session)
    except (SettingsError, AlreadyRunningError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return job.run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads that hang on a dead peer must not keep a stopped process alive
