#!/bin/bash
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G}" KAFKA_LOG4J_FILE=/opt/kafka/config/log4j2.yaml
export KAFKA_JVM_PERFORMANCE_OPTS="${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseG1GC}"
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
