"""The incident-response playbook as data: scenarios, causes, the cause graph, severity, and the pages made of them."""
