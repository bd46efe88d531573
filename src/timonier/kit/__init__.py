"""What any long-lived program needs: time, tasks, HTTP, logging, settings. Knows nothing of Kubernetes."""
