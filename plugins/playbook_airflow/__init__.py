"""What Dags and the triggerer need of Airflow: operators, triggers, links. Imported by Dags, not by the plugin loader.

Heavy imports belong inside functions: each Dag file is parsed again and again.
"""
