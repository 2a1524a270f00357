"""The HTTP side: probes, metrics, the webhook, and what operators may ask and order."""
