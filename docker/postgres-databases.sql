-- Two databases, each with an account of its own. Run once by the postgres image, when its volume is new.
-- The passwords are read from the secret files by psql itself, so that they are on no command line.
\set ON_ERROR_STOP on
\set airflow_password `cat /run/secrets/pipeline_airflow_database_password`
\set incidents_password `cat /run/secrets/pipeline_incident_store_password`
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE incidents LOGIN PASSWORD :'incidents_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE incidents OWNER incidents;
REVOKE CONNECT ON DATABASE airflow, incidents FROM PUBLIC;
GRANT CONNECT ON DATABASE airflow TO airflow;
GRANT CONNECT ON DATABASE incidents TO incidents;
