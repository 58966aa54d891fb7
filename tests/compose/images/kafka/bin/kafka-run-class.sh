#!/bin/bash
# One of Kafka's classes, with the logging of the tools unless another one is asked for.
exec java ${KAFKA_HEAP_OPTS:--Xmx256M} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:TieredStopAtLevel=1} ${KAFKA_OPTS:-} \
  "-Dlog4j2.configurationFile=${KAFKA_LOG4J_FILE:-/etc/kafka/docker/tools-log4j2.yaml}" -cp '/opt/kafka/libs/*' "$@"
