#!/bin/bash
# Kafka's own tools, by the names of their scripts.
declare -A classes=(
  [kafka-topics.sh]=org.apache.kafka.tools.TopicCommand
  [kafka-storage.sh]=kafka.tools.StorageTool
  [kafka-broker-api-versions.sh]=org.apache.kafka.tools.BrokerApiVersionsCommand
  [kafka-cluster.sh]=org.apache.kafka.tools.ClusterTool
  [kafka-consumer-groups.sh]=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
)
exec /opt/kafka/bin/kafka-run-class.sh "${classes[${0##*/}]}" "$@"
